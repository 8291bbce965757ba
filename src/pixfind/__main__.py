"""`python -m pixfind` is the command `pixfind`."""

from pixfind.cli import main

if __name__ == "__main__":
    main()

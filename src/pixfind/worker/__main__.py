"""`python -m pixfind.worker` is one worker process: the setup is the first line of its standard input."""

from pixfind.worker.process import main

if __name__ == "__main__":
    main()

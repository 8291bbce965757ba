"""`python -m pixfind` is the command `pixfind`."""


def main() -> None:
    """Run a command; the entry point of `pixfind`."""
    try:
        from pixfind import cli
    except KeyboardInterrupt:
        # Ctrl-C before the command line is there that reports errors.
        raise SystemExit(130) from None
    cli.main()


if __name__ == "__main__":
    main()

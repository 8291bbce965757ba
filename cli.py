"""The guide's `python cli.py VERB`: the command pixfind, on the library in this folder."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
_PYTHON = HERE / ".venv/bin/python"


def main() -> None:
    """Call pixfind, with the Python that `make install` prepared where this one has no pixfind."""
    os.environ.setdefault("PIXFIND_LIBRARY", str(HERE))
    try:
        from pixfind.__main__ import main as pixfind
    except ModuleNotFoundError:
        if not _PYTHON.exists() or Path(sys.executable) == _PYTHON:
            sys.exit("pixfind is not installed here. Install it with: make install")
        os.execv(_PYTHON, [str(_PYTHON), "-m", "pixfind", *sys.argv[1:]])
    pixfind()


if __name__ == "__main__":
    main()

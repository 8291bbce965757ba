"""
Builds the wheel and tries it with each Python that is here, as `tools.package` does with one.

    python -m tools.try_wheels                       each of 3.11, 3.12 ... that is on the PATH or in ~/.pyenv
    python -m tools.try_wheels python3.12 /opt/py/bin/python3

Fails when one of them fails, or when none is found. Prints the seconds of each.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools import package

VERSIONS = ("3.11", "3.12", "3.13")


def found() -> list[str]:
    """Return one interpreter for each version that is here."""
    here = []
    for version in VERSIONS:
        pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
        python = shutil.which(f"python{version}") or next(map(str, pyenv), None)
        # A name on the PATH may stand for a version that is not installed, as with pyenv's shims.
        if python is not None and works(python):
            here.append(python)
        elif pyenv:
            here.append(str(pyenv[-1]))
        else:
            print(f"Python {version} is not here")
    return here


def works(python: str) -> bool:
    """Whether it starts."""
    return subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0


def main() -> None:
    """Build once, and try with each."""
    pythons = sys.argv[1:] or found()
    if not pythons:
        sys.exit(f"none of Python {', '.join(VERSIONS)} is here")
    with tempfile.TemporaryDirectory() as place:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--wheel-dir", place, str(package.ROOT)], check=True)
        (wheel,) = Path(place).glob("*.whl")
        for python in pythons:
            began = time.perf_counter()
            package.try_out(wheel, python)
            print(f"{wheel.name} with {python}: installed and used in {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()

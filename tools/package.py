"""
Builds wheel and sdist and tries them: `python -m tools.package dist`.

The wheel is built from the sdist, so the sdist is complete; twine says whether an index would take them; and the wheel is
installed in a fresh environment, with the versions of constraints.txt, where it indexes, searches and verifies drawn pictures.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from pixfind import __version__

ROOT: Final = Path(__file__).resolve().parents[1]
_PICTURES: Final = 20
_SHIPPED: Final = (
    "pixfind/py.typed",
    "pixfind/models/starter/visual/model.onnx",
    "pixfind/models/starter/textual/tokenizer.json",
    "pixfind/server/page/index.html",
    "pixfind/library/sql/schema.sql",
)


def build(target: Path) -> tuple[Path, Path]:
    """The wheel and the sdist, alone in their folder."""
    shutil.rmtree(target, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--outdir", str(target), cwd=ROOT)
    (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
    _run(sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist))
    return wheel, sdist


def look_inside(wheel: Path) -> None:
    """Stop unless the wheel has this version, its licence and the files that are not Python, and nothing of ours beside the package."""
    if wheel.name.split("-")[1] != __version__:
        sys.exit(f"{wheel.name} is not version {__version__}, which src/pixfind/__init__.py names.")
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in _SHIPPED if name not in names]
    if missing or not any(name.endswith("licenses/LICENSE") for name in names):
        sys.exit(f"{wheel.name} lacks: {', '.join(missing) or 'LICENSE'}")
    beside = {name.split("/")[0] for name in names} - {"pixfind", f"pixfind-{__version__}.dist-info"}
    if beside:
        sys.exit(f"{wheel.name} would install beside the package: {', '.join(sorted(beside))}")


def try_out(wheel: Path, python: str = sys.executable) -> None:
    """Install the wheel in a fresh environment of this Python and use it as a newcomer would, from another folder."""
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        _run(python, "-m", "venv", str(here / "venv"))
        programs = here / "venv" / ("Scripts" if os.name == "nt" else "bin")
        install = ("install", "--quiet", "--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt"))
        _run(str(programs / "python"), "-m", "pip", *install, str(wheel.resolve()))
        _run(str(programs / "python"), "-m", "pip", "check")

        pixfind = (str(programs / "pixfind"), "--library", "library")
        _run(*pixfind, "demo", "--count", str(_PICTURES), "--pictures", "pictures", cwd=here)
        hits = json.loads(_run(*pixfind, "search-text", "sunset over the sea", "--json", cwd=here))
        if not hits or "sunset" not in Path(hits[0]["path"]).name:
            sys.exit(f"The installed wheel does not find a sunset: {hits}")
        _run(*pixfind, "verify", cwd=here)


def _run(*command: str, cwd: Path | None = None) -> str:
    print("$", " ".join(command), file=sys.stderr)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIXFIND"))}
    done = subprocess.run(command, cwd=cwd, env=clean, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{command[0]} ended with {done.returncode}")
    return done.stdout


def main() -> None:
    """Build, check and try."""
    wheel, sdist = build(Path(sys.argv[1]).resolve())
    look_inside(wheel)
    try_out(wheel)
    for path in (wheel, sdist):
        print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

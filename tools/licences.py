"""
Lists the licence of every package that pixfind brings with it: `python -m tools.licences` (`make licences`).

Follows the requirements of what is installed here, as installed here: other systems bring a few others. `section` is what the test compares.
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
    "openvino": "What `pixfind[openvino]` adds",
    "raw": "What `pixfind[raw]` adds",
    "nncf": "What `pixfind[nncf]` adds",
    "dev": "What the tests and checks add",
}
_HEAD: Final = """# Licences of dependencies

Made by `make licences` from the packages' own metadata, as installed on Linux with Python 3.11.
pixfind itself is under the Apache License 2.0; its starter model was trained by this project on pictures that it draws.
"""
_NOTES: Final = """
`rawpy` has LibRaw in its wheels (LGPL-2.1 or CDDL-1.0, without its GPL parts), and what that needs: JasPer, Little CMS and libjpeg under permissive licences, on Linux
also libgomp (GPL-3.0 with the GCC runtime library exception).

`pixfind[torch]` is not listed: PyTorch (BSD-3-Clause) brings some fifteen packages of NVIDIA on Linux, whose licence is NVIDIA's own (`LicenseRef-NVIDIA-Proprietary`).
"""


class NotInstalledError(Exception):
    """A package of this section is not installed here."""


def section(extra: str) -> list[str]:
    """The rows of one section: what this extra adds to a plain installation. Raises NotInstalledError."""
    plain = _closure([""])
    names = plain if not extra else _closure(["", extra]) - plain
    return [f"| {name} | {_licence(metadata.distribution(name))} |" for name in sorted(names)]


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
            rows = section(extra)
        except NotInstalledError as gone:
            sys.exit(f"{gone} is not installed here. Install everything that is listed: pip install -e '.[{extra}]'")
        lines += [f"## {title}\n", "| package | licence |", "|---|---|", *rows, ""]
    PAGE.write_text("\n".join(lines) + _NOTES, encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

"""
Checks that a built site loads nothing from another host: `python -m tools.check_site build/docs`.

A link that a reader may follow is fine; a script, style, font, picture or frame that the browser fetches by itself is not.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

_FOREIGN: Final = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_LOADED: Final = {"src", "srcset", "poster", "data"}
_IN_STYLES: Final = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s;]+)""")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"
        for name, value in attrs:
            if name in _LOADED or (name == "href" and tag in {"link", "use", "image"}):
                self.loaded.append(value or "")
            elif name == "style":
                self.loaded += _IN_STYLES.findall(value or "")

    def handle_data(self, data: str) -> None:
        if self._style:
            self.loaded += _IN_STYLES.findall(data)


def foreign(site: Path) -> Iterator[tuple[Path, str]]:
    """Each file of the site with an address on another host that a browser would fetch when it shows the file."""
    for path in sorted(site.rglob("*")):
        if path.suffix in {".html", ".svg"}:
            page = _Page()
            page.feed(path.read_text(encoding="utf-8"))
            loaded = page.loaded
        elif path.suffix == ".css":
            loaded = _IN_STYLES.findall(path.read_text(encoding="utf-8"))
        else:
            continue
        yield from ((path.relative_to(site), address) for address in loaded if _FOREIGN.match(address))


def main() -> None:
    """Print what would be fetched from elsewhere, and fail if there is anything or no page at all."""
    site = Path(sys.argv[1])
    if not (site / "index.html").exists():
        sys.exit(f"There is no site in {site}. Build it with: make docs")
    found = list(foreign(site))
    for path, address in found:
        print(f"{path}: loads {address}", file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()

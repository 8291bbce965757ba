"""
Whether this commit may be released: `python -m tools.release`.

The version stands in src/pixfind/__init__.py alone. CHANGELOG.md must have its section, with a date and with entries, above all earlier ones and
below an empty "Unreleased"; everything must be committed; and the version must not be tagged yet.
"""

import datetime as dt
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from pixfind import __version__

ROOT: Final = Path(__file__).resolve().parents[1]
_SECTION: Final = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>\S+))?\s*$", re.MULTILINE)


def problems_of_changelog(text: str, version: str) -> list[str]:
    """What stands in the way of releasing this version, in words."""
    parts = _SECTION.split(text)[1:]
    sections = [(parts[at], parts[at + 1], parts[at + 2].strip()) for at in range(0, len(parts), 3)]
    if not sections or sections[0][0] != "Unreleased":
        return ['The first section is not "## [Unreleased]".']
    problems = []
    if sections[0][2]:
        problems.append(f'Entries are unreleased: move them below "## [{version}] - {dt.date.today().isoformat()}".')  # noqa: DTZ011  the date where the maintainer is
    if len(sections) == 1 or sections[1][0] != version:
        return [*problems, f'There is no section "## [{version}]" next after "Unreleased".']
    _, date, entries = sections[1]
    if not date or not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        problems.append(f"[{version}] has no date like 2026-01-31.")
    if "\n- " not in f"\n{entries}":
        problems.append(f"[{version}] has no entry.")
    return problems


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        sys.exit("A release needs git, to see that everything is committed.")
    return subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Print what stands in the way, and fail if anything does."""
    problems = problems_of_changelog((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), __version__)
    if changed := _git("status", "--porcelain"):
        problems.append(f"Not everything is committed:\n{changed}")
    if _git("tag", "--list", f"v{__version__}"):
        problems.append(f"v{__version__} is tagged already: raise __version__ in src/pixfind/__init__.py.")
    if problems:
        sys.exit("This commit cannot be released.\n" + "\n".join(problems))
    print(f"{__version__} may be released. When dist is built: git tag v{__version__}, and twine upload dist/*")


if __name__ == "__main__":
    main()

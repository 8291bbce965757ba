import re
import sys

import pytest
from tools import licences

_OUTDATED = "docs/reference/licences.md is out of date: make licences"
PAGE = licences.PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif(
    (sys.platform, sys.version_info[:2]) != ("linux", (3, 11)), reason="other systems install a few other packages"
)
@pytest.mark.parametrize("extra", licences.SECTIONS)
def test_the_page_lists_what_is_installed_and_its_size(extra: str) -> None:
    try:
        rows, size = licences.section(extra), licences.megabytes(extra)
    except licences.NotInstalledError as missing:
        pytest.skip(f"{missing} is not installed here")
    title = f"## {licences.SECTIONS[extra]}"
    section = PAGE.split(title)[1].split("\n## ")[0]

    assert rows == [line for line in section.splitlines() if line.startswith("| ")][1:], _OUTDATED
    said = re.search(r"(\d+) packages?, (\d+) MB\.", section)
    assert said is not None
    assert len(rows) == int(said[1])
    # Wheels of other processors, and other patches of a version, differ a little.
    assert size == pytest.approx(int(said[2]), rel=0.15, abs=3), _OUTDATED


def test_no_package_of_a_plain_installation_is_without_a_licence() -> None:
    assert [] == [row for row in licences.section("") if "not stated" in row]

import sys

import pytest
from tools import licences

PAGE = licences.PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif(
    (sys.platform, sys.version_info[:2]) != ("linux", (3, 11)), reason="other systems install a few other packages"
)
@pytest.mark.parametrize("extra", licences.SECTIONS)
def test_the_page_lists_what_is_installed(extra: str) -> None:
    try:
        rows = licences.section(extra)
    except licences.NotInstalledError as missing:
        pytest.skip(f"{missing} is not installed here")
    title = f"## {licences.SECTIONS[extra]}"
    listed = [line for line in PAGE.split(title)[1].split("\n## ")[0].splitlines() if line.startswith("| ")][1:]

    assert rows == listed, "docs/reference/licences.md is out of date: make licences"


def test_no_package_of_a_plain_installation_is_without_a_licence() -> None:
    assert [] == [row for row in licences.section("") if "not stated" in row]

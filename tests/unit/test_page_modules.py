"""The modules of the page: all are preloaded, so that none waits for another that names it, and the reference has a line on each."""

import re
from pathlib import Path

import pixfind

PAGE = Path(pixfind.__file__).parent / "server/page"
MODULES = {path.name for path in PAGE.glob("*.js")}
MARKUP = (PAGE / "index.html").read_text(encoding="utf-8")


def test_every_module_is_preloaded_and_nothing_else() -> None:
    begun = set(re.findall(r'<script[^>]* src="/static/([\w.]+)"', MARKUP))
    preloaded = re.findall(r'<link rel="modulepreload" href="/static/([\w.]+)">', MARKUP)
    assert MODULES - begun == set(preloaded)
    assert sorted(preloaded) == preloaded


def test_the_reference_says_what_every_module_owns() -> None:
    reference = (Path(__file__).parents[2] / "docs/reference/page.md").read_text(encoding="utf-8")
    table = reference.partition("## Modules")[2].partition("\n\nA part receives")[0]
    assert MODULES == set(re.findall(r"`(\w+\.js)`", table))

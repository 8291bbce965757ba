"""What code and pages say of each other's files exists. The site checks links between its own pages: `make docs`."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tools.check_site import foreign

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"\b(docs/[\w./-]*\w)")
LINKED = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")


def _tracked(*patterns: str) -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone: which files are ours is not known")
    done = subprocess.run([git, "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).exists()]


def test_every_document_that_is_named_exists() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in _tracked(
            "*.md", "src/*.py", "tests/*.py", "tools/*.py", "training/*.py", "benchmarks/*.py", "Makefile"
        )
        for name in NAMED.findall(path.read_text(encoding="utf-8"))
        if not list(ROOT.glob(f"{name}*"))
    }

    assert set() == missing


def test_every_link_between_files_leads_somewhere() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in _tracked("*.md")
        for name in LINKED.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / name).exists()
    }

    assert set() == missing


def test_what_a_page_loads_from_another_host_is_found(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<a href="https://example.org/">may be followed</a><img src="local.png"><script src="//cdn.example/a.js"></script>'
        '<link rel="stylesheet" href="https://fonts.example/css"><style>@import "https://a.example/b.css"; p {background: url(c.png)}</style>'
    )
    (tmp_path / "theme.css").write_text("@font-face { src: url('https://fonts.example/a.woff2') }")

    assert [
        ("index.html", "//cdn.example/a.js"),
        ("index.html", "https://fonts.example/css"),
        ("index.html", "https://a.example/b.css"),
        ("theme.css", "https://fonts.example/a.woff2"),
    ] == [(path.as_posix(), address) for path, address in foreign(tmp_path)]

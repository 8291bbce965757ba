"""The contracts between packages hold (`make layers`), and each fails when it is broken."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

_MAX_LINES = 450


def test_each_contract_fails_when_it_is_broken(tmp_path: Path) -> None:
    """One copy of the sources breaks all of them at once."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    contracts = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    libraries = [name for contract in contracts for name in contract.get("protected_modules", ())]
    with (tmp_path / "src/pixfind/types.py").open("a", encoding="utf-8") as file:
        file.writelines(f"import {library}\n" for library in libraries)
    with (tmp_path / "src/pixfind/worker/pipeline.py").open("a", encoding="utf-8") as file:
        file.write("from pixfind.library.library import Library\n")

    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode, done.stdout
    assert {contract["name"] for contract in contracts} == set(re.findall(r"^(.+) BROKEN$", done.stdout, re.MULTILINE))


def test_no_file_is_longer_than_a_reader_takes_in() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / "src").rglob("*.py")
        if (count := len(path.read_text("utf-8").splitlines())) > _MAX_LINES
    }

    assert {} == long

"""The tutorial, run as it stands: each command succeeds, and prints the files and the sums that the page shows."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/tutorial/index.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"[\w/-]+\.jpg|\d+ images = .*|\d+ files seen: .*|The model .*|exit code \d+|whole: .*")
"""what does not differ between machines, unlike scores and times"""


def _steps() -> list[tuple[str, str]]:
    """The commands of the page, each with what the page shows below it."""
    blocks = "".join(CONSOLE.findall(PAGE.read_text(encoding="utf-8")))
    steps = [step.partition("\n") for step in blocks.split("$ ")[1:]]
    return [(command, shown) for command, _, shown in steps]


@pytest.mark.skipif(shutil.which("bash") is None, reason="the tutorial is written for bash")
@pytest.mark.timeout(300)  # it draws 150 pictures and indexes them twice
def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    steps = _steps()
    programs = Path(sys.executable).parent
    script = "".join(f"echo '=== {number}'\n{command}\n" for number, (command, _) in enumerate(steps))
    done = subprocess.run(
        ["/bin/bash", "-e", "-c", f'PATH="{programs}:$PATH"\n{script}'],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout[-2000:]
    printed = re.split(r"^=== \d+\n", done.stdout, flags=re.MULTILINE)[1:]

    assert len(steps) == len(printed)
    for (command, shown), real in zip(steps, printed, strict=True):
        missing = [part for part in SHOWN.findall(shown) if part not in real]
        assert (command, []) == (command, missing), real

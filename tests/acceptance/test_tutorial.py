"""The tutorial and the page about Python, run as they stand: all succeeds, and prints the files and the sums that the page shows."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pixfind import demo

PAGE = Path(__file__).parents[2] / "docs/tutorial/index.md"
PYTHON_PAGE = Path(__file__).parents[2] / "docs/how-to/python.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SCORE = re.compile(r"^0\.\d+ ", re.MULTILINE)
SHOWN = re.compile(r"[\w/-]+\.jpg|\d+ images = .*|\d+ files seen: .*|The model .*|exit code \d+|consistent: .*")
"""what does not differ between machines, unlike scores and times"""


def _steps() -> list[tuple[str, str]]:
    """The commands of the page, each with what the page shows below it."""
    blocks = "".join(CONSOLE.findall(PAGE.read_text(encoding="utf-8")))
    steps = [step.partition("\n") for step in blocks.split("$ ")[1:]]
    return [(command, shown) for command, _, shown in steps]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """The folder in which the tutorial was followed, and how that ended."""
    if shutil.which("bash") is None:
        pytest.skip("the tutorial is written for bash")
    folder = tmp_path_factory.mktemp("followed")
    programs = Path(sys.executable).parent
    script = "".join(f"echo '=== {number}'\n{command}\n" for number, (command, _) in enumerate(_steps()))
    done = subprocess.run(
        ["/bin/bash", "-e", "-c", f'PATH="{programs}:$PATH"\n{script}'],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return folder, done


@pytest.mark.timeout(1200)  # it draws 150 pictures and indexes them twice
def test_the_tutorial_works_as_it_is_written(followed: tuple[Path, "subprocess.CompletedProcess[str]"]) -> None:
    steps, (_, done) = _steps(), followed
    assert 0 == done.returncode, done.stdout[-2000:]
    printed = re.split(r"^=== \d+\n", done.stdout, flags=re.MULTILINE)[1:]

    assert len(steps) == len(printed)
    for (command, shown), real in zip(steps, printed, strict=True):
        missing = [part for part in SHOWN.findall(shown) if part not in real]
        assert (command, []) == (command, missing), real


@pytest.mark.timeout(1200)
def test_the_page_about_python_prints_what_it_shows(
    followed: tuple[Path, "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    """On the pictures of the tutorial, as they were before it copied one and renamed another."""
    page = PYTHON_PAGE.read_text(encoding="utf-8")
    program, shown = (
        re.findall(rf"^```{kind}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0] for kind in ("python", "text")
    )
    pictures = Path(shutil.copytree(followed[0] / "pictures", tmp_path / "pictures"))
    (pictures / "copy.jpg").unlink()
    (pictures / "renamed.jpg").rename(pictures / "beach-01.jpg")
    assert set(demo.plan(150)) == {picture.stem for picture in pictures.iterdir()}

    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    # A score differs in its last digit between processors; which pictures are found does not.
    assert SCORE.sub("", shown) == SCORE.sub("", done.stdout.replace(str(tmp_path.resolve()), "/home/me"))

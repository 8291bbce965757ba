"""The real command in a real process: the guide, its scripts, what is printed where, exit codes."""

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.acceptance.conftest import Run

from pixfind import errors
from pixfind.library import verify
from pixfind.library.library import Library
from pixfind.testing import make_broken, make_library, make_pictures
from pixfind.testing.commands import Commands

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_program_that_is_started_without_a_stream_does_its_work(
    place: Path, pictures: Path, closed: tuple[int, ...]
) -> None:
    make_library(place, pictures).close()

    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    words = [sys.executable, "-m", "pixfind", "--library", str(place), "search", "sky", "--all"]
    done = subprocess.run(words, capture_output=True, preexec_fn=close, check=False)

    assert (0, b"") == (done.returncode, done.stdout if 1 in closed else b"")
    assert b"Traceback" not in done.stderr
    with Library.open(place) as library:
        assert [] == verify.verify(library)


def test_an_interrupt_while_the_program_is_being_loaded_ends_it_as_any_other() -> None:
    program = """
import sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == "pixfind.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from pixfind.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (130, b"", b"") == (done.returncode, done.stdout, done.stderr)


def test_index_does_everything_and_a_second_one_nothing(run: Run, place: Path, pictures: Path) -> None:
    make_broken(pictures / "broken.jpg", "truncated")
    first = run("index", pictures, "--model", "starter", "--cpu", "100%")
    second = run("index", pictures, "--cpu", "100%")
    status = json.loads(run("status", "--json").stdout)

    assert "" == first.stdout
    assert "40 rows" in first.stderr
    assert "embedded 0 images" in second.stderr
    assert {"seen": 41, "embedded": 40, "failed": 1, "pending": 0}.items() <= status["images"].items()
    assert (40, 40, "starter", False) == tuple(status[key] for key in ("merged_rows", "index_rows", "model", "running"))
    with Library.open(place) as library:
        assert [] == verify.verify(library)


def test_the_guide_step_by_step(run: Run, place: Path, pictures: Path) -> None:
    run("add", pictures, "--model", "starter")
    run("embed", "1")
    run("merge")
    run("build-index")
    found = json.loads(run("search-text", "sky", "-k", "5", "--all", "--json").stdout)

    assert 5 == len(found)
    assert {"rank", "path", "score", "image_id", "embedding_index"} <= found[0].keys()
    assert [1, 2, 3, 4, 5] == [hit["rank"] for hit in found]
    assert sorted((hit["score"] for hit in found), reverse=True) == [hit["score"] for hit in found]
    paths = run("search-text", "sky", "-k", "5", "--all", "--paths").stdout.splitlines()
    assert [hit["path"] for hit in found] == paths
    assert all(Path(path).is_file() for path in paths)
    assert (40,) == np.load(place / "data" / "indices.npy").shape


def test_search_image_finds_the_picture_itself_first(run: Run, pictures: Path) -> None:
    run("index", pictures, "--model", "starter")
    query = pictures / "picture_00017.jpg"
    found = json.loads(run("search-image", query, "-k", "3", "--json").stdout)

    assert str(query) == found[0]["path"]
    assert pytest.approx(1, abs=1e-3) == found[0]["score"]


def test_a_value_that_begins_with_a_minus_is_kept_as_it_is(run: Run, pictures: Path) -> None:
    run("index", "--model", "starter", pictures)
    run("search", "sky", "--all", "--save", "-x")
    run("albums", "--remove", "-x")


def test_the_language_takes_signs_on_the_command_line(run: Run, pictures: Path) -> None:
    run("index", pictures, "--model", "starter")
    found = run("search", "sky", "-red flower", "+2:grass", "-kittens", "-k", "2", "--all", "--paths")

    assert 2 == len(found.stdout.splitlines())


def test_a_contact_sheet_can_be_looked_at(run: Run, pictures: Path, tmp_path: Path) -> None:
    run("index", pictures, "--model", "starter")
    run("search-text", "sky", "--all", "-k", "4", "--html", tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")

    assert 4 == page.count("data:image/jpeg;base64,")
    assert "sky" in page


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("status",), errors.LibraryNotFound),
        (("embed",), errors.LibraryNotFound),
        (("search-text", "sky"), errors.LibraryNotFound),
        (("index", "/nowhere/at/all", "--model", "starter"), errors.FolderNotReadable),
    ],
)
def test_what_is_missing_is_told_with_an_exit_code(
    run: Run, arguments: tuple[str, ...], error: type[errors.OperationError]
) -> None:
    done = run(*arguments, code=error.exit_code)

    assert "" == done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("embed", "0"), ("embed", "--cpu", "0%"), ("embed", "--cpu", "lots"), ("embed", "--worker-id", "3"), ("fly",), ()],
)
def test_wrong_usage_is_two(run: Run, arguments: tuple[str, ...]) -> None:
    run(*arguments, code=2)


def test_another_model_is_refused_with_both_names(run: Run, pictures: Path, tmp_path: Path) -> None:
    import pixfind

    run("index", pictures, "--model", "starter")
    other = tmp_path / "other"
    shutil.copytree(Path(pixfind.__file__).parent / "models" / "starter", other)
    settings = other / "visual" / "preprocess_cfg.json"
    settings.write_text(settings.read_text(encoding="utf-8").replace("0", "0.0", 1), encoding="utf-8")
    changed = json.loads((other / "visual" / "preprocess_cfg.json").read_text(encoding="utf-8"))
    changed["mean"] = [value + 0.01 for value in changed["mean"]]
    settings.write_text(json.dumps(changed), encoding="utf-8")
    done = run("embed", "--model", other, code=errors.OtherModel.exit_code)

    assert "starter" in done.stderr
    assert str(other) in done.stderr


def test_verify_says_consistent_or_exits_with_the_code_of_damage(run: Run, place: Path, pictures: Path) -> None:
    run("index", pictures, "--model", "starter")
    assert "consistent" in run("verify").stdout
    data = bytearray((place / "data" / "embeddings.npy").read_bytes())
    data[128 + 300] ^= 1
    (place / "data" / "embeddings.npy").write_bytes(data)
    found = json.loads(run("verify", "--json", code=errors.LibraryDamaged.exit_code).stdout)
    assert ["row-crc"] == [finding["code"] for finding in found]
    assert "embeddings.npy row 1" in found[0]["where"]

    run("verify", "--repair")
    run("embed")
    assert "consistent" in run("verify").stdout


def test_plan_gives_each_number_with_its_reason(run: Run) -> None:
    said = run("plan", "3", "--cpu", "50%").stdout

    assert "as requested" in said
    assert "50% of" in said


def test_progress_is_live_on_a_terminal_and_quiet_is_quiet(
    run: Run, commands: Commands, place: Path, pictures: Path
) -> None:
    run("add", pictures, "--model", "starter")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pixfind", "--library", str(place), "embed"]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(theirs)
        shown = _all_of(ours).decode(errors="replace")
    assert 0 == process.returncode
    assert "embedding" in shown
    assert "\x1b[" in shown

    quiet = commands.run(["-q", "--library", str(place), "embed"])
    assert (0, b"", b"") == (quiet.returncode, quiet.stdout, quiet.stderr)


def _all_of(terminal: int) -> bytes:
    """Read a terminal until the program in it has ended; one that nobody reads stops the program once it is full."""
    shown = b""
    with contextlib.suppress(OSError):  # how Linux tells the end
        while piece := os.read(terminal, 1 << 16):
            shown += piece
    os.close(terminal)
    return shown


def test_names_that_are_not_utf8_come_out_as_the_bytes_they_are(
    run: Run, commands: Commands, place: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "odd"
    make_pictures(folder, 1)
    name = os.fsdecode(b"caf\xe9 \xff.jpg")
    (folder / "picture_00000.jpg").rename(folder / name)
    run("index", folder, "--model", "starter")
    found = commands.run(["--library", str(place), "search-text", "sky", "--all", "--paths"])

    assert os.fsencode(folder / name) + b"\n" == found.stdout
    assert json.loads(run("search-text", "sky", "--all", "--json").stdout)[0]["path"] == str(folder / name)


@pytest.mark.timeout(1200)
def test_the_guides_own_commands_work_as_the_guide_writes_them(tmp_path: Path, pictures: Path) -> None:
    """In a copy of the repository's root: the library is that folder, its paths are the guide's."""
    root = tmp_path / "clone"
    root.mkdir()
    scripts = ("generate_embeddings_optimized.sh", "check_status.sh", "merge_worker_embeddings.py", "cli.py")
    for script in scripts:
        shutil.copy(ROOT / script, root / script)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def call(*command: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            command, cwd=root, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False, timeout=55
        )
        assert 0 == done.returncode, done.stderr
        return done

    call("python", "cli.py", "add", str(pictures), "--model", "starter")
    call("./generate_embeddings_optimized.sh", "2")
    assert (root / "data" / "embeddings_worker_1.npy").exists()
    assert (root / "data" / "indices_worker_1.npy").exists()
    assert (root / "logs" / "embed_worker_1.log").exists()
    assert "40 embedded" in call("./check_status.sh").stdout
    call("python", "merge_worker_embeddings.py")
    call("python", "cli.py", "build-index")
    assert (root / "data" / "faiss.index").exists()
    assert 40 == len(np.load(root / "data" / "embeddings.npy"))
    assert "jpg" in call("python", "cli.py", "search-text", "sky", "--all").stdout


def test_archives_below_a_folder_are_indexed_when_that_is_requested(run: Run, pictures: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "photos" / "2019"), "zip", pictures)
    assert "not read: 1 .zip" in run("add", tmp_path / "photos", "--model", "starter").stderr

    run("index", tmp_path / "photos", "--archives")
    (member,) = run("search-text", "a red picture", "--paths", "-k", "1", "--include-weak").stdout.splitlines()
    assert member.startswith(f"{tmp_path}/photos/2019.zip!/picture_000")
    assert member == run("search-image", member, "--paths", "-k", "1").stdout.rstrip("\n")
    for place in ("2019.zip", tmp_path / "photos" / "2019.zip", tmp_path / "photos"):
        found = run("search", "a red picture", "--in", place, "-k", "100", "--paths", "--include-weak").stdout
        assert 40 == len(found.splitlines())
    run("search", "a red picture", "--in", "2020.zip", "--include-weak", code=1)

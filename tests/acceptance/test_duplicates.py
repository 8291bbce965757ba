"""`pixfind duplicates` in a real process: what is listed, in which form, and that nothing is touched."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pixfind import errors
from pixfind.testing import make_library
from pixfind.testing.commands import Commands

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def doubled(tmp_path: Path, pictures: Path) -> Path:
    """Forty pictures, one copied, one saved again in another quality."""
    shutil.copy(pictures / "picture_00001.jpg", pictures / "copy.jpg")
    with Image.open(pictures / "picture_00002.jpg") as picture:
        picture.save(pictures / "again.jpg", quality=60)
    make_library(tmp_path / "library", pictures).close()
    return tmp_path / "library"


@pytest.fixture
def run(commands: Commands) -> Run:
    """run(library, *arguments): what `pixfind duplicates` says; `code` is the exit code that is expected."""

    def done(library: Path, *arguments: object, code: int = 0) -> "subprocess.CompletedProcess[str]":
        found = commands.run(["--library", str(library), "duplicates", *map(str, arguments)])
        assert code == found.returncode, found.stderr
        return subprocess.CompletedProcess(found.args, code, found.stdout.decode(), found.stderr.decode())

    return done


def names(group: dict[str, list[dict[str, str]]]) -> set[str]:
    return {Path(member["path"]).name for member in group["members"]}


def test_groups_are_told_as_json_with_their_kind(run: Run, doubled: Path) -> None:
    groups = json.loads(run(doubled, "--json").stdout)

    exact = [group for group in groups if group["sameness"] == "exact"]
    close = [group for group in groups if group["sameness"] == "near"]
    assert [{"picture_00001.jpg", "copy.jpg"}] == [names(group) for group in exact]
    assert any({"picture_00002.jpg", "again.jpg"} <= names(group) for group in close)
    assert all({"image_id", "path", "size", "embedding_index"} == member.keys() for member in exact[0]["members"])
    assert all(Path(member["path"]).stat().st_size == member["size"] for group in groups for member in group["members"])


def test_the_text_has_a_line_for_each_file_with_its_group(run: Run, doubled: Path) -> None:
    groups = json.loads(run(doubled, "--json").stdout)
    done = run(doubled)

    lines = [line.split(maxsplit=4) for line in done.stdout.splitlines()]
    right = [
        [str(number), group["sameness"], f"{group['cosine']:.3f}", f"{member['size']:,}", member["path"]]
        for number, group in enumerate(groups, 1)
        for member in group["members"]
    ]
    assert right == lines
    assert "nothing was deleted" in done.stderr


def test_exact_lists_files_with_the_same_bytes_and_opens_none(run: Run, doubled: Path, pictures: Path) -> None:
    for path in pictures.iterdir():
        known = path.stat()
        path.write_bytes(bytes(known.st_size))
        os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
    done = run(doubled, "--exact", "--json")

    assert [{"picture_00001.jpg", "copy.jpg"}] == [names(group) for group in json.loads(done.stdout)]
    assert "not compared" not in done.stderr


def test_what_was_changed_since_it_was_indexed_is_no_copy_and_the_remark_says_what_to_run(
    run: Run, doubled: Path, pictures: Path
) -> None:
    shutil.copy(pictures / "picture_00005.jpg", pictures / "copy.jpg")
    done = run(doubled, "--exact", "--json")

    assert [] == json.loads(done.stdout)
    assert "1 file left out: gone, or changed since they were indexed; run `pixfind index` first" in done.stderr


def test_the_contact_sheet_shows_each_group_under_its_heading(run: Run, doubled: Path, tmp_path: Path) -> None:
    groups = json.loads(run(doubled, "--json", "--html", tmp_path / "sheet.html").stdout)
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")

    assert len(groups) == page.count("<h2>") == page.count("</section>")
    assert sum(len(group["members"]) for group in groups) == page.count("data:image/jpeg;base64,")
    assert "1 exact" in page
    assert f"{groups[0]['members'][0]['size']:,} bytes" in page


def test_pictures_and_library_stay_as_they_are(run: Run, doubled: Path, pictures: Path) -> None:
    before = {path: path.read_bytes() for path in pictures.iterdir()}
    run(doubled)

    assert before == {path: path.read_bytes() for path in pictures.iterdir()}


def test_a_picture_that_cannot_be_read_now_is_counted(run: Run, doubled: Path, pictures: Path) -> None:
    (pictures / "again.jpg").unlink()

    assert "not compared" in run(doubled).stderr


def test_without_duplicates_it_says_so(run: Run, tmp_path: Path) -> None:
    from pixfind.testing import make_image

    make_image(tmp_path / "pictures" / "only.jpg", seed=1)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    done = run(tmp_path / "library")

    assert "" == done.stdout
    assert [] == json.loads(run(tmp_path / "library", "--json").stdout)
    assert "no duplicates" in done.stderr


def test_before_anything_is_embedded_it_says_what_to_do(run: Run, tmp_path: Path, pictures: Path) -> None:
    make_library(tmp_path / "library", pictures, embed=False).close()
    done = run(tmp_path / "library", code=errors.NotEmbedded.exit_code)

    assert "Traceback" not in done.stderr

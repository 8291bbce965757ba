"""RAW and JPEG of one shot are one hit with the paths of both, wherever hits are shown; on request each file is one."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind import Library as PublicLibrary
from pixfind.embedding.runners.serial import Serial
from pixfind.library import scan, verify
from pixfind.library.library import Library
from pixfind.search import shots
from pixfind.search.filters import NO_FILTERS, parse
from pixfind.search.searcher import Searcher
from pixfind.testing import images, make_library
from pixfind.testing.commands import Commands
from pixfind.testing.libraries import QUIET
from pixfind.testing.raw import encode_dng
from pixfind.workflows.embed import embed
from pixfind.workflows.merge import merge

SIZE = (320, 240)


def raw(seed: int) -> bytes:
    return encode_dng(images.picture(seed, SIZE))


def jpeg(seed: int) -> bytes:
    return images.encode(images.picture(seed, SIZE), ".jpg")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three shots: 1 with RAW, JPEG and HEIC, 2 with RAW and JPEG, 3 with RAW alone; a JPEG and a PNG that only share a name; and one in a folder named like shot 1."""
    folder = tmp_path / "pictures"
    (folder / "IMG_1.backup").mkdir(parents=True)
    for seed in (1, 2, 3):
        (folder / f"IMG_{seed}.DNG").write_bytes(raw(seed))
    for seed in (1, 2):
        (folder / f"IMG_{seed}.jpg").write_bytes(jpeg(seed))
    (folder / "IMG_1.HEIC").write_bytes(images.encode(images.picture(1, SIZE), ".heic"))
    (folder / "4.jpg").write_bytes(jpeg(4))
    (folder / "4.png").write_bytes(images.encode(images.picture(4, SIZE), ".png"))
    (folder / "IMG_1.backup" / "IMG_9.jpg").write_bytes(jpeg(9))
    return folder


@pytest.fixture
def library(tmp_path: Path, pictures: Path) -> Iterator[Library]:
    with make_library(tmp_path / "library", pictures) as made:
        yield made
        assert [] == verify.verify(made)


def names(*paths: str) -> list[str]:
    return sorted(Path(path).name for path in paths)


def found(searcher: Searcher, query: str, k: int = 20, **options: Any) -> list[list[str]]:
    """Return the names of the files of each hit."""
    result = searcher.search(query, k, include_weak=True, **options)
    assert list(range(1, len(result) + 1)) == [hit.rank for hit in result]
    return [names(hit.path, *hit.same_shot) for hit in result]


ALL = [
    ["4.jpg"],
    ["4.png"],
    ["IMG_1.DNG", "IMG_1.HEIC", "IMG_1.jpg"],
    ["IMG_2.DNG", "IMG_2.jpg"],
    ["IMG_3.DNG"],
    ["IMG_9.jpg"],
]


def test_the_files_of_a_shot_are_one_hit(library: Library) -> None:
    with Searcher(library) as searcher:
        assert ALL == sorted(found(searcher, "red"))
        assert 9 == len(found(searcher, "red", each_file=True))
        assert all(len(hit) == 1 for hit in found(searcher, "red", each_file=True))


@pytest.mark.parametrize("k", range(1, 8))
def test_k_hits_are_k_shots_in_the_order_of_their_best_file(library: Library, k: int) -> None:
    with Searcher(library) as searcher:
        everything = found(searcher, "red")
        assert everything[:k] == found(searcher, "red", k)
        best = [hit.path for hit in searcher.search("red", k, include_weak=True)]
        each = [hit.path for hit in searcher.search("red", 20, each_file=True, include_weak=True)]
        assert best == [path for path in each if path in best], "each hit shows its best file"


def test_a_file_that_does_not_pass_the_filters_is_not_shown_with_its_shot(library: Library, pictures: Path) -> None:
    with Searcher(library) as searcher:
        inside = parse(inside=f"{pictures}/*.jpg")
        assert [["4.jpg"], ["IMG_1.jpg"], ["IMG_2.jpg"], ["IMG_9.jpg"]] == sorted(
            found(searcher, "red", filters=inside)
        )


def test_a_copy_of_the_same_bytes_stays_with_the_shot(library: Library, pictures: Path) -> None:
    (pictures / "copies").mkdir()
    shutil.copy(pictures / "IMG_2.jpg", pictures / "copies" / "A.jpg")
    scan.add(library, pictures)
    embed(library, QUIET, runner=Serial())
    with Searcher(library) as searcher:
        (hit,) = [
            hit for hit in searcher.search("red", 20, include_weak=True) if "IMG_2" in f"{hit.path}{hit.same_shot}"
        ]
    assert ["A.jpg", "IMG_2.DNG", "IMG_2.jpg"] == names(hit.path, *hit.also, *hit.same_shot)


def test_near_duplicates_are_folded_among_shots(library: Library) -> None:
    with Searcher(library) as searcher:
        hits = searcher.search("red", 20, distinct=True, include_weak=True).hits
    assert {hit.folded for hit in hits if hit.same_shot} == {0}, "the files of a shot count as one picture"


def test_members_of_an_archive_are_shots_too(library: Library, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "trip.zip", "w") as archive:
        archive.writestr("day/IMG_7.dng", raw(7))
        archive.writestr("day/IMG_7.jpg", jpeg(7))
        archive.writestr("other/IMG_7.jpg", jpeg(8))
    scan.add(library, tmp_path / "trip.zip")
    embed(library, QUIET, runner=Serial())
    merge(library)
    with Searcher(library) as searcher:
        hits = found(searcher, "red")
    assert [["IMG_7.dng", "IMG_7.jpg"], ["IMG_7.jpg"]] == sorted(hit for hit in hits if "IMG_7" in hit[0])


def test_names_that_are_not_utf_8_are_shots_too(library: Library, pictures: Path) -> None:
    for suffix, data in ((".DNG", raw(5)), (".jpg", jpeg(5))):
        Path(f"{pictures}/caf\udce9{suffix}").write_bytes(data)
    scan.add(library, pictures)
    embed(library, QUIET, runner=Serial())
    path = f"{pictures}/caf\udce9.jpg"
    files = shots.beside(library.catalogue, [path], NO_FILTERS)
    assert [f"{pictures}/caf\udce9.DNG", path] == [file.path for file in files[path]]


def test_a_folder_that_is_named_like_a_picture_is_none_of_its_files(library: Library, pictures: Path) -> None:
    for number in range(60):
        (pictures / "IMG_1.backup" / f"{number}.dng").write_bytes(raw(number))
    scan.add(library, pictures)
    embed(library, QUIET, runner=Serial())
    path = str(pictures / "IMG_1.jpg")
    assert ["IMG_1.DNG", "IMG_1.HEIC", "IMG_1.jpg"] == names(
        *(file.path for file in shots.beside(library.catalogue, [path], NO_FILTERS)[path])
    )


# --- where hits are shown --------------------------------------------------------------------------


def test_the_command_names_both_and_shows_each_on_request(library: Library, commands: Commands, tmp_path: Path) -> None:
    def run(*words: object) -> str:
        return commands.run(["--library", str(library.path), *map(str, words)]).stdout.decode()

    shown = run("search", "red", "--include-weak", "--html", tmp_path / "sheet.html")
    assert 6 == len(shown.splitlines())
    assert "IMG_2" in next(line for line in shown.splitlines() if "(same shot: IMG_2." in line)
    sheet = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "IMG_2.DNG" in sheet
    assert "IMG_2.jpg" in sheet
    listed = json.loads(run("search", "red", "--include-weak", "--json"))
    assert ALL == sorted(names(hit["path"], *hit["same_shot"]) for hit in listed)
    for command in (("search-text", "red", "--include-weak"), ("search-image", tmp_path / "pictures" / "4.jpg")):
        assert 9 == len(run(*command, "--each-file", "--paths").splitlines())


def test_a_program_gets_both(library: Library) -> None:
    with PublicLibrary.open(library.path) as opened:
        assert 6 == len(opened.search("red", 20, include_weak=True))
        assert 9 == len(opened.search("red", 20, include_weak=True, each_file=True))

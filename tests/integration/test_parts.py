"""Several libraries that divide one source: each picture in exactly one of them, wherever it moves, and embedded once."""

import contextlib
import dataclasses
import gzip
import json
import os
import shutil
import sqlite3
import tarfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.collections.conftest import call, refused

from pixfind import errors
from pixfind.images import source, suffixes
from pixfind.library import scan, scan_paths, verify
from pixfind.library.library import Library
from pixfind.testing import make_pictures
from pixfind.workflows import index
from pixfind.workflows.events import CarriedOver, Event
from pixfind.workflows.options import EmbedOptions

PARTS = 3
QUIET = EmbedOptions(model="starter", workers=1, nice=0)
CLIP = Path(__file__).parents[1] / "golden/clip-tiny"

Names = Callable[[Path], list[str]]


def made(place: Path, number: int) -> Path:
    path = place / f"library-{number}"
    Library.create(path).close()
    return path


def add(path: Path, root: Path | str, number: int, **more: Any) -> None:
    with Library.open(path, write=True) as library, library.lock("add"):
        scan.add(library, root, settings={"part": f"{number}/{PARTS}", **more})


def there(path: Path) -> set[str]:
    """The locations that a library has and has not left out."""
    with Library.open(path) as library:
        assert [] == verify.verify(library)
        rows = asked(library, "SELECT path FROM images WHERE gone = 0 AND outcome IS NOT 'skipped'")
        return {row[0] for row in rows}


def asked(library: Library, statement: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(library.catalogue.path)) as database:
        return database.execute(statement).fetchall()


def divided(paths: list[Path]) -> list[set[str]]:
    """What each of the libraries has; none has what another has."""
    found = [there(path) for path in paths]
    assert sum(map(len, found)) == len(set().union(*found))
    return found


# --- which part -----------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=40), st.integers(1, 60))
def test_every_name_belongs_to_exactly_one_part(name: str, parts: int) -> None:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return
    asked = [source.part_of("/photos", f"{number}/{parts}").has(f"/photos/{name}") for number in range(1, parts + 1)]

    assert 1 == sum(asked)


def test_parts_are_about_equally_large() -> None:
    parts = [source.part_of("/photos", f"{number}/16") for number in range(1, 17)]
    found = Counter(
        number
        for each in range(16_000)
        for number, part in enumerate(parts)
        if part.has(f"/photos/2021/IMG_{each:04}.jpg")
    )

    assert 16_000 == found.total()
    assert 850 < min(found.values()) <= max(found.values()) < 1_150


def test_a_part_is_the_same_wherever_the_source_is_mounted() -> None:
    for name in ("a.jpg", "2021/b.png", "c/d.zip!/e.jpg", "clips/f.mp4#t=1.5"):
        asked = {
            tuple(source.part_of(root, f"{number}/5").has(f"{root}/{name}") for number in range(1, 6))
            for root in ("/photos", "/mnt/nas/photos", "s3://bucket/photos", "https://nas.local/photos")
        }
        assert 1 == len(asked), name


@pytest.mark.parametrize("suffix", sorted(suffixes.ARCHIVES | suffixes.VIDEOS))
def test_a_container_is_in_the_part_of_what_is_in_it(suffix: str) -> None:
    inner = "#t=1.5" if suffix in suffixes.VIDEOS else "!/a.jpg"
    parts = [source.part_of("/photos", f"{number}/5") for number in range(1, 6)]
    for name in (f"/photos/{each}{written}" for each in "abcdef" for written in (suffix, suffix.upper())):
        assert [part.has(name) for part in parts] == [part.has(name + inner) for part in parts], name


@pytest.mark.parametrize("name", ["Zoë/Åse.jpg", "가나.zip!/é.jpg", "caf\u00e9-\udcff.jpg"])
def test_a_name_that_is_composed_and_one_that_is_not_are_in_one_part(name: str) -> None:
    spellings = {unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}
    assert 2 == len(spellings)
    parts = [source.part_of("/photos", f"{number}/{parts}") for parts in (2, 3, 7) for number in range(1, parts + 1)]

    assert 1 == len({tuple(part.has(f"/photos/{each}") for part in parts) for each in spellings})


def test_what_belongs_together_stays_together() -> None:
    for number in range(1, 6):
        part = source.part_of("/photos", f"{number}/5")
        assert 1 == len({part.has(f"/photos/IMG_1{suffix}") for suffix in (".jpg", ".CR3", ".HEIC")})
        assert 1 == len({part.has(f"/photos/a.zip!/{name}") for name in ("1.jpg", "2.jpg", "b/3.jpg")})
        assert 1 == len({part.has(f"/photos/a.mp4#t={time}") for time in (0, 1.5, 77)})


def test_an_archive_that_is_a_root_is_divided_by_what_is_in_it() -> None:
    asked = [source.part_of("/photos/a.zip", f"{number}/2") for number in (1, 2)]
    found = Counter(part.number for part in asked for each in range(100) if part.has(f"/photos/a.zip!/{each}.jpg"))

    assert 100 == found.total()
    assert 25 < min(found.values())


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "3/0", "-1/3", "1/5000", "1/2/3", "a/b", "1.5/3"])
def test_what_is_no_part_is_refused(text: str, tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 1)

    assert "is not a part" in refused("--library", tmp_path / "library", "add", tmp_path / "pictures", f"--part={text}")
    assert not (tmp_path / "library").exists()


# --- a source that is divided ---------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """24 pictures in two folders, and a zip with four more."""
    make_pictures(tmp_path / "pictures/a", 12)
    make_pictures(tmp_path / "pictures/b", 12, first=12)
    make_pictures(tmp_path / "packed", 4, first=24)
    with zipfile.ZipFile(tmp_path / "pictures/packed.zip", "w") as packed:
        for picture in (tmp_path / "packed").iterdir():
            packed.write(picture, picture.name)
    return tmp_path / "pictures"


def test_each_picture_is_in_one_library_and_those_of_an_archive_together(folder: Path, tmp_path: Path) -> None:
    paths = [made(tmp_path, number) for number in range(1, PARTS + 1)]
    for number, path in enumerate(paths, 1):
        with Library.open(path, write=True) as library, library.lock("add"):
            report = scan.add(library, folder, settings={"part": f"{number}/{PARTS}"}, in_archives=True)
        assert len(there(path)) == report.seen
    found = divided(paths)

    assert 28 == sum(map(len, found))
    assert [4] == [packed for each in found if (packed := sum("packed.zip!/" in name for name in each))]
    assert all(found)


def test_no_picture_of_a_compressed_tar_is_lost(tmp_path: Path) -> None:
    made_of = make_pictures(tmp_path / "packed", 18)
    (tmp_path / "pictures").mkdir()
    for number, each in enumerate(made_of):
        at = tmp_path / f"pictures/s{number // 2}.tar"
        with tarfile.open(at, "a") as archive:
            archive.add(each, each.name)
    for at in list((tmp_path / "pictures").iterdir()):
        at.with_name(at.name + ".gz").write_bytes(gzip.compress(at.read_bytes()))
        at.unlink()
    paths = [made(tmp_path, number) for number in range(1, PARTS + 1)]
    for _ in range(2):
        for number, path in enumerate(paths, 1):
            with Library.open(path, write=True) as library, library.lock("add"):
                scan.add(library, tmp_path / "pictures", settings={"part": f"{number}/{PARTS}"}, in_archives=True)
        found = divided(paths)

        assert 18 == sum(map(len, found))


def test_a_scan_again_finds_nothing_new_and_a_picture_that_changes_its_part_is_gone_there(
    folder: Path, tmp_path: Path
) -> None:
    paths = [made(tmp_path, number) for number in range(1, PARTS + 1)]
    for number, path in enumerate(paths, 1):
        add(path, folder, number)
    before = divided(paths)
    for each in folder.glob("a/*"):
        each.rename(folder / f"b/renamed-{each.name}")
    for number, path in enumerate(paths, 1):
        with Library.open(path, write=True) as library, library.lock("add"):
            report = scan.add(library, folder)
            assert len(there(path)) == report.seen, number
    after = divided(paths)

    assert 24 == sum(map(len, before)) == sum(map(len, after))
    assert {str(each) for each in folder.glob("b/*")} == set().union(*after)


def test_the_watch_leaves_other_parts_alone(folder: Path, tmp_path: Path) -> None:
    paths = [made(tmp_path, number) for number in range(1, PARTS + 1)]
    for number, path in enumerate(paths, 1):
        add(path, folder, number)
    make_pictures(folder / "new", 12, first=40)
    shutil.rmtree(folder / "a")
    for path in paths:
        with Library.open(path, write=True) as library, library.lock("watch"):
            scan_paths.scan_paths(library, [str(folder / "new"), str(folder / "a")])
    found = divided(paths)

    assert {str(each) for each in (*folder.glob("b/*"), *folder.glob("new/*"))} == set().union(*found)


def test_a_part_without_pictures_is_not_offline(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 1)
    paths = [made(tmp_path, number) for number in range(1, PARTS + 1)]
    for _ in range(2):
        for number, path in enumerate(paths, 1):
            add(path, tmp_path / "pictures", number)
            with Library.open(path) as library:
                assert [None] == [root.offline for root in library.catalogue.roots()]
    only = next((tmp_path / "pictures").iterdir())
    owner = next(path for path in paths if there(path))
    # Another picture stays, of whatever part: the folder is not an empty mount point.
    for number in range(30):
        shutil.copy(only, tmp_path / f"pictures/other-{number}.jpg")
    for path in paths:
        with Library.open(path, write=True) as library, library.lock("add"):
            scan.add(library, tmp_path / "pictures")
    only.unlink()
    with Library.open(owner, write=True) as library, library.lock("add"):
        report = scan.add(library, tmp_path / "pictures")

    assert 1 == report.gone
    assert 30 == sum(map(len, divided(paths)))


def test_a_library_that_had_all_keeps_its_part_and_takes_the_others_back(folder: Path, tmp_path: Path) -> None:
    path = made(tmp_path, 1)
    with Library.open(path, write=True) as library, library.lock("add"):
        scan.add(library, folder)
    assert 24 == len(there(path))
    add(path, folder, 1)
    part = there(path)
    assert 0 < len(part) < 24
    with Library.open(path) as library:
        assert 24 - len(part) == library.catalogue.ledger()["skipped"]
    with Library.open(path, write=True) as library, library.lock("add"):
        scan.add(library, folder, settings={"part": "1/1"})
    assert 24 == len(there(path))


# --- pictures that move to another part -----------------------------------------------------------


def test_a_picture_that_moves_takes_its_embedding_along(folder: Path, tmp_path: Path) -> None:
    paths = [made(tmp_path, number) for number in range(1, PARTS + 1)]
    file = tmp_path / "collection.toml"
    file.write_text("\n".join(f"[[library]]\npath = '{path.name}'" for path in paths), encoding="utf-8")
    for number, path in enumerate(paths, 1):
        call(
            "--library",
            path,
            "-q",
            "index",
            folder,
            "--part",
            f"{number}/{PARTS}",
            "--collection",
            file,
            "--model",
            "starter",
        )
    embeddings = of_contents(paths)
    assert 24 == len(embeddings)
    for each in folder.glob("a/*"):
        each.rename(folder / f"b/renamed-{each.name}")
    carried, embedded = [], Counter[str]()
    for path in paths:
        with Library.open(path, write=True) as library:
            events: list[Event] = []
            done = index.index(library, options=QUIET, observer=events.append)
            told = [event.images for event in events if isinstance(event, CarriedOver)]
            assert told == ([done.carried] if done.carried else [])
            carried.append(done.carried)
            embedded.update(done.embedded.outcomes)

    # What stayed in its part was moved within the library; all others were carried over, and none was embedded.
    assert sum(carried) > 0
    assert 0 == embedded["embedded"]
    assert 24 == sum(map(len, divided(paths)))
    assert embeddings == of_contents(paths)


def of_contents(paths: list[Path]) -> dict[bytes, set[bytes]]:
    """The embeddings of each content, in all libraries."""
    found: dict[bytes, set[bytes]] = {}
    for path in paths:
        with Library.open(path) as library:
            rows = library.embeddings()
            known = asked(
                library, "SELECT hash, embedding_index FROM images WHERE gone = 0 AND embedding_index IS NOT NULL"
            )
            for content, row in known:
                found.setdefault(content, set()).add(rows[row].tobytes())
    return found


def test_a_collection_without_a_part_or_that_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "collection.toml"
    add_to = ("--library", tmp_path / "new", "add", folder)
    assert "cannot be used as a collection" in refused(*add_to, "--part", "1/2", "--collection", file)
    file.write_text("[[library]]\npath = 'a'", encoding="utf-8")
    assert "--part" in refused(*add_to, "--collection", file)


def test_other_libraries_that_are_away_or_of_another_model_are_not_asked(folder: Path, tmp_path: Path) -> None:
    paths = [made(tmp_path, number) for number in (1, 2)]
    file = tmp_path / "collection.toml"
    members = [*(f"path = '{path.name}'" for path in paths), "path = 'away'", "address = 'http://127.0.0.1:1'"]
    file.write_text("\n".join(f"[[library]]\n{member}" for member in members), encoding="utf-8")
    for number, (path, model) in enumerate(zip(paths, ("starter", str(CLIP)), strict=True), 1):
        options = dataclasses.replace(QUIET, model=model)
        with Library.open(path, write=True) as library:
            done = index.index(library, [folder], options, settings={"part": f"{number}/2", "collection": str(file)})
        assert 0 == done.carried
    embedded = Counter[str]()
    for each in folder.glob("a/*"):
        each.rename(folder / f"b/renamed-{each.name}")
    for path in paths:
        with Library.open(path, write=True) as library:
            done = index.index(library, options=dataclasses.replace(QUIET, model=None))
        assert 0 == done.carried
        embedded.update(done.embedded.outcomes)
    assert 0 < embedded["embedded"]
    file.unlink()
    with Library.open(paths[0], write=True) as library:
        assert 0 == index.index(library, options=QUIET).carried


def test_the_part_is_remembered(folder: Path, tmp_path: Path) -> None:
    path = made(tmp_path, 1)
    add(path, folder, 2)
    with Library.open(path) as library:
        (root,) = library.catalogue.roots()

    assert {"part": f"2/{PARTS}"} == json.loads(root.settings)
    with pytest.raises(errors.InvalidPart):
        add(path, folder, 7)


def test_a_part_that_comes_back_is_not_embedded_again(folder: Path, tmp_path: Path) -> None:
    path = made(tmp_path, 1)
    embedded = []
    for part in ("1/2", "2/2", "1/2"):
        with Library.open(path, write=True) as library:
            embedded.append(
                index.index(library, [folder], QUIET, settings={"part": part}).embedded.outcomes.get("embedded", 0)
            )
            assert [] == verify.verify(library)

    assert 24 == sum(embedded[:2])
    assert 0 == embedded[2]

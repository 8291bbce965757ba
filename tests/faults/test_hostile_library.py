"""
A library that somebody else has had: links, a foreign model, a database made to deceive.

It writes and deletes nothing outside itself, and what we make is readable by its owner alone. What is served: tests/serve.
"""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.images import thumbnails
from pixfind.library import control, generations, repair, verify
from pixfind.library.library import Library, ModelIdentity
from pixfind.search import build, searcher
from pixfind.storage import embedding_files, logs, npy
from pixfind.testing import make_library, make_pictures

GOLDEN = Path(__file__).parents[1] / "golden" / "clip-tiny"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A library with all the files that one can have, and a folder outside of it."""
    make_pictures(tmp_path / "pictures", 12)
    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        build.build_index(library)
        for name in ("embed_worker_0.log", "embed.log", "coordinator.log"):
            (library.logs / name).touch()
        (library.path / "progress.json").write_text("{}")
        (library.path / "control.json").write_text("{}")
        (library.data / "worker_0.lock").touch()
        (library.path / "thumbnails").mkdir()
        generations.publish(library.path, generations.read(library.path))
    (tmp_path / "outside").mkdir()
    return tmp_path / "library"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


NAMES = (
    "metadata.db", "models.json", "data", "data/embeddings.npy", "data/indices.npy", "data/faiss.index", "data/model.json",
    "data/worker_0.lock", "logs", "logs/embed_worker_0.log", "logs/embed.log", "thumbnails", "library.lock", "control.json",
    "progress.json",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_link_in_the_place_of_a_file_is_refused(place: Path, name: str) -> None:
    outside = place.parent / "outside" / Path(name).name
    (place / name).rename(outside)
    (place / name).symlink_to(outside)
    before = content(place.parent / "outside")

    for how in (Library.open, lambda path: Library.open(path, write=True), Library.create):
        with pytest.raises(errors.LinkInLibrary, match=name):
            how(place)
    assert before == content(place.parent / "outside")


@pytest.mark.parametrize(
    "name", ["metadata.db-wal", "data/faiss.index", "progress.json", "logs/embed.log", "watch.lock"]
)
def test_a_link_to_nothing_is_refused_too(place: Path, name: str) -> None:
    (place / name).unlink(missing_ok=True)
    (place / name).symlink_to(place.parent / "outside" / "made")

    with pytest.raises(errors.LinkInLibrary):
        Library.open(place, write=True)
    assert {} == content(place.parent / "outside")


def test_a_link_in_the_place_of_a_model_of_the_library_is_refused(place: Path) -> None:
    (place / "models").mkdir()
    (place / "models" / "2").symlink_to(place.parent / "outside")

    with pytest.raises(errors.LinkInLibrary):
        Library.open(place, write=True)


@pytest.mark.parametrize("verb", ["embed", "search-text", "status"])
def test_every_command_says_which_file_is_a_link(place: Path, verb: str) -> None:
    (place / "data" / "faiss.index").unlink()
    (place / "data" / "faiss.index").symlink_to(place.parent / "outside" / "made")
    command = [
        sys.executable,
        "-m",
        "pixfind",
        "--library",
        str(place),
        verb,
        *(["sky"] if verb == "search-text" else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)

    assert errors.LinkInLibrary.exit_code == done.returncode, done.stderr
    assert "faiss.index is a symbolic link" in done.stderr
    assert {} == content(place.parent / "outside")


def test_a_library_that_is_reached_through_a_link_is_one(place: Path) -> None:
    (place.parent / "link").symlink_to(place)

    with Library.open(place.parent / "link", write=True) as library:
        assert [] == verify.verify(library)


def test_a_file_that_became_a_link_after_the_library_was_opened_is_not_followed(place: Path) -> None:
    outside = place.parent / "outside" / "made"
    (place / "data" / "new.npy").symlink_to(outside)
    (place / "logs" / "new.log").symlink_to(outside)

    with pytest.raises(errors.LinkInLibrary):
        npy.GrowingArray(place / "data" / "new.npy", embedding_files.EMBEDDING, (4,), write=True)
    logs.handler(place / "logs" / "new.log").close()
    logs.appending(place / "logs" / "new.log").close()
    assert not outside.exists()


def test_thumbnails_behind_a_link_are_neither_written_nor_read_nor_deleted(place: Path) -> None:
    outside = place.parent / "outside"
    (outside / "mine.jpg").write_bytes(b"x" * 1000 + b"\xff\xd9")
    hashed = bytes.fromhex("ab" * 16)
    (place / "thumbnails" / "ab").symlink_to(outside)
    (place / "thumbnails" / "cd").mkdir()
    (place / "thumbnails" / "cd" / f"{'cd' * 16}-256.jpg").symlink_to(outside / "mine.jpg")
    cache = thumbnails.Cache(place / "thumbnails", max_bytes=10)

    cache.put(hashed, 256, b"y" * 1000)
    cache.put(bytes.fromhex("ef" * 16), 256, b"y" * 1000)
    assert cache.get(bytes.fromhex("cd" * 16), 256) is None
    assert {str(outside / "mine.jpg")} == content(outside).keys()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER evil AFTER INSERT ON images BEGIN DELETE FROM roots; END",
        "CREATE VIEW evil AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    ],
)
def test_a_database_that_brings_its_own_program_is_refused(place: Path, statement: str) -> None:
    with sqlite3.connect(place / "metadata.db") as connection:
        connection.execute(statement)
    connection.close()

    with pytest.raises(errors.LibraryDamaged, match="evil"):
        Library.open(place)


def test_a_database_cannot_name_a_home_outside(place: Path) -> None:
    for home in ("../outside", "/etc", "models/../../outside", "models/02"):
        (place / "models.json").write_text(json.dumps({"current": home}))
        with pytest.raises(errors.LibraryDamaged):
            Library.open(place)


@pytest.mark.parametrize(
    "model", ["", "[]", "{}", '{"name": 1, "hash": 2, "dimension": "x", "precision": null}', "null", '"starter"']
)
def test_a_model_that_is_not_ours_is_told(place: Path, model: str) -> None:
    with Library.open(place, write=True) as library:
        library.catalogue.set_setting("model", model or " ")
        with pytest.raises(errors.LibraryDamaged):
            library.model()


def test_a_model_with_another_content_than_the_library_remembers_is_refused(place: Path) -> None:
    stored = ModelIdentity(str(GOLDEN), "0" * 64, 128, "fp32")
    with Library.open(place, write=True) as library:
        library.catalogue.set_setting("model", json.dumps(disk_form(stored)))
        with pytest.raises(errors.OperationError):
            searcher.search(library, "sky")


def test_a_folder_with_pickles_is_no_model(place: Path) -> None:
    folder = place.parent / "outside"
    (folder / "open_clip_config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    stored = ModelIdentity(str(folder), "0" * 64, 128, "fp32")
    with Library.open(place, write=True) as library:
        library.catalogue.set_setting("model", json.dumps(disk_form(stored)))
        with pytest.raises(errors.OperationError):
            searcher.search(library, "sky")


def disk_form(model: ModelIdentity) -> dict[str, object]:
    return {"name": model.name, "hash": model.hash, "dimension": model.dimension, "precision": model.precision}


# --- for its owner alone --------------------------------------------------------------------------


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A user who lets everybody read, and write, what he does not protect himself."""
    before = os.umask(0)
    yield
    os.umask(before)


def readable_by_others(folder: Path) -> set[str]:
    return {str(path) for path in (folder, *folder.rglob("*")) if not path.is_symlink() and path.stat().st_mode & 0o077}


@pytest.mark.usefixtures("open_umask")
def test_what_we_make_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, cache = tmp_path / "library", tmp_path / "cache"
    monkeypatch.setenv("PIXFIND_CACHE", str(cache))
    make_pictures(tmp_path / "pictures", 12)
    ours = [sys.executable, "-m", "pixfind", "--library", str(library)]
    index = [*ours, "index", str(tmp_path / "pictures"), "--model", "starter", "--precision", "int8", "--cpu", "100%"]
    subprocess.run(index, check=True, capture_output=True, timeout=600)
    subprocess.run([*ours, "search-text", "sky"], check=True, capture_output=True, timeout=600)
    control.request(library, control.ControlRequest(pause=True))
    thumbnails.Cache(library / "thumbnails").put(b"0" * 16, 128, b"x")
    with Library.open(library, write=True) as opened, opened.lock("test"):
        assert readable_by_others(library) == set()
    made = {path.name for path in library.rglob("*")}
    assert {"metadata.db", "library.lock", "embeddings.npy", "faiss.index", "embed_worker_0.log", "model.json"} <= made
    assert [path for path in cache.rglob("*") if path.is_file()]
    assert set() == readable_by_others(cache)


@pytest.mark.usefixtures("open_umask")
def test_a_library_that_its_owner_opened_to_others_stays_open(place: Path) -> None:
    for name in ("data/faiss.index", "metadata.db", "data/embeddings.npy"):
        (place / name).chmod(0o640)
    with Library.open(place, write=True) as library:
        build.build_index(library)

    for name in ("data/faiss.index", "metadata.db", "data/embeddings.npy"):
        assert 0o640 == stat.S_IMODE((place / name).stat().st_mode)


@pytest.mark.usefixtures("open_umask")
def test_a_database_that_is_put_aside_is_still_for_its_owner_alone(place: Path) -> None:
    (place / "metadata.db").write_bytes(b"damaged" * 1000)
    (place / "metadata.db").chmod(0o600)
    done = repair.rebuild_if_needed(place)

    assert done is not None
    assert 0o600 == stat.S_IMODE(done.kept.stat().st_mode)
    assert not (place / "metadata.db").stat().st_mode & 0o077

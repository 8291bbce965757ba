"""
`--json` on every verb that tells something, `--dry-run` on every verb that changes something.

The verbs are those that the program has: a new one fails here until it has both, or stands in a table with the reason why not. What a dry run
tells is held to what the same command does afterwards.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pixfind import errors
from pixfind.cli import app
from pixfind.cli.configuration import leaves
from pixfind.library import watch_lock
from pixfind.library.library import Library
from pixfind.testing import make_image, make_library, make_pictures
from pixfind.testing.waiting import wait_for

CLIP = Path(__file__).parents[1] / "golden" / "clip-tiny"

WITHOUT_JSON = {
    "demo": "a tour for people, made of commands that have it",
    "mcp": "standard output is the protocol",
    "completions": "standard output is a script",
    "man": "standard output is a page",
}

CHANGE_NOTHING = {
    *("search", "search-text", "search-image", "duplicates"),  # but for outputs that the user names
    *("models", "model list", "model show", "status", "plan", "config", "completions", "man"),
    *("serve", "mcp"),  # run until they are stopped; what may be changed is asked for over HTTP
}

LISTS = {"albums", "label", "verify"}
"""whose JSON is a list, without a place for more"""

VERBS = dict(leaves(get_command(app)))


def options(verb: str) -> set[str]:
    return {name for param in VERBS[verb].params for name in param.opts}


def test_every_verb_that_tells_something_has_json() -> None:
    assert set(WITHOUT_JSON) == {verb for verb in VERBS if "--json" not in options(verb)}


def test_every_verb_that_changes_something_has_a_dry_run() -> None:
    assert set(CHANGE_NOTHING) == {verb for verb in VERBS if "--dry-run" not in options(verb)}


def test_every_verb_that_lists_paths_can_end_them_with_nul_bytes() -> None:
    listing = {verb for verb in VERBS if "--paths" in options(verb)}
    assert {"search", "search-text", "search-image", "duplicates"} == listing
    assert listing == {verb for verb in VERBS if "-0" in options(verb)}


# --- a library with something to do for each verb ---------------------------------------------------


@dataclass(frozen=True)
class Place:
    folder: Path

    @property
    def library(self) -> Path:
        return self.folder / "library"

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    def call(self, *words: object, code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["--library", str(self.library), *(str(word) for word in words)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code == result.exit_code, result.output
        return result

    def json(self, *words: object, code: int = 0) -> Any:
        return json.loads(self.call(*words, "--json", code=code).stdout)

    def state(self) -> dict[str, str]:
        """Return path -> content of every file and folder, those of the catalogue that SQLite makes for readers left out."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in sorted(self.folder.rglob("*"))
            if not path.name.endswith(("-shm", "-wal"))
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that was switched to another model, with one picture pending, two that it does not know, and rows not merged."""
    place = Place(tmp_path_factory.mktemp("dry-run"))
    make_pictures(place.pictures, 6)
    make_library(place.library, place.pictures).close()
    place.call("index", "--model", CLIP, "--precision", "fp32")
    make_pictures(place.pictures, 1, first=10)
    place.call("add", place.pictures)
    place.call("embed", "--worker-id", 0, "--num-workers", 1)
    make_pictures(place.pictures, 1, first=20)
    place.call("add", place.pictures)
    make_pictures(place.pictures, 2, first=30)
    place.call("export", place.folder / "table.jsonl", "--embeddings")
    place.call("search", "sky", "--all", "--save", "sky")
    (place.folder / "labels.txt").write_text("sky\n", encoding="utf-8")
    return place.folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    """A copy of the library; it knows its pictures where `made` has them."""
    shutil.copytree(made / "library", tmp_path / "library")
    for name in ("table.jsonl", "labels.txt"):
        shutil.copy(made / name, tmp_path)
    (tmp_path / "pictures").symlink_to(made / "pictures")
    return Place(tmp_path)


def words_of(verb: str, place: Place) -> list[object]:
    """Return the arguments with which a verb has something to do there; KeyError for a verb that was forgotten."""
    pictures = os.path.realpath(place.pictures)
    words: dict[str, list[object]] = {
        "add": [pictures],
        "albums": ["--remove", "sky"],
        "backup": [place.folder / "backup"],
        "build-index": [],
        "config": [],
        "demo": [],
        "duplicates": [],
        "embed": [],
        "export": [place.folder / "out.csv"],
        "import": [place.folder / "table.jsonl"],
        "index": [],
        "label": [place.folder / "labels.txt"],
        "limit": ["50%"],
        "merge": [],
        "model fetch": ["starter"],
        "model list": [],
        "model prune": [],
        "model rollback": [],
        "model show": ["starter"],
        "model switch": ["starter"],
        "models": [],
        "pause": [],
        "plan": [],
        "read-text": [],
        "relocate": [pictures, "/elsewhere", "--anyway"],
        "resume": [],
        "search": ["sky", "--all"],
        "search-image": [Path(pictures) / "picture_00000.jpg"],
        "search-text": ["sky", "--all"],
        "status": [],
        "stop": [],
        "thumbnails": [],
        "tune": ["--sample", "16"],
        "verify": [],
        "watch": [],
    }
    return words[verb]


RUNNING = ("limit", "pause", "resume", "stop")


@pytest.fixture
def running(place: Place, request: pytest.FixtureRequest) -> Iterator[Place]:
    """The library while an embed holds it, for verbs that need one."""
    if request.node.callspec.params["verb"] not in RUNNING:
        yield place
        return
    with Library.open(place.library, write=True) as library, library.lock("embed"):
        yield place


@pytest.mark.parametrize("verb", sorted(set(VERBS) - CHANGE_NOTHING))
def test_a_dry_run_changes_nothing(running: Place, verb: str) -> None:
    words = [*verb.split(), *words_of(verb, running), "--dry-run", *(["--repair"] if verb == "verify" else [])]
    before = running.state()
    said = running.call(*words)
    assert said.stderr or verb == "verify"
    if verb not in WITHOUT_JSON:
        told = running.json(*words)
        assert verb in LISTS or told["dry_run"]

    after = running.state()
    if verb == "label":
        # It asks the model, whose graphs are kept ready.
        after = {name: content for name, content in after.items() if not name.startswith("cache")}
    assert before == after


@pytest.mark.parametrize("verb", sorted(set(VERBS) - set(WITHOUT_JSON) - {"watch", "serve", "stop"}))
def test_json_is_all_that_is_on_standard_output(running: Place, verb: str) -> None:
    told = running.json("-v", *verb.split(), *words_of(verb, running))

    if verb not in CHANGE_NOTHING | LISTS:
        assert told["dry_run"] is False


def test_stop_tells_what_it_has_stopped(place: Place) -> None:
    held = threading.Event()

    def watch() -> None:
        with watch_lock.held(place.library):
            held.set()
            wait_for(lambda: watch_lock.stop_requested(place.library))

    thread = threading.Thread(target=watch)
    thread.start()
    held.wait()
    told = place.json("stop")
    thread.join()

    assert ("stop", "watch", False) == (told["request"], told["verb"], told["dry_run"])


# --- what is told is what happens -------------------------------------------------------------------


def test_a_rehearsed_scan_finds_what_the_scan_finds(place: Place) -> None:
    pictures = os.path.realpath(place.pictures)
    told = place.json("add", pictures, "--dry-run")
    done = place.json("add", pictures)

    assert 2 == told["scanned"][0]["new"]
    assert told["scanned"] == done["scanned"]


def test_as_many_images_are_embedded_as_was_said(place: Place) -> None:
    assert 1 == place.json("embed", "--dry-run")["pending"], "rows that a worker has saved are not embedded again"
    told = place.json("index", "--dry-run")
    done = place.json("index")

    assert (3, str(CLIP), None) == (told["pending"], told["model"], told["switches_from"])
    assert told["pending"] == done["embedded"]["outcomes"]["embedded"]
    assert told["scanned"] == done["scanned"]
    assert {"scanned", "model", "plan", "embedded", "merged", "index", "stopped", "dry_run"} == set(done)


def test_thumbnails_that_an_index_would_make_are_told(place: Place) -> None:
    assert place.json("index", "--thumbnails", "--dry-run")["thumbnails"]
    assert "would make thumbnails ahead" in place.call("index", "--thumbnails", "--dry-run").output
    assert "thumbnails" not in place.json("index", "--dry-run")


def test_a_folder_is_looked_at_before_there_is_a_library(tmp_path: Path) -> None:
    place = Place(tmp_path)
    make_pictures(place.pictures, 3)
    make_image(place.pictures / "broken.jpg").write_bytes(b"no picture")
    told = place.json("index", place.pictures, "--model", "starter", "--dry-run")
    assert not place.library.exists()
    done = place.json("index", place.pictures, "--model", "starter")

    assert told["pending"] == 4 == sum(done["embedded"]["outcomes"].values())


def test_a_watch_of_a_new_folder_is_rehearsed_and_refused_as_a_service(place: Place) -> None:
    make_pictures(place.folder / "new", 2, first=50)
    told = place.json("watch", place.folder / "new", "--dry-run")

    assert [os.fspath(place.folder / "new")] == told["folders"][1:]
    assert 2 == sum(each["new"] for each in told["scanned"] if each["folder"] == told["folders"][1])
    assert 0 == place.json("watch", "--dry-run")["scanned"][0]["gone"]
    with pytest.raises(errors.ConflictingOptions, match="pixfind add"):
        place.call("watch", place.folder / "new", "--install")


def test_a_switch_says_what_it_costs(place: Place) -> None:
    told = place.json("model", "switch", "starter", "--dry-run")
    done = place.json("model", "switch", "starter")

    assert ("starter", str(CLIP)) == (told["model"], told["switches_from"])
    # The retired generation has the six pictures of the beginning.
    assert told["pending"] == 4 == done["embedded"]["outcomes"]["embedded"]
    assert "starter" == done["switched"]["model"]["name"]


def test_a_new_model_embeds_everything(place: Place) -> None:
    place.call("model", "prune")
    told = place.json("model", "switch", "starter", "--dry-run")

    assert 10 == told["pending"]


def test_rows_are_merged_as_was_said(place: Place) -> None:
    told, done = place.json("merge", "--dry-run"), place.json("merge")

    assert {"rows": 1, "total": 7} == told["merged"] == done["merged"]


def test_the_index_is_built_when_that_was_said(place: Place) -> None:
    place.call("index")
    assert not place.json("build-index", "--dry-run")["due"]
    (place.library / "models" / "2" / "data" / "faiss.index").unlink()
    assert place.json("build-index", "--dry-run")["due"]


@pytest.mark.parametrize("words", [["merge"], ["tune"], ["thumbnails", "--off"], ["read-text", "--off"]], ids=" ".join)
def test_what_cannot_be_done_is_refused_before_too(tmp_path: Path, words: list[str]) -> None:
    for dry in ([], ["--dry-run"]):
        with pytest.raises(errors.LibraryNotFound):
            Place(tmp_path).call(*words, *dry)
    with Library.create(tmp_path / "library"):
        pass
    for dry in ([], ["--dry-run"]) if words == ["tune"] else []:
        with pytest.raises(errors.NotEmbedded):
            Place(tmp_path).call(*words, "--model", "starter", *dry)


@pytest.mark.parametrize("verb", ["thumbnails", "read-text"])
def test_that_nothing_more_is_wanted_can_be_rehearsed(place: Place, verb: str) -> None:
    before = place.state()
    assert {"wanted": False, "dry_run": True} == place.json(verb, "--off", "--dry-run")
    assert before == place.state()


def test_a_rollback_goes_where_was_said(place: Place) -> None:
    told, done = place.json("model", "rollback", "--dry-run"), place.json("model", "rollback")

    assert {**told, "dry_run": False} == done
    assert "starter" == done["model"]["name"]


def test_a_backup_copies_as_much_as_was_said(place: Place) -> None:
    copy = place.folder / "copy"
    for _ in range(2):
        told, done = place.json("backup", copy, "--dry-run"), place.json("backup", copy)
        assert {**told, "dry_run": False} == done
    assert 0 == done["copied_rows"]


def test_an_import_takes_as_many_rows_as_was_said(place: Place, tmp_path: Path) -> None:
    other = Place(tmp_path / "other")
    other.pictures.parent.mkdir()
    pictures = os.path.realpath(place.pictures)
    other.call("add", pictures, "--model", CLIP, "--precision", "fp32")
    told = other.json("import", place.folder / "table.jsonl", "--dry-run")
    done = other.json("import", place.folder / "table.jsonl")

    # That which waits in a worker file is not in the table.
    assert 6 == told["imported"] == done["imported"]


def test_a_table_has_as_many_rows_as_was_said(place: Place) -> None:
    out = place.folder / "out.csv"
    told, done = place.json("export", out, "--dry-run"), place.json("export", out)

    assert {**told, "dry_run": False} == done
    assert 1 + done["images"] == len(out.read_text(encoding="utf-8").splitlines())


def test_duplicates_are_listed_for_pipes(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first, _ = make_pictures(place.pictures, 2)
    second = Path(shutil.copy(first, place.pictures / "copied.jpg"))
    make_library(place.library, place.pictures).close()

    for end, option in (("\n", []), ("\0", ["-0"])):
        found = place.call("duplicates", "--exact", "--paths", *option).stdout
        assert {str(first), str(second)} == set(found.removesuffix(2 * end).split(end))
        assert found.endswith(2 * end)


def test_a_dry_run_that_is_ended_leaves_no_copy_of_the_catalogue(place: Place, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    program = """
import os, signal
from pathlib import Path
from pixfind.workflows.rehearsal import rehearsing
with rehearsing(Path(os.environ["PLACE"])):
    os.kill(os.getpid(), signal.SIGTERM)
"""
    environment = {**os.environ, "TMPDIR": str(temporary), "PLACE": str(place.library)}
    assert 143 == subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode
    assert [] == list(temporary.iterdir())

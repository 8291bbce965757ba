"""`pixfind watch` as a process of its own: what changes in the folders is in the library soon, and nothing is ever lost."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors, machine
from pixfind.embedding.runners.serial import Serial
from pixfind.embedding.schedule import TimeWindow
from pixfind.library import folder_events, path_text, scan, verify, watch_lock
from pixfind.library.library import Library
from pixfind.testing import make_image, make_library, make_pictures
from pixfind.testing.libraries import QUIET, make_slow_pictures
from pixfind.testing.waiting import wait_for
from pixfind.workflows import index, running, settling
from pixfind.workflows import watch as workflow
from pixfind.workflows.options import EmbedOptions


class Watched:
    """A library with two roots, and a watch of it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.one, self.two = folder / "library", folder / "one", folder / "two"
        self.log = folder / "watch.log"
        make_pictures(self.one, 3)
        make_pictures(self.two, 3, first=10)
        make_library(self.path, self.one).close()
        with Library.open(self.path, write=True) as library:
            scan.add(library, self.two, in_archives=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> "subprocess.Popen[bytes]":
        """Start the watch, and wait until all that is there is in the library."""
        with self.log.open("ab") as log:
            words = [sys.executable, "-m", "pixfind", "--library", str(self.path), "watch", "--nice", "0", *options]
            self.process = subprocess.Popen(words, stderr=log)
        wait_for(lambda: watch_lock.read(self.path) or self.process is None, what=self.said)
        wait_for(lambda: self.pending() == 0 and not self.writes(), what=self.said)
        return self.process

    def end(self) -> int:
        """Ask the watch to end; return its exit code."""
        assert self.process is not None
        watch_lock.request_stop(self.path)
        return self.process.wait(50)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="backslashreplace")

    def pending(self) -> int:
        with Library.open(self.path) as library:
            return library.catalogue.ledger()["pending"]

    def writes(self) -> bool:
        with Library.open(self.path) as library:
            return library.holder() is not None

    def rows(self) -> dict[str, int | None]:
        """Return the row of the embeddings of each picture that is there, by its location."""
        with Library.open(self.path) as library:
            found = library.catalogue._connection.execute(
                "SELECT path, embedding_index FROM images WHERE gone = 0 AND outcome IN ('embedded', 'duplicate')"
            )
            return {path_text.from_text(path): row for path, row in found}

    def known(self) -> set[str]:
        """Return the locations that are registered, whatever became of them."""
        with Library.open(self.path) as library:
            return {
                path_text.from_text(path)
                for (path,) in library.catalogue._connection.execute("SELECT path FROM images")
            }

    def wait_until(self, *there: Path | str, gone: tuple[Path | str, ...] = ()) -> dict[str, int | None]:
        """Wait until these are searchable, and these are not."""

        def arrived() -> dict[str, int | None] | None:
            rows = self.rows()
            complete = {str(path) for path in there} <= rows.keys() and rows.keys().isdisjoint(map(str, gone))
            return rows if complete else None

        return wait_for(arrived, what=self.said) or {}

    def verify(self) -> list[Any]:
        with Library.open(self.path) as library:
            return verify.verify(library)


@pytest.fixture(scope="module")
def running_watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A watch that several tests share; each uses names of its own."""
    made = Watched(tmp_path_factory.mktemp("watched"))
    with ended(made):
        made.start()
        yield made
        assert 0 == made.end()
        assert [] == made.verify()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A library that the test watches. Ends with `verify`."""
    made = Watched(tmp_path)
    with ended(made):
        yield made
    assert [] == made.verify()


@contextlib.contextmanager
def ended(made: Watched) -> Iterator[None]:
    try:
        yield
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait()


# --- changes --------------------------------------------------------------------------------------


def test_a_picture_that_is_copied_in_overwritten_and_deleted(running_watch: Watched) -> None:
    path = make_image(running_watch.one / "copied.jpg", seed=100)
    first = running_watch.wait_until(path)[str(path)]
    make_image(path, seed=101)
    wait_for(lambda: running_watch.rows().get(str(path)) not in {None, first}, what=running_watch.said)
    path.unlink()
    running_watch.wait_until(gone=(path,))


def test_a_picture_that_moves_to_another_root_keeps_its_embedding(running_watch: Watched) -> None:
    before, after = running_watch.one / "picture_00001.jpg", running_watch.two / "renamed.jpg"
    row = running_watch.rows()[str(before)]
    before.rename(after)

    assert row == running_watch.wait_until(after, gone=(before,))[str(after)]


def test_a_folder_that_is_moved_in_and_out(running_watch: Watched, tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "album" / "deep", 3, first=200)
    (tmp_path / "album").rename(running_watch.one / "album")
    inside = [running_watch.one / "album" / "deep" / path.name for path in pictures]
    running_watch.wait_until(*inside)
    make_image(running_watch.one / "album" / "deep" / "later.jpg", seed=250)
    running_watch.wait_until(running_watch.one / "album" / "deep" / "later.jpg")
    (running_watch.one / "album").rename(tmp_path / "away")
    running_watch.wait_until(gone=tuple(inside))


def test_an_archive_that_comes_changes_and_goes(running_watch: Watched, tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "drawn", 3, first=300)
    archive = running_watch.two / "trip.zip"
    members = [f"{archive}!/{path.name}" for path in pictures]
    _make_zip(archive, pictures[:2])
    running_watch.wait_until(*members[:2])
    _make_zip(archive, pictures[1:])
    running_watch.wait_until(*members[1:], gone=(members[0],))
    archive.unlink()
    running_watch.wait_until(gone=tuple(members))


def _make_zip(path: Path, pictures: list[Path]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for picture in pictures:
            archive.write(picture, picture.name)


def test_a_name_that_is_not_utf8(running_watch: Watched) -> None:
    path = make_image(running_watch.one / os.fsdecode(b"caf\xe9.jpg"), seed=400)
    running_watch.wait_until(path)
    later = make_image(running_watch.one / "after_that.jpg", seed=401)
    running_watch.wait_until(later)


def test_a_thousand_files_at_once(running_watch: Watched, tmp_path: Path) -> None:
    drawn = make_image(tmp_path / "drawn.png", seed=500, size=(32, 32)).read_bytes()
    (running_watch.one / "many").mkdir()
    paths = [running_watch.one / "many" / f"{number}.png" for number in range(1000)]
    for number, path in enumerate(paths):
        path.write_bytes(drawn + b"%d" % number)
    running_watch.wait_until(*paths)


def test_a_file_that_is_still_being_written_waits_until_it_is_complete(running_watch: Watched) -> None:
    content = make_image(running_watch.path.parent / "slow.png", seed=600).read_bytes()
    path, other = running_watch.one / "slow.png", running_watch.one / "beside_it.jpg"
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
        make_image(other, seed=601)

        def written_on_and_the_other_is_there() -> bool:
            file.write(b"more")
            file.flush()
            return str(other) in running_watch.rows()

        wait_for(written_on_and_the_other_is_there, what=running_watch.said)
        assert str(path) not in running_watch.known()
        file.seek(0)
        file.write(content)
    running_watch.wait_until(path)


def test_files_that_are_no_pictures_cost_no_round(running_watch: Watched) -> None:
    with Library.open(running_watch.path) as library:
        rounds = "SELECT count(*) FROM runs"
        before = library.catalogue._connection.execute(rounds).fetchone()
        for name in ("notes.txt", ".hidden.jpg", ".cache/thumbnail.jpg", "@eaDir/thumbnail.jpg"):
            (running_watch.one / name).parent.mkdir(exist_ok=True)
            make_image(running_watch.one / "made.png", seed=1).rename(running_watch.one / name)
        path = make_image(running_watch.one / "sign_that_all_notices_came.jpg", seed=700)
        running_watch.wait_until(path)
        after = library.catalogue._connection.execute(rounds).fetchone()
    assert 1 <= after[0] - before[0] <= 3


# --- beginning and end ----------------------------------------------------------------------------


def test_what_changed_before_the_watch_is_noticed_at_its_start(watched: Watched) -> None:
    new = make_image(watched.one / "new.jpg", seed=100)
    gone = watched.two / "picture_00010.jpg"
    gone.unlink()
    watched.start()

    watched.wait_until(new, gone=(gone,))
    assert 0 == watched.end()
    assert "watching 2 folders" in watched.said()


def test_kill_at_any_instant_loses_nothing_and_the_next_watch_goes_on(watched: Watched) -> None:
    made: list[Path] = []
    for number in range(2):
        process = watched.start()
        batch = make_pictures(watched.one / f"batch_{number}", 20, first=1000 * (number + 1))
        made += batch
        # In the middle of a round: some of them are known by then.
        wait_for(functools.partial(_is_known, watched, batch[-1]), what=watched.said)
        process.kill()
        process.wait()
        assert [] == watched.verify()
    watched.start()

    watched.wait_until(*made)
    assert 0 == watched.end()


def _is_known(watched: Watched, path: Path) -> bool:
    return str(path) in watched.known()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(watched: Watched, number: signal.Signals) -> None:
    process = watched.start()
    process.send_signal(number)

    assert 0 == process.wait(50)
    assert "the watch has ended" in watched.said()
    assert None is watch_lock.read(watched.path)


def test_stop_ends_a_watch_that_rests_and_a_second_watch_is_refused(watched: Watched, commands: Any) -> None:
    process = watched.start()
    refused = commands.run(["--library", str(watched.path), "watch"])
    assert errors.AlreadyWatched.exit_code == refused.returncode
    assert f"is watched already, by process {process.pid}" in refused.stderr.decode()

    assert 0 == commands.run(["--library", str(watched.path), "stop"]).returncode
    assert 0 == process.wait(50)
    assert errors.NothingRunning.exit_code == commands.run(["--library", str(watched.path), "stop"]).returncode


def test_other_commands_work_while_it_rests_and_their_new_folder_is_watched(
    watched: Watched, tmp_path: Path, commands: Any
) -> None:
    watched.start()
    make_pictures(tmp_path / "three", 2, first=50)
    assert 0 == commands.run(["--library", str(watched.path), "add", str(tmp_path / "three")]).returncode
    watched.wait_until(tmp_path / "three" / "picture_00050.jpg")
    path = make_image(tmp_path / "three" / "later.jpg", seed=60)

    watched.wait_until(path)
    assert 0 == watched.end()


def test_it_waits_for_another_command_that_writes(watched: Watched) -> None:
    watched.start()
    with Library.open(watched.path, write=True) as library, library.lock("verify"):
        path = make_image(watched.one / "new.jpg", seed=70)
        wait_for(lambda: "waiting for `pixfind verify`" in watched.said(), what=watched.said)
        assert str(path) not in watched.known()

    watched.wait_until(path)
    assert 0 == watched.end()


def test_a_drive_that_goes_away_and_returns_loses_nothing(watched: Watched, tmp_path: Path) -> None:
    watched.start()
    before = watched.rows()
    watched.two.rename(tmp_path / "unplugged")
    wait_for(lambda: _offline(watched), what=watched.said)
    assert before == watched.rows()
    path = make_image(tmp_path / "unplugged" / "taken_elsewhere.jpg", seed=80)
    (tmp_path / "unplugged").rename(watched.two)
    watched.wait_until(watched.two / path.name)
    again = make_image(watched.two / "after_that.jpg", seed=81)

    after = watched.wait_until(again)
    assert before.items() <= after.items()
    assert 0 == watched.end()


def _offline(watched: Watched) -> bool:
    with Library.open(watched.path) as library:
        return any(root.offline for root in library.catalogue.roots())


# --- where the system tells nothing ---------------------------------------------------------------


@contextlib.contextmanager
def watching(
    watched: Watched, options: EmbedOptions = QUIET, *, in_processes: bool = False, **more: Any
) -> Iterator[list[workflow.WatchEvent]]:
    """Watch in a thread of this process, which embeds too unless `in_processes`, and waits for less; yields what it tells."""
    told: list[workflow.WatchEvent] = []
    failed: list[BaseException] = []
    runner = None if in_processes else Serial()

    def work() -> None:
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(settling, "QUIET_SECONDS", 0.1)
                for name in ("_REST_SECONDS", "_ROOTS_SECONDS", "_LOCKED_SECONDS"):
                    patch.setattr(workflow, name, 0.1)
                workflow.watch(watched.path, options, tell=told.append, runner=runner, **more)
        except BaseException as error:  # noqa: BLE001 - of the thread, for the test
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_for(lambda: told or failed)
        yield told
    finally:
        watch_lock.request_stop(watched.path)
        thread.join(50)
    assert ([], False) == (failed, thread.is_alive())


def _refuse(*_: Any, **__: Any) -> Any:
    raise OSError("OS file watch limit reached. about []")


def test_where_the_system_watches_no_more_folders_they_are_scanned(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_events, "_open", _refuse)
    with watching(watched, rescan_minutes=0.01) as told:
        path = make_image(watched.one / "new.jpg", seed=90)
        watched.wait_until(path)
        state = watch_lock.read(watched.path)

    assert 1 == sum(isinstance(event, workflow.TooManyFolders) for event in told)
    assert state is not None
    assert {str(watched.one), str(watched.two)} == state.rescanned.keys()


def test_the_limit_is_noticed_when_a_new_folder_is_over_it(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    with watching(watched, rescan_minutes=0.01) as told:
        monkeypatch.setattr(folder_events, "_open", _refuse)
        make_pictures(watched.one / "deep", 2, first=90)
        wait_for(lambda: any(isinstance(event, workflow.TooManyFolders) for event in told), what=lambda: told)
        watched.wait_until(make_image(watched.one / "deep" / "later.jpg", seed=95))


def test_a_file_system_that_tells_nothing_is_scanned_again_and_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "untold_changes", lambda path: "nfs" if path == str(watched.two) else None)
    monkeypatch.setattr(folder_events.FolderEvents, "wait", lambda self, seconds: threading.Event().wait(0.05) or set())
    with watching(watched, rescan_minutes=0.01) as told:
        watched.wait_until(make_image(watched.two / "by_another_machine.jpg", seed=90))

    assert {str(watched.two): "nfs does not tell all changes"} == next(
        event.rescanned for event in told if isinstance(event, workflow.Watching)
    )


def test_folders_that_cannot_be_watched_are_scanned(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("Function not implemented (os error 38)")

    monkeypatch.setattr(folder_events, "_open", refuse)
    with watching(watched, rescan_minutes=0.01) as told:
        watched.wait_until(make_image(watched.one / "new.jpg", seed=90))

    assert any(
        "cannot be watched" in why
        for event in told
        if isinstance(event, workflow.Watching)
        for why in event.rescanned.values()
    )


# --- what may go wrong ----------------------------------------------------------------------------


def test_a_round_that_fails_is_tried_again(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "_MIN_PAUSE", 0.1)
    steps = index.index_changes
    with watching(watched) as told:
        wait_for(lambda: watched.pending() == 0)

        def full(*_: Any, **__: Any) -> Any:
            raise errors.DiskFull(path=watched.path, detail="no space left")

        monkeypatch.setattr(workflow, "index_changes", full)
        path = make_image(watched.one / "new.jpg", seed=90)
        wait_for(lambda: any(isinstance(event, workflow.RoundFailed) for event in told), what=lambda: told)
        monkeypatch.setattr(workflow, "index_changes", steps)
        watched.wait_until(path)


def test_a_folder_that_is_given_is_added_first_and_watched(watched: Watched, tmp_path: Path) -> None:
    make_pictures(tmp_path / "three", 2, first=30)
    with watching(watched, folders=[watched.one, tmp_path / "three"]) as told:
        watched.wait_until(tmp_path / "three" / "picture_00030.jpg", watched.one / "picture_00000.jpg")
        make_pictures(tmp_path / "three", 1, first=40)
        watched.wait_until(tmp_path / "three" / "picture_00040.jpg")

    first = next(event for event in told if isinstance(event, workflow.Watching))
    assert (str(watched.one), str(watched.two), str(tmp_path / "three")) == first.folders


def test_a_folder_that_is_given_begins_a_library(tmp_path: Path) -> None:
    new = Watched.__new__(Watched)
    new.path, new.process, new.log = tmp_path / "new", None, tmp_path / "log"
    new.log.touch()
    make_pictures(tmp_path / "pictures", 2)
    with pytest.raises(errors.FolderNotReadable):
        workflow.watch(new.path, QUIET, folders=[tmp_path / "nowhere"])
    assert not new.path.exists()
    with watching(new, folders=[tmp_path / "pictures"]):
        new.wait_until(tmp_path / "pictures" / "picture_00001.jpg")
    assert [] == new.verify()


def test_the_first_round_fails_with_its_error(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise errors.DiskFull(path=watched.path, detail="no space left")

    monkeypatch.setattr(workflow, "index_changes", missing)

    with pytest.raises(errors.DiskFull):
        workflow.watch(watched.path, QUIET)
    assert None is watch_lock.read(watched.path)


def test_outside_of_its_hours_it_registers_and_embeds_later(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = threading.Event()
    monkeypatch.setattr(TimeWindow, "__contains__", lambda self, now: allowed.is_set())
    options = EmbedOptions(workers=1, share=1.0, nice=0, hours=TimeWindow.parse("22:00-07:00"))
    with watching(watched, options) as told:
        path = make_image(watched.one / "new.jpg", seed=90)
        wait_for(lambda: str(path) in watched.known(), what=lambda: told)
        wait_for(lambda: any(isinstance(event, workflow.RoundDone) for event in told), what=lambda: told)
        assert str(path) not in watched.rows()
        wait_for(lambda: not watched.writes(), what=lambda: told)
        allowed.set()
        watched.wait_until(path)


def test_when_its_hours_end_it_gives_the_library_back_and_goes_on_later(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = threading.Event()
    monkeypatch.setattr(TimeWindow, "__contains__", lambda self, now: allowed.is_set())
    options = EmbedOptions(workers=1, share=1.0, nice=0, hours=TimeWindow.parse("22:00-07:00"))
    make_slow_pictures(watched.one / "slow", 80)
    allowed.set()
    with watching(watched, options, in_processes=True) as told:
        wait_for(lambda: 0 < watched.pending() < 80, what=lambda: told)
        allowed.clear()
        wait_for(lambda: not watched.writes(), what=lambda: told)
        assert watched.pending() > 0
        allowed.set()
        wait_for(lambda: watched.pending() == 0, what=lambda: told)


def test_a_library_that_is_deleted_ends_the_watch(watched: Watched, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(watched.path, copy)
    process = watched.start()
    shutil.rmtree(watched.path)

    assert errors.LibraryNotFound.exit_code == process.wait(50)
    copy.rename(watched.path)


def test_stop_asks_the_embed_that_runs_and_else_the_watch(watched: Watched) -> None:
    with Library.open(watched.path, write=True) as library:
        with watch_lock.held(watched.path), library.lock("index"):
            assert "index" == running.stop(library)[0].verb
            assert not watch_lock.stop_requested(watched.path)
        with watch_lock.held(watched.path):
            found, has_ended = running.stop(library)
            assert ("watch", True, False) == (found.verb, watch_lock.stop_requested(watched.path), has_ended())
        assert has_ended()
        with pytest.raises(errors.NothingRunning):
            running.stop(library)


def test_a_database_that_is_busy_for_a_moment_does_not_end_the_watch(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watching(watched):
        wait_for(lambda: watched.pending() == 0 and not watched.writes())
        renewed, busy = Library.renewed, threading.Event()

        def once_busy(library: Library, **how: Any) -> Library:
            if not busy.is_set():
                busy.set()
                raise errors.DatabaseBusy(path=watched.path, detail="a backup")
            return renewed(library, **how)

        monkeypatch.setattr(Library, "renewed", once_busy)
        watched.wait_until(make_image(watched.one / "new.jpg", seed=90))
        assert busy.is_set()


def test_the_service_is_written_and_removed_by_the_command(watched: Watched, tmp_path: Path, commands: Any) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "systemctl").touch(mode=0o700)
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}
    environment.pop("XDG_CONFIG_HOME", None)
    words = ["--library", str(watched.path), "watch"]
    installed = commands.run([*words, "--cpu", "25%", "--install"], environment=environment)
    units = list((tmp_path / ".config/systemd/user").glob("*.service"))

    assert (0, 1) == (installed.returncode, len(units))
    assert f'"--library" "{watched.path}" "watch" "--cpu" "25%%"' in units[0].read_text()
    assert f"systemctl --user enable --now {units[0].name}" in installed.stderr.decode()
    assert 2 == commands.run([*words, "--install", "--uninstall"], environment=environment).returncode
    assert 0 == commands.run([*words, "--uninstall"], environment=environment).returncode
    assert (
        errors.ServiceNotInstalled.exit_code
        == commands.run([*words, "--uninstall"], environment=environment).returncode
    )
    assert not units[0].exists()

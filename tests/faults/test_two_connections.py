"""A process may have a library open twice: no commit of its is lost when others open and close the library meanwhile."""

import subprocess
import sys
from pathlib import Path

from pixfind.library.library import Library
from pixfind.testing import make_library, make_pictures
from pixfind.workflows.backup import backup

_READ = (
    "import sys, pathlib; from pixfind.library.library import Library\n"
    "with Library.open(pathlib.Path(sys.argv[1])) as library: print(library.catalogue.setting('written'))"
)


def read_elsewhere(path: Path) -> str:
    """Return what another process reads, which then closes the library."""
    return subprocess.check_output([sys.executable, "-c", _READ, str(path)], text=True, timeout=50).strip()


def test_a_second_connection_takes_no_locks_from_the_first(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 1)
    path = tmp_path / "library"
    make_library(path, tmp_path / "pictures", embed=False).close()
    with Library.open(path) as reading:
        assert None is reading.catalogue.setting("written")
        with Library.open(path, write=True) as writing:
            for value in ("first", "second", "third"):
                writing.catalogue.set_setting("written", value)
                assert value == read_elsewhere(path)
        assert "third" == reading.catalogue.setting("written")


def test_a_backup_opens_the_database_that_it_replaces_by_sqlite_alone(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 1)
    place, opened, listening = tmp_path / "backup", [], True

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event == "open":
            opened.append(str(arguments[0]))

    with make_library(tmp_path / "library", tmp_path / "pictures") as library:
        backup(library, place)
        sys.addaudithook(hear)
        backup(library, place)
        listening = False

    assert str(place / "data" / "indices.npy") in opened
    assert str(place / "metadata.db") not in opened

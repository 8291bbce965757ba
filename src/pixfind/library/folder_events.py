"""
Notices of the file system: which files and folders may have changed.

The only module that knows the library watchfiles, which is imported when a watch begins. A notice is a hint and never a fact: some are lost, some come
twice, some about nothing; what is true is found out by a scan. Must not know what the library has of these files.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixfind import machine

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

_QUIET_MS = 200
"""a batch of notices ends when so long none has come"""
_MAX_MS = 2_000
_MANY = 4_000
"""A batch of more is taken for incomplete: the system drops notices behind the 16,384th that waits (inotify(7)), and says nothing about it."""

_MODIFIED = 2
"""watchfiles.Change.modified"""

_LIMIT = re.compile(r"watch limit|No space left|os error 28")
_INSTANCES = re.compile(r"Too many open files|os error 24")
_ENOUGH_WATCHES = 1 << 20
_ENOUGH_INSTANCES = 1 << 10


class NoticesLostError(Exception):
    """Some notices were lost: the folders must be scanned, and watched again."""


class TooManyFoldersError(Exception):
    """The system watches no more folders for this user; the message names the setting and a value that is enough."""


class FolderEvents:
    """
    Notices about all that lies below some folders.

    Raises TooManyFoldersError, and FileNotFoundError when one of them is not there.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self.complete = True
        """False: some folders below may not be read, and nothing is known of what others change there"""
        self._watcher: RustNotify | None = None
        if folders:
            try:
                self._watcher = _open(folders, ignore_unreadable=False)
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
                _refuse_limits(str(error))
                self.complete = False
                self._watcher = _open(folders, ignore_unreadable=True)

    def wait(self, seconds: float) -> set[str]:
        """Return the paths that notices came about, nothing when none came in so many seconds. Raises NoticesLostError."""
        import time

        if self._watcher is None:
            time.sleep(seconds)
            return set()
        from watchfiles._rust_notify import WatchfilesRustInternalError

        try:
            found = self._watcher.watch(_MAX_MS, _QUIET_MS, int(seconds * 1000), None)
        except WatchfilesRustInternalError as error:
            # A name that is not UTF-8, for one. The watcher says so for ever and passes nothing else on.
            raise NoticesLostError from error
        if isinstance(found, str):
            return set()
        if len(found) > _MANY:
            raise NoticesLostError
        # A folder's own times change with what lies in it, which has notices of its own.
        return {path for kind, path in found if kind != _MODIFIED or not Path(path).is_dir()}

    def close(self) -> None:
        """Watch no longer."""
        if self._watcher is not None:
            self._watcher.close()


def check_room(folder: str) -> None:
    """Raise TooManyFoldersError where the system would not watch this folder: for one that has come since the watch began nothing says so."""
    try:
        _open([folder], ignore_unreadable=False).close()
    except FileNotFoundError:
        return
    except OSError as error:
        _refuse_limits(str(error))


def _open(folders: Sequence[str], *, ignore_unreadable: bool) -> "RustNotify":
    from watchfiles._rust_notify import RustNotify

    debug, polling, poll_ms, recursive = False, False, 300, True
    return RustNotify(list(folders), debug, polling, poll_ms, recursive, ignore_unreadable)


def _refuse_limits(message: str) -> None:
    if _LIMIT.search(message):
        setting, enough = "max_user_watches", _ENOUGH_WATCHES
    elif _INSTANCES.search(message):
        setting, enough = "max_user_instances", _ENOUGH_INSTANCES
    else:
        return
    now = machine.inotify_limit(setting)
    detail = f"fs.inotify.{setting} is {now or 'too low'}; set it to {max(enough, 4 * (now or 0))}"
    raise TooManyFoldersError(detail)

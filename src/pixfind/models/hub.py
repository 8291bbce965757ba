"""
From the name of a model to its folder on this machine.

The only module that uses the `huggingface_hub` library. Must not know how a model is run.
Downloads go to plain folders, one for each commit, so that a folder can be copied to a machine without network:

    CACHE/models/OWNER--REPO/COMMIT/            the files, each checked against the hash that the hub gives
    CACHE/models/OWNER--REPO/REVISION.commit    the commit of a branch or tag when it was first downloaded

A revision is resolved once. Later calls need no network, and the model of a library never changes.
"""

import functools
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from pixfind import errors
from pixfind.models import cache, files, registry
from pixfind.models.files import Layout, ModelFiles
from pixfind.storage import disk

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes downloaded and the bytes in total."""

_REPO = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_GRAPHS = (".onnx", ".safetensors")
_SHA256_HEX = 64


@dataclass(frozen=True, slots=True)
class _Remote:
    """One file as the hub lists it."""

    name: str
    size: int
    hash: str
    """SHA-256 of the bytes for large files, git's blob hash for small ones; hex"""


@dataclass(frozen=True, slots=True)
class Missing:
    """One file that is still to be downloaded."""

    repo: str
    file: str
    """its path in the repository"""
    size: int
    """bytes"""
    here: int
    """bytes of an interrupted download, which continues from there"""


@dataclass(frozen=True, slots=True)
class _Parts:
    """Which encoders are asked for."""

    text: bool
    image: bool
    text_file: str


def resolve(
    name: str,
    *,
    text: bool = False,
    image: bool = True,
    offline: bool = False,
    progress: Progress | None = None,
    text_file: str = "",
) -> ModelFiles:
    """
    Return the model's files, and download those of the requested encoders that are missing.

    `name` is a name in the model table, a folder, or OWNER/REPO or OWNER/REPO@REVISION on the hub, tried in this order.
    `text` and `image` select the encoders, `text_file` another text encoder than that of the layout; `offline` never uses the network.
    Raises UnknownModel, ModelMissing, ModelTooLarge, ChecksumMismatch, and what `files.inspect` raises.
    """
    directory = _local(name)
    if directory is None:
        directory = _fetched(name, _Parts(text, image, text_file), offline=offline, progress=progress)
    elif name != registry.STARTER:
        # A library remembers the name, and the next command may run elsewhere.
        name = str(directory)
    return files.inspect(directory, name, text=text, image=image, text_file=text_file)


def cached_folder(name: str, *, text: bool = False, image: bool = True, text_file: str = "") -> Path | None:
    """Return the model's folder when all files of these encoders are on this machine, else None. Uses no network."""
    directory = _local(name)
    if directory is None:
        directory = _known_folder(*_source(name))
    return directory if directory is not None and _complete(directory, _Parts(text, image, text_file)) else None


def missing(name: str, *, text: bool = False, image: bool = True, text_file: str = "") -> tuple[Missing, ...]:
    """
    Return what `resolve` would download; asks the hub for the list of files where something is missing.

    External data under a name that only the graph tells is not among it. Raises as `resolve` does.
    """
    parts = _Parts(text, image, text_file)
    if cached_folder(name, text=text, image=image, text_file=text_file) is not None:
        return ()
    if _local(name) is not None:
        resolve(name, text=text, image=image, text_file=text_file)
    repo, directory, chosen, _ = _to_download(name, parts)
    return tuple(
        Missing(repo, file.name, file.size, min(_size_here(directory / file.name), file.size))
        for file in chosen
        if not (directory / file.name).is_file()
    )


def _local(name: str) -> Path | None:
    if name == registry.STARTER:
        return Path(__file__).with_name("starter")
    if registry.find(name) is None and Path(name).is_dir():
        return Path(name).resolve()
    return None


def _source(name: str) -> tuple[str, str]:
    row = registry.find(name)
    if row is not None:
        return row.repo, row.revision
    match = _REPO.fullmatch(name)
    if match is None:
        raise errors.UnknownModel(name=name, known=registry.names())
    return match["repo"], match["revision"] or "main"


def _fetched(name: str, parts: _Parts, *, offline: bool, progress: Progress | None) -> Path:
    repo, revision = _source(name)
    directory = _known_folder(repo, revision)
    if directory is not None and _complete(directory, parts):
        return directory
    if offline:
        raise errors.ModelMissing(name=name, detail="working offline", folder=_base(repo))
    repo, directory, chosen, remote = _to_download(name, parts)
    with _locked(_base(repo)):
        fetch = functools.partial(_fetch_all, name, repo, directory.name, directory, progress)
        fetch(chosen)
        # The external data that a graph names is known only after the graph is downloaded.
        fetch(list(_external(repo, directory, chosen, remote)))
    _remember(repo, revision, directory.name)
    return directory


def _to_download(name: str, parts: _Parts) -> tuple[str, Path, list[_Remote], list[_Remote]]:
    """Return the repository, the folder of its commit, the files to have there, and all files of the repository."""
    repo, revision = _source(name)
    if os.environ.get("HF_HUB_OFFLINE", "") not in {"", "0"}:
        raise errors.ModelMissing(name=name, detail="working offline", folder=_base(repo))
    known = _known_folder(repo, revision)
    with _reporting(name, repo):
        # A second encoder comes from the commit of the first one, even if the branch has moved since.
        commit, remote = _list_remote(repo, known.name if known is not None else revision)
    return repo, _base(repo) / commit, _choose(repo, remote, parts), remote


def _fetch_all(
    name: str, repo: str, commit: str, directory: Path, progress: Progress | None, chosen: list[_Remote]
) -> None:
    """Download files, after checking that there is room for all of them; raises ModelTooLarge."""
    needed = sum(file.size - _size_here(directory / file.name) for file in chosen)
    free = shutil.disk_usage(_base(repo)).free
    if needed > free:
        raise errors.ModelTooLarge(
            name=name, needed=f"{needed / 1e6:,.0f} MB", free=f"{free / 1e6:,.0f} MB", folder=directory
        )
    for file in chosen:
        with _reporting(name, repo):
            _fetch(repo, commit, file, directory, progress)


def _size_here(path: Path) -> int:
    """Return how many bytes of a file are here, whole or as a partial download."""
    partial = _partial(path)
    return next((found.stat().st_size for found in (path, partial) if found.is_file()), 0)


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _complete(directory: Path, parts: _Parts) -> bool:
    # What is half here of another encoder is no hindrance: the graph of this one comes last, and names its external data.
    if not directory.is_dir():
        return False
    layout = files.layout_of(files.listed(directory))
    return layout is not None and files.missing(directory, layout, **asdict(parts)) is None


def _choose(repo: str, remote: list[_Remote], parts: _Parts) -> list[_Remote]:
    """Return the files to download, external data before the graph that refers to it."""
    available = {file.name: file for file in remote}
    layout = _layout(repo, available)
    names = files.wanted(layout, available, **asdict(parts))
    missing = [name for name in names if name not in available]
    if missing:
        raise errors.ModelFileMissing(directory=repo, file=missing[0])
    return sorted((available[name] for name in names), key=lambda file: (file.name.endswith(_GRAPHS), file.name))


def _external(repo: str, directory: Path, chosen: list[_Remote], remote: list[_Remote]) -> Iterator[_Remote]:
    """Yield the external data that the chosen graphs name; raises InvalidModelFile, and ModelFileMissing where the hub lacks it."""
    available = {file.name: file for file in remote}
    for graph in chosen:
        for location in files.external_files(directory / graph.name):
            name = (Path(graph.name).parent / location).as_posix()
            if name not in available:
                raise errors.ModelFileMissing(directory=repo, file=name)
            yield available[name]


def _layout(repo: str, available: dict[str, _Remote]) -> Layout:
    layout = files.layout_of(available)
    if layout is None:
        files.refuse_pickles(Path(repo) / name for name in sorted(available))
        raise errors.ModelFileMissing(directory=repo, file=files.FIRST_FILES)
    return layout


# --- the folder -----------------------------------------------------------------------------------


def _base(repo: str) -> Path:
    return cache.folder("models", repo.replace("/", "--"))


def _known_folder(repo: str, revision: str) -> Path | None:
    try:
        commit = (_base(repo) / _note(revision)).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    # Whatever else is there was not written by this version: the hub is asked again.
    return _base(repo) / commit if _COMMIT.fullmatch(commit) else None


def _note(revision: str) -> str:
    return f"{revision.replace('/', '--')}.commit"


def _remember(repo: str, revision: str, commit: str) -> None:
    path = _base(repo) / _note(revision)
    with cache.publishing(path) as temporary:
        (temporary / path.name).write_text(f"{commit}\n", encoding="utf-8")


# --- the network ----------------------------------------------------------------------------------


def _list_remote(repo: str, revision: str) -> tuple[str, list[_Remote]]:
    """Return the commit and its files."""
    import huggingface_hub

    info = huggingface_hub.HfApi(endpoint=_endpoint()).model_info(repo, revision=revision, files_metadata=True)
    return str(info.sha), [_remote(file) for file in info.siblings or []]


def _remote(file: Any) -> _Remote:
    large = file.lfs
    return _Remote(
        name=file.rfilename,
        size=int(large["size"] if large else file.size),
        hash=large["sha256"] if large else file.blob_id,
    )


def _fetch(repo: str, commit: str, file: _Remote, directory: Path, progress: Progress | None) -> None:
    """Download one file, resuming an interrupted download, and move it into place only when its hash is right."""
    path = directory / file.name
    if path.is_file():
        return
    partial = _partial(path)
    disk.make_folder(partial.parent)
    resumed = _size_here(path) > 0
    try:
        _download(repo, commit, file, partial, progress)
    except (errors.ChecksumMismatch, _CannotResumeError):
        if not resumed:
            raise
        # What an earlier run left belongs to other bytes than the server has now: once more, from the beginning.
        partial.unlink(missing_ok=True)
        _download(repo, commit, file, partial, progress)
    with disk.writing(path):
        partial.replace(path)


def _download(repo: str, commit: str, file: _Remote, partial: Path, progress: Progress | None) -> None:
    """Complete the partial file and check it; raises ChecksumMismatch and leaves nothing when the bytes are wrong."""
    import huggingface_hub
    from huggingface_hub.file_download import http_get

    # The library's own download cannot resume after a kill, because each one writes to a new temporary file.
    # So we manage the file; requests, retries and ranges are the library's.
    partial.touch(mode=disk.FILE_MODE)
    with _sized(repo, file, partial), partial.open("ab+") as raw, _quiet(), _range_refused():
        sink = _Sink(raw, file, progress)
        http_get(
            huggingface_hub.hf_hub_url(repo, file.name, revision=commit, endpoint=_endpoint()),
            sink,
            resume_size=sink.tell(),
            expected_size=file.size,
            headers=huggingface_hub.utils.build_hf_headers(library_name="pixfind"),
        )
        with disk.writing(partial):
            raw.flush()
            os.fsync(raw.fileno())
    _check(repo, file, partial)


class _CannotResumeError(Exception):
    """The server has no bytes from there on."""


@contextmanager
def _range_refused() -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        if error.response.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        raise _CannotResumeError from error


@contextmanager
def _sized(repo: str, file: _Remote, partial: Path) -> Iterator[None]:
    """Turn the bare OSError with which the library reports a wrong length into ChecksumMismatch."""
    try:
        yield
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise
        found = partial.stat().st_size
        partial.unlink()
        detail = f"{found} bytes, expected {file.size}"
        raise errors.ChecksumMismatch(file=file.name, repo=repo, detail=detail) from error


def _check(repo: str, file: _Remote, partial: Path) -> None:
    with disk.reading(partial):
        found = _hash(partial, file)
    if found == file.hash:
        return
    partial.unlink()
    detail = f"hash {found[:12]}, expected {file.hash[:12]}"
    raise errors.ChecksumMismatch(file=file.name, repo=repo, detail=detail)


def _hash(path: Path, file: _Remote) -> str:
    large = len(file.hash) == _SHA256_HEX
    digest = hashlib.sha256() if large else hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _Sink:
    """The partial file, which reports the progress of each write."""

    def __init__(self, raw: BinaryIO, file: _Remote, progress: Progress | None) -> None:
        self._raw, self._file, self._progress = raw, file, progress
        self._raw.seek(0, os.SEEK_END)
        if self._raw.tell() > file.size:
            # Not a partial download of this file.
            self._raw.truncate(0)
            self._raw.seek(0)

    def write(self, data: bytes) -> int:
        with disk.writing(Path(self._raw.name)):
            count = self._raw.write(data)
        if self._progress is not None:
            self._progress(self._file.name, self._raw.tell(), self._file.size)
        return count

    def tell(self) -> int:
        return self._raw.tell()

    def seek(self, position: int) -> int:
        return self._raw.seek(position)

    def truncate(self) -> int:
        return self._raw.truncate()


def _endpoint() -> str | None:
    # Read at every call: the library itself reads it once, when it is imported.
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _locked(base: Path) -> Iterator[None]:
    from huggingface_hub.utils import WeakFileLock

    disk.make_folder(base)
    with WeakFileLock(base / ".lock"):
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the library's own progress bars and messages; `progress` replaces them."""
    from huggingface_hub.utils import disable_progress_bars, logging

    before = logging.get_verbosity()
    disable_progress_bars("huggingface_hub.http_get")
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


@contextmanager
def _reporting(name: str, repo: str) -> Iterator[None]:
    """Turn all errors of the hub into ModelMissing."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    try:
        yield
    except HfHubHTTPError as error:
        detail = f"the hub says: {_first_line(error)}"
        raise errors.ModelMissing(name=name, detail=detail, folder=_base(repo)) from error
    except (HTTPError, ConnectionError, json.JSONDecodeError) as error:
        detail = f"the hub cannot be reached ({_first_line(error)})"
        raise errors.ModelMissing(name=name, detail=detail, folder=_base(repo)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(". ")

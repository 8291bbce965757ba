"""
The model of a worker on a node: found there, or fetched once from the library's machine.

Owns where fetched models lie (CACHE/models/from-libraries/HASH/), the questions for their parts, and the comparison with the hash that the library knows.
Must not know what carries the messages, or what a model does.
"""

import contextlib
import hashlib
import queue
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pixfind import errors
from pixfind.models import cache, files, hub
from pixfind.storage import disk
from pixfind.worker import protocol
from pixfind.worker.protocol import FetchModel, ModelPart, WorkerConfig

_PART_BYTES = 4 * 2**20
_LIBRARY = "the library's machine"


def with_model(
    config: WorkerConfig, inbox: "queue.SimpleQueue[protocol.ToWorker]", send: Callable[[protocol.FromWorker], None]
) -> WorkerConfig:
    """
    Return the configuration with a model that this machine has, which is fetched where it has none or another one of that name.

    One worker of a node fetches it, and the others wait. Raises ChecksumMismatch, ModelFileMissing and DiskFull.
    """
    if config.reads_text or _is_here(config.model, config.model_hash):
        return config
    folder = cache.folder("models", "from-libraries", config.model_hash)
    with cache.locked(folder.parent):
        if not _is_here(str(folder), config.model_hash):
            _fetch(folder, inbox, send)
            if not _is_here(str(folder), config.model_hash):
                raise errors.ChecksumMismatch(file=config.model, repo=_LIBRARY, detail="it is not the library's model")
    return replace(config, model=str(folder))


def part_of(model: str, asked: FetchModel) -> ModelPart:
    """Return what a node asks of a model that the library's machine has; nobody gets another file than one of the image encoder."""
    found = hub.resolve(model, offline=True)
    names = _names(found)
    if not asked.file:
        listed = tuple((name, found.path(name).stat().st_size, _sha256(found.path(name))) for name in names)
        return ModelPart("", 0, b"", listed)
    if asked.file not in names:
        raise errors.ModelFileMissing(directory=found.directory, file=asked.file)
    with found.path(asked.file).open("rb") as file:
        file.seek(asked.offset)
        return ModelPart(asked.file, asked.offset, file.read(_PART_BYTES))


def _is_here(model: str, model_hash: str) -> bool:
    # A name that means nothing here is that of a folder on the library's machine.
    with contextlib.suppress(errors.OperationError):
        folder = hub.cached_folder(model)
        return folder is not None and files.inspect(folder, model).hash == model_hash
    return False


def _names(model: files.ModelFiles) -> list[str]:
    """Return the files of the image encoder, relative to the model's folder."""
    needed = files.needed(model.layout, text=False, image=True)
    external = [path.relative_to(model.directory).as_posix() for path in files.weights(model.vision)]
    return sorted({*needed, *external})


def _fetch(
    folder: Path,
    inbox: "queue.SimpleQueue[protocol.ToWorker]",
    send: Callable[[protocol.FromWorker], None],
) -> None:
    """Fetch all files of the model into `folder`, which appears once they are what the library's machine has."""
    others: list[protocol.ToWorker] = []

    def ask(file: str, offset: int) -> ModelPart:
        send(FetchModel(file, offset))
        while not isinstance(answer := inbox.get(), ModelPart):
            others.append(answer)
        return answer

    partial = folder.with_name(f".{folder.name}")
    with disk.writing(partial):
        shutil.rmtree(partial, ignore_errors=True)
        for name, size, sha256 in ask("", 0).files:
            path = partial / name
            disk.make_folder(path.parent)
            with path.open("wb") as file:
                while file.tell() < size:
                    file.write(ask(name, file.tell()).data)
                file.flush()
                disk.sync(file.fileno())
            if _sha256(path) != sha256:
                raise errors.ChecksumMismatch(file=name, repo=_LIBRARY, detail="other bytes have arrived")
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    for message in others:
        inbox.put(message)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

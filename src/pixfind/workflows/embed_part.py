"""
Embed a share of the pending images in this process: what a cluster's own scheduler starts N times.

Needs no lock: it reads the catalogue and writes one pair of worker files, which `merge` adopts.
"""

import dataclasses
import queue
import threading

from pixfind import errors
from pixfind.library.library import Library
from pixfind.storage import worker_files
from pixfind.worker import pipeline, process, protocol
from pixfind.workflows.choose_model import fetch_model, refuse_another
from pixfind.workflows.embed import worker_config
from pixfind.workflows.options import EmbedOptions, make_plan

_PART_CHUNK = 512


def embed_part(library: Library, worker_id: int, num_workers: int, options: EmbedOptions | None = None) -> int:
    """
    Embed the pending images with `id % num_workers == worker_id` in this process, without the coordinator; return how many.

    Reads the catalogue and writes only its own pair of worker files; `merge` adopts them. Two parts that hold the same picture
    both embed it; the second row is left out when they are adopted. Failures are told in the log and stay pending.
    Raises NotEmbedded before the model is known, and what ends a worker.
    """
    options = dataclasses.replace(options or EmbedOptions(), workers=1)
    model = library.model()
    if model is None:
        raise errors.NotEmbedded(path=library.path)
    if options.model is not None or options.precision != "auto":
        refuse_another(library, fetch_model(library, options), options)
    config = dataclasses.replace(worker_config(library, model, make_plan(options), options), worker=worker_id)
    process.start_log(config)
    feed = _PartFeed(library, worker_id, num_workers)
    code = pipeline.serve(config, feed.inbox, feed.on_message)
    if feed.fatal is not None:
        raise feed.fatal
    assert code == 0, f"the worker ended with {code}"
    return feed.saved


class _PartFeed:
    """Assigns the images of one part to one worker, in place of the coordinator."""

    def __init__(self, library: Library, part: int, parts: int) -> None:
        self.inbox: pipeline.Inbox = queue.SimpleQueue()
        self.saved = 0
        self.fatal: errors.OperationError | None = None
        self._library = library
        self._part, self._parts, self._after = part, parts, 0
        self._out = 0
        self._hashes: set[bytes] = set()
        self._guard = threading.Lock()
        """the worker reports what it has saved in another thread than the rest"""
        self._done = _own_rows(library, part)

    def on_message(self, message: protocol.FromWorker) -> None:
        """Take what the worker reports, and assign more images to it."""
        with self._guard:
            self._take(message)

    def _take(self, message: protocol.FromWorker) -> None:
        match message:
            case protocol.Fatal():
                self.fatal = message.rebuilt()
                return
            case protocol.Claim(contents):
                granted = tuple(image_id for image_id, content in contents if self._is_new(content))
                refused = tuple(image_id for image_id, _ in contents if image_id not in granted)
                self._out -= len(refused)
                self.inbox.put(protocol.ClaimsAnswered(granted, refused))
            case protocol.Embedded(image_ids):
                self._out -= len(image_ids)
            case protocol.Saved():
                self._out -= len(message.settled) + len(message.changed)
                self.saved += message.rows
        if self._out < _PART_CHUNK // 2:
            self._dispatch()

    def _dispatch(self) -> None:
        while images := self._library.catalogue.pending(
            part=self._part, parts=self._parts, after=self._after, limit=_PART_CHUNK
        ):
            self._after = images[-1].image_id
            # What this part has saved before waits for a merge, not for another embedding.
            left = [image for image in images if (image.image_id, image.size, image.mtime_ns) not in self._done]
            if left:
                self._out += len(left)
                self.inbox.put(protocol.Embed(tuple(left)))
                return
        if not self._out:
            self.inbox.put(protocol.Stop())

    def _is_new(self, content: bytes) -> bool:
        known = self._library.catalogue.contents.row(content) is not None
        known = known or content in self._hashes
        self._hashes.add(content)
        return not known


def _own_rows(library: Library, worker_id: int) -> set[tuple[int, int, int]]:
    """Return (image id, size, time) of the rows that a worker's files hold."""
    if not all(path.exists() for path in worker_files.paths(library.data, worker_id)):
        return set()
    with library.worker_pair(worker_id) as pair:
        table = pair.indices.read(0, pair.count)
    prints = table["fingerprint"]
    return set(zip(table["image_id"].tolist(), prints["size"].tolist(), prints["mtime_ns"].tolist(), strict=True))

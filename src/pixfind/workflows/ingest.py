"""
The verbs that fill a library: embed, merge and what belongs together in `index`.

Owns the order of the steps and the model's identity. The walk is in `scan`, one run's traffic in `coordinator`, the durable moves in
`library`. Nothing here prints: what is going on is told to a `Watch`, which `console` implements.
"""

import dataclasses
import queue
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors, machine
from pixfind.embedding import budget, coordinator, plan, progress
from pixfind.embedding.plan import Plan
from pixfind.embedding.runners import Runner
from pixfind.embedding.runners.local import Local
from pixfind.library.library import Adopted, Library, Merged, ModelIdentity
from pixfind.models import engines, hub, registry, tune
from pixfind.models.files import ModelFiles
from pixfind.storage import worker_files
from pixfind.types import Choice, Progress, no_progress
from pixfind.worker import pipeline, process, protocol
from pixfind.workflows.tune import sample

_PART_CHUNK = 512

#: Tuning takes about a minute with a real model: it pays where an hour of embedding becomes half an hour.
_TUNE_FROM = 5000


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may ask of an embed."""

    workers: int | None = None
    share: float = plan.SHARE
    """of the machine's processor time"""
    model: str | None = None
    """None: the library's own, else the default"""
    precision: str = "auto"
    device: str = "auto"
    nice: int = 5
    megapixels: float = 200.0
    seconds_per_image: float = 60.0
    memory: int | None = None
    """bytes that all workers together may take; None: 80 % of what is available"""
    hours: budget.Hours | None = None
    """local time to work in; None: any"""
    pause_when_busy: bool = False
    """rest while the owner's programs use the machine"""
    retry: bool = False
    """try again what failed or was skipped"""


def fetch_model(
    library: Library, options: Options, watch: Callable[[str, int, int], None] = lambda name, done, total: None
) -> ModelFiles:
    """
    Return the files of the model that a library has or will have, fetching those that are not here.

    Raises OtherModel when it was embedded with another, and the errors of `hub.resolve` when the model is not to be had.
    """
    known = library.model()
    files = hub.resolve(options.model or (known.name if known else registry.DEFAULT), progress=watch)
    if known is not None and library.has_embeddings():
        library.remember_model(_identity(files, known.precision))
    return files


def choose_model(
    library: Library,
    options: Options,
    files: ModelFiles | None = None,
    tuning: Callable[[str], None] = lambda precision: None,
) -> Choice[ModelIdentity]:
    """
    Return the model of a library and why in this precision; it is chosen and remembered until something is embedded with it.

    `auto` is measured on a sample of the pending images, where so many wait that it pays; `tuning` is told each precision that is tried.
    Raises what `fetch_model` raises, and OtherPrecision.
    """
    files = files or fetch_model(library, options)
    known = library.model()
    if known is not None and (library.has_embeddings() or _is_asked_for(known, files, options)):
        refuse_another(library, files, options)
        return Choice(known, "remembered from the first run")
    precision = engines.image_precision(files, options.precision, options.device)
    if files.name == registry.STARTER and options.precision == "auto":
        precision = Choice("fp32", "small enough as it is")
    pending = library.catalogue.count_pending()
    if options.precision == "auto" and files.name != registry.STARTER and pending >= _TUNE_FROM:
        precision = tune_model(library, files, options, tuning).choice
    model = _identity(files, precision.value)
    (library.remember_model if known is None else library.exchange_model)(model)
    return Choice(model, precision.reason)


def refuse_another(library: Library, files: ModelFiles, options: Options) -> None:
    """Raise OtherModel or OtherPrecision when a library has a model, and it is not the one that is asked for."""
    known = library.model()
    if known is None or _is_asked_for(known, files, options):
        return
    library.remember_model(_identity(files, known.precision))
    raise errors.OtherPrecision(model=known.name, precision=known.precision, asked=options.precision)


def _is_asked_for(known: ModelIdentity, files: ModelFiles, options: Options) -> bool:
    same = (known.hash, known.dimension) == (files.hash, files.dimension)
    if not same or options.precision == "auto":
        return same
    return known.precision == engines.image_precision(files, options.precision, options.device).value


def tune_model(
    library: Library, files: ModelFiles, options: Options, tuning: Callable[[str], None], count: int = tune.SAMPLE
) -> tune.TuneReport:
    """Compare the precisions of a model on `count` images of the library."""
    paths = [Path(path) for (path,) in library.catalogue.rows("sample", limit=count)]
    pictures = sample(paths, count)
    if not pictures:
        raise errors.NotEmbedded(path=library.path)
    return tune.tune(files, pictures, threads=make_plan(options).threads.value, device=options.device, progress=tuning)


def _identity(files: ModelFiles, precision: str) -> ModelIdentity:
    return ModelIdentity(files.name, files.hash, files.dimension, precision)


def make_plan(options: Options) -> Plan:
    """Decide how to embed on this machine."""
    return plan.make(
        cores=machine.cores(),
        memory=machine.memory(),
        memory_asked=options.memory,
        share=options.share,
        workers=options.workers,
        megapixels=options.megapixels,
        seconds_per_image=options.seconds_per_image,
    )


def embed(
    library: Library,
    options: Options | None = None,
    *,
    runner: Runner | None = None,
    watch: Callable[[progress.Snapshot], None] = lambda snapshot: None,
) -> progress.RunReport:
    """
    Embed all that is pending; call it inside `library.lock("embed")`.

    First adopts what earlier workers left behind. Raises LibraryError; whatever was saved until then is kept.
    """
    options = options or Options()
    model = choose_model(library, options).value
    repair_worker_files(library)
    made = make_plan(options)
    library.catalogue.run("retry_failed" if options.retry else "retry_transient")
    library.catalogue.run("retry_too_large", megapixels=made.limits.value.max_pixels / 1e6)
    config = _config(library, model, made, options)
    # Nothing is held open here: a crash at any line below leaves only what the next start adopts.
    rest = budget.Rest(hours=options.hours, when_busy=options.pause_when_busy)
    with coordinator.logging_to(library.logs / "embed.log"):
        return coordinator.Coordinator(library, runner or Local(), made, config, watch, rest).run()


def merge(library: Library, watch: Progress = no_progress) -> Merged:
    """Adopt what workers left behind and move all adopted rows into embeddings.npy."""
    if library.model() is None:
        raise errors.NotEmbedded(path=library.path)
    adopted = library.adopt_left_behind()
    if adopted.damaged is not None:
        path, row = adopted.damaged
        raise errors.MergeRefused(path=path, row=row, detail="its checksum does not hold")
    return library.merge(watch)


def repair_worker_files(library: Library) -> Adopted:
    """Adopt what earlier workers left behind, and cut off rows whose bytes never reached the disk whole."""
    if library.model() is None:
        return Adopted()
    adopted = library.adopt_left_behind()
    while adopted.damaged is not None:
        library.cut_worker_file(*adopted.damaged)
        adopted.damaged = None
        adopted += library.adopt_left_behind()
    return adopted


def embed_part(library: Library, worker_id: int, num_workers: int, options: Options | None = None) -> int:
    """
    Embed the pending images with `id % num_workers == worker_id` in this process, without the coordinator; return how many.

    Reads the catalogue and writes only its own pair of worker files; `merge` adopts them. Two parts that hold the same picture
    both embed it; the second row is left out when they are adopted. Failures are told in the log and stay pending.
    """
    options = dataclasses.replace(options or Options(), workers=1)
    model = library.model()
    if model is None:
        raise errors.NotEmbedded(path=library.path)
    if options.model is not None or options.precision != "auto":
        refuse_another(library, fetch_model(library, options), options)
    made = make_plan(options)
    config = dataclasses.replace(_config(library, model, made, options), worker=worker_id)
    process.start_log(config)
    feed = _PartFeed(library, worker_id, num_workers)
    code = pipeline.serve(config, feed.inbox, feed.on_message)
    if feed.fatal is not None:
        raise feed.fatal
    assert code == 0, f"the worker ended with {code}"
    return feed.saved


class _PartFeed:
    """Deals one part to one worker, in place of the coordinator."""

    def __init__(self, library: Library, part: int, parts: int) -> None:
        self.inbox: pipeline.Inbox = queue.SimpleQueue()
        self.saved = 0
        self.fatal: errors.LibraryError | None = None
        self._library = library
        self._part, self._parts, self._after = part, parts, 0
        self._out = 0
        self._hashes: set[bytes] = set()
        self._done = _own_rows(library, part)

    def on_message(self, message: protocol.FromWorker) -> None:
        """Take what the worker reports, and assign more images to it."""
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
        known = self._library.catalogue.value("embedding_of_hash", hash=content) is not None
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


def _config(library: Library, model: ModelIdentity, made: Plan, options: Options) -> protocol.WorkerConfig:
    return protocol.WorkerConfig(
        worker=0,
        data=str(library.data),
        logs=str(library.logs),
        model=model.name,
        dimension=model.dimension,
        precision=model.precision,
        device=options.device,
        threads=made.threads.value,
        decoders=made.decoders.value,
        read_ahead=made.read_ahead.value,
        batches=made.batches.value,
        gpu_batches=made.gpu_batches.value,
        max_pixels=made.limits.value.max_pixels,
        max_scaled_pixels=made.limits.value.max_scaled_pixels,
        seconds_per_image=made.seconds_per_image.value,
        memory=made.memory.value,
        cpu_quota=made.budget.value / made.workers.value,
        nice=options.nice,
        plan=tuple(f"{name} = {value}: {reason}" for name, value, reason in made.lines()),
    )

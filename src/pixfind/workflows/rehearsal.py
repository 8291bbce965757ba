"""
What a command would do, found out without changing the library: `--dry-run`.

Owns the rehearsal: the steps themselves run on a copy of the catalogue that is discarded, so that what it says is what would happen, by no
second set of rules. The library's embeddings are only read. Needs as much room in the temporary folder as metadata.db takes.
"""

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pixfind import errors
from pixfind.embedding.interrupts import calling_on_signals
from pixfind.embedding.plan import Plan
from pixfind.library import commit, generations, scan, texts
from pixfind.library.catalogue import Catalogue
from pixfind.library.library import Library, ModelIdentity
from pixfind.library.merge import Merged
from pixfind.library.scan_report import ScanReport
from pixfind.models import engines, hub, readers, registry
from pixfind.workflows import switch_model
from pixfind.workflows.add import add
from pixfind.workflows.embed import requeue
from pixfind.workflows.events import Observer, ignore
from pixfind.workflows.options import EmbedOptions, make_plan

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""signals; Windows has the first alone"""


@dataclass(frozen=True, slots=True)
class EmbedPreview:
    """What an `index` or an `embed` would do."""

    model: str
    """that would embed"""
    precision: str
    """as it was asked for, or as the library has it"""
    switches_from: str | None
    """the model that answers until all is embedded with `model`; None where no model is switched"""
    pending: int
    """images that would be embedded"""
    download_bytes: int
    """that are missing of the model's image encoder"""
    plan: Plan | None
    """None for a cluster, whose size is known when it is asked"""
    read: int = 0
    """pictures whose text would be read afterwards, of those that are embedded now"""


def _end(number: int) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def rehearsing(path: Path, generation: str | None = None) -> Iterator[Library]:
    """
    Yield a library that knows what the one at `path` knows (nothing, where there is none), and forgets what is done to its catalogue.

    `generation`: None for the active one. Raises what opening the library raises, and DiskFull where the temporary folder is too small.
    """
    with (
        # They would end the process without the end of the block, and leave the copy of the catalogue behind.
        calling_on_signals(_ENDING, _end),
        tempfile.TemporaryDirectory(prefix="pixfind-dry-run-") as folder,
    ):
        copy = Path(folder, "metadata.db")
        chosen = generation or generations.FIRST
        if generations.is_library(path):
            with Library.open(path, generation=generation) as library:
                chosen = library.generation
                library.catalogue.copy_to(copy)
        with Library(path, Catalogue(copy, write=True), chosen) as rehearsed:
            yield rehearsed


def preview_add(
    path: Path, folders: Sequence[str | os.PathLike[str]], observer: Observer = ignore, **how: Any
) -> tuple[ScanReport, ...]:
    """Return what `add` would find; `how` are its further arguments. Raises as it does."""
    with rehearsing(path) as library:
        scan.check_folders(folders, library, how.get("settings"))
        return add(library, folders, observer=observer, **how)


def preview_index(
    path: Path,
    folders: Sequence[str | os.PathLike[str]] = (),
    options: EmbedOptions | None = None,
    *,
    observer: Observer = ignore,
    **how: Any,
) -> EmbedPreview:
    """
    Return what `index` would do; `how` are further arguments of `add`, and `observer` hears what the scan finds.

    Raises what `index` raises before it begins to embed.
    """
    options = _as_remembered(options or EmbedOptions())
    with rehearsing(path) as library:
        scan.check_folders(folders, library, how.get("settings"))
        if texts.wanted(library.catalogue):
            readers.name()
        add(library, folders, observer=observer, **how)
        read = texts.count_pending(library.catalogue) if texts.wanted(library.catalogue) else 0
        return _preview(library, options, read, may_switch=True)


def preview_embed(path: Path, options: EmbedOptions | None = None) -> EmbedPreview:
    """Return what `embed` would do; raises LibraryNotFound, and OtherModel or OtherPrecision where the library has another."""
    with Library.open(path), rehearsing(path) as library:
        return _preview(library, _as_remembered(options or EmbedOptions()), 0, may_switch=False)


def preview_merge(path: Path) -> Merged:
    """Return how many rows `merge` would move, and how many there would be; raises LibraryNotFound, NotEmbedded and MergeRefused."""
    with Library.open(path), rehearsing(path, generations.read(path).staged) as library:
        if library.model() is None:
            raise errors.NotEmbedded(path=path)
        adopted = commit.adopt_left_behind(library)
        if adopted.damaged is not None:
            damaged, row = adopted.damaged
            raise errors.MergeRefused(path=damaged, row=row, detail="its checksum does not match")
        return Merged(library.promised_rows - library.merged_rows, library.promised_rows)


def preview_read_text(path: Path, *, retry: bool) -> int:
    """Return how many pictures `read-text` would read; raises LibraryNotFound, NotEmbedded, ExtraNotInstalled and ReaderUnusable."""
    readers.name()
    with Library.open(path), rehearsing(path) as library:
        if library.model() is None:
            raise errors.NotEmbedded(path=path)
        texts.retry(library.catalogue, all_failed=retry)
        return texts.count_pending(library.catalogue)


def preview_rollback(path: Path) -> switch_model.RollbackReport:
    """Return what `model rollback` would do; raises LibraryNotFound and NothingToRollBack."""
    with Library.open(path) as library:
        before = generations.read(path)
        after = switch_model.after_rollback(library, before)
        if after.active == library.generation:
            return switch_model.rollback_report(library, library, after)
        with rehearsing(path, after.active) as previous:
            previous.catalogue.sync_from(library.catalogue)
            return switch_model.rollback_report(library, previous, after)


def model_of(known: ModelIdentity | None, options: EmbedOptions) -> tuple[str, int]:
    """Return the model that these options choose beside the `known` one, and how many bytes of its image encoder are missing; raises what `hub.missing` raises."""
    name = options.model or (known.name if known else registry.DEFAULT)
    return name, sum(one.size - one.here for one in hub.missing(name))


# --- what would be embedded -------------------------------------------------------------------------


def _as_remembered(options: EmbedOptions) -> EmbedOptions:
    """Return the options with the name of a model in a folder as a library remembers it."""
    if options.model is None or registry.find(options.model) is not None or not Path(options.model).is_dir():
        return options
    return replace(options, model=str(Path(options.model).resolve()))


def _preview(library: Library, options: EmbedOptions, read: int, *, may_switch: bool) -> EmbedPreview:
    active = library.model()
    name, missing = model_of(_model(library.path, generations.read(library.path).staged) or active, options)
    if not missing and options.precision != "auto":
        # Refused here as there; without the files nobody knows which precisions a model has.
        engines.image_precision(hub.resolve(name, offline=True), options.precision, options.device)
    with _filled(library, options, may_switch=may_switch) as filled:
        known = filled.model()
        commit.adopt_left_behind(filled)
        plan = make_plan(options)
        return EmbedPreview(
            model=name,
            precision=known.precision if known and _fits(known, options) else options.precision,
            switches_from=active.name if active and filled is not library else None,
            pending=requeue(filled, options, plan),
            download_bytes=missing,
            plan=None if options.on else plan,
            read=read,
        )


@contextlib.contextmanager
def _filled(library: Library, options: EmbedOptions, *, may_switch: bool) -> Iterator[Library]:
    """Yield the rehearsed library whose pending images would be embedded: `library`, or one of another model, synced from it."""
    roles = generations.read(library.path)
    active = library.model()
    staged = _model(library.path, roles.staged)
    if active is None or (staged is None and (not library.has_embeddings() or _fits(active, options))):
        yield library
        return
    candidates = (roles.staged,) if staged else (roles.previous, roles.retired) if may_switch else ()
    name = next((name for name in candidates if _fits(_model(library.path, name), options)), None)
    if name is None and staged is not None:
        asked = " ".join(filter(None, (options.model, options.precision.removeprefix("auto"))))
        current, coming = (f"{model.name} {model.precision}" for model in (active, staged))
        raise errors.ModelSwitchInProgress(current=current, coming=coming, asked=asked)
    if name is None and not may_switch:
        _refuse_other(active, options)
    with rehearsing(library.path, name) if name else _empty() as other:
        other.catalogue.sync_from(library.catalogue)
        yield other


@contextlib.contextmanager
def _empty() -> Iterator[Library]:
    """Yield a library in a temporary folder that knows nothing, as a new generation would."""
    with tempfile.TemporaryDirectory(prefix="pixfind-dry-run-") as folder, Library.create(Path(folder)) as library:
        yield library


def _refuse_other(active: ModelIdentity, options: EmbedOptions) -> None:
    if options.model not in (None, active.name):
        raise errors.OtherModel(library_model=active.name, asked_model=options.model, asked_name=options.model)
    raise errors.OtherPrecision(model=active.name, precision=active.precision, asked=options.precision)


def _model(path: Path, generation: str | None) -> ModelIdentity | None:
    if generation is None:
        return None
    with Library.open(path, generation=generation) as library:
        return library.model()


def _fits(model: ModelIdentity | None, options: EmbedOptions) -> bool:
    return (
        model is not None
        and options.model in {None, model.name}
        and (options.precision == model.precision or engines.is_named_by(model.precision, options.precision))
    )

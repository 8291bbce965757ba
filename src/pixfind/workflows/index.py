"""
`pixfind index`: from folders with images to a library that answers.

Owns the order of the steps. Every caller runs this function: the command line, Python users, the tests that kill it at every step.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixfind import errors
from pixfind.embedding.progress import RunReport
from pixfind.embedding.runners import Runner
from pixfind.library import scan, texts, thumbnail_progress
from pixfind.library.library import Library, ModelIdentity, Run
from pixfind.library.merge import Merged
from pixfind.library.roots import Configured
from pixfind.library.scan_report import ScanReport
from pixfind.library.thumbnail_progress import ThumbnailReport
from pixfind.models import readers
from pixfind.search.build import BuildReport
from pixfind.workflows import inactive_models, label, switch_model
from pixfind.workflows.add import add
from pixfind.workflows.build_index import build_index
from pixfind.workflows.carry_over import carry_over
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.embed import embed
from pixfind.workflows.events import (
    CarriedOver,
    Observer,
    Step,
    SwitchBegun,
    ThumbnailsMade,
    ThumbnailsRefused,
    ignore,
    start,
)
from pixfind.workflows.merge import merge
from pixfind.workflows.options import EmbedOptions
from pixfind.workflows.read_text import read_text


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What `index` or `embed_and_merge` did, step by step."""

    model: ModelIdentity
    """that embedded"""
    embedded: RunReport
    merged: Merged
    built: BuildReport | None = None
    """None: stopped before it, or not asked for"""
    scanned: tuple[ScanReport, ...] = ()
    """one for each folder"""
    previous: ModelIdentity | None = None
    """the model that answered until this run switched to `model`; None: it did not switch"""
    read: RunReport | None = None
    """what reading the text in pictures did; None where it is not wanted or nothing was left to read"""

    thumbnails: ThumbnailReport | None = None
    """what making thumbnails ahead did; None where they are not wanted or nothing was new"""

    thumbnails_refused: errors.ThumbnailsTooLarge | None = None
    """the disk has no room for those that are wanted, and all else was done"""

    carried: int = 0
    """images that took the embedding of another library, which had them before they were moved"""

    @property
    def stopped(self) -> bool:
        """Whether the embed was stopped: the same call continues from there."""
        return any(each is not None and each.stopped for each in (self.embedded, self.read, self.thumbnails))


def index(
    library: Library,
    folders: Sequence[str | os.PathLike[str]] = (),
    options: EmbedOptions | None = None,
    *,
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
    configured: Configured | None = None,
    in_archives: bool = False,
    settings: Mapping[str, Any] | None = None,
    switch_anyway: bool = False,
    thumbnails: bool = False,
    runner: Runner | None = None,
    observer: Observer = ignore,
) -> IndexSummary:
    """
    Register, embed, merge, build the index, and switch the model where `options` name another one.

    `folders`: none for all that the library knows. `exclude`: globs of names or paths below them, `include` takes some back; these and `configured` are what `add` takes. `in_archives` also registers what is
    in the archives below them; `settings` are what `add` takes. With another model the active one answers until the new one is complete; `switch_anyway` switches although
    images that can be found now would no longer be found. `thumbnails` are made ahead at the end, from now on by each call; not where the disk has no room for them.
    Whatever ends this call, the same call continues where it ended. Raises LibraryLocked, and what the steps raise.
    """
    with library.lock("index") as run:
        scan.check_folders(folders, library, settings)
        newly_wanted = thumbnails and thumbnail_progress.wanted(library.catalogue) is None
        if newly_wanted:
            thumbnail_progress.want(library.catalogue, thumbnail_progress.DEFAULT_SIDE)
        done = index_changes(
            library,
            run,
            lambda: add(
                library,
                folders,
                exclude,
                observer,
                include=include,
                configured=configured,
                in_archives=in_archives,
                settings=settings,
            ),
            options or EmbedOptions(),
            switch_anyway=switch_anyway,
            runner=runner,
            observer=observer,
        )
        if newly_wanted and done.thumbnails_refused is not None:
            # What was refused is not asked for again by each call from now on.
            thumbnail_progress.want(library.catalogue, None)
        return done


def index_changes(
    library: Library,
    run: Run,
    register: Callable[[], tuple[ScanReport, ...]],
    options: EmbedOptions,
    *,
    switch_anyway: bool = False,
    runner: Runner | None = None,
    observer: Observer = ignore,
) -> IndexSummary:
    """Do what `index` does in the lock of the caller; `register` finds out what has changed. Raises as `index` does."""
    switch_model.finish_interrupted(library)
    if texts.wanted(library.catalogue):
        readers.name()  # What is wanted and cannot be done is refused before any work.
    # The model's files come first: a model that is not available is reported before any work.
    plan = switch_model.plan_switch(library, options, observer)
    if switch_anyway and plan.generation == library.generation:
        raise errors.NoModelSwitch(path=library.path)
    scanned = register()
    filled, chosen = switch_model.prepare_switch(library, options, plan, observer)
    try:
        switching = filled is not library
        if switching and (active := library.model()) is not None:
            observer(SwitchBegun(active))
        done = _embed_merge_build(filled, options, chosen.value, run, runner, observer)
        if switching and not done.stopped:
            previous = switch_model.switch(library, filled, anyway=switch_anyway, observer=observer)
            done = dataclasses.replace(done, previous=previous)
        # Last: searches answer by then, and reading takes as long as many embeddings.
        if not done.stopped and thumbnail_progress.count_pending(filled.catalogue, filled.merged_rows):
            done = _make_thumbnails(done, filled, options, observer)
        if not done.stopped and texts.wanted(filled.catalogue) and texts.count_pending(filled.catalogue):
            done = dataclasses.replace(done, read=read_text(filled, options, runner=runner, observer=observer))
    finally:
        if filled is not library:
            filled.close()
    return dataclasses.replace(done, scanned=scanned)


def embed_and_merge(
    library: Library,
    options: EmbedOptions | None = None,
    *,
    then_index: bool = False,
    runner: Runner | None = None,
    observer: Observer = ignore,
) -> IndexSummary:
    """
    Embed what is pending and merge it, and build the index if asked: `index` without a look at the folders or a switch of the model.

    While the model is being switched it is the new one that embeds; `index` ends the switch. Raises as `index` does.
    """
    options = options or EmbedOptions()
    with library.lock("embed") as run, inactive_models.open_staged(library) as filled:
        model = choose_model(filled, options, observer=observer).value
        return _embed_merge_build(filled, options, model, run, runner, observer, build=then_index)


def _embed_merge_build(
    filled: Library,
    options: EmbedOptions,
    model: ModelIdentity,
    run: Run,
    runner: Runner | None,
    observer: Observer,
    *,
    build: bool = True,
) -> IndexSummary:
    if carried := carry_over(filled, model):
        observer(CarriedOver(carried))
    embedded = embed(filled, options, model=model, runner=runner, observer=observer)
    run.report.update(dataclasses.asdict(embedded))
    merged = merge(filled, observer)
    built = build_index(filled, observer) if build and not embedded.stopped else None
    if built is not None:
        label.update(filled, observer)
    return IndexSummary(model, embedded, merged, built, carried=carried)


def _make_thumbnails(done: IndexSummary, filled: Library, options: EmbedOptions, observer: Observer) -> IndexSummary:
    # With Pillow and the processes that decode: most runs of `index` do without them.
    from pixfind.workflows import make_thumbnails

    try:
        report = make_thumbnails.make_thumbnails(filled, options, progress=start(Step.THUMBNAILS, observer))
    except errors.ThumbnailsTooLarge as error:
        # They can be made at any time: no reason to leave a picture unread, or to end a watch.
        observer(ThumbnailsRefused(error))
        return dataclasses.replace(done, thumbnails_refused=error)
    observer(ThumbnailsMade(report))
    return dataclasses.replace(done, thumbnails=report)

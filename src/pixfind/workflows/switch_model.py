"""
Switching the model of a library without losing search.

Owns the order of the steps: a new generation is staged beside the active one, filled by the same functions, verified, and then made active in
one step (`generations.publish`). Before that step nothing of the old model is touched, after it nothing is lost: whatever is killed when,
the same command continues. Called inside `library.lock`. What only looks is in `inactive_models`.

The active catalogue is the one that knows the files: folders are scanned for it alone, and the others sync from it.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pixfind import errors
from pixfind.index import header
from pixfind.library import generations, verify
from pixfind.library.generations import Generations
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import engines, registry
from pixfind.models.files import ModelFiles
from pixfind.search import encoders
from pixfind.types import Choice, numbered
from pixfind.workflows import fetch, label
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.events import ModelSwitched, Observer, Step, ignore, start
from pixfind.workflows.options import EmbedOptions

_ACTIVE_SINCE = "answers_since"
"""setting of a catalogue: seconds since 1970 at which its generation was last made active"""


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """Which model an `index` is to end with, and where its embeddings go."""

    files: ModelFiles
    generation: str | None
    """None: one that is still to be made"""


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """What a rollback did."""

    model: ModelIdentity
    """active now"""
    retired: ModelIdentity | None
    """was being switched to, or active until now; its embeddings are kept"""
    pending: int
    """images that came while another model was active: `pixfind index` embeds them"""


# --- before the embed -----------------------------------------------------------------------------


def plan_switch(library: Library, options: EmbedOptions, observer: Observer = ignore) -> SwitchPlan:
    """
    Return which model an index with these options ends with, fetching its files when they are not here. Changes nothing.

    Raises ModelSwitchInProgress for a third model, OtherModel when the files of the library's own model are others than they were, and the
    errors of `hub.resolve`.
    """
    roles = generations.read(library.path)
    active, staged = library.model(), _model_of(library.path, roles.staged)
    own = staged or active
    files = fetch.fetch_images(options.model or (own.name if own else registry.DEFAULT), observer)
    if own is None or (staged is None and not library.has_embeddings()):
        # Another model costs nothing: there is nothing that could be found meanwhile.
        return SwitchPlan(files, library.generation)
    if options.model is None and (own.hash, own.dimension) != (files.hash, files.dimension):
        raise errors.OtherModel(
            library_model=f"{own.name} (files {own.hash[:12]})",
            asked_model=f"{files.name} (files {files.hash[:12]})",
            asked_name=files.name,
        )
    candidates = [roles.staged] if staged else [roles.active, roles.previous, roles.retired]
    for name in candidates:
        model = _model_of(library.path, name)
        if model is None or (model.hash, model.dimension) != (files.hash, files.dimension):
            continue
        if engines.is_what_is_asked_for(model.precision, files, options.precision, options.device):
            return SwitchPlan(files, name)
    if staged is not None:
        asked = f"{files.name} {options.precision.removeprefix('auto')}".strip()
        raise errors.ModelSwitchInProgress(current=_describe(active), coming=_describe(staged), asked=asked)
    return SwitchPlan(files, None)


def prepare_switch(
    library: Library, options: EmbedOptions, plan: SwitchPlan, observer: Observer = ignore
) -> tuple[Library, Choice[ModelIdentity]]:
    """
    Return the library to fill, and its model: `library` itself, or the staged generation of another model, synced from it.

    The caller closes what is not `library`. A switch is begun by the last line that writes: killed before it, the next call begins again.
    """
    if plan.generation == library.generation:
        return library, choose_model(library, options, plan.files, observer)
    roles = generations.read(library.path)
    if plan.generation is None:
        name, roles = generations.reserve(library.path, roles)
        staged = Library.create(library.path, generation=name)
    else:
        name = plan.generation
        staged = Library.open(library.path, write=True, generation=name)
    try:
        staged.catalogue.sync_from(library.catalogue)
        chosen = choose_model(staged, replace(options, model=plan.files.name), plan.files, observer)
        if roles.staged != name:
            generations.publish(library.path, replace(roles.without(name), staged=name))
    except BaseException:
        staged.close()
        raise
    return staged, chosen


# --- the steps that decide ------------------------------------------------------------------------


def switch(library: Library, staged: Library, *, anyway: bool = False, observer: Observer = ignore) -> ModelIdentity:
    """
    Make the staged model active, once it is complete and intact. Return the model before it, which is kept for a rollback.

    Raises ModelSwitchIncomplete unless every image that is found now will be found (`anyway`: all the same), ModelSwitchRefused when `verify`
    finds anything, and what loading its text tower raises. Then nothing is changed.
    """
    before, after = library.model(), staged.model()
    assert before is not None, "a library without a model takes the new one as its own"
    assert after is not None, "prepare_switch has chosen it"
    lost = staged.catalogue.lost(library.catalogue)
    if lost and not anyway:
        raise errors.ModelSwitchIncomplete(
            count=numbered(sum(lost.values()), "searchable image"),
            why=", ".join(f"{count:,} {reason}" for reason, count in lost.items()),
            coming=_describe(after),
            current=_describe(before),
        )
    _refuse([*_findings(staged, observer), *_index_gaps(staged)], staged, before)
    roles = generations.read(library.path)
    # Shown by `status` from the moment on at which this generation is active.
    run = staged.catalogue.start_run("index", socket.gethostname())
    staged.catalogue.set_setting(_ACTIVE_SINCE, str(time.time()))
    generations.publish(
        library.path, Generations(staged.generation, previous=library.generation, last_number=roles.last_number)
    )
    generations.delete_unused(library.path)
    staged.catalogue.end_run(run, None)
    observer(ModelSwitched(after, before))
    return before


def rollback(library: Library, observer: Observer = ignore) -> RollbackReport:
    """
    Cancel a switch in progress; without one, make the previous model active again. Call `finish_interrupted` once that is reported.

    A second call in a row, as after a kill, changes nothing where there is nothing further to go back to.
    Raises NothingToRollBack, and what `switch` raises about the previous model.
    """
    roles = generations.read(library.path)
    after = after_rollback(library, roles)
    if after.active == library.generation:
        if after != roles:
            generations.publish(library.path, after)
        return rollback_report(library, library, after)
    with Library.open(library.path, write=True, generation=after.active) as previous:
        previous.catalogue.sync_from(library.catalogue)
        _refuse(_findings(previous, observer), previous, library.model())
        # Labels may have been written since; what cannot be marked now is left to the next index.
        label.update(previous, observer)
        run = previous.catalogue.start_run("rollback", socket.gethostname())
        previous.catalogue.set_setting(_ACTIVE_SINCE, str(time.time()))
        generations.publish(library.path, after)
        previous.catalogue.end_run(run, None)
        return rollback_report(library, previous, after)


def after_rollback(library: Library, roles: Generations) -> Generations:
    """Return the roles after a rollback: those of before where it has taken its one step already. Changes nothing; raises NothingToRollBack."""
    if roles.unfinished_rollback or (roles.staged is None and roles.previous is None and roles.retired is not None):
        # Its process was perhaps killed before it could report.
        return roles
    if roles.staged is not None:
        return replace(roles, staged=None, retired=roles.staged, unfinished_rollback=True)
    if roles.previous is None:
        raise errors.NothingToRollBack(path=library.path, model=_describe(library.model()))
    return replace(roles, active=roles.previous, previous=None, retired=library.generation, unfinished_rollback=True)


def finish_interrupted(library: Library) -> None:
    """End what an earlier command left behind: a rollback that was killed after its step, generations without a role."""
    roles = generations.read(library.path)
    if roles.unfinished_rollback:
        generations.publish(library.path, replace(roles, unfinished_rollback=False))
    generations.delete_unused(library.path)


def kept(library: Library) -> list[str]:
    """Return the names of the models that `prune` deletes: the previous and the retired one."""
    roles = generations.read(library.path)
    return [_describe(_model_of(library.path, name)) for name in (roles.previous, roles.retired) if name is not None]


def prune(library: Library) -> list[str]:
    """Delete the embeddings of the previous and the retired model; return their names. A rollback is not possible afterwards."""
    roles, deleted = generations.read(library.path), kept(library)
    generations.publish(library.path, replace(roles, previous=None, retired=None))
    generations.delete_unused(library.path)
    return deleted


def restore_if_needed(path: Path) -> str | None:
    """
    Write a lost models.json again, from what the generations say of themselves; return the model that is active then.

    Returns None when there was nothing to restore. A switch in progress is retired: `index --model` takes it up.
    """
    with contextlib.suppress(errors.LibraryDamaged):
        generations.read(path)
        return None
    since = {name: _active_since(path, name) for name in generations.existing(path)}
    were_active = sorted((name for name, when in since.items() if when is not None), key=lambda name: since[name] or 0)
    if not were_active:
        raise errors.LibraryNotFound(path=path)
    never = [name for name in since if name not in were_active]
    roles = Generations(
        active=were_active[-1],
        previous=were_active[-2] if len(were_active) > 1 else None,
        retired=never[-1] if never else None,
        last_number=generations.highest_number(path),
    )
    generations.publish(path, roles)
    return _describe(_model_of(path, roles.active))


def _active_since(path: Path, generation: str) -> float | None:
    with Library.open(path, generation=generation) as library:
        when = library.catalogue.setting(_ACTIVE_SINCE)
    # The first generation was active from the beginning.
    return float(when) if when else (0.0 if generation == generations.FIRST else None)


# --- what decides -----------------------------------------------------------------------------------


def _findings(staged: Library, observer: Observer) -> list[verify.Finding]:
    """Return what keeps a generation from becoming active; raises what loading its text tower raises."""
    progress = start(Step.VERIFY, observer)
    encoders.Encoders(staged).text()
    return verify.verify(staged, progress)


def _index_gaps(staged: Library) -> Iterator[verify.Finding]:
    """Yield a finding unless the index needs no build: the new model answers as fast as the old one did."""
    facts, problem = header.read_header(staged.index_path)
    if staged.merged_rows and (facts is None or not facts.suffices(staged.merged_rows)):
        what = problem or f"it covers {facts.rows if facts else 0} of {numbered(staged.merged_rows, 'row')}"
        yield verify.Finding("index", str(staged.index_path), what, "`pixfind index` builds it")


def _refuse(findings: list[verify.Finding], staged: Library, active: ModelIdentity | None) -> None:
    for found in findings:
        raise errors.ModelSwitchRefused(
            model=_describe(staged.model()), current=_describe(active), where=found.where, what=found.what
        )


def rollback_report(library: Library, now: Library, roles: Generations) -> RollbackReport:
    """Return what a rollback came to, after which `now` is active and the generations have these roles; raises NotEmbedded."""
    model = now.model()
    if model is None:
        raise errors.NotEmbedded(path=library.path)
    return RollbackReport(model, _model_of(library.path, roles.retired), now.catalogue.count_pending())


def _model_of(path: Path, generation: str | None) -> ModelIdentity | None:
    if generation is None:
        return None
    with Library.open(path, generation=generation) as other:
        return other.model()


def _describe(model: ModelIdentity | None) -> str:
    return f"{model.name} {model.precision}" if model else "no model"

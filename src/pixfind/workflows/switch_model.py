"""
Changing the model of a library without losing search.

Owns the order of the steps: a new home is made beside the one that answers, filled by the same verbs, verified, and then given the part
of the one that answers, in one step (`generations.publish`). Before that step nothing of the old model is touched, after it nothing is lost:
whatever is killed when, the same command goes on. Called inside `library.lock`, but for `standing`.

The catalogue that answers is the one that knows the files: folders are looked through for it alone, and the others follow it.
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
from pixfind.library.generations import Homes
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import engines, registry
from pixfind.models.files import ModelFiles
from pixfind.search import encoders
from pixfind.types import Choice
from pixfind.workflows.choose_model import choose_model, fetch_named
from pixfind.workflows.events import ModelSwitched, Observer, Step, ignore, start
from pixfind.workflows.options import EmbedOptions

_ANSWERS_SINCE = "answers_since"
"""setting of a catalogue: seconds since 1970 at which its home was last given the part of the one that answers"""


@dataclass(frozen=True, slots=True)
class Goal:
    """Which model an `index` is to end with, and where its embeddings go."""

    files: ModelFiles
    home: str | None
    """None: one that is still to be made"""


@dataclass(frozen=True, slots=True)
class Standing:
    """One home beside the one that answers."""

    part: str
    """next, previous or aside"""
    model: str
    precision: str
    images: dict[str, int]
    """its ledger"""
    merged_rows: int
    index_rows: int


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a rollback did."""

    model: ModelIdentity
    """answers now"""
    aside: ModelIdentity | None
    """was abandoned, or answered until now; its embeddings are kept"""
    pending: int
    """images that came while another model answered: `pixfind index` embeds them"""


# --- where a run goes -----------------------------------------------------------------------------


def goal(library: Library, options: EmbedOptions, observer: Observer = ignore) -> Goal:
    """
    Return which model an index with these options ends with, fetching its files when they are not here. Changes nothing.

    Raises ChangeUnderWay for a third model, OtherModel when the files of the library's own model are others than they were, and the errors
    of `hub.resolve`.
    """
    parts = generations.read(library.path)
    known, coming = library.model(), _model_in(library.path, parts.next)
    own = coming or known
    files = fetch_named(options.model or (own.name if own else registry.DEFAULT), observer)
    if own is None or (coming is None and not library.has_embeddings()):
        # Nothing is lost by another model: there is nothing to go on answering.
        return Goal(files, library.home)
    if options.model is None and (own.hash, own.dimension) != (files.hash, files.dimension):
        raise errors.OtherModel(
            library_model=f"{own.name} (files {own.hash[:12]})",
            asked_model=f"{files.name} (files {files.hash[:12]})",
            asked_name=files.name,
        )
    precision = None
    if options.precision != "auto":
        precision = engines.image_precision(files, options.precision, options.device).value
    candidates = [parts.next] if coming else [parts.current, parts.previous, parts.aside]
    for home in candidates:
        model = _model_in(library.path, home)
        same = model is not None and (model.hash, model.dimension) == (files.hash, files.dimension)
        if same and precision in (None, model.precision if model else None):
            return Goal(files, home)
    if coming is not None:
        asked = f"{files.name} {precision or ''}".strip()
        raise errors.ChangeUnderWay(current=_told(known), coming=_told(coming), asked=asked)
    return Goal(files, None)


def target(
    library: Library, options: EmbedOptions, goal: Goal, observer: Observer = ignore
) -> tuple[Library, Choice[ModelIdentity]]:
    """
    Return the library to fill, and its model: `library` itself, or the home of another model that has followed it.

    The caller closes what is not `library`. A change is begun by the last line that writes: killed before it, the next call begins anew.
    """
    if goal.home == library.home:
        return library, choose_model(library, options, goal.files, observer)
    parts = generations.read(library.path)
    fresh = goal.home is None
    home, parts = generations.begin(library.path, parts) if goal.home is None else (goal.home, parts)
    filled = Library.create(library.path, home=home) if fresh else Library.open(library.path, write=True, home=home)
    try:
        filled.catalogue.follow(library.catalogue)
        chosen = choose_model(filled, replace(options, model=goal.files.name), goal.files, observer)
        if parts.next != home:
            generations.publish(library.path, replace(_without(parts, home), next=home))
    except BaseException:
        filled.close()
        raise
    return filled, chosen


@contextlib.contextmanager
def going_on(library: Library, *, write: bool = True) -> Iterator[Library]:
    """Yield the library that pending images are embedded into: the next model's while a change is under way, else `library`."""
    home = generations.read(library.path).next
    if home is None:
        yield library
        return
    with Library.open(library.path, write=write, home=home) as filled:
        if write:
            filled.catalogue.follow(library.catalogue)
        yield filled


# --- the steps that decide ------------------------------------------------------------------------


def switch(library: Library, filled: Library, *, anyway: bool = False, observer: Observer = ignore) -> ModelIdentity:
    """
    Let the new model answer, once it is complete and whole; what the old one made is kept for a rollback. Return the old one.

    Raises ChangeIncomplete unless every image that is found now will be found (`anyway`: all the same), ChangeRefused when `verify` finds
    anything, and what loading its text tower raises. Then nothing is changed.
    """
    before, after = library.model(), filled.model()
    assert before is not None, "a library without a model takes the new one as its own"
    assert after is not None, "target has chosen it"
    current, coming = _told(before), _told(after)
    lost = filled.catalogue.lost(library.catalogue)
    if lost and not anyway:
        why = ", ".join(f"{count:,} {reason}" for reason, count in lost.items())
        raise errors.ChangeIncomplete(count=f"{sum(lost.values()):,}", why=why, coming=coming, current=current)
    findings = [*_proof(filled, observer), *_uncovered(filled)]
    _refuse(findings, filled, current)
    parts = generations.read(library.path)
    # Told by `status` from the moment on at which this home answers.
    run = filled.catalogue.start_run("index", socket.gethostname())
    filled.catalogue.set_setting(_ANSWERS_SINCE, str(time.time()))
    generations.publish(library.path, Homes(filled.home, previous=library.home, number=parts.number))
    generations.sweep(library.path)
    filled.catalogue.end_run(run, None)
    observer(ModelSwitched(after, before))
    return before


def rollback(library: Library, observer: Observer = ignore) -> RolledBack:
    """
    Abandon a change that is under way; without one, let the model before answer again. Call `settle` once that is told.

    A second call in a row, as after a kill, changes nothing where there is nothing further to go back to.
    Raises NothingToRollBack, and what `switch` raises about the one before.
    """
    parts = generations.read(library.path)
    if parts.unfinished_rollback or (parts.next is None and parts.previous is None and parts.aside is not None):
        # Its one step was taken, and its process perhaps killed before it could tell.
        return _rolled_back(library, library, parts)
    if parts.next is not None:
        after = replace(parts, next=None, aside=parts.next, unfinished_rollback=True)
        generations.publish(library.path, after)
        return _rolled_back(library, library, after)
    if parts.previous is None:
        raise errors.NothingToRollBack(path=library.path, model=_told(library.model()))
    with Library.open(library.path, write=True, home=parts.previous) as before:
        before.catalogue.follow(library.catalogue)
        _refuse(_proof(before, observer), before, _told(library.model()))
        run = before.catalogue.start_run("rollback", socket.gethostname())
        before.catalogue.set_setting(_ANSWERS_SINCE, str(time.time()))
        after = replace(parts, current=parts.previous, previous=None, aside=library.home, unfinished_rollback=True)
        generations.publish(library.path, after)
        before.catalogue.end_run(run, None)
        return _rolled_back(library, before, after)


def settle(library: Library) -> None:
    """End what an earlier command left behind: a rollback that was killed after its step, homes that nobody needs."""
    parts = generations.read(library.path)
    if parts.unfinished_rollback:
        generations.publish(library.path, replace(parts, unfinished_rollback=False))
    generations.sweep(library.path)


def drop_previous(library: Library) -> list[str]:
    """Delete what is kept of models that do not answer; return their names. A rollback is not possible afterwards."""
    parts = generations.read(library.path)
    dropped = [_told(_model_in(library.path, home)) for home in (parts.previous, parts.aside) if home is not None]
    generations.publish(library.path, replace(parts, previous=None, aside=None))
    generations.sweep(library.path)
    return dropped


def restore_if_needed(path: Path) -> str | None:
    """
    Write a models.json that is lost anew, from what the homes tell of themselves; return the model that answers then.

    Returns None when there was nothing to restore. A change that was under way is put aside: `index --model` takes it up.
    """
    with contextlib.suppress(errors.LibraryDamaged):
        generations.read(path)
        return None
    since = {home: _answers_since(path, home) for home in generations.found(path)}
    answered = sorted((home for home, when in since.items() if when is not None), key=lambda home: since[home] or 0.0)
    if not answered:
        raise errors.NoLibrary(path=path)
    others = [home for home in since if home not in answered]
    parts = Homes(
        current=answered[-1],
        previous=answered[-2] if len(answered) > 1 else None,
        aside=others[-1] if others else None,
        number=generations.youngest(path),
    )
    generations.publish(path, parts)
    return _told(_model_in(path, parts.current))


def _answers_since(path: Path, home: str) -> float | None:
    with Library.open(path, home=home) as library:
        when = library.catalogue.setting(_ANSWERS_SINCE)
    # The first home answered from the beginning.
    return float(when) if when else (0.0 if home == generations.FIRST else None)


def is_under_way(library: Library) -> bool:
    """Tell whether another model is being embedded beside the one that answers."""
    return generations.read(library.path).next is not None


# --- looking --------------------------------------------------------------------------------------


def standing(library: Library) -> list[Standing]:
    """Return the homes beside the one that answers. Only reads."""
    parts = generations.read(library.path)
    found = []
    for part in ("next", "previous", "aside"):
        home = getattr(parts, part)
        # Deleted by another process since the line above.
        with contextlib.suppress(errors.NoLibrary):
            if home is not None and home != library.home:
                found.append(_standing(library.path, part, home))
    return found


def others(library: Library, *, write: bool = False) -> Iterator[Library]:
    """
    Yield the libraries of the homes beside the one that answers, each open until the next is asked for.

    For writing, a database that cannot be read is begun anew; `verify.repair` and the next `follow` fill it.
    """
    parts = generations.read(library.path)
    for home in (parts.next, parts.previous, parts.aside):
        if home is not None:
            if write:
                verify.rebuild_if_needed(library.path, home)
            with Library.open(library.path, write=write, home=home) as other:
                yield other


def _standing(path: Path, part: str, home: str) -> Standing:
    with Library.open(path, home=home) as other:
        model = other.model()
        facts, _ = header.read_header(other.index_path)
        return Standing(
            part=part,
            model=model.name if model else "-",
            precision=model.precision if model else "-",
            images=other.catalogue.ledger(),
            merged_rows=other.merged_rows,
            index_rows=facts.rows if facts else 0,
        )


def _proof(filled: Library, observer: Observer) -> list[verify.Finding]:
    """Return what keeps a home from answering; raises what loading its text tower raises."""
    progress = start(Step.VERIFY, observer)
    encoders.Encoders(filled).text()
    return verify.verify(filled, progress)


def _uncovered(filled: Library) -> Iterator[verify.Finding]:
    """A new home answers as fast as the old one did: its index is there, and covers every row."""
    facts, problem = header.read_header(filled.index_path)
    if filled.merged_rows and (facts is None or facts.rows < filled.merged_rows):
        what = problem or f"it covers {facts.rows if facts else 0} of {filled.merged_rows} rows"
        yield verify.Finding("index", str(filled.index_path), what, "`pixfind index` builds it")


def _refuse(findings: list[verify.Finding], filled: Library, current: str) -> None:
    for found in findings:
        raise errors.ChangeRefused(model=_told(filled.model()), current=current, where=found.where, what=found.what)


def _rolled_back(library: Library, now: Library, parts: Homes) -> RolledBack:
    model = now.model()
    if model is None:
        raise errors.NotEmbedded(path=library.path)
    return RolledBack(model, _model_in(library.path, parts.aside), now.catalogue.count_pending())


def _without(parts: Homes, home: str) -> Homes:
    """Take its part from a home that is to play another."""
    return replace(
        parts,
        previous=None if parts.previous == home else parts.previous,
        aside=None if parts.aside == home else parts.aside,
    )


def _model_in(path: Path, home: str | None) -> ModelIdentity | None:
    if home is None:
        return None
    with Library.open(path, home=home) as other:
        return other.model()


def _told(model: ModelIdentity | None) -> str:
    return f"{model.name} {model.precision}" if model else "no model"

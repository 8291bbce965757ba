"""
The part of `index` that changes the model: what is told, and in which order the steps of `workflows.switch_model` are called.

Registers no command of its own. Heavy modules are imported inside, as in the commands.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pixfind import errors
from pixfind.cli.console import Console
from pixfind.library.library import Library

if TYPE_CHECKING:
    from pixfind.workflows import ingest


@contextlib.contextmanager
def filling(
    library: Library, asked: "ingest.Options", add: Callable[[], None], console: Console, *, switch_anyway: bool = False
) -> Iterator[Library]:
    """
    Yield the library that an `index` fills: `library` itself, or the home of another model beside it.

    `add` looks through the folders once the model's files are here: a model that is not to be had is told before any work.
    """
    from pixfind.workflows import switch_model

    switch_model.settle(library)
    with console.bar("fetching the model", "bytes") as show:
        goal = switch_model.goal(library, asked, lambda _, done, total: show(done, total))
    if switch_anyway and goal.home == library.home:
        raise errors.NoModelSwitch(path=library.path)
    add()
    filled, chosen = switch_model.target(library, asked, goal, lambda precision: console.say(f"trying {precision}"))
    model = chosen.value
    console.say(f"model: {model.name}, {model.dimension} dimensions, {model.precision} ({chosen.reason})")
    if filled is library:
        yield library
        return
    with filled:
        before = library.model()
        if before is not None:
            console.say(f"  until it is complete, search answers with {before.name} {before.precision}")
        yield filled


def switch(library: Library, filled: Library, console: Console, *, anyway: bool) -> None:
    """Let the new model answer, if it was one that was filled."""
    from pixfind.workflows import switch_model

    if filled is library:
        return
    before, model = library.model(), filled.model()
    assert before is not None
    assert model is not None
    with console.bar("checking rows", "rows") as show:
        switch_model.switch(library, filled, anyway=anyway, progress=show)
    console.say(f"search answers with {model.name} {model.precision} now; {before.name} {before.precision} is kept:")
    console.say("  go back with `pixfind index --rollback`, free its room with `pixfind index --drop-previous`")


def tell_unfinished(library: Library, filled: Library, console: Console) -> None:
    """Say after an `embed` that a change of the model is not over with it."""
    if filled is not library:
        console.say("a change of the model is under way: `pixfind index` goes on and ends it")


def roll_back(path: Path, console: Console) -> None:
    """Abandon a change, or go back to the model before."""
    from pixfind.workflows import switch_model

    with Library.open(path, write=True) as library, library.lock("rollback"):
        with console.bar("checking rows", "rows") as show:
            done = switch_model.rollback(library, show)
        console.say(f"search answers with {done.model.name} {done.model.precision}")
        if done.aside is not None:
            aside = f"{done.aside.name} {done.aside.precision}"
            console.say(
                f"  what was made with {aside} is kept until the next change; --model {done.aside.name} takes it up"
            )
        if done.pending:
            console.say(f"  {done.pending:,} images wait to be embedded: pixfind index")
        switch_model.settle(library)


def drop_previous(path: Path, console: Console) -> None:
    """Delete what is kept of models that do not answer."""
    from pixfind.workflows import switch_model

    with Library.open(path, write=True) as library, library.lock("drop-previous"):
        switch_model.settle(library)
        dropped = switch_model.drop_previous(library)
        console.say(f"deleted the embeddings of {', '.join(dropped)}" if dropped else "nothing was kept")

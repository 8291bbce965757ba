"""
The commands that go back to the model before, or drop it.

Registers no command of its own. Heavy modules are imported inside, as in the commands.
"""

from pathlib import Path

from pixfind.cli.console import Console
from pixfind.library.library import Library


def roll_back(path: Path, console: Console) -> None:
    """Abandon a change, or go back to the model before."""
    from pixfind.cli.progress import TerminalObserver
    from pixfind.workflows import switch_model

    with Library.open(path, write=True) as library, library.lock("rollback"):
        with TerminalObserver(console) as observer:
            done = switch_model.rollback(library, observer)
        console.say(f"search answers with {done.model.name} {done.model.precision}")
        if done.retired is not None:
            aside = f"{done.retired.name} {done.retired.precision}"
            console.say(
                f"  what was made with {aside} is kept until the next change; --model {done.retired.name} takes it up"
            )
        if done.pending:
            console.say(f"  {done.pending:,} images wait to be embedded: pixfind index")
        switch_model.finish_interrupted(library)


def drop_previous(path: Path, console: Console) -> None:
    """Delete what is kept of models that do not answer."""
    from pixfind.workflows import switch_model

    with Library.open(path, write=True) as library, library.lock("drop-previous"):
        switch_model.finish_interrupted(library)
        dropped = switch_model.prune(library)
        console.say(f"deleted the embeddings of {', '.join(dropped)}" if dropped else "nothing was kept")

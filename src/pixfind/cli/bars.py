"""
Progress bars of the terminal, drawn by Rich.

Imported when a bar is shown; where there is no terminal, `console` writes plain lines instead.
"""

import contextlib
from collections.abc import Callable, Iterator

import rich.progress
from rich.console import Console as Rich
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from pixfind.embedding.progress import Snapshot
from pixfind.types import Progress


@contextlib.contextmanager
def bar(what: str, *, of_bytes: bool = False) -> Iterator[Progress]:
    """Show a progress bar in the block, of bytes with their rate and the time left; yields a function of (done, total)."""
    amounts: tuple[ProgressColumn, ...] = (MofNCompleteColumn(), TimeElapsedColumn())
    if of_bytes:
        amounts = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), *amounts)
    with rich.progress.Progress(*columns, console=_screen(), transient=True) as shown:
        task = shown.add_task(what, total=None)

        def show(done: int, total: int | None) -> None:
            shown.update(task, completed=done, total=total)

        yield show


@contextlib.contextmanager
def run(what: str) -> Iterator[Callable[[Snapshot], None]]:
    """Show the progress of an embed, or of what else is done to images, in the block; yields a function of its snapshots."""
    with rich.progress.Progress(*run_columns(what), console=_screen(), transient=True) as shown:
        task = shown.add_task("", total=None, rate="starting workers")

        def show(snapshot: Snapshot) -> None:
            shown.update(task, completed=snapshot.done, total=snapshot.total, rate=snapshot.line())

        yield show


def run_columns(what: str = "embedding") -> tuple[ProgressColumn, ...]:
    """Return the columns of a running embed; where the terminal is too narrow, only the last one is shortened."""
    fixed = Column(no_wrap=True)
    return (
        SpinnerColumn(table_column=fixed),
        TextColumn(what, table_column=fixed),
        BarColumn(bar_width=20, table_column=fixed),
        MofNCompleteColumn(table_column=fixed),
        _Rate(),
    )


class _Rate(ProgressColumn):
    """The rate, the time left and the bottleneck: the only column that is shortened."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["rate"], no_wrap=True, overflow="ellipsis")


def _screen() -> Rich:
    return Rich(stderr=True, highlight=False)

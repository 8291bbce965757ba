"""
The progress of a workflow on the terminal: a bar while a step runs, a line or a table when it has ended.

Owns the messages of `index`, `add`, `embed`, `merge` and `build-index`. Imported by the commands that run a workflow, not by `--help`.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Self

from pixfind.cli.console import Console
from pixfind.cli.styles import escape
from pixfind.embedding.progress import Snapshot
from pixfind.types import Progress, no_progress
from pixfind.workflows import events
from pixfind.workflows.events import Step

_BARS = {
    Step.FETCH_MODEL: ("fetching the model", "bytes"),
    Step.SCAN: ("scanning", "files"),
    Step.MERGE: ("merging", "rows"),
    Step.BUILD_INDEX: ("building the index", "rows"),
    Step.VERIFY: ("checking rows", "rows"),
}


class TerminalObserver:
    """An `events.Observer` that shows events; used in a `with` block, so that an error removes the bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = contextlib.ExitStack()
        self._show_step: Progress = no_progress
        self._show_run: Callable[[Snapshot], None] = lambda snapshot: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.StepProgress):
            self._show_step(event.done, event.total)
        elif isinstance(event, events.EmbedProgress):
            self._show_run(event.snapshot)
        else:
            # Any other event means that the previous step has ended.
            self._bar.close()
            self._show(event)

    @functools.singledispatchmethod
    def _show(self, event: events.Event) -> None:
        raise NotImplementedError(event)

    @_show.register
    def _(self, event: events.StepStarted) -> None:
        if event.step is Step.SCAN:
            self._console.step(f"scanning {escape(event.subject)}")
        self._show_step = self._bar.enter_context(self._console.bar(*_BARS[event.step]))

    @_show.register
    def _(self, event: events.FolderScanned) -> None:
        self._console.scan(event.report)

    @_show.register
    def _(self, event: events.PrecisionTried) -> None:
        self._console.say(f"trying {event.precision}")

    @_show.register
    def _(self, event: events.ModelChosen) -> None:
        model = event.model
        self._console.say(
            f"model: {escape(model.name)}, {model.dimension} dimensions, {model.precision} ({escape(event.reason)})"
        )

    @_show.register
    def _(self, event: events.SwitchBegun) -> None:
        active = event.active
        self._console.say(f"  until it is complete, searches use {escape(active.name)} {active.precision}")

    @_show.register
    def _(self, event: events.EmbedStarted) -> None:
        self._console.step(f"embedding {event.pending:,} images")
        if self._console.verbose:
            self._console.plan(event.plan)
        self._show_run = self._bar.enter_context(self._console.run())

    @_show.register
    def _(self, event: events.EmbedFinished) -> None:
        self._console.report(event.report)

    @_show.register
    def _(self, event: events.RowsMerged) -> None:
        self._console.say(f"merged {event.report.rows:,} rows, {event.report.total:,} in all")

    @_show.register
    def _(self, event: events.IndexBuilt) -> None:
        self._console.index(event.report)

    @_show.register
    def _(self, event: events.ModelSwitched) -> None:
        now, before = (f"{escape(model.name)} {model.precision}" for model in (event.model, event.previous))
        self._console.say(f"searches use {now} now; {before} is kept:")
        self._console.say("  go back with `pixfind model rollback`, delete it with `pixfind model prune`")

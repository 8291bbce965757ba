"""
The progress of a workflow on the terminal: a bar while a step runs, a line or a table when it has ended.

Owns the messages of `index`, `add`, `embed`, `merge` and `build-index`. Imported by the commands that run a workflow, not by `--help`.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Self

from pixfind.cli.console import Console
from pixfind.cli.results import plain
from pixfind.cli.styles import escape
from pixfind.embedding.plan import Plan
from pixfind.embedding.progress import Snapshot
from pixfind.types import Progress, no_progress, numbered
from pixfind.workflows import events
from pixfind.workflows.events import Step

_BARS = {
    Step.FETCH_MODEL: ("fetching the model", "bytes"),
    Step.SCAN: ("scanning", "files"),
    Step.MERGE: ("merging", "rows"),
    Step.BUILD_INDEX: ("building the index", "rows"),
    Step.MAP: ("arranging the similarity map", "rows"),
    Step.LABEL: ("labelling", "rows"),
    Step.THUMBNAILS: ("making thumbnails", "rows"),
    Step.VERIFY: ("checking rows", "rows"),
}


_KEYS = {
    events.CarriedOver: "carried_over",
    events.EmbedFinished: "embedded",
    events.ReadFinished: "read",
    events.RowsMerged: "merged",
    events.IndexBuilt: "index",
    events.ThumbnailsMade: "thumbnails",
    events.ModelSwitched: "switched",
}
"""event -> its key in the JSON of a command"""


class TerminalObserver:
    """
    An `events.Observer` that shows events; used in a `with` block, so that an error removes the bar.

    With `json` nothing is written to standard output before `tell` writes what the steps came to.
    """

    def __init__(self, console: Console, *, json: bool = False) -> None:
        self._console = console
        self._json = json
        self.results: dict[str, Any] = {}
        """what the steps came to, by the keys of the JSON"""
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
            self._keep(event)
            self._show(event)

    def tell(self, **more: Any) -> None:
        """Print what the steps came to where JSON is wanted: an object with a key for each step that was done, and with `more`."""
        if self._json:
            self._console.json({**self.results, **more})

    def _keep(self, event: events.Event) -> None:
        match event:
            case events.FolderScanned(folder, report):
                self.results.setdefault("scanned", []).append({"folder": folder, **plain(report)})
            case events.ModelChosen(model, reason):
                self.results["model"] = {**plain(model), "reason": reason}
            case events.EmbedStarted(plan=plan) | events.ReadStarted(plan=plan):
                self.results["plan"] = plan
            case _ if (key := _KEYS.get(type(event))) is not None:
                self.results[key] = getattr(event, "report", event)

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
    def _(self, event: events.CarriedOver) -> None:
        self._console.say(f"{numbered(event.images, 'image')} took embeddings from the libraries that had them before")

    @_show.register
    def _(self, event: events.EmbedStarted) -> None:
        self._console.step(f"embedding {numbered(event.pending, 'image')}")
        if self._console.verbose and not self._json:
            _write_plan(event.plan)
        self._show_run = self._bar.enter_context(self._console.run())

    @_show.register
    def _(self, event: events.EmbedFinished) -> None:
        self._console.report(event.report)

    @_show.register
    def _(self, event: events.ReadStarted) -> None:
        self._console.step(f"reading the text in {numbered(event.pending, 'picture')}")
        if self._console.verbose and not self._json:
            _write_plan(event.plan)
        self._show_run = self._bar.enter_context(self._console.run("reading text"))

    @_show.register
    def _(self, event: events.ReadFinished) -> None:
        self._console.report(event.report, "read")

    @_show.register
    def _(self, event: events.RowsMerged) -> None:
        self._console.say(f"merged {numbered(event.report.rows, 'row')}, {event.report.total:,} in all")

    @_show.register
    def _(self, event: events.IndexBuilt) -> None:
        self._console.index(event.report)

    @_show.register
    def _(self, event: events.Labelled) -> None:
        report = event.report
        self._console.say(f"labels: {report.labels:,}, {numbered(report.rows, 'row')} looked at")
        if report.problem:
            self._console.say(f"  left as they are: {escape(report.problem)}")
        if report.undecided:
            names = ", ".join(f'"{escape(name)}"' for name in report.undecided)
            self._console.say(
                f"  no cut-off could be measured here, so nothing has {names}; put a threshold behind: NAME >= 2"
            )
        for name in report.unknown:
            self._console.say(f'  the model knows no word of "{escape(name)}": nothing has this label')

    @_show.register
    def _(self, event: events.ThumbnailsMade) -> None:
        report = event.report
        told = [f"{report.made:,} made" if report.made != 1 else "1 made"]
        if report.there:
            told.append(f"{report.there:,} there already")
        if report.away:
            told.append(f"{report.away:,} when somebody looks at them: their drive or store is away")
        if report.outdated:
            told.append(f"{report.outdated:,} not: gone, or changed since they were indexed; run `pixfind index` first")
        told += [f"{count:,} not: {escape(reason)}" for reason, count in sorted(report.failed.items())]
        self._console.say(f"thumbnails: {'; '.join(told)} ({report.seconds:.1f} s)")
        if report.stopped:
            self._console.say("stopped; `pixfind thumbnails` continues from here")

    @_show.register
    def _(self, event: events.ThumbnailsRefused) -> None:
        self._console.error(str(event.error))

    @_show.register
    def _(self, event: events.ModelSwitched) -> None:
        now, before = (f"{escape(model.name)} {model.precision}" for model in (event.model, event.previous))
        self._console.say(f"searches use {now} now; {before} is kept:")
        self._console.say("  go back with `pixfind model rollback`, delete it with `pixfind model prune`")


def _write_plan(plan: Plan) -> None:
    from pixfind.cli import tables

    tables.plan(plan)

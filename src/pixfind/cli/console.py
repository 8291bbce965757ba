"""
The terminal: the only module that knows Rich, and the only one that prints.

Data goes to standard output and nothing else does; talk, tables and progress go to standard error. Where there is no terminal,
progress is a plain line now and then.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rich.progress
from rich.console import Console as Rich
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from pixfind.types import Progress, format_duration

if TYPE_CHECKING:
    # Types alone: what a command does not need it does not wait for.
    from pixfind.embedding.plan import Plan
    from pixfind.embedding.progress import RunReport, Snapshot
    from pixfind.library.scan import ScanReport
    from pixfind.library.verify import Finding
    from pixfind.search.build import BuildReport
    from pixfind.search.duplicates import Duplicates, Group
    from pixfind.search.results import SearchResult
    from pixfind.storage.output import Output
    from pixfind.workflows.status import Status

_PLAIN_SECONDS = 5.0

_OUTCOMES = ("embedded", "duplicate", "failed", "skipped", "pending")


class Console:
    """Standard output for data, standard error for people."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._rich = Rich(stderr=True, highlight=False, quiet=quiet)
        self._loud = Rich(stderr=True, highlight=False)
        # Answers are not cut to the width of a terminal that is not there.
        self._out = Rich(highlight=False, width=None if sys.stdout.isatty() else 160)

    # --- data -------------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """Write a line of an answer to standard output, for people; markup is allowed."""
        with _pipe_may_close():
            self._out.print(text, soft_wrap=True)

    def clear(self) -> None:
        """Begin the screen anew, where there is one."""
        if self._out.is_terminal:
            self._out.clear()

    @staticmethod
    def data(text: str, end: bytes = b"\n") -> None:
        """Write a line to standard output; a file name that is not UTF-8 comes out as the bytes it is."""
        with _pipe_may_close():
            sys.stdout.buffer.write(os.fsencode(text) + end)
            sys.stdout.buffer.flush()

    def write(self, output: "Output", content: bytes) -> None:
        """Write a file that the user named, and say so."""
        if output.is_standard_output:
            with _pipe_may_close():
                output.write(content)
            return
        output.write(content)
        self.say(f"wrote {escape(str(output.path))}")

    def json(self, values: Any) -> None:
        self.data(json.dumps(values, indent=2, default=str))

    # --- talk -------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Tell people something; markup is allowed, so escape what is not ours."""
        self._rich.print(text, soft_wrap=True)

    def step(self, text: str) -> None:
        self.say(f"[bold]{text}[/bold]")

    def error(self, text: str) -> None:
        first, _, rest = text.partition("\n")
        self._loud.print(f"[bold red]error:[/bold red] {escape(first)}", soft_wrap=True)
        if rest:
            self._loud.print(escape(rest), soft_wrap=True)

    def traceback(self) -> None:
        self._loud.print_exception()

    # --- progress ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def bar(self, what: str, unit: str = "") -> Iterator[Progress]:
        """Yield a function of (done, total); the bar appears once the work has lasted a second."""
        if self.quiet or not self._rich.is_terminal:
            yield _PlainProgress(self, what, unit)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with rich.progress.Progress(*columns, console=self._rich, transient=True) as shown:
            task = shown.add_task(what, total=None)

            def show(done: int, total: int | None) -> None:
                shown.update(task, completed=done, total=total)

            yield show

    @contextlib.contextmanager
    def run(self) -> "Iterator[Callable[[Snapshot], None]]":
        """Yield a function that shows a running embed."""
        if self.quiet or not self._rich.is_terminal:
            yield _PlainRun(self)
            return
        columns = run_columns()
        with rich.progress.Progress(*columns, console=self._rich, transient=True) as shown:
            task = shown.add_task("", total=None, rate="starting workers")

            def show(snapshot: "Snapshot") -> None:
                shown.update(task, completed=snapshot.done, total=snapshot.total, rate=snapshot.line())

            yield show

    # --- tables -----------------------------------------------------------------------------------

    def plan(self, plan: "Plan") -> None:
        table = Table("what", "value", "why", box=None, pad_edge=False, header_style="bold")
        for name, value, reason in plan.lines():
            table.add_row(name.replace("_", " "), f"[cyan]{value}[/cyan]", escape(reason))
        with _pipe_may_close():
            self._out.print(table)

    def models(self, models: Sequence[dict[str, Any]], default: str) -> None:
        """Write the table of models to standard output."""
        table = Table(
            "model", "here", "dimensions", "download", "cost", "licence", "good for", box=None, pad_edge=False
        )
        for model in models:
            name = f"{model['name']} (default)" if model["name"] == default else model["name"]
            size = f"{model['download_bytes'] / 1e6:,.0f} MB" if model["download_bytes"] else "-"
            cost = f"{model['relative_cost']:g}"
            table.add_row(
                name,
                "yes" if model["here"] else "",
                str(model["dimension"]),
                size,
                cost,
                model["licence"],
                model["summary"],
            )
        with _pipe_may_close():
            self._out.print(table)

    def model(self, model: dict[str, Any], card: str | None) -> None:
        for key, value in model.items():
            self.data(f"{key.replace('_', ' ')}: {value}")
        if card:
            self.data(card)

    def scan(self, report: "ScanReport") -> None:
        kinds = ("new", "changed", "moved", "returned", "gone", "excluded", "offline", "problems")
        told = [f"{getattr(report, kind):,} {kind}" for kind in kinds if getattr(report, kind)]
        self.say(f"{report.seen:,} files seen: {', '.join(told) or 'nothing new'}")
        for kind in kinds[1:]:
            names = report.named.get(kind, [])
            shown = names if self.verbose else names[:3]
            for name in shown:
                self.say(f"  {kind}: {escape(name.encode(errors='backslashreplace').decode())}")
            if len(names) > len(shown):
                self.say(f"  {kind}: ... and {getattr(report, kind) - len(shown):,} more")

        if report.left_out:
            self.say(f"  not read: {_counted(report.left_out)}")

    def report(self, report: "RunReport") -> None:
        rate = f", {report.images_per_second:,.1f} images/s" if report.images_per_second else ""
        ended = "stopped after" if report.stopped else "embedded"
        self.say(f"{ended} {report.images:,} images in {format_duration(report.seconds)}{rate}")
        for outcome in ("duplicate", "failed", "skipped"):
            if report.outcomes.get(outcome):
                self.say(f"  {report.outcomes[outcome]:,} {outcome}")
        worst = sorted(report.failures.items(), key=lambda item: -item[1])
        for reason, count in worst if self.verbose else worst[:3]:
            self.say(f"    {count:,} {escape(reason)}")
        if report.deaths:
            self.say(f"  {report.deaths} worker(s) died and were replaced; see logs/")
        if self.verbose:
            self.say(f"  until the first worker was ready: {report.start_seconds:.1f} s")
            for stage, seconds in report.stages.items():
                self.say(f"  {stage}: {seconds:.1f} s")
            self.say(f"  processor: {report.processor_seconds:.1f} s")
            self.say(f"  {report.bytes_read / 1e6:,.1f} MB read, {report.commits:,} commits")

    def status(self, status: "Status") -> None:
        images = status.images
        self.tell(f"[bold]{escape(status.library)}[/bold]  model {status.model or '-'}")
        ledger = " + ".join(f"{images[name]:,} {name}" for name in _OUTCOMES)
        self.tell(f"{images['seen']:,} images = {ledger}")
        if images["gone"] or images["offline"]:
            self.tell(f"  {images['gone']:,} gone, {images['offline']:,} on roots that are offline")
        if status.left_out:
            self.tell(f"  not read: {_counted(status.left_out)}")
        for root, why in status.offline.items():
            self.tell(f"  offline: {escape(root)} ({escape(why)})")
        for reason, count in list(status.failures.items())[:10]:
            self.tell(f"  {count:,} {escape(reason)}")
        recall = f", recall@10 {status.recall:.3f}" if status.recall is not None else ""
        self.tell(f"{status.merged_rows:,} rows merged, {status.index_rows:,} in the index{recall}")
        self._inactive_models(status)
        self.tell(f"{status.bytes / 1e6:,.1f} MB used, {status.free_bytes / 1e9:,.0f} GB free")
        self._running(status)

    def _inactive_models(self, status: "Status") -> None:
        """Show the models beside the active one."""
        if (coming := status.change) is not None:
            images = coming["images"]
            done = images["embedded"] + images["duplicate"]
            self.tell(
                f"[bold]switching to {escape(coming['model'])} {coming['precision']}[/bold]: {done:,} of {images['seen']:,} images, "
                f"{images['failed']:,} failed, {images['pending']:,} pending; until then searches use {escape(status.model or '-')}"
            )
            self.tell("  continue with `pixfind index`, cancel with `pixfind model rollback`")
        for kept in status.kept:
            told = "for `pixfind model rollback`" if kept["part"] == "previous" else "until the next switch"
            self.tell(f"{escape(kept['model'])} {kept['precision']} is kept {told}: {kept['merged_rows']:,} rows")

    def _running(self, status: "Status") -> None:
        if status.run is None:
            self.tell("nothing is running")
            return
        self.tell(f"[green]{escape(status.run['verb'])} is running[/green] (process {status.run['pid']})")
        if status.paused:
            self.tell(f"  {escape(status.paused)}")
        elif status.images_per_second is not None:
            left = f", {format_duration(status.eta_seconds)} left" if status.eta_seconds is not None else ""
            cores = f", {status.cores:.2f} cores" if status.cores is not None else ""
            read = f", {status.bytes_per_second / 1e6:,.1f} MB/s read" if status.bytes_per_second is not None else ""
            self.tell(f"  {status.images_per_second:,.1f} images/s{left}{cores}{read}")
            if status.bottleneck:
                self.tell(f"  held back by the {status.bottleneck}: {status.because}")
        for worker in status.workers:
            rate = f"{worker['images_per_second']:,.1f}/s" if worker["images_per_second"] is not None else "-"
            ago = f"{time.time() - worker['last_commit']:.0f} s ago" if worker["last_commit"] else "-"
            self.tell(
                f"  worker {worker['worker']}: process {worker['pid']}, {worker['images']:,} images, {rate}, "
                f"{worker['bottleneck'] or '?'}, last commit {ago}"
            )

    def index(self, report: "BuildReport") -> None:
        """Tell which index was built, why, and what it reaches on this library."""
        header, built = report.header, report.built
        if built is None:
            self.say(f"index: current, {header.rows:,} rows")
            return
        self.say(
            f"index: {header.kind}, {header.rows:,} rows, {built.bytes / 1e6:,.1f} MB in {format_duration(built.seconds)}"
        )
        self.say(f"  {escape(header.reason)}")
        for name, recall in (("text-like", header.recall_text), ("image", header.recall_image)):
            if recall is not None:
                self.say(f"  recall@10 against the exact scan, {name} queries: {recall:.4f}")
        for refused in built.refused:
            self.say(f"  refused: {escape(refused)}")
        if report.text_problem:
            self.say(f"  not measured with texts: {escape(report.text_problem)}")

    def hits(self, answer: "SearchResult", picture: Callable[[str], str] | None = None) -> None:
        """Write the hits to standard output, one a line; `picture` makes what shows the one at a path below its line."""
        for hit in answer.hits:
            z = f"  {hit.query_z:+.1f}" if hit.query_z is not None else ""
            folded = f"  (and {hit.folded} like it)" if hit.folded else ""
            self.data(f"{hit.rank:>3}  {hit.score:.3f}{z}  {hit.path}{folded}")
            if picture and (shown := picture(hit.path)):
                self.data(shown)
        if answer.hits:
            where = f"{answer.rows:,} rows searched in {answer.seconds * 1000:.0f} ms"
            if answer.hits[0].query_z is not None:
                where += "; score and z-score (standard deviations above this query's mean)"
            weak = f"; {answer.below_cutoff} below the cut-off, shown with --all" if answer.below_cutoff else ""
            self.say(f"[dim]{where}{weak}[/dim]")
        if answer.problem:
            self.say(
                f"[yellow]without the index:[/yellow] {escape(answer.problem)}; build it with `pixfind build-index`"
            )

    def groups(self, groups: "Sequence[Group]") -> None:
        """Write groups to standard output, one file a line: group, kind, cosine, bytes, path."""
        for number, group in enumerate(groups, 1):
            for member in group.members:
                self.data(f"{number:>3}  {group.kind:<5}  {group.cosine:.3f}  {member.size:>12,}  {member.path}")

    def duplicates(self, found: "Duplicates") -> None:
        """Tell how many groups there are, and what could not be looked at."""
        files = {member.path for group in found.groups for member in group.members}
        groups = f"{len(found.groups):,} group(s), {len(files):,} files" if files else "no duplicates"
        self.say(f"[dim]{groups}; nothing was deleted[/dim]")
        if found.unchecked:
            self.say(f"{found.unchecked:,} pair(s) not compared, because a picture cannot be read now")

    def findings(self, findings: "Sequence[Finding]") -> None:
        for finding in findings:
            self.tell(f"[red]{escape(finding.where)}[/red]: {escape(finding.what)}")
            self.tell(f"  --repair: {escape(finding.repair)}")


def _counted(suffixes: Mapping[str, int]) -> str:
    """Name kinds of files by number, the most frequent first."""
    most = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {escape(suffix)}" for suffix, count in most)


def run_columns() -> tuple[ProgressColumn, ...]:
    """Return the line of a running embed; where it is too long for the terminal, its end is cut and the rest stays."""
    whole = Column(no_wrap=True)
    return (
        SpinnerColumn(table_column=whole),
        TextColumn("embedding", table_column=whole),
        BarColumn(bar_width=20, table_column=whole),
        MofNCompleteColumn(table_column=whole),
        _Rate(),
    )


class _Rate(ProgressColumn):
    """The rate, the time left and the bottleneck: the only column that gives way."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["rate"], no_wrap=True, overflow="ellipsis")


@contextlib.contextmanager
def _pipe_may_close() -> Iterator[None]:
    """End quietly when nobody reads any more: `pixfind status | head -1` is no error."""
    try:
        yield
    except BrokenPipeError:
        # Python writes what is left at its end, and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


class _PlainProgress:
    """Progress where there is no terminal: a line every few seconds."""

    def __init__(self, console: Console, what: str, unit: str) -> None:
        self._console = console
        self._what = what
        self._unit = unit
        self._told_at = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        if time.monotonic() - self._told_at >= _PLAIN_SECONDS:
            self._told_at = time.monotonic()
            of = f" of {total:,}" if total else ""
            self._console.say(f"{self._what}: {done:,}{of} {self._unit}".rstrip())


class _PlainRun:
    """A running embed where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told_at = time.monotonic()

    def __call__(self, snapshot: "Snapshot") -> None:
        if time.monotonic() - self._told_at >= _PLAIN_SECONDS:
            self._told_at = time.monotonic()
            self._console.say(f"embedding: {snapshot.done:,} of {snapshot.total:,}, {snapshot.line()}")

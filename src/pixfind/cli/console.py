"""
The terminal: all output of the commands.

Rich draws tables, progress bars and tracebacks, and is imported for these; lines are written by `styles`. Results go to standard
output; messages and progress go to standard error. Where there is no terminal, progress is a plain line every few seconds.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pixfind.cli import nodes, results, roots, styles
from pixfind.cli.moments import moments
from pixfind.cli.plain_progress import BYTES, PlainProgress, PlainRun
from pixfind.cli.streams import messages_may_be_unread, results_may_be_unread
from pixfind.cli.styles import escape
from pixfind.errors import extras
from pixfind.images import suffixes
from pixfind.types import Progress, format_bytes, format_duration, iso_time, numbered

if TYPE_CHECKING:
    # Types alone: what a command does not need it does not wait for.

    from pixfind.embedding.progress import RunReport, Snapshot
    from pixfind.library.scan_report import ScanReport
    from pixfind.library.verify import Finding
    from pixfind.models.hub import Missing
    from pixfind.search.build import BuildReport
    from pixfind.search.duplicates import Duplicates, Group
    from pixfind.search.results import Hit, SearchResult
    from pixfind.storage.output import Output
    from pixfind.workflows.status import Status

_OF_LISTS = ("missing", "invalid", "repeated")
_WORTH_SAYING = 0.0005
"""seconds that are a millisecond"""
_OUTCOMES = ("embedded", "duplicate", "failed", "skipped", "pending")


class Console:
    """Writes results to standard output and messages to standard error."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose

    # --- results ----------------------------------------------------------------------------------

    def print(self, text: str) -> None:
        """Write a line for people to standard output; styles are allowed."""
        with results_may_be_unread():
            styles.write(sys.stdout, text)

    def clear(self) -> None:
        """Clear the screen of a terminal."""
        if styles.is_terminal(sys.stdout):
            sys.stdout.write("\x1b[2J\x1b[H")

    @staticmethod
    def data(text: str, end: bytes = b"\n") -> None:
        """Write a line to standard output; a file name that is not UTF-8 is written as its original bytes."""
        with results_may_be_unread():
            sys.stdout.buffer.write(os.fsencode(text) + end)
            sys.stdout.buffer.flush()

    def paths(self, paths: Iterable[str], *, null: bool) -> None:
        """Write paths to standard output, one a line, or with a NUL behind each."""
        for path in paths:
            if null:
                self.data(path, end=b"\0")
            else:
                self.line(path)

    def line(self, text: str) -> None:
        """Write a line with file names to standard output: programs get them as they are, and a terminal nothing that it obeys."""
        # As `ls`: a name may be that of a stranger, with escape sequences and line ends.
        self.data(styles.one_line(text) if sys.stdout.isatty() else text)

    def write(self, output: "Output", content: bytes) -> None:
        """Write an output that the user named, and report its path."""
        if output.is_standard_output:
            with results_may_be_unread():
                output.write(content)
            return
        output.write(content)
        self.say(f"wrote {escape(str(output.path))}")

    def json(self, values: Any) -> None:
        """Write values as JSON to standard output."""
        self.data(json.dumps(results.plain(values), indent=2))

    def json_line(self, values: Any) -> None:
        """Write values as JSON in one line, for an output that has many of them."""
        self.data(json.dumps(results.plain(values)))

    # --- messages ---------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Write a message; styles are allowed, so escape text from outside."""
        if not self.quiet:
            styles.write_message(text)

    def say_json(self, values: Any) -> None:
        """Write a message for programs: one object in a line, beside results that are JSON."""
        if not self.quiet:
            with messages_may_be_unread():
                sys.stderr.write(json.dumps(results.plain(values)) + "\n")

    def step(self, text: str) -> None:
        """Write the heading of a step."""
        self.say(f"[bold]{text}[/bold]")

    def error(self, text: str) -> None:
        """Write an error message, even when quiet."""
        first, _, rest = text.partition("\n")
        styles.write_message(f"[bold red]error:[/bold red] {escape(first)}")
        if rest:
            styles.write_message(escape(rest))

    def traceback(self) -> None:
        """Write the traceback of the current exception."""
        from rich.console import Console as Rich

        Rich(stderr=True, highlight=False).print_exception()

    # --- progress ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def bar(self, what: str, unit: str = "") -> Iterator[Progress]:
        """Show a progress bar in the block; yields a function of (done, total)."""
        if self.quiet or not styles.redraws(sys.stderr):
            yield PlainProgress(self.say, what, unit)
            return
        from pixfind.cli import bars

        with bars.bar(what, of_bytes=unit == BYTES) as show:
            yield show

    @contextlib.contextmanager
    def run(self, what: str = "embedding") -> "Iterator[Callable[[Snapshot], None]]":
        """Show the progress of an embed, or of another run over images, in the block; yields a function of its snapshots."""
        if self.quiet or not styles.redraws(sys.stderr):
            yield PlainRun(self.say, what)
            return
        from pixfind.cli import bars

        with bars.run(what) as show:
            yield show

    # --- reports ----------------------------------------------------------------------------------

    def downloads(self, parts: "Sequence[tuple[str, Sequence[Missing]]]", reason: str, *, dry_run: bool) -> None:
        """Tell what is to be downloaded for each part of a model, and why this part for texts."""
        total = sum(one.size - one.here for _, missing in parts for one in missing)
        if not total:
            self.say("everything is here already")
            return
        for part, missing in parts:
            for one in missing:
                partly = f", {format_bytes(one.here)} of it are here" if one.here else ""
                self.say(f"  {part}: {escape(one.file)} of {escape(one.repo)}, {format_bytes(one.size)}{partly}")
        self.say(f"  the part for texts: {escape(reason)}")
        self.say(f"{'would download' if dry_run else 'downloading'} {format_bytes(total)}")

    def model(self, model: dict[str, Any], card: str | None) -> None:
        """Write one model, and its card if it has one, to standard output."""
        for key, value in model.items():
            parts = [f"{name} {part}" for name, part in value.items()] if isinstance(value, dict) else [value]
            self.data(f"{key.replace('_', ' ')}: {', '.join(map(str, parts))}")
        if card:
            self.data(card)

    def scan(self, report: "ScanReport") -> None:
        """Report a scan: how many files, and the names of some of each kind."""
        kinds = ("new", "changed", "moved", "returned", "gone", "excluded", "offline", "problems", *_OF_LISTS)
        counts = [f"{getattr(report, kind):,} {kind}" for kind in kinds if getattr(report, kind)]
        self.say(f"{numbered(report.seen, 'file')} seen: {', '.join(counts) or 'nothing new'}")
        for kind in kinds[1:]:
            names = report.named.get(kind, [])
            shown = names if self.verbose else names[:3]
            for name in shown:
                self.say(f"  {kind}: {escape(name.encode(errors='backslashreplace').decode())}")
            if len(names) > len(shown):
                self.say(f"  {kind}: ... and {getattr(report, kind) - len(shown):,} more")

        if report.links_out:
            self.say(
                f"  left out: {numbered(report.links_out, 'link')} out of the registered folders; `pixfind add` the folder that they lead to:"
            )
            for name in report.named["links_out"][: None if self.verbose else 3]:
                self.say(f"    {escape(name.encode(errors='backslashreplace').decode())}")
        for line in _unread(report.left_out):
            self.say(f"  {line}")
        if not (report.seen or report.offline or report.problems or report.links_out):
            why = "all are excluded" if report.excluded else "docs/reference/formats.md lists what is read"
            self.say(f"  [yellow]no pictures found[/yellow]: {why}")

    def report(self, report: "RunReport", done: str = "embedded") -> None:
        """Report an embed, or a run that did something else to images."""
        rate = f", {report.images_per_second:,.1f} images/s" if report.images_per_second else ""
        ended = "stopped after" if report.stopped else done
        self.say(f"{ended} {numbered(report.images, 'image')} in {format_duration(report.seconds)}{rate}")
        for outcome in ("duplicate", "no text", "failed", "skipped"):
            if report.outcomes.get(outcome):
                self.say(f"  {report.outcomes[outcome]:,} {outcome}")
        worst = sorted(report.failures.items(), key=lambda item: -item[1])
        for reason, count in worst if self.verbose else worst[:3]:
            self.say(f"    {count:,} {escape(reason)}")
        for reason, count in report.left.items():
            self.say(f"  {count:,} left for the next run: {escape(reason)}")
        if report.deaths:
            self.say(f"  crashed and replaced: {numbered(report.deaths, 'worker')}; see logs/")
        if self.verbose:
            self.say(f"  until the first worker was ready: {report.start_seconds:.1f} s")
            for stage, seconds in report.stages.items():
                self.say(f"  {stage}: {seconds:.1f} s")
            self.say(f"  processor: {report.processor_seconds:.1f} s")
            self.say(f"  {report.bytes_read / 1e6:,.1f} MB read, {report.commits:,} commits")

    def status(self, status: "Status") -> None:
        """Write the status of a library to standard output."""
        images = status.images
        self.print(f"[bold]{escape(status.library)}[/bold]  model {status.model or '-'}")
        ledger = " + ".join(f"{images[name]:,} {name}" for name in _OUTCOMES)
        self.print(f"{numbered(images['seen'], 'image')} = {ledger}")
        if images["gone"] or images["offline"]:
            self.print(f"  {images['gone']:,} gone, {images['offline']:,} on roots that are offline")
        for line in _unread(status.left_out):
            self.print(f"  {line}")
        for line in roots.lines(status.roots):
            self.print(f"  {line}")
        for reason, count in list(status.failures.items())[:10]:
            self.print(f"  {count:,} {escape(reason)}")
        recall = f", recall@10 {status.recall:.3f}" if status.recall is not None else ""
        self.print(f"{numbered(status.merged_rows, 'row')} merged, {status.index_rows:,} in the index{recall}")
        if (read := status.texts) is not None:
            self.print("text: " + " + ".join(f"{count:,} {outcome}" for outcome, count in read.items()))
        self._inactive_models(status)
        self.print(f"{status.bytes / 1e6:,.1f} MB used, {format_bytes(status.free_bytes)} free")
        self._running(status)
        self._watch(status)

    def _inactive_models(self, status: "Status") -> None:
        """Show the models beside the active one."""
        if (coming := status.change) is not None:
            images = coming["images"]
            done = images["embedded"] + images["duplicate"]
            self.print(
                f"[bold]switching to {escape(coming['model'])} {coming['precision']}[/bold]: {done:,} of {numbered(images['seen'], 'image')}, "
                f"{images['failed']:,} failed, {images['pending']:,} pending; until then searches use {escape(status.model or '-')}"
            )
            self.print("  continue with `pixfind index`, cancel with `pixfind model rollback`")
        for kept in status.kept:
            purpose = "for `pixfind model rollback`" if kept["part"] == "previous" else "until the next switch"
            self.print(
                f"{escape(kept['model'])} {kept['precision']} is kept {purpose}: {numbered(kept['merged_rows'], 'row')}"
            )

    def _watch(self, status: "Status") -> None:
        """Show what keeps the library current."""
        if status.watch is None:
            return
        self.print("[green]the folders are watched[/green]: what changes is indexed within seconds")
        for root, why in status.watch["rescanned"].items():
            self.print(f"  {escape(root)} is scanned every {status.watch['rescan_minutes']:g} minutes: {escape(why)}")

    def _running(self, status: "Status") -> None:
        if status.run is None:
            self.print("nothing is running")
            return
        self.print(f"[green]{escape(status.run['verb'])} is running[/green] (process {status.run['pid']})")
        if waits := status.paused or (status.held_back and f"held back by the network ({status.held_back})"):
            self.print(f"  {escape(waits)}")
        elif status.images_per_second is not None:
            left = f", {format_duration(status.eta_seconds)} left" if status.eta_seconds is not None else ""
            cores = f", {status.cores:.2f} cores" if status.cores is not None else ""
            read = f", {status.bytes_per_second / 1e6:,.1f} MB/s read" if status.bytes_per_second is not None else ""
            self.print(f"  {status.images_per_second:,.1f} images/s{left}{cores}{read}")
            if status.bottleneck:
                self.print(f"  bottleneck: {status.bottleneck} ({status.because})")
        for line in nodes.running(status.workers):
            self.print(f"  {escape(line)}")

    def index(self, report: "BuildReport") -> None:
        """Report which index was built, why, and its recall on this library."""
        header, built = report.header, report.built
        if built is None:
            self.say(f"index: current, {numbered(header.rows, 'row')}")
            return
        self.say(
            f"index: {header.kind}, {numbered(header.rows, 'row')}, {built.bytes / 1e6:,.1f} MB in {format_duration(built.seconds)}"
        )
        self.say(f"  {escape(header.reason)}")
        for name, recall in (("text-like", header.recall_text), ("image", header.recall_image)):
            if recall is not None:
                self.say(f"  recall@10 against the exact scan, {name} queries: {recall:.4f}")
        for refused in built.refused:
            self.say(f"  refused: {escape(refused)}")
        if report.text_problem:
            self.say(f"  not measured with text queries: {escape(report.text_problem)}")

    def hits(self, result: "SearchResult", picture: "Callable[[Hit], str] | None" = None) -> None:
        """Write the hits to standard output, one a line; `picture` returns the escape sequence that shows a picture below its line."""
        for hit in result.hits:
            z = f"  {hit.query_z:+.1f}" if hit.query_z is not None else ""
            folded = f"  (and {hit.folded} like it)" if hit.folded else ""
            shot = f"  (same shot: {', '.join(map(os.path.basename, hit.same_shot))})" if hit.same_shot else ""
            video = f"  ({found})" if (found := moments(hit)) else ""
            library = f"  [{hit.library}]" if hit.library else ""
            # Of filters alone nothing has a score.
            score = (iso_time(hit.date) or "")[:10] if hit.because == ("filters",) else f"{hit.score:.3f}"
            self.line(f"{hit.rank:>3}  {score}{z}  {hit.path}{library}{video}{shot}{folded}{_reasons(hit)}")
            if picture and (shown := picture(hit)):
                self.data(shown)
        if result.hits:
            where = (
                f"{numbered(result.rows, 'row')} searched in {_milliseconds(result.seconds - result.loading_seconds)}"
            )
            if result.loading_seconds >= _WORTH_SAYING:
                where += f" after {_milliseconds(result.loading_seconds)} of loading"
            if result.hits[0].query_z is not None:
                where += "; score and z-score (standard deviations above this query's mean)"
            weak = (
                f"; {result.below_cutoff} below the cut-off; --include-weak shows them" if result.below_cutoff else ""
            )
            self.say(f"[dim]{where}{weak}[/dim]")
        if result.problem:
            self.say(
                f"[yellow]without the index:[/yellow] {escape(result.problem)}; build it with `pixfind build-index`"
            )

    def groups(self, groups: "Sequence[Group]") -> None:
        """Write groups to standard output, one file a line: group, kind, cosine, size in bytes, path."""
        for number, group in enumerate(groups, 1):
            for member in group.members:
                self.line(f"{number:>3}  {group.kind:<5}  {group.cosine:.3f}  {member.size:>12,}  {member.path}")

    def duplicates(self, found: "Duplicates") -> None:
        """Report how many groups there are, how many pairs could not be compared, and how many files were left out."""
        files = {member.path for group in found.groups for member in group.members}
        groups = f"{numbered(len(found.groups), 'group')}, {numbered(len(files), 'file')}" if files else "no duplicates"
        self.say(f"[dim]{groups}; nothing was deleted[/dim]")
        if found.unchecked:
            self.say(f"{numbered(found.unchecked, 'pair')} not compared, because a picture cannot be read now")
        if found.outdated:
            left_out = f"{numbered(found.outdated, 'file')} left out: gone, or changed since they were indexed"
            self.say(f"{left_out}; run `pixfind index` first")

    def findings(self, findings: "Sequence[Finding]") -> None:
        """Write what `verify` found to standard output."""
        for finding in findings:
            self.print(f"[red]{escape(finding.where)}[/red]: {escape(finding.what)}")
            self.print(f"  --repair: {escape(finding.repair)}")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _reasons(hit: "Hit") -> str:
    """Return why a hit is one where that is not what it looks like alone: the first line with the words, or its name."""
    # Text of a picture is that of a stranger: no escape sequence of a terminal, and no second line.
    says = [f'says "{"".join(each if each.isprintable() else " " for each in hit.lines[0].text)}"'] if hit.lines else []
    reasons = [*says, *(["by its name"] if "name" in hit.because else [])]
    return f"  ({', '.join(reasons)})" if reasons else ""


def _unread(left_out: Mapping[str, int]) -> Iterator[str]:
    """Say how many files are left out for their format, and what would read those that can be read."""
    raw = {suffix: count for suffix, count in left_out.items() if suffix in suffixes.RAW}
    videos = {suffix: count for suffix, count in left_out.items() if suffix in suffixes.VIDEOS}
    others = {suffix: count for suffix, count in left_out.items() if suffix not in raw and suffix not in videos}
    if others:
        yield f"{numbered(sum(others.values()), 'file')} of formats that pixfind does not read: {_most_first(others)}"
    if raw:
        command = (
            "pixfind index" if suffixes.reads_raw() else escape(f"{extras.install_command('raw')}, then pixfind index")
        )
        yield f"{numbered(sum(raw.values()), 'RAW file')} left out: {_most_first(raw)}; to read them: {command}"
    if videos:
        install = "" if suffixes.reads_videos() else escape(f"{extras.install_command('video')}, then ")
        yield (
            f"{numbered(sum(videos.values()), 'video')} left out: {_most_first(videos)};"
            f" to look into them: {install}pixfind index FOLDER --video"
        )


def _most_first(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {escape(suffix)}" for suffix, count in most)

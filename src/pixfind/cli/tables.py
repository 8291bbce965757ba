"""
Tables on standard output: a plan, the models. Drawn by Rich; where a terminal is too narrow for a table of models, each has lines of its own.
"""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pixfind.cli import nodes
from pixfind.cli.streams import results_may_be_unread
from pixfind.types import numbered

if TYPE_CHECKING:
    from pixfind.embedding.elastic import Room
    from pixfind.embedding.plan import Plan

_MIN_MODEL_COLUMNS: Final = 110
"""in which the table has room for what a model is good for: names are typed, and never shortened"""
_COLUMNS_WITHOUT_TERMINAL: Final = 160


def plan(made: "Plan", room: "Room | None" = None) -> None:
    """Write a plan as a table, with the nodes of a cluster."""
    table = Table("what", "value", "why", box=None, pad_edge=False, header_style="bold")
    for name, value, reason in [*made.lines(), *nodes.planned(made, room)]:
        table.add_row(escape(name.replace("_", " ")), f"[cyan]{value}[/cyan]", escape(reason))
    _draw(table)


def models(known: Sequence[dict[str, Any]], default: str) -> None:
    """Write the models; each is a row of `models.registry`, with whether it is here."""
    if (columns := _console().width) < _MIN_MODEL_COLUMNS:
        _write("\n".join(line for model in known for line in _model_lines(model, default, columns)) + "\n")
        return
    table = Table("model", "here", "dimensions", "download", "cost", "licence", "good for", box=None, pad_edge=False)
    for model in known:
        here = "yes" if model["here"] else ""
        cost = f"{model['relative_cost']:g}"
        name, size = _name(model, default), _download(model) or "-"
        table.add_row(name, here, str(model["dimension"]), size, cost, model["licence"], model["summary"])
    _draw(table)


def _model_lines(model: dict[str, Any], default: str, columns: int) -> Iterator[str]:
    yield _name(model, default) + (", is here" if model["here"] else "")
    facts = (
        numbered(model["dimension"], "dimension"),
        _download(model),
        f"cost {model['relative_cost']:g}",
        model["licence"],
    )
    for text in (", ".join(filter(None, facts)), model["summary"]):
        yield from textwrap.wrap(text, columns, initial_indent="  ", subsequent_indent="  ")


def _name(model: dict[str, Any], default: str) -> str:
    return f"{model['name']} (default)" if model["name"] == default else str(model["name"])


def _download(model: dict[str, Any]) -> str:
    return f"{model['download_bytes'] / 1e6:,.0f} MB" if model["download_bytes"] else ""


def _draw(table: Table) -> None:
    console = _console()
    # Rich itself ends the process with 1, the code of a search without a match, where a pipe was closed.
    with console.capture() as drawn:
        console.print(table)
    _write(drawn.get())


def _write(text: str) -> None:
    with results_may_be_unread():
        sys.stdout.write(text)
        sys.stdout.flush()


def _console() -> Console:
    # Without a terminal, lines are not cut to the default width.
    return Console(highlight=False, width=None if sys.stdout.isatty() else _COLUMNS_WITHOUT_TERMINAL)

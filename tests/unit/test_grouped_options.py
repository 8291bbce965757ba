"""Options that several commands share are fields of a dataclass."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from pixfind.cli.grouped_options import grouped


@dataclass(frozen=True, kw_only=True)
class Colours:
    red: Annotated[bool, typer.Option("--red", help="Paint it red.")] = False
    shades: Annotated[int, typer.Option(min=1)] = 3


program = typer.Typer()


@program.command()
@grouped
def paint(*, what: Annotated[str, typer.Argument()], colours: Colours, twice: bool = False) -> None:
    """Paint something."""
    typer.echo(f"{what} {colours} {twice}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("wall", "wall Colours(red=False, shades=3) False"),
        ("wall --red --twice", "wall Colours(red=True, shades=3) True"),
        ("--shades 5 wall", "wall Colours(red=False, shades=5) False"),
    ],
)
def test_each_field_is_an_option_with_its_default(words: str, said: str) -> None:
    assert f"{said}\n" == CliRunner().invoke(program, words.split()).stdout


def test_a_field_has_the_limits_and_the_help_of_its_annotation() -> None:
    assert 2 == CliRunner().invoke(program, ["wall", "--shades", "0"]).exit_code
    shown = CliRunner().invoke(program, ["--help"], env={"COLUMNS": "100"}).stdout
    assert "Paint it red." in shown
    assert "Paint something." in shown

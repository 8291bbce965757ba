"""What a terminal of any width shows of a running embed."""

import io

import pytest
import rich.progress
from rich.console import Console as Rich

from pixfind.cli.console import run_columns

RATE = "12.3 images/s, 2 h 10 min left, held back by the decode: the model waits 40 % of the time"


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_bar_and_the_count_are_shown_at_every_width(width: int) -> None:
    screen = Rich(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    shown = rich.progress.Progress(*run_columns(), console=screen)
    shown.add_task("", total=624_000, completed=312_000, rate=RATE)
    with screen.capture() as captured:
        screen.print(shown.get_renderable())
    (line,) = captured.get().splitlines()

    assert "312000/624000" in line
    assert 10 == line.count("━"), "half of the bar"
    assert "12.3" in line
    assert len(line.rstrip()) <= width

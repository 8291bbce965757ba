"""The escape sequences say what the pictures are: each is decoded back. And no terminal is taken for what it does not say it is."""

import base64
import os
import pty
import re
import select
import threading
import zlib

import numpy as np
import pytest
from numpy import uint8
from numpy.typing import NDArray

from pixfind.cli import terminal_images
from pixfind.cli.terminal_images import choose, device_attributes
from pixfind.errors import ImageProblem
from pixfind.images.decode import decode
from pixfind.testing import wait_for
from pixfind.testing.images import encode, picture
from pixfind.types import TerminalImages

JPEG = encode(picture(1, (60, 40)), ".jpg")
SHOWN = (TerminalImages.KITTY, TerminalImages.ITERM, TerminalImages.SIXEL)


def no_question() -> frozenset[str]:
    pytest.fail("the terminal was asked")


# --- kitty ----------------------------------------------------------------------------------------


def kitty_commands(text: str) -> list[tuple[dict[str, str], str]]:
    found = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert text == "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in found)
    return [(dict(key.split("=") for key in keys.split(",")), data) for keys, data in found]


@pytest.mark.parametrize("shape", [(1, 1), (40, 60), (320, 213)])
def test_kitty_gets_the_very_pixels(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=uint8)
    commands = kitty_commands(terminal_images.kitty(pixels))

    first, _ = commands[0]
    assert {"a": "T", "f": "24", "o": "z", "q": "2"}.items() <= first.items()
    assert (str(shape[1]), str(shape[0])) == (first["s"], first["v"])
    data = zlib.decompress(base64.b64decode("".join(data for _, data in commands)))
    assert np.array_equal(pixels, np.frombuffer(data, dtype=uint8).reshape(pixels.shape))


def test_kitty_gets_chunks_of_4096_and_knows_the_last() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (100, 100, 3), dtype=uint8)
    commands = kitty_commands(terminal_images.kitty(pixels))

    assert len(commands) > 2
    assert {4096} == {len(data) for _, data in commands[:-1]}
    assert [*["1"] * (len(commands) - 1), "0"] == [keys["m"] for keys, _ in commands]
    assert all({"m"} == keys.keys() for keys, _ in commands[1:])


def test_a_panorama_is_held_to_the_width() -> None:
    ((wide, _),) = kitty_commands(terminal_images.kitty(np.zeros((10, 100, 3), dtype=uint8)))
    ((usual, _),) = kitty_commands(terminal_images.kitty(np.zeros((20, 30, 3), dtype=uint8)))

    assert ("48", None) == (wide.get("c"), wide.get("r"))
    assert (None, "8") == (usual.get("c"), usual.get("r"))


# --- iTerm2 ---------------------------------------------------------------------------------------


def test_iterm_gets_the_very_file() -> None:
    match = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07", terminal_images.iterm(JPEG))

    assert match is not None
    assert JPEG == base64.b64decode(match[2])
    keys = dict(key.split("=") for key in match[1].split(";"))
    assert {"inline": "1", "size": str(len(JPEG)), "height": "8", "preserveAspectRatio": "1"} == keys


# --- sixel ----------------------------------------------------------------------------------------


def decoded_sixels(text: str) -> NDArray[np.int64]:
    """What a terminal draws: percent RGB [h, w, 3]; -1 where nothing is drawn."""
    head = re.match(r'\x1bP0;1q"1;1;(\d+);(\d+)', text)
    assert head is not None
    assert text.endswith("\x1b\\")
    wide, high = int(head[1]), int(head[2])
    drawn = np.full((high, wide, 3), -1)
    colours: dict[str, list[int]] = {}
    x = top = 0
    colour = ""
    for number, colour_system, run, bits, step in re.findall(
        r"#(\d+)(?:;2;(\d+;\d+;\d+))?|(?:!(\d+))?([?-~])|([$-])", text[head.end() : -2]
    ):
        if number:
            colour = number
            if colour_system:
                colours[number] = [int(part) for part in colour_system.split(";")]
        elif step:
            x, top = 0, top + (6 if step == "-" else 0)
        else:
            end = x + int(run or 1)
            for row in (row for row in range(6) if (ord(bits) - 63) >> row & 1):
                assert (drawn[top + row, x:end] == -1).all(), "a pixel is drawn twice"
                drawn[top + row, x:end] = colours[colour]
            x = end
    return drawn


@pytest.mark.parametrize("shape", [(1, 1), (6, 5), (7, 9), (41, 64)])
def test_sixels_draw_each_pixel_once_in_its_colour(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    indices = random.integers(0, 9, shape, dtype=uint8)
    indices[:, shape[1] // 2 :] = 3  # a run
    palette = random.integers(0, 256, (9, 3), dtype=uint8)

    drawn = decoded_sixels(terminal_images.sixel(indices, palette))

    assert np.array_equal(np.rint(palette[indices] / 2.55), drawn)


def test_a_photo_as_sixels_looks_like_itself() -> None:
    drawn = decoded_sixels(terminal_images.sequence(JPEG, TerminalImages.SIXEL))

    pixels = np.asarray(decode(JPEG, limits=terminal_images._LIMITS).image)
    assert pixels.shape == drawn.shape
    assert np.abs(pixels / 2.55 - drawn).mean() < 3


def test_runs_are_short() -> None:
    text = terminal_images.sixel(np.zeros((6, 500), dtype=uint8), np.zeros((1, 3), dtype=uint8))

    assert '\x1bP0;1q"1;1;500;6#0;2;0;0;0#0!500~\x1b\\' == text


# --- any ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", SHOWN)
def test_a_sequence_is_plain_ascii_without_line_ends(how: TerminalImages) -> None:
    text = terminal_images.sequence(JPEG, how)

    assert text.isascii()
    assert not set("\r\n\t") & set(text)


@pytest.mark.parametrize("how", [TerminalImages.NONE, TerminalImages.AUTO])
def test_no_protocol_is_no_sequence(how: TerminalImages) -> None:
    assert "" == terminal_images.sequence(JPEG, how)


@pytest.mark.parametrize("how", SHOWN)
def test_what_is_no_picture_is_told(how: TerminalImages) -> None:
    with pytest.raises(ImageProblem):
        terminal_images.sequence(b"no picture", how)


# --- which terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "right"),
    [
        ({"TERM": "xterm-kitty"}, TerminalImages.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, TerminalImages.KITTY),
        ({"TERM": "xterm-ghostty"}, TerminalImages.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, TerminalImages.ITERM),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, TerminalImages.ITERM),
        ({"TERM": "dumb", "KITTY_WINDOW_ID": "1"}, TerminalImages.NONE),
        ({}, TerminalImages.NONE),
    ],
)
def test_a_terminal_is_known_by_its_name(environment: dict[str, str], right: TerminalImages) -> None:
    assert right is choose(TerminalImages.AUTO, environment, no_question)


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "xterm-256color"},
        {"TERM": "screen-256color", "KITTY_WINDOW_ID": "1"},
        {"TERM": "xterm-kitty", "TMUX": "somewhere,1,0"},
        {"TERM": "tmux-256color", "TERM_PROGRAM": "iTerm.app"},
    ],
)
def test_any_other_shows_sixels_only_when_it_says_so(environment: dict[str, str]) -> None:
    assert TerminalImages.SIXEL is choose(TerminalImages.AUTO, environment, lambda: frozenset({"62", "4"}))
    assert TerminalImages.NONE is choose(TerminalImages.AUTO, environment, lambda: frozenset({"64", "14"}))
    assert TerminalImages.NONE is choose(TerminalImages.AUTO, environment, frozenset)


@pytest.mark.parametrize("asked", [*SHOWN, TerminalImages.NONE])
def test_what_is_asked_for_is_used(asked: TerminalImages) -> None:
    assert asked is choose(asked, {"TERM": "dumb"}, no_question)


def _waiting(terminal: int) -> bool:
    """Whether something was typed that nobody has read."""
    return bool(select.select([terminal], [], [], 0)[0])


def test_a_terminal_is_asked_and_left_as_it_was() -> None:
    import termios

    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    asked = []

    def terminal() -> None:
        asked.append(os.read(ours, 100))
        os.write(ours, b"\x1b[?62;4;")
        # The rest comes once the first part has been read.
        wait_for(lambda: not _waiting(theirs))
        os.write(ours, b"22c")

    answering = threading.Thread(target=terminal)
    answering.start()
    told = device_attributes(theirs, theirs, patience=50)
    answering.join()

    assert frozenset({"62", "4", "22"}) == told
    assert [b"\x1b[c"] == asked
    assert before == termios.tcgetattr(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_terminal_that_does_not_answer_is_not_waited_for() -> None:
    ours, theirs = pty.openpty()

    assert frozenset() == device_attributes(theirs, theirs)
    os.close(ours)
    os.close(theirs)


def test_lines_that_were_typed_ahead_stay_for_the_shell() -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"ls\n")
    wait_for(lambda: _waiting(theirs))

    assert frozenset() == device_attributes(theirs, theirs)
    assert b"ls\n" == os.read(theirs, 100)
    os.close(ours)
    os.close(theirs)


def test_a_pipe_is_not_asked() -> None:
    out, into = os.pipe()

    assert frozenset() == device_attributes(out, into)
    os.close(into)
    assert b"" == os.read(out, 1)
    os.close(out)

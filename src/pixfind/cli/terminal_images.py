"""
Thumbnails in the terminal, as escape sequences.

Owns three protocols (kitty graphics, iTerm2 inline images, sixel) and the detection of what a terminal supports. A sequence is
ASCII text; a line end after it moves the cursor below the picture. Must not know hits, or who prints.

A terminal without support would print kilobytes of garbage, so detection is careful: by the name of the terminal in the environment, or by
its reply to a query; inside tmux or screen only by a reply, because the environment may come from another terminal.
"""

import base64
import contextlib
import os
import re
import select
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Final

import numpy as np
from numpy import uint8
from numpy.typing import NDArray

from pixfind.images import thumbnails
from pixfind.images.decode import Limits, decode
from pixfind.types import TerminalImages

SIDES: Final = {TerminalImages.KITTY: 320, TerminalImages.ITERM: 320, TerminalImages.SIXEL: 160}
"""Pixels of the longer side of a thumbnail; sixel shows them one to one, the others scale to lines of text."""

ROWS: Final = 8
"""Lines of text that a picture takes, at most."""
COLUMNS: Final = 48

_CELL: Final = 2.0
"""A character is about twice as high as wide."""

_CHUNK: Final = 4096
_COLOURS: Final = 128
_BAND: Final = 6
_MIN_RUN: Final = 4
_LIMITS: Final = Limits(1_000_000)

_KITTY_TERMS: Final = frozenset({"xterm-kitty", "xterm-ghostty"})
_ITERM_PROGRAMS: Final = frozenset({"iTerm.app", "WezTerm", "mintty"})
_DUMB_TERMS: Final = frozenset({"", "dumb", "linux"})
_SIXEL_ATTRIBUTE: Final = "4"
_ATTRIBUTES: Final = re.compile(rb"\x1b\[\?([0-9;]*)c")
_ANSWER_SECONDS: Final = 0.2


def choose(
    requested: TerminalImages, environment: Mapping[str, str], attributes: Callable[[], frozenset[str]]
) -> TerminalImages:
    """
    Return the protocol to use; NONE where none is known to be supported.

    `attributes` queries the terminal (see `device_attributes`); it is called only when the environment does not decide.
    """
    if requested is not TerminalImages.AUTO:
        return requested
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term in _DUMB_TERMS:
        return TerminalImages.NONE
    if not ("TMUX" in environment or term.startswith(("tmux", "screen"))):
        if "KITTY_WINDOW_ID" in environment or term in _KITTY_TERMS or program == "ghostty":
            return TerminalImages.KITTY
        if program in _ITERM_PROGRAMS:
            return TerminalImages.ITERM
    return TerminalImages.SIXEL if _SIXEL_ATTRIBUTE in attributes() else TerminalImages.NONE


def sequence(thumbnail: bytes, how: TerminalImages) -> str:
    """Return the escape sequence that shows a JPEG; empty for NONE and AUTO. Raises `ImageProblem` for invalid bytes."""
    if how is TerminalImages.ITERM:
        return iterm(thumbnail)
    if how not in (TerminalImages.KITTY, TerminalImages.SIXEL):
        return ""
    image = decode(thumbnail, limits=_LIMITS).image
    if how is TerminalImages.KITTY:
        return kitty(np.asarray(image))
    indexed = image.quantize(_COLOURS)
    palette = np.array(indexed.getpalette() or [0, 0, 0], dtype=uint8).reshape(-1, 3)
    return sixel(np.asarray(indexed), palette)


def kitty(pixels: NDArray[uint8]) -> str:
    """Return RGB pixels [h, w, 3] in the kitty graphics protocol: compressed, in chunks, without a reply from the terminal."""
    high, wide, _ = pixels.shape
    place = f"r={ROWS}" if _columns(wide, high) <= COLUMNS else f"c={COLUMNS}"
    data = base64.b64encode(zlib.compress(pixels.tobytes())).decode()
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    heads = [f"a=T,q=2,f=24,o=z,s={wide},v={high},{place},", *[""] * (len(chunks) - 1)]
    more = [*[1] * (len(chunks) - 1), 0]
    return "".join(f"\x1b_G{head}m={rest};{chunk}\x1b\\" for head, rest, chunk in zip(heads, more, chunks, strict=True))


def iterm(thumbnail: bytes) -> str:
    """Return a JPEG as an inline image of iTerm2, which decodes it."""
    wide, high = thumbnails.size(thumbnail)
    place = f"height={ROWS}" if _columns(wide, high) <= COLUMNS else f"width={COLUMNS}"
    data = base64.b64encode(thumbnail).decode()
    return f"\x1b]1337;File=inline=1;size={len(thumbnail)};{place};preserveAspectRatio=1:{data}\x07"


def sixel(indices: NDArray[uint8], palette: NDArray[uint8]) -> str:
    """Return pixels [h, w] (indices into an RGB palette [n, 3]) as sixels: bands of six rows, one colour at a time."""
    high, wide = indices.shape
    used = np.unique(indices).tolist()
    percent = np.rint(palette.astype(np.float64) * (100 / 255)).astype(int)
    colours = "".join("#{};2;{};{};{}".format(colour, *percent[colour]) for colour in used)
    bands = "-".join(_band(indices[top : top + _BAND]) for top in range(0, high, _BAND))
    return f'\x1bP0;1q"1;1;{wide};{high}{colours}{bands}\x1b\\'


def _band(rows: NDArray[uint8]) -> str:
    """Return a band of up to six rows: for each colour its pixels by column, one bit a row, the top row in the lowest bit."""
    bits = (1 << np.arange(len(rows)))[:, None]
    return "$".join(
        f"#{colour}" + _runs(((rows == colour) * bits).sum(axis=0).tolist()) for colour in np.unique(rows).tolist()
    )


def _runs(column_bits: list[int]) -> str:
    text = []
    for bits, run in groupby(column_bits):
        length, character = len(list(run)), chr(63 + bits)
        text.append(f"!{length}{character}" if length >= _MIN_RUN else character * length)
    return "".join(text)


def _columns(wide: int, high: int) -> float:
    """Return the width in columns of a picture that is `ROWS` lines high."""
    return _CELL * ROWS * wide / high


# --- asking the terminal --------------------------------------------------------------------------


def device_attributes(keyboard: int, screen: int, patience: float = _ANSWER_SECONDS) -> frozenset[str]:
    """
    Ask the terminal (two file descriptors) for its primary device attributes; empty without a reply within `patience` seconds.

    Does not query anything but a terminal, nor from the background, nor while there is unread input.
    """
    try:
        if not (os.isatty(keyboard) and os.isatty(screen) and _in_front(keyboard)):
            return frozenset()
        with _unbuffered(keyboard):
            if select.select([keyboard], [], [], 0)[0]:
                return frozenset()
            os.write(screen, b"\x1b[c")
            reply = _ATTRIBUTES.search(_answer(keyboard, patience))
    except (OSError, ImportError):  # a terminal that went away; a system without termios
        return frozenset()
    return frozenset(reply[1].decode().split(";")) if reply else frozenset()


def _in_front(keyboard: int) -> bool:
    try:
        return os.tcgetpgrp(keyboard) == os.getpgrp()
    except OSError:
        return True  # not the controlling terminal, which alone can stop a background process


@contextlib.contextmanager
def _unbuffered(keyboard: int) -> Iterator[None]:
    """Turn off line buffering and echo in the block; raises OSError."""
    import termios
    import tty

    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard, termios.TCSANOW)
        yield
    except termios.error as error:
        raise OSError(*error.args) from error
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)


def _answer(keyboard: int, patience: float) -> bytes:
    answer, deadline = b"", time.monotonic() + patience
    while not _ATTRIBUTES.search(answer) and (left := deadline - time.monotonic()) > 0:
        if select.select([keyboard], [], [], left)[0]:
            answer += os.read(keyboard, 256)
    return answer

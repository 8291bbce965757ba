"""
Words to a running embed: stop, pause, use more or less.

Owns `control.json` in the library: the other process writes it, the coordinator looks at it a few times a second. A file and not a
signal, because it works for another user, on another system, and can say how much.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pixfind.storage import disk

_NAME = "control.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the coordinator is asked for."""

    stop: bool = False
    pause: bool | None = None
    """rest, or go on; None: nothing was said"""
    cpu: float | None = None
    """share of the machine, 0 to 1"""


def read(library: Path) -> Asked:
    """Return what is asked for; nothing when the file is missing or not ours."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Asked(**json.loads((library / _NAME).read_text(encoding="utf-8")))
    return Asked()


def ask(library: Path, asked: Asked) -> None:
    """Ask the coordinator of `library`, beside what it is asked for already: a stop is never taken back."""
    before = read(library)
    both = Asked(
        before.stop or asked.stop,
        before.pause if asked.pause is None else asked.pause,
        before.cpu if asked.cpu is None else asked.cpu,
    )
    disk.publish(library / _NAME, json.dumps(asdict(both)).encode())


def withdraw(library: Path) -> None:
    """Forget what was asked for: it was meant for a run that has ended."""
    disk.delete(library / _NAME)

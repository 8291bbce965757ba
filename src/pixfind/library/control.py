"""
Requests to a running embed: stop, pause, use more or less.

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
class ControlRequest:
    """What is requested of the coordinator."""

    stop: bool = False
    pause: bool | None = None
    """pause, or resume; None: neither was requested"""
    cpu: float | None = None
    """share of the machine, 0 to 1"""


def read(library: Path) -> ControlRequest:
    """Return what is requested; nothing when the file is missing or not ours."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = ControlRequest(**json.loads((library / _NAME).read_text(encoding="utf-8")))
        if _is_sound(found):
            return found
    return ControlRequest()


def _is_sound(found: ControlRequest) -> bool:
    """Tell whether the fields have the types that they should: anybody may have written the file by hand."""
    share = found.cpu is None or (type(found.cpu) in {int, float} and 0 < found.cpu <= 1)
    return share and type(found.stop) is bool and type(found.pause) in {bool, type(None)}


def request(library: Path, new: ControlRequest) -> None:
    """Add to what is requested of the coordinator of `library`: a stop is never taken back."""
    before = read(library)
    both = ControlRequest(
        before.stop or new.stop,
        before.pause if new.pause is None else new.pause,
        before.cpu if new.cpu is None else new.cpu,
    )
    disk.publish(library / _NAME, json.dumps(asdict(both)).encode())


def clear(library: Path) -> None:
    """Forget what was requested: it was meant for a run that has ended."""
    disk.delete(library / _NAME)

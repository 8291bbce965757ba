"""
How `pixfind status` shows what was added to a library.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pixfind.cli.styles import escape
from pixfind.types import numbered

_MAX_LINES: Final = 50

_NAMES: Final = {
    "part": "part",
    "collection": "of",
    "column": "column",
    "keep": "keeps",
    "endpoint": "at",
    "region": "region",
}
"""setting -> the word before its value"""

_FLAGS: Final = {"anonymous": "without credentials", "instance_role": "with the role of this machine"}


def lines(roots: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each root, with styles; `roots` are those of `Status`."""
    for root in roots[:_MAX_LINES]:
        facts = [f"{numbered(root['images'], 'image')}", *_settings(root), *_exclusions(root)]
        line = f"{escape(root['path'])} ({root['kind']}): {escape(', '.join(facts))}"
        yield line if root["offline"] is None else f"{line} [yellow]offline: {escape(root['offline'])}[/yellow]"
    if len(roots) > _MAX_LINES:
        yield f"and {len(roots) - _MAX_LINES:,} more, which `pixfind status --json` lists"


def _settings(root: Mapping[str, Any]) -> Iterator[str]:
    settings = root["settings"]
    if root["mounted_in"] is not None:
        yield f"mounted in {root['mounted_in']}"
    if root["archives"]:
        yield "archives"
    if "video_every" in settings:
        yield f"videos every {settings['video_every']:g} s, at most {numbered(settings['video_frames'], 'frame')}"
    for name, word in _NAMES.items():
        if value := settings.get(name):
            yield f"{word} {value if isinstance(value, str) else ' '.join(value)}"
    yield from (words for name, words in _FLAGS.items() if settings.get(name))


def _exclusions(root: Mapping[str, Any]) -> Iterator[str]:
    if root["exclude"]:
        yield f"without {' '.join(map(repr, root['exclude']))}"
    for command, globs in root["exclude_configured"].items():
        yield f"without {' '.join(map(repr, globs))} (configured for `pixfind {command}`)"

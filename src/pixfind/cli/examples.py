"""
Worked examples, which the help of a command and the manual page end with.
"""

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "index": (
        "pixfind index ~/Pictures",
        'pixfind index ~/Pictures --exclude "*/private/*" --video',
        "pixfind index --cpu 50% --between 22:00-07:00",
    ),
    "search": (
        'pixfind search "beach -people" --after "last summer"',
        'pixfind search holiday.jpg +snow --in "*/2021/*" -k 50',
        "pixfind search receipt --copy-to ~/receipts",
    ),
    "albums": (
        'pixfind search beach --save "By the sea"',
        'pixfind albums --add "Best of 2024" ~/Pictures/beach.jpg',
        'pixfind search --album "Best of 2024"',
    ),
    "export": (
        "pixfind export pictures.csv",
        "pixfind export pictures.parquet --embeddings",
        "pixfind export --xmp-beside --dry-run",
    ),
    "serve": (
        "pixfind serve --open",
        "pixfind serve --watch --port 9000",
        "pixfind serve --host 0.0.0.0 --token-file ~/pixfind-token",
    ),
}
"""command, as it is typed -> lines of a shell"""


def text(command: str) -> str:
    """Return the examples of a command as its help shows them; empty for one that has none."""
    lines = EXAMPLES.get(command, ())
    return "\n".join(["Examples:", *(f"  {line}" for line in lines), ""]) if lines else ""

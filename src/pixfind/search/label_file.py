"""
Files of labels: a line for each, its name and what its images show.

    beach
    dog: a dog -cat
    whiteboard: a whiteboard with writing >= 4.5

Owns the grammar, and the errors that name a line. Without a description the name describes the images too; `>=` and a number replace the cut-offs of searches.
"""

import re
from pathlib import Path
from typing import Final

from pixfind import errors
from pixfind.library import tokens
from pixfind.library.labels import Definition
from pixfind.search import query
from pixfind.search.query import TermKind

MAX_LABELS: Final = 1_000
MAX_NAME: Final = 100
"""characters"""
_MAX_BYTES: Final = 1_000_000

_LINE: Final = re.compile(r"(?P<name>[^:]*?)\s*(?::\s*(?P<query>.*?)\s*)?(?:>=\s*(?P<min_z>-?\d+(?:\.\d*)?)\s*)?")


def read(path: Path) -> list[Definition]:
    """Return the labels in a file of UTF-8; lines that begin with # and empty ones are left out. Raises InvalidLabels."""
    try:
        content = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else None
        text = None if content is None else content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.InvalidLabels(path=path, detail="it is no UTF-8") from error
    except OSError as error:
        raise errors.InvalidLabels(path=path, detail=error.strerror or str(error)) from error
    if text is None:
        raise errors.InvalidLabels(path=path, detail=f"it has more than {_MAX_BYTES:,} bytes")
    found: dict[str, Definition] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        one = _definition(path, number, line.strip())
        if found.setdefault(one.name.casefold(), one) is not one:
            raise errors.InvalidLabels(path=path, detail=f'line {number}: there is a label "{one.name}" already')
    if not 0 < len(found) <= MAX_LABELS:
        raise errors.InvalidLabels(path=path, detail=f"it has {len(found):,} labels, and takes 1 to {MAX_LABELS:,}")
    return list(found.values())


def _definition(path: Path, number: int, line: str) -> Definition:
    match = _LINE.fullmatch(line)
    name = match["name"] if match else ""
    if match is None or not tokens.wanted(name) or len(name) > MAX_NAME or name[0] in "-+" or ";" in name:
        detail = f"line {number}: a name has a letter or a digit, no colon or semicolon, no sign before it, and at most {MAX_NAME} characters"
        raise errors.InvalidLabels(path=path, detail=detail)
    if re.search(r"[<>=]", name):
        detail = f'line {number}: "{name}" looks like a threshold; one is written >= 4.5'
        raise errors.InvalidLabels(path=path, detail=detail)
    try:
        parsed = query.parse(match["query"]) if match["query"] else query.text(name)
    except errors.InvalidQuery as error:
        raise errors.InvalidLabels(path=path, detail=f"line {number}: {error.fields['detail']}") from error
    if any(term.kind is not TermKind.TEXT for term in parsed.terms):
        raise errors.InvalidLabels(path=path, detail=f"line {number}: a label is described by words alone")
    return Definition(name, str(parsed), None if match["min_z"] is None else float(match["min_z"]))

"""
Checks the words of this project: `python -m tools.prose [FILE...]`, by default every tracked file.

Reads tools/words.toml. Pages are checked outside of code; Python files in their docstrings, comments and messages (strings of several
words) and in the names they use. A linter of our own because the usual one, Vale, is a binary that has to be fetched from
outside the package index: it could not be a dependency of `make lint`.
"""

import io
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
WORDS: Final = Path(__file__).with_name("words.toml")

_FENCE: Final = re.compile(r"^\s*(```|~~~)")
_NOT_PROSE: Final = re.compile(r"`[^`]*`|\]\([^)]*\)|https?://\S+|<[^<>]*>")
_TEXT: Final = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


@dataclass(frozen=True, slots=True)
class Word:
    """A discouraged word and the standard term."""

    pattern: re.Pattern[str]
    instead: str


@dataclass(frozen=True, slots=True)
class Words:
    """The lists, and the files that quote such words on purpose."""

    prose: list[Word]
    pages: list[Word]
    names: list[Word]
    exempt: list[str]
    finished: tuple[str, ...] = ()
    """folders whose code has no words of `pages` any more"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One discouraged word in one line of a file."""

    path: Path
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f'{self.path}:{self.line}: "{self.found}": write "{self.instead}"'


def load(path: Path = WORDS) -> Words:
    """The lists of words; each key is a regular expression."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    prose, pages = (
        [Word(re.compile(rf"\b(?:{key})\b", re.IGNORECASE), instead) for key, instead in table[name].items()]
        for name in ("prose", "pages")
    )
    return Words(
        prose=prose,
        pages=pages,
        names=[Word(re.compile(key), instead) for key, instead in table["names"].items()],
        exempt=table["exempt"],
        finished=tuple(table["finished"]),
    )


def check(path: Path, text: str, words: Words) -> Iterator[Finding]:
    """The discouraged words of one file."""
    if path.suffix != ".py":
        for line, piece in _markdown(text):
            yield from _prose(path, line, piece, words.prose + words.pages)
        return
    pieces, names = _python(text)
    prose = words.prose + (words.pages if path.as_posix().startswith(words.finished) else [])
    for line, piece in pieces:
        yield from _prose(path, line, piece, prose)
    for line, name in names:
        for word in words.names:
            if word.pattern.fullmatch(name):
                yield Finding(path, line, name, word.instead)


def _prose(path: Path, line: int, piece: str, words: list[Word]) -> Iterator[Finding]:
    plain = _NOT_PROSE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), piece)
    for word in words:
        for found in word.pattern.finditer(plain):
            yield Finding(path, line + plain.count("\n", 0, found.start()), " ".join(found[0].split()), word.instead)


def _markdown(text: str) -> Iterator[tuple[int, str]]:
    """The paragraphs of a page with their first lines, so that a phrase is found across a line break."""
    paragraph: list[str] = []
    first, code = 1, False
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        fence = _FENCE.match(line)
        if line.strip() and not fence and not code:
            first = first if paragraph else number
            paragraph.append(line)
        elif paragraph:
            yield first, "\n".join(paragraph)
            paragraph = []
        code ^= fence is not None


def _python(text: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Docstrings, comments and strings of several words; names."""
    pieces, names = [], []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _TEXT and " " in token.string:
            pieces.append((token.start[0], token.string))
        elif token.type == tokenize.NAME:
            names.append((token.start[0], token.string))
    return pieces, names


def _files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return [path.relative_to(ROOT) for folder in ("docs", "src") for path in sorted((ROOT / folder).rglob("*.*"))]
    done = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in done.stdout.split("\0") if name]


def main() -> None:
    """Print every discouraged word, and fail if there is one."""
    words = load()
    paths = [Path(name) for name in sys.argv[1:]] or _files()
    checked = [
        path
        for path in paths
        if path.suffix in {".md", ".py"}
        and (ROOT / path).exists()
        and not any(path.match(name) for name in words.exempt)
    ]
    if not checked:
        sys.exit("There is no page and no Python file to check.")
    found = [each for path in checked for each in check(path, (ROOT / path).read_text(encoding="utf-8"), words)]
    for finding in found:
        print(finding, file=sys.stderr)
    if found:
        sys.exit(f"{len(found)} discouraged words; the list is tools/words.toml")


if __name__ == "__main__":
    main()

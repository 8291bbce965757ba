"""
Contact sheet: the hits of a search on one HTML page, to view and to share.

Owns the page: one self-contained HTML file without scripts. Text from outside (the query, file names) is escaped. Must not know how hits are
found or where thumbnails come from.
"""

import base64
import html
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from pixfind.images import source, suffixes, thumbnails
from pixfind.types import numbered

_SHAPES: Final = (0.4, 3.0)
"""Aspect ratios beyond these are cropped on the page, so that one panorama does not fill a row."""

_JOINERS: Final = "\u200c\u200d"  # parts of words and of emoji


class Hit(Protocol):
    """What the page needs of a hit."""

    @property
    def path(self) -> str:
        """Where the picture lies."""

    @property
    def score(self) -> float | None:
        """The cosine; None where nothing was compared."""


H = TypeVar("H", bound=Hit)
"""Asked for by itself, never by its path: two libraries of a collection may have the same path."""


def render(
    query: str,
    hits: Iterable[H],
    thumbnail: Callable[[H], bytes | None],
    *,
    note: Callable[[H], str] = lambda _: "",
    linked: Callable[[H], bool] = lambda _: True,
    order: str = "best first",
) -> str:
    """
    Return the page. `thumbnail` returns the JPEG of a hit, None where it cannot be read; `linked` tells whether its file is on this
    machine, and `order` says how they are sorted.

    The page can always be encoded as UTF-8, even with file names that are not.
    """
    figures = [_figure(rank, hit, thumbnail(hit), note(hit), linked(hit)) for rank, hit in enumerate(hits, start=1)]
    body = "\n".join(figures) if figures else '<p class="none">No picture fits.</p>'
    summary = f"{numbered(len(figures), 'picture')}, {order}"
    return _PAGE.format(
        style=_STYLE, query=_text(query), summary=summary, body=f'<main class="sheet">\n{body}\n</main>'
    )


def render_groups(
    title: str,
    groups: Iterable[tuple[str, Iterable[H]]],
    thumbnail: Callable[[H], bytes | None],
    *,
    note: Callable[[H], str] = lambda _: "",
) -> str:
    """Return a page of groups (heading, hits), each under its heading; otherwise as `render`."""
    sections = [
        _SECTION.format(heading=_text(heading), figures="\n".join(_figures(hits, thumbnail, note)))
        for heading, hits in groups
    ]
    body = "\n".join(sections) if sections else '<p class="none">No group.</p>'
    summary = numbered(len(sections), "group")
    return _PAGE.format(style=_STYLE, query=_text(title), summary=summary, body=f"<main>\n{body}\n</main>")


def _figures(hits: Iterable[H], thumbnail: Callable[[H], bytes | None], note: Callable[[H], str]) -> list[str]:
    return [_figure(rank, hit, thumbnail(hit), note(hit), True) for rank, hit in enumerate(hits, start=1)]


def _figure(rank: int, hit: Hit, thumbnail: bytes | None, note: str, linked: bool) -> str:
    folder, _, name = hit.path.replace(os.sep, "/").rpartition("/")
    wide, high = thumbnails.size(thumbnail) if thumbnail else (4, 3)
    shape = min(max(wide / high, _SHAPES[0]), _SHAPES[1])
    return _FIGURE.format(
        shape=f"{shape:.4f}",
        link=html.escape(_link(hit.path)) if linked else "",
        picture=_picture(thumbnail, name),
        rank=rank,
        score="" if hit.score is None else f"{hit.score:.3f}",
        name=_text(name),
        folder=_text(folder or "/"),
        note=f'<span class="note">{_text(note)}</span>' if note else "",
    )


def _picture(thumbnail: bytes | None, name: str) -> str:
    if thumbnail is None:
        return '<span class="missing">no preview</span>'
    data = base64.b64encode(thumbnail).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{_text(name)}" loading="lazy">'


def _link(path: str) -> str:
    # Percent-encoding keeps the bytes of names that are not UTF-8. A browser cannot look into an archive: the link is to the archive itself.
    # Into a video it can: it plays from the time of the frame. Nor does it know the protocols of object storage.
    file, time = Path(source.file_of(path)), suffixes.frame_time(path)
    if not file.is_absolute():
        return ""
    return file.as_uri() + ("" if time is None else f"{suffixes.FRAME_MARK}{time:g}")


def _text(value: str) -> str:
    """Return text for the page: bytes that are not UTF-8 and control characters become U+FFFD."""
    readable = os.fsencode(value).decode("utf-8", "replace") if _has_raw_bytes(value) else value
    return html.escape("".join(map(_shown, readable)))


def _shown(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return " " if character.isspace() else "\ufffd"


def _has_raw_bytes(value: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in value)


_FIGURE: Final = """\
<figure style="--shape:{shape}"><a href="{link}" title="{name}">{picture}</a>\
<figcaption><span class="line"><span class="rank">{rank}</span><bdi class="name">{name}</bdi>\
<span class="score">{score}</span></span><bdi class="folder">{folder}</bdi>{note}</figcaption></figure>"""

_SECTION: Final = """\
<section><h2><bdi>{heading}</bdi></h2>
<div class="sheet">
{figures}
</div></section>"""

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="pixfind">
<title>{query}</title>
<style>{style}</style>
</head>
<body>
<header><h1><bdi>{query}</bdi></h1><p>{summary}</p></header>
{body}
</body>
</html>
"""

_STYLE: Final = """
:root{color-scheme:light dark;--ground:#fafaf8;--ink:#1c1c1a;--soft:#6b6b66;--card:#ececE8;--line:#d9d9d4;--mark:#2f6f5e;
--row:clamp(7rem,20vw,13rem);--gap:clamp(.5rem,1.2vw,1rem)}
@media (prefers-color-scheme:dark){:root{--ground:#141413;--ink:#ededea;--soft:#9a9a93;--card:#242422;--line:#33332f;
--mark:#7fcbb4}}
*{box-sizing:border-box}
body{margin:0;padding:clamp(1rem,3vw,2.5rem);background:var(--ground);color:var(--ink);
font:15px/1.4 system-ui,-apple-system,"Segoe UI",sans-serif}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem 1rem;margin:0 0 1.5rem}
h1{margin:0;font-size:clamp(1.4rem,3vw,2rem);font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{margin:1.6rem 0 .6rem;font-size:1rem;font-weight:600}
header p,.none{margin:0;color:var(--soft)}
.sheet{display:flex;flex-wrap:wrap;gap:calc(var(--gap)*1.4) var(--gap)}
.sheet::after{content:"";flex:1e4 1 0}
figure{margin:0;flex:var(--shape) 1 calc(var(--shape)*var(--row));min-width:7rem;max-width:calc(var(--shape)*var(--row)*2)}
figure a{display:block;aspect-ratio:var(--shape);border-radius:.5rem;overflow:hidden;background:var(--card);text-decoration:none;
outline:1px solid transparent;outline-offset:2px;transition:outline-color .15s}
figure a:hover,figure a:focus-visible{outline:2px solid var(--mark)}
img{display:block;width:100%;height:100%;object-fit:cover}
.missing{display:grid;place-items:center;height:100%;color:var(--soft)}
figcaption{padding:.45rem .1rem 0;font-size:.8rem;display:grid;grid-template-columns:minmax(0,1fr);contain:inline-size}
.line{display:flex;gap:.5rem;align-items:baseline}
.rank,.score{flex:none;color:var(--soft);font-variant-numeric:tabular-nums}
.score{margin-left:auto;color:var(--mark)}
.name,.folder{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.name{font-weight:550;min-width:0}
.folder,.note{color:var(--soft)}
@media (max-width:30rem){.folder{display:none}figure{max-width:none}}
@media print{body{padding:0}figure{break-inside:avoid}}
"""

"""
The text in pictures: what was read, by content, and what is left to read.

Owns the table `texts` and its ledger: contents = read + no text + failed + pending. Must not know what reads, or how text is searched for.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from pixfind.library import path_text
from pixfind.library.catalogue import Catalogue
from pixfind.types import ImageRef, ReadText, Settled, TextLine

_FILE: Final = "texts.sql"
_SETTING: Final = "read_text"


class TextOutcome(StrEnum):
    """What reading a content has come to; one without an outcome is pending."""

    READ = "read"
    NO_TEXT = "no text"
    FAILED = "failed"


def wanted(catalogue: Catalogue) -> bool:
    """Tell whether the user has asked for the text in the pictures of this library to be read."""
    return catalogue.setting(_SETTING) == "1"


def want(catalogue: Catalogue, *, wanted: bool) -> None:
    """Remember whether `index` and `watch` read text."""
    catalogue.set_setting(_SETTING, "1" if wanted else "0")


def pending(catalogue: Catalogue) -> list[tuple[int, int]]:
    """Return (image id, embedding_index) of each content that waits, in the order of the ids."""
    return [(image_id, row) for image_id, row in catalogue.all_rows("pending", _FILE)]


def count_pending(catalogue: Catalogue) -> int:
    """Count the contents of online roots that wait."""
    return int(catalogue.value("count_pending", _FILE))


def images(catalogue: Catalogue, ids: Iterable[int]) -> list[ImageRef]:
    """Return the images with these ids, in their order."""
    ordered = list(ids)
    found = {row[0]: ImageRef(*row) for row in catalogue.rows("images", _FILE, ids=json.dumps(ordered))}
    return [found[image_id] for image_id in ordered if image_id in found]


def keep(catalogue: Catalogue, texts: Iterable[ReadText], reader: str) -> None:
    """Record texts that `reader` has read; in a transaction of the caller. Recording one twice changes nothing."""
    catalogue.run_many(
        "keep",
        (
            {
                "hash": text.hash,
                "outcome": TextOutcome.READ if text.lines else TextOutcome.NO_TEXT,
                "reader": reader,
                "lines": to_json(text.lines),
            }
            for text in texts
        ),
        _FILE,
    )


def fail(catalogue: Catalogue, settled: Iterable[Settled], reader: str) -> None:
    """Record contents that could not be read, each by one of its images; in a transaction of the caller."""
    catalogue.run_many(
        "fail",
        (
            {
                "image_id": one.image_id,
                "reason": path_text.readable(one.reason),
                "transient": one.transient,
                "reader": reader,
            }
            for one in settled
        ),
        _FILE,
    )


def retry(catalogue: Catalogue, *, all_failed: bool) -> None:
    """Let contents that failed wait again: those whose reason may pass, or all."""
    catalogue.run("retry_failed" if all_failed else "retry_transient", _FILE)


def ledger(catalogue: Catalogue) -> dict[str, int]:
    """Count the contents that some image has, by outcome, and those that are pending."""
    counts = dict.fromkeys((*map(str, TextOutcome), "pending"), 0)
    for outcome, count in catalogue.rows("ledger", _FILE):
        counts[outcome or "pending"] = count
    return counts


def failures(catalogue: Catalogue) -> dict[str, int]:
    """Count the contents that failed, by kind of reason."""
    return dict(catalogue.rows("failures", _FILE))


def lines(catalogue: Catalogue, ids: Iterable[int]) -> Mapping[int, tuple[TextLine, ...]]:
    """Return image id -> lines, for those of the images in which text was read."""
    found = catalogue.rows("lines_of_images", _FILE, ids=json.dumps(list(ids)))
    return {image_id: from_json(text) for image_id, text in found}


def any_read(catalogue: Catalogue) -> bool:
    """Tell whether text was read in any picture."""
    return bool(catalogue.value("any", _FILE))


def to_json(lines: Iterable[TextLine]) -> str:
    """Return lines as the catalogue holds them."""
    return json.dumps(
        [[path_text.readable(line.text), line.confidence, line.box] for line in lines], ensure_ascii=False
    )


def from_json(text: str) -> tuple[TextLine, ...]:
    """Return the lines that the catalogue holds; none of a value that another program has written."""
    try:
        return tuple(
            TextLine(str(line), float(confidence), tuple(map(float, box))) for line, confidence, box in json.loads(text)
        )
    except (ValueError, TypeError):
        return ()

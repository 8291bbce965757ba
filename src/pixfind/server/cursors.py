"""
Cursors: where the next page of a list begins.

A cursor names the last hit of a page, so that the next page begins behind it although pictures were added or deleted meanwhile. An offset
would show hits twice, or leave some out. Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pixfind import errors
from pixfind.search.results import Hit
from pixfind.types import Sort

_MAX_NUMBER = 2**63 - 1
_UNKNOWN_TIME = -_MAX_NUMBER
"""behind all others"""


class Order(StrEnum):
    """How a list is sorted."""

    BEST = "best"
    """by score, for a query"""
    NEWEST = "newest"
    """by time, for filters without a query"""
    NEWER = "newer"
    """the same list, read towards its beginning"""
    BY_DATE = "date"
    """by time, the best hits of a query"""
    BY_ADDED = "added"
    """by the time of registration, the best hits of a query"""
    LAST_ADDED = "lastadded"
    """by the time of registration, for filters without a query"""
    ADDED_BEFORE = "addedbefore"
    """the same list, read towards its beginning"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last hit of a page."""

    order: Order
    count: int
    """hits up to and with this one; for NEWER those before it"""
    key: float
    """what the list is sorted by: its score, or its time in seconds since 1970"""
    image_id: int

    def __str__(self) -> str:
        return f"{self.order}:{self.count}:{self.key!r}:{self.image_id}"

    @classmethod
    def at(cls, hit: Hit, order: Order, count: int) -> Self:
        """Return the cursor behind a hit of a ranked list, the `count`-th."""
        return cls(order, count, _key(hit, order), hit.image_id)

    @classmethod
    def parse(cls, text: str, *orders: Order) -> Self:
        """Return the cursor of a list in one of these orders; raises InvalidRequest."""
        try:
            name, count, key, image_id = text.split(":")
            made = cls(Order(name), int(count), float(key) if name == Order.BEST else int(key), int(image_id))
        except ValueError as error:
            raise errors.InvalidRequest(detail=f"cursor {text[:80]!r} is not one that a response has named") from error
        if made.order not in orders:
            raise errors.InvalidRequest(detail=f"cursor {text[:80]!r} belongs to a list in another order")
        if not (
            math.isfinite(made.key) and max(made.count, abs(made.key), made.image_id) <= _MAX_NUMBER and made.count >= 0
        ):
            raise errors.InvalidRequest(detail=f"cursor {text[:80]!r} is out of range")
        return made

    def end_in(self, hits: Sequence[Hit]) -> int:
        """Return how many of these hits, best first, belong to the pages before."""
        for place, hit in enumerate(hits):
            if hit.image_id == self.image_id:
                return place + 1
        # It was deleted, or folded into a different picture.
        if self.order is Order.BEST:
            # Of equal scores none is left out: better twice than never.
            return next((place for place, hit in enumerate(hits) if hit.score <= self.key), len(hits))
        mine = (-self.key, -self.image_id)
        behind = (place for place, hit in enumerate(hits) if (-_key(hit, self.order), -hit.image_id) > mine)
        return next(behind, len(hits))


def at_image(image_id: int, time: int) -> dict[Sort, Cursor]:
    """Return where lists without a query begin with an image; `time` is what orders the newest, in seconds since 1970."""
    # Those before it are not counted: only pages that lead there from the start know their number.
    return {
        Sort.DATE: Cursor(Order.NEWEST, 0, time, image_id - 1),
        Sort.ADDED: Cursor(Order.LAST_ADDED, 0, time, image_id + 1),
    }


def _key(hit: Hit, order: Order) -> float:
    """Return what a ranked list is sorted by."""
    if order is Order.BEST:
        return hit.score
    time = hit.date if order is Order.BY_DATE else hit.added
    return _UNKNOWN_TIME if time is None else time

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

_MAX_NUMBER = 2**63 - 1


class Order(StrEnum):
    """How a list is sorted."""

    BEST = "best"
    """by score, for a query"""
    NEWEST = "newest"
    """by time, for filters without a query"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last hit of a page."""

    order: Order
    count: int
    """hits up to and with this one"""
    key: float
    """its score, or its time in seconds since 1970"""
    image_id: int

    def __str__(self) -> str:
        return f"{self.order}:{self.count}:{self.key!r}:{self.image_id}"

    @classmethod
    def parse(cls, text: str, order: Order) -> Self:
        """Return the cursor of a list in this order; raises InvalidRequest."""
        try:
            name, count, key, image_id = text.split(":")
            made = cls(Order(name), int(count), int(key) if order is Order.NEWEST else float(key), int(image_id))
        except ValueError as error:
            raise errors.InvalidRequest(detail=f"cursor {text[:80]!r} is not one that a response has named") from error
        if made.order is not order:
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
        # It was deleted, or folded into a different picture. Of equal scores none is left out: better twice than never.
        return next((place for place, hit in enumerate(hits) if hit.score <= self.key), len(hits))

"""
A library at the address of a `pixfind serve`, as a member of a collection.

Must not know how its server is reached (`connection`) or in which form it is asked (`wire`).
"""

import contextlib
import json
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from numpy import float16
from numpy.typing import NDArray

from pixfind import errors
from pixfind.collection import wire
from pixfind.collection.config import MemberConfig
from pixfind.collection.connection import MAX_TEXT, Connection, Patience, refusal
from pixfind.collection.member import Found, MemberState, NoAnswerError
from pixfind.search.ranking import Wanted

T = TypeVar("T")

_OK = 200


class RemoteMember:
    """A library at an address; see `member.Member`."""

    def __init__(self, config: MemberConfig, patience: Patience | None = None) -> None:
        self.name = config.name
        self._connection = Connection(config, patience)
        self._known: MemberState | None = None

    def state(self, seconds: float) -> MemberState:
        known = self._known
        query = "" if known is None else "?" + urllib.parse.urlencode({"tag": known.tag})
        values = self._ask("GET", f"{wire.PATH}/state{query}", None, seconds)
        self._known = checked(lambda: wire.state_from_json(values, known))
        return self._known

    def nearest(self, wanted: Wanted, k: int, seconds: float) -> Found:
        if k > wire.MAX_HITS:
            raise errors.TooManyHits(k=k, limit=wire.MAX_HITS)
        known = self._known or self.state(seconds)
        question = wire.wanted_to_json(wanted, k, takes_reach=known.takes_reach)
        with refusals_checked(wanted.filters.labels, wanted.filters.where):
            values = self._ask("POST", f"{wire.PATH}/nearest", question, seconds)
        return checked(lambda: wire.found_from_json(values, wanted))

    def of_content(self, content: bytes, seconds: float) -> NDArray[float16] | None:
        return self._embedding({"content": content.hex()}, seconds)

    def of_id(self, image_id: int, seconds: float) -> NDArray[float16] | None:
        return self._embedding({"image_id": image_id}, seconds)

    def thumbnail(self, image_id: int, side: int, seconds: float) -> bytes:
        """Return what its server has as a thumbnail of an image, at least `side` pixels long; raises NoAnswerError, also where there is none."""
        status, data = self._connection.request(
            "GET", f"/api/v1/images/{image_id}/thumbnail?size={side}", None, seconds
        )
        if status != _OK:
            raise NoAnswerError(refusal(status, data))
        return data

    def close(self) -> None:
        self._connection.close()

    def _embedding(self, question: dict[str, Any], seconds: float) -> NDArray[float16] | None:
        known = self._known or self.state(seconds)
        if known.model is None:
            return None
        dimension = known.model.dimension
        values = self._ask("POST", f"{wire.PATH}/embedding", question, seconds)
        return checked(lambda: wire.embedding_from_json(values, dimension))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> Any:
        """Return the JSON of an answer; raises NoAnswerError."""
        content = None if body is None else json.dumps(body).encode()
        data = self._connection.ask(method, path, content, seconds)
        return checked(lambda: json.loads(data))


def checked(read: Callable[[], T]) -> T:
    """Return what `read` makes of an answer; raises NoAnswerError where it raises ValueError: any server may be at an address."""
    try:
        return read()
    except (ValueError, RecursionError) as error:
        raise NoAnswerError("its answer is not one of pixfind") from error


@contextlib.contextmanager
def refusals_checked(labels: Sequence[str], conditions: Sequence[object]) -> Iterator[None]:
    """Let an InvalidFilter pass that may be true of a question with these labels and conditions; raises NoAnswerError instead of any other: a refusal with a minus is one of the whole search."""
    try:
        yield
    except errors.InvalidFilter as error:
        value = str(error.fields["value"])
        if value in {as_refused(label) for label in labels} or (not value.startswith("-") and (labels or conditions)):
            raise
        raise NoAnswerError(f"it refuses a filter that nobody has asked for: {value[:80]}") from error


def as_refused(label: str) -> str:
    """Return a label as the refusal of a server names it: printed, which changes backslashes, quotes and what is invisible."""
    return repr(label.strip())[1:-1][:MAX_TEXT]

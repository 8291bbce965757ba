"""How often a client may ask, and guess: the gate before all routes, with a clock that the test turns."""

import asyncio
import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest

from pixfind.server import access
from pixfind.testing import Clock

PATH = "/api/status"


class Gate:
    """The middleware in front of an application that answers 204."""

    def __init__(self, host: str = "127.0.0.1", rate: float | None = None) -> None:
        self.clock = Clock()
        self.rules, self.token = access.rules_for(host, (), rate)
        self.finished: list[int] = []
        self._middleware = access.AccessMiddleware(
            self._app, self.rules, lambda scope, status, seconds: self.finished.append(status), self.clock
        )

    @staticmethod
    async def _app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(self, *, token: str | None = None, client: str = "127.0.0.1", path: str = PATH) -> int:
        """Send one request and return its status."""
        return self.ask_all([{"token": token, "client": client, "path": path}])[0]

    def ask_all(self, requests: Iterable[dict[str, Any]]) -> list[int]:
        return [asyncio.run(self._ask(**request)) for request in requests]

    async def _ask(self, *, token: str | None, client: str, path: str) -> int:
        headers = [(b"host", b"127.0.0.1:8000")]
        if token is not None:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": headers,
            "client": (client, 40_000),
        }
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        await self._middleware(scope, receive, send)
        return int(sent[0]["status"])


def test_twice_the_rate_passes_at_once_and_then_the_rate() -> None:
    gate = Gate(rate=5)

    assert [204] * 10 + [429] * 3 == [gate.ask() for _ in range(13)]
    gate.clock.sleep(1.0)
    assert [204] * 5 + [429] == [gate.ask() for _ in range(6)]


def test_what_was_not_asked_for_a_while_is_not_saved_up() -> None:
    gate = Gate(rate=5)
    gate.ask()
    gate.clock.sleep(3600.0)

    assert [204] * 10 + [429] == [gate.ask() for _ in range(11)]


def test_one_client_does_not_use_up_what_others_may_ask() -> None:
    gate = Gate(rate=1)
    assert 429 in [gate.ask(client="192.0.2.1") for _ in range(5)]

    assert 204 == gate.ask(client="198.51.100.1")


def test_addresses_of_one_network_are_one_client() -> None:
    """A household or an attacker has a whole /64 of version 6."""
    gate = Gate(rate=1)
    statuses = [gate.ask(client=f"2001:db8::{number:x}") for number in range(1, 6)]

    assert [204, 204, 429, 429, 429] == statuses


def test_ten_wrong_tokens_are_told_and_then_one_in_five_seconds() -> None:
    gate = Gate("0.0.0.0")  # noqa: S104 - what needs a token
    assert [401] * 10 + [429] * 5 == [gate.ask(token=f"wrong {number}") for number in range(15)]

    assert 204 == gate.ask(token=gate.token), "the right one passes all the same"
    gate.clock.sleep(5.1)
    assert [401, 429] == [gate.ask(token=f"wrong again {number}") for number in range(2)]


def test_a_right_token_is_no_guess() -> None:
    gate = Gate("0.0.0.0")  # noqa: S104

    assert {204} == {gate.ask(token=gate.token) for _ in range(50)}


def test_no_more_than_so_many_requests_of_one_client_run_at_a_time() -> None:
    gate = Gate()
    gate._middleware._rules = dataclasses.replace(gate.rules, max_concurrent=3)
    waiting = asyncio.Event

    async def all_at_once() -> list[int]:
        going_on = waiting()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await going_on.wait()
            await gate._app(scope, receive, send)

        gate._middleware._app = slow
        asked = [asyncio.create_task(gate._ask(token=None, client="127.0.0.1", path=PATH)) for _ in range(5)]
        refused, held = await asyncio.wait(asked, timeout=None, return_when=asyncio.FIRST_COMPLETED)
        going_on.set()
        return [task.result() for task in refused] + list(await asyncio.gather(*held))

    assert [204] * 3 + [429] * 2 == sorted(asyncio.run(all_at_once()))


@pytest.mark.parametrize("path", ["/healthz"])
def test_the_health_check_needs_no_token(path: str) -> None:
    assert 204 == Gate("0.0.0.0").ask(path=path)  # noqa: S104

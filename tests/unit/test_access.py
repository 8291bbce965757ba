"""How often a client may ask, and guess: the gate before all routes, with a clock that the test turns."""

import asyncio
import dataclasses
from typing import Any

import pytest

from pixfind.server import access
from pixfind.server.clients import Proxies
from pixfind.server.credentials import SESSION_SECONDS, Token
from pixfind.testing import Clock

PATH = "/api/status"
TOKEN = Token("the token of these tests")


class Gate:
    """The middleware in front of an application that answers 204."""

    def __init__(
        self,
        token: Token | None = None,
        rate: float | None = None,
        proxies: Proxies = access.NO_PROXIES,
        workers: int = 1,
    ) -> None:
        self.clock = Clock()
        self.rules = access.rules_for("127.0.0.1", 8000, token=token, rate=rate, proxies=proxies, workers=workers)
        self.finished: list[int] = []
        self._middleware = access.AccessMiddleware(
            self._app, self.rules, lambda scope, status, seconds: self.finished.append(status), self.clock
        )

    @staticmethod
    async def _app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(self, **request: Any) -> int:
        """Send one request and return its status."""
        return int(self.answer(**request)["status"])

    def answer(self, **request: Any) -> dict[str, Any]:
        """Send one request and return the start of the response."""
        return asyncio.run(self._ask(**request))

    async def _ask(
        self,
        *,
        token: str | None = None,
        client: str = "127.0.0.1",
        path: str = PATH,
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        sent_headers = {"host": "127.0.0.1:8000", **(headers or {})}
        if token is not None:
            sent_headers["authorization"] = f"Bearer {token}"
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent_headers.items()],
            "client": (client, 40_000),
        }
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        await self._middleware(scope, receive, send)
        return sent[0]


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
    gate = Gate(TOKEN)
    assert [401] * 10 + [429] * 5 == [gate.ask(token=f"wrong {number}") for number in range(15)]

    assert 204 == gate.ask(token=TOKEN.text), "the right one passes all the same"
    gate.clock.sleep(5.1)
    assert [401, 429] == [gate.ask(token=f"wrong again {number}") for number in range(2)]


@pytest.mark.parametrize(("workers", "guesses"), [(1, 10), (2, 10), (4, 12), (64, 64)])
def test_several_processes_together_let_a_client_guess_as_often_as_one(workers: int, guesses: int) -> None:
    """Rounded up: each allows one."""
    gates = [Gate(TOKEN, workers=workers) for _ in range(workers)]
    answers = [gate.ask(token=f"wrong {number}") for gate in gates for number in range(20)]

    assert guesses == answers.count(401)
    assert len(answers) - guesses == answers.count(429)


def test_several_processes_divide_what_a_client_may_have_at_a_time() -> None:
    assert [128, 64, 43, 2] == [Gate(workers=workers).rules.max_concurrent for workers in (1, 2, 3, 64)]


def test_a_right_token_is_no_guess() -> None:
    gate = Gate(TOKEN)

    assert {204} == {gate.ask(token=TOKEN.text) for _ in range(50)}


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
        asked = [asyncio.create_task(gate._ask()) for _ in range(5)]
        refused, held = await asyncio.wait(asked, timeout=None, return_when=asyncio.FIRST_COMPLETED)
        going_on.set()
        return [answer["status"] for answer in [*(task.result() for task in refused), *await asyncio.gather(*held)]]

    assert [204] * 3 + [429] * 2 == sorted(asyncio.run(all_at_once()))


@pytest.mark.parametrize("path", ["/healthz"])
def test_the_health_check_needs_no_token(path: str) -> None:
    assert 204 == Gate(TOKEN).ask(path=path)


def test_whoever_has_no_token_does_not_use_up_what_its_owner_may_ask() -> None:
    """All users of a machine have the same address."""
    gate = Gate(TOKEN, rate=1)
    assert 429 in [gate.ask() for _ in range(20)]

    assert 204 == gate.ask(token=TOKEN.text)


def test_clients_of_a_trusted_proxy_are_told_apart() -> None:
    gate = Gate(rate=1, proxies=Proxies.parse(["127.0.0.1"]))
    assert 429 in [gate.ask(headers={"x-forwarded-for": "192.0.2.7"}) for _ in range(5)]

    assert 204 == gate.ask(headers={"x-forwarded-for": "192.0.2.8"})
    assert 429 in [gate.ask(client="198.51.100.1", headers={"x-forwarded-for": f"192.0.2.{n}"}) for n in range(50, 55)]


def test_a_session_behind_a_trusted_proxy_with_tls_stays_on_tls() -> None:
    asked = {"path": "/", "query": f"token={TOKEN.text.replace(' ', '+')}", "headers": {"x-forwarded-proto": "https"}}
    trusted = Proxies.parse(["127.0.0.1"])

    assert "Secure" in _cookie(Gate(TOKEN, proxies=trusted).answer(**asked))
    assert "Secure" not in _cookie(Gate(TOKEN).answer(**asked))


# --- sessions --------------------------------------------------------------------------------------


def _cookie(answer: dict[str, Any]) -> str:
    return next(value.decode() for name, value in answer["headers"] if name == b"set-cookie")


def _begin(gate: Gate) -> str:
    """Open the page with the token, as a browser does, and return the cookie."""
    return _cookie(gate.answer(path="/", query=f"token={TOKEN.text.replace(' ', '%20')}")).partition(";")[0]


def test_a_cookie_does_not_contain_the_token() -> None:
    answer = Gate(TOKEN).answer(path="/", query="token=the+token+of+these+tests")

    assert 303 == answer["status"]
    assert all(word not in _cookie(answer) for word in TOKEN.text.split())
    assert all(part in _cookie(answer) for part in ("pixfind_session_8000=", "HttpOnly", "SameSite=lax", "Path=/"))


def test_the_address_keeps_the_rest_of_its_query() -> None:
    answer = Gate(TOKEN).answer(path="/", query="q=snow+man&token=the+token+of+these+tests&image=7")

    assert (b"location", b"/?q=snow+man&image=7") in answer["headers"]


def test_a_session_ends_after_its_time() -> None:
    gate = Gate(TOKEN)
    cookie = _begin(gate)
    assert 204 == gate.ask(headers={"cookie": f"other=1; {cookie}"})

    gate.clock.sleep(SESSION_SECONDS - 1.0)
    assert 204 == gate.ask(headers={"cookie": cookie})
    gate.clock.sleep(1.0)
    assert 401 == gate.ask(headers={"cookie": cookie})


def test_a_session_outlasts_a_restart_with_the_same_token_and_no_other() -> None:
    cookie = _begin(Gate(TOKEN))

    assert 204 == Gate(TOKEN).ask(headers={"cookie": cookie})
    assert 401 == Gate(Token("another token than that one")).ask(headers={"cookie": cookie})


def test_a_session_cannot_be_prolonged_or_made_up() -> None:
    cookie = _begin(Gate(TOKEN))
    name, _, value = cookie.partition("=")
    ends, _, signature = value.partition(".")
    later = f"{int(ends) + 1}.{signature}"
    for forged in (
        later,
        TOKEN.text,
        ends,
        f".{signature}",
        f"{ends}.",
        f"{ends}.{'0' * 64}",
        f"{'9' * 5000}.{signature}",
        "",
    ):
        assert 401 == Gate(TOKEN).ask(headers={"cookie": f"{name}={forged}"})


def test_a_link_on_another_site_opens_the_page_for_whoever_has_a_session() -> None:
    gate = Gate(TOKEN)
    headers = {"cookie": _begin(gate), "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

    assert 204 == gate.ask(path="/", query="q=snow", headers=headers)
    assert [403, 403] == [gate.ask(path=path, headers=headers) for path in (PATH, "/api/images/1/file")]
    assert 403 == gate.ask(path="/", headers={**headers, "sec-fetch-mode": "no-cors"})


def test_a_browser_without_a_session_is_asked_for_the_token() -> None:
    gate = Gate(TOKEN)
    asked = dict(gate.answer(path="/", headers={"accept": "text/html,*/*"})["headers"])

    assert asked[b"content-type"].startswith(b"text/html")
    assert b"form-action 'self'" in asked[b"content-security-policy"]

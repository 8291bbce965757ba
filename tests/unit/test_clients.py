"""Who a client is: behind a proxy that is trusted, and behind one that is not."""

import pytest

from pixfind import errors
from pixfind.server import clients
from pixfind.server.clients import PerClient, Proxies

PROXIES = Proxies.parse(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("address", "forwarded", "client"),
    [
        ("127.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("::ffff:127.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("127.0.0.1", ["192.0.2.7, 10.1.2.3"], "192.0.2.7"),
        ("127.0.0.1", ["192.0.2.7", "fd00::1"], "192.0.2.7"),
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        # What the client itself has written comes first, and is not believed.
        ("127.0.0.1", ["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.7, evil"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("192.0.2.9", ["192.0.2.7"], "192.0.2.9"),
        ("", ["192.0.2.7"], ""),
    ],
)
def test_only_a_trusted_proxy_names_its_client(address: str, forwarded: list[str], client: str) -> None:
    assert client == PROXIES.client(address, forwarded)


def test_without_a_trusted_proxy_nobody_is_believed() -> None:
    assert not Proxies()
    assert "127.0.0.1" == Proxies().client("127.0.0.1", ["192.0.2.7"])


@pytest.mark.parametrize("address", ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/33"])
def test_a_proxy_is_an_address_or_a_network(address: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|host bits"):
        Proxies.parse([address])


def test_a_network_of_version_6_is_one_client() -> None:
    assert clients.network("2001:db8::1") == clients.network("2001:db8::2") != clients.network("2001:db8:0:1::1")
    assert ("::1", "192.0.2.7", "192.0.2.7", "") == tuple(
        map(clients.network, ("::1", "192.0.2.7", "::ffff:192.0.2.7", ""))
    )


def test_so_many_of_one_client_and_no_more() -> None:
    some = PerClient(2)
    with some.one("a"), some.one("a"):
        with pytest.raises(errors.TooManyRequests), some.one("a"):
            pass
        with some.one("b"):
            pass
    with some.one("a"):
        assert {"a": 1} == dict(some._running)
    assert not some._running

"""
Who a client is, and how many slow things it may have at a time.

Owns the addresses of trusted proxies and what counts as one client. Must not know HTTP.
"""

import contextlib
import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pixfind import errors

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies whose word about their clients is taken."""

    networks: tuple[_Network, ...] = ()

    @classmethod
    def parse(cls, addresses: Sequence[str]) -> "Proxies":
        """Parse addresses and networks, such as 127.0.0.1 and 172.16.0.0/12; raises ValueError."""
        return cls(tuple(ipaddress.ip_network(address) for address in addresses))

    def __bool__(self) -> bool:
        return bool(self.networks)

    def __contains__(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self.networks)

    def client(self, address: str, forwarded_for: Sequence[str]) -> str:
        """
        Return the address of the client behind a connection from `address`.

        `forwarded_for` are the values of X-Forwarded-For, to which each proxy appends whom it was asked by: so they are read from
        the end, and only as long as a trusted proxy has written them.
        """
        written = [part.strip() for value in forwarded_for for part in value.split(",")]
        while address in self and written:
            before = written.pop()
            if _parse(before) is None:
                break
            address = before
        return address


def network(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 of an IPv6 address, which one machine usually has to itself."""
    parsed = _parse(address)
    if parsed is None or parsed.version == 4 or parsed.is_loopback:  # noqa: PLR2004  the version
        return address if parsed is None else str(parsed)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def share(limit: int, workers: int) -> int:
    """Return what each of several workers allows, so that together they allow `limit`: rounded up, so somewhat more where it cannot be divided."""
    return -(-limit // workers)


class PerClient:
    """At most `limit` at a time for each client, of what lasts as long as a client wants it to."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, client: str) -> Iterator[None]:
        """Count one more of `client` until the block ends; raises TooManyRequests."""
        if self._running[client] >= self._limit:
            raise errors.TooManyRequests
        self._running[client] += 1
        try:
            yield
        finally:
            self._running[client] -= 1
            if not self._running[client]:
                del self._running[client]

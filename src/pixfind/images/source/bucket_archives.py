"""
Archives in object storage as roots: `s3://bucket/shard.tar`.

What is in one is read as in any archive (`archives`), by requests for parts of the object. How its store is asked is remembered by the root, as for a
bucket.
"""

from collections.abc import Mapping
from typing import Any, Final

from pixfind import errors
from pixfind.images.source import archives, objects
from pixfind.images.source.protocol import Order, Presence
from pixfind.images.source.walk import ContainerWalk
from pixfind.images.suffixes import suffix

KIND: Final = archives.KIND

SETTINGS: Final = objects.SETTINGS


def has_root(root: str) -> bool:
    """Tell by scheme and extension whether a root is such an archive."""
    _, _, key = root.partition("://")[2].partition("/")
    return objects.has_root(root) and suffix(key.rpartition("/")[2]) in objects.ARCHIVES


def as_root(given: str) -> str:
    """Return the address; raises AddressRefused."""
    return objects.as_root(given)


def prefix(root: str) -> str:
    """Return the address with the mark of archives behind it."""
    return archives.prefix(root)


def check(root: str, settings: Mapping[str, Any]) -> None:
    """Raise StoreUnreachable, CloudSupportMissing, AddressRefused, and ArchiveUnreadable where its first member cannot be listed."""
    objects.check_store(root, settings, reachable(root, settings))
    next(archives.members(root), None)


def reachable(root: str, settings: Mapping[str, Any]) -> Presence:
    """Tell whether the object is there: one request."""
    objects.use([(root, settings)])
    try:
        objects.known_version(root)
    except (errors.ImageProblem, OSError, ValueError) as error:
        return Presence(objects.detail(error))
    return Presence(None)


def walk(order: Order) -> ContainerWalk:
    """Return a walk that finds the archive to look into, and no more."""
    return ContainerWalk(order, prefix(order.root), objects.known_version, "/")

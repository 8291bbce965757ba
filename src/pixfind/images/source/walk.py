"""
What the walks of all kinds share: the rules that leave something out, and what is found besides pictures.
"""

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator

from pixfind import errors
from pixfind.images import suffixes
from pixfind.images.source import files
from pixfind.images.source.protocol import File, Order
from pixfind.images.source.sampling import Sampling


class Findings:
    """What a walk found besides pictures, and what it leaves out: the attributes of `protocol.Walk`."""

    def __init__(self, order: Order, inside: str, separator: str = os.sep) -> None:
        """`inside`: what everything below the root begins with; `separator`: between the names that follow."""
        self.unsettled = order.unsettled
        self.problems: list[str] = []
        self.reasons: dict[str, str] = {}
        self.links_out: list[str] = []
        self.mounts: list[str] = []
        self.containers: list[File] = []
        self.left_out: Counter[str] = Counter()
        self.without_file: Counter[str] = Counter()
        self.named_without_file: dict[str, list[str]] = {}
        self.fields: dict[str, dict[str, str | int | float]] = {}
        self.suffixes = suffixes.registered()
        videos = Sampling.of(order.settings) or suffixes.suffix(os.path.basename(order.root)) in suffixes.VIDEOS
        asked_for = suffixes.RAW | (suffixes.VIDEOS if videos else frozenset())
        self.unread = asked_for - self.suffixes - order.containers
        self.order = order
        self._inside = inside
        self._separator = separator
        self._rules = [
            _Rule(inside if root == order.root else os.path.join(root, ""), glob) for root, glob in order.exclude
        ]

    def exclusion(self, path: str) -> str | None:
        """Return the glob that leaves out this location, or a folder above it."""
        for rule in self._rules:
            parts = path.removeprefix(rule.inside).split(self._separator)
            names = [*parts, *(self._separator.join(parts[: end + 1]) for end in range(len(parts)))]
            names += filter(None, map(_container, names))
            if any(map(rule.matches, names)):
                return rule.glob
        return None


class _Rule:
    """What one glob leaves out: what it matches, and what has this very name, as brackets in a name look like a pattern."""

    def __init__(self, inside: str, glob: str) -> None:
        """`inside`: what everything below the root begins with whose rule it is."""
        self.inside = inside
        self.glob = glob
        # A shell completes the name of a folder with a separator, and may complete the whole path.
        self._name = glob.removeprefix(inside).rstrip(os.sep + "/")
        self._pattern = re.compile(fnmatch.translate(self._name))

    def matches(self, name: str) -> bool:
        """Tell whether this is the name of something that is left out, or its path below the root."""
        return name == self._name or self._pattern.match(name) is not None


def _container(name: str) -> str | None:
    """Return the container for a name that says what is in it, or a path that ends so: 2019.zip for 2019.zip!"""
    archive, video = name.removesuffix("!"), name.rpartition(suffixes.FRAME_MARK)[0]
    if archive != name and suffixes.suffix(os.path.basename(archive)) in suffixes.ARCHIVES:
        return archive
    return video if video and suffixes.suffix(os.path.basename(video)) in suffixes.VIDEOS else None


class ContainerWalk(Findings):
    """A walk over a root that is a container: finds that one file, to be looked into."""

    def __init__(
        self,
        order: Order,
        inside: str,
        version: Callable[[str], tuple[int, int]] = files.version,
        separator: str = os.sep,
    ) -> None:
        """`version` raises OSError, ValueError or ImageProblem with the reason for which the file cannot be looked at."""
        super().__init__(order, inside, separator)
        self._version = version

    def files(self) -> Iterator[File]:
        """Yield nothing; `containers` has the file."""
        root = self.order.root
        try:
            self.containers.append(File(root, *self._version(root)))
        except (OSError, ValueError, errors.ImageProblem):
            # It has gone since it was looked at: what is known of it is kept.
            self.problems.append(root)
        return iter(())

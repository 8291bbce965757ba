"""
What a scan found, for whoever tells it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_NAMED = 20
"""paths of each kind that are named"""


@dataclass(slots=True)
class ScanReport:
    """What one `add` found."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    returned: int = 0
    gone: int = 0
    excluded: int = 0
    offline: int = 0
    """images whose root is offline: kept as they are"""
    problems: int = 0
    """folders or files that could not be read; what is known of them is kept"""
    missing: int = 0
    """entries of a list whose file is not there"""
    invalid: int = 0
    """rows of a list without an address, or with none that can be one"""
    repeated: int = 0
    """rows of a list that name an image again with other fields: those of its first row count"""
    links_out: int = 0
    """links that lead out of the registered folders, and are left out"""
    left_out: Counter[str] = field(default_factory=Counter)
    """files of formats that are not decoded, by suffix: RAW, video ..."""
    named: dict[str, list[str]] = field(default_factory=dict)
    """the first few paths of each kind"""

    def note(self, kind: str, path: str, count: int = 1) -> None:
        """Count a path under `kind`, and keep the first few names."""
        self.note_all(kind, [path], count)

    def note_all(self, kind: str, paths: Sequence[str], count: int) -> None:
        """Count `count` paths under `kind`, and keep the first few names."""
        setattr(self, kind, getattr(self, kind) + count)
        if count:
            names = self.named.setdefault(kind, [])
            names += paths[: MAX_NAMED - len(names)]

"""
Archives to test with: a zip and a tar as bytes.
"""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Final

TIME: Final = 1_557_000_000
"""of the members of a tar, in seconds since 1970"""


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip with these members, all of one time."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2019, 5, 4, 3, 2, 0)), data, method)
    return made.getvalue()


def stored(members: Mapping[str, bytes]) -> bytes:
    """Return a zip whose members are not compressed."""
    return zipped(members, zipfile.ZIP_STORED)


def tarred(members: Mapping[str, bytes]) -> bytes:
    """Return a tar with these members, all of one time."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), TIME
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()

"""
Links in the user's folders: which are pictures of the library.

A link is one when it leads into a registered folder. One that leads elsewhere is not: somebody who may write into a folder, such as one that a
household shares, could show pictures with it that only the owner of the library can read. `library.scan` and `server.images` ask here, so that
nothing is found that is not shown.
"""

import os
from collections.abc import Iterable
from pathlib import Path


def leads_into(path: str, folders: Iterable[str]) -> bool:
    """Tell whether a path lies in one of some folders when all links are followed, in the path and in those of the folders."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in folders)

"""
Roots: what a library remembers of the places that were added to it, beside their address.

Owns which exclusions hold for a root and where each comes from, and the settings of its source. What is found there is for `scan` to say.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pixfind import errors
from pixfind.library.catalogue import Root
from pixfind.library.library import Library

MOUNTED_IN: Final = "mounted_in"
"""setting of a root that is a drive: the id of the root in which it was found"""

_CONFIGURED: Final = "exclude_configured"
"""setting of a root: command -> the globs that were its default when it last scanned this root"""

_OURS: Final = frozenset({MOUNTED_IN, _CONFIGURED})


class Configured(NamedTuple):
    """What a user has set once for all runs of a command, in pixfind.toml or the environment."""

    command: str
    globs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RootState:
    """One root, as `pixfind status` shows it."""

    path: str
    """or address; never with a secret"""
    kind: str
    """folder, archive, video, list, bucket or web folder"""
    images: int
    """that are there, whatever their outcome"""
    offline: str | None
    """why it cannot be read; None while it can"""
    archives: bool
    """whether the archives below it are looked into"""
    settings: dict[str, Any]
    """of its source, as `add` takes them"""
    exclude: list[str]
    """globs that were given when it was added, or later"""
    exclude_configured: dict[str, list[str]]
    """command -> further globs, which hold as long as pixfind.toml or the environment say so"""
    mounted_in: str | None
    """the root in which it is a drive, and whose settings hold for it too"""


def states(library: Library, images: Mapping[int, int]) -> list[RootState]:
    """Return all roots, in the order in which they were added; `images`: id of a root -> images."""
    # Here: whoever asks how a run is going needs no kind of source.
    from pixfind.images import source

    known = library.catalogue.roots()
    return [
        RootState(
            path=root.path,
            kind=source.kind(root.path),
            images=images.get(root.id, 0),
            offline=root.offline,
            archives=bool(root.in_archives),
            settings=settings(root),
            exclude=json.loads(root.exclude),
            exclude_configured=_configured(root),
            mounted_in=next((outer.path for outer in mounted_in(root, known)), None),
        )
        for root in known
    ]


def left_out(library: Library) -> dict[str, int]:
    """Count the files of kinds that are not read, as the last scans saw them, by suffix; the most frequent first."""
    counted: Counter[str] = Counter()
    for root in library.catalogue.roots():
        counted.update(json.loads(root.left_out))
    return dict(counted.most_common())


def settings(root: Root) -> dict[str, Any]:
    """Return what the source of a root was told when it was added."""
    return {name: value for name, value in json.loads(root.settings).items() if name not in _OURS}


def set_settings(library: Library, root: Root, remembered: Mapping[str, Any]) -> None:
    """Replace all settings of a root, those of its source and ours."""
    library.catalogue.run("set_settings", "scan.sql", id=root.id, settings=json.dumps(remembered))


def set_root(library: Library, root: Root, **changes: object) -> None:
    """Change device, exclude (JSON) or offline of a root."""
    values = {"device": root.device, "exclude": root.exclude, "offline": root.offline, **changes}
    library.catalogue.run("set_root", "scan.sql", id=root.id, **values)


def mounted_in(root: Root, known: Sequence[Root]) -> list[Root]:
    """Return the roots in which a drive was found that became a root of its own, the innermost first."""
    by_id = {each.id: each for each in known}
    outer: list[Root] = []
    while (inner := by_id.get(json.loads((outer or [root])[-1].settings).get(MOUNTED_IN, 0))) and inner not in outer:
        outer.append(inner)
    return outer


def forget_containers(library: Library, path: str) -> None:
    """Look again into the containers of a root, and of those that are mounted in it."""
    for root in (known := library.catalogue.roots()):
        if path in {each.path for each in (root, *mounted_in(root, known))}:
            library.catalogue.run("forget_archives", "scan.sql", root_id=root.id)


# --- exclusions -----------------------------------------------------------------------------------


def exclusions(root: Root) -> list[str]:
    """Return the globs of what is left out below a root."""
    return sorted({*json.loads(root.exclude), *(glob for globs in _configured(root).values() for glob in globs)})


def exclude(library: Library, path: str, globs: Sequence[str], configured: Configured | None = None) -> None:
    """Leave out more below a known root: `globs` until they are taken back, `configured` in the place of what its command was configured with before."""
    root = _at(library, path)
    after = sorted({*json.loads(root.exclude), *globs})
    by_command = _configured(root)
    if configured is not None:
        by_command.pop(configured.command, None)
        by_command |= {configured.command: sorted(configured.globs)} if configured.globs else {}
    _set(library, root, after, by_command)


def include(library: Library, paths: Sequence[str], globs: Sequence[str]) -> None:
    """
    Take back exclusions of some known roots: the next scan registers again what they left out.

    Raises ExclusionUnknown for a glob that none of the roots has; then nothing is changed.
    """
    found = [root for root in library.catalogue.roots() if root.path in paths]
    for glob in globs:
        if not any(glob in json.loads(root.exclude) for root in found):
            raise errors.ExclusionUnknown(glob=glob, path=", ".join(paths[:3]), detail=_detail(glob, found))
    with library.catalogue.transaction():
        for root in found:
            left = [glob for glob in json.loads(root.exclude) if glob not in globs]
            _set(library, root, left, _configured(root))


def _detail(glob: str, found: Sequence[Root]) -> str:
    """Return what one does about an exclusion that cannot be taken back."""
    for root in found:
        for command, globs in _configured(root).items():
            if glob in globs:
                return f"It is set for `pixfind {command}`: `pixfind config` says where. Take it out there, then run `pixfind {command}` again."
    known = sorted({each for root in found for each in json.loads(root.exclude)})
    return f"It has {', '.join(map(repr, known)) or 'none'}; `pixfind status` lists those of all roots."


def _set(library: Library, root: Root, globs: Sequence[str], by_command: Mapping[str, list[str]]) -> None:
    if (globs, by_command) == (json.loads(root.exclude), _configured(root)):
        return
    set_root(library, root, exclude=json.dumps(globs))
    remembered = json.loads(root.settings)
    remembered.pop(_CONFIGURED, None)
    set_settings(library, root, remembered | ({_CONFIGURED: by_command} if by_command else {}))
    # Which of its members an archive has in the library depends on the rules.
    forget_containers(library, root.path)


def _configured(root: Root) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(root.settings).get(_CONFIGURED, {})
    return found


def _at(library: Library, path: str) -> Root:
    return next(root for root in library.catalogue.roots() if root.path == path)

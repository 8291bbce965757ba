"""
XMP sidecars: the words for a picture in a file that photo managers read, IMG_1.jpg.xmp for IMG_1.jpg.

Owns their content and their names, and that a sidecar that another program or a user wrote, or has changed, is never touched. The pictures themselves are only read.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final
from xml.sax.saxutils import escape

from pixfind import errors
from pixfind.images import source
from pixfind.library import generations, path_text
from pixfind.library.library import Library
from pixfind.storage import beside, disk
from pixfind.workflows.export import images

SUFFIX: Final = ".xmp"

_TEMPLATE: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="pixfind">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:subject>
    <rdf:Bag>
{words}
    </rdf:Bag>
   </dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""

_WORD: Final = rb"     <rdf:li>[^<\n]*</rdf:li>"
_OURS: Final = re.compile((rb"%b(?:\n%b)*" % (_WORD, _WORD)).join(map(re.escape, _TEMPLATE.encode().split(b"{words}"))))
"""a sidecar as we write it, and nobody has changed since"""

_BEGINNING: Final = _TEMPLATE.encode().partition(b"{words}")[0]

_NAMES_US: Final = b'x:xmptk="pixfind"'


@dataclass(slots=True)
class Sidecars:
    """What `export_xmp` did, or would do."""

    written: int = 0
    """new ones"""
    changed: int = 0
    """ours that had other words"""
    unchanged: int = 0
    removed: int = 0
    """ours, of pictures that have no words now, or that were deleted or excluded"""
    kept: list[str] = field(default_factory=list)
    """sidecars that others wrote or have changed, which stay as they are"""
    left_out: Counter[str] = field(default_factory=Counter)
    """why a picture with words has none, and cannot have one now -> how many"""
    failed: Counter[str] = field(default_factory=Counter)
    """why the system refused to read, write or remove one -> how many"""


def export_xmp(
    library: Library, words: Mapping[int, Sequence[str]], folder: Path | None, *, dry_run: bool = False
) -> Sidecars:
    """
    Write a sidecar for each image with labels, or with further `words` (by image id): below a folder, which repeats the folders of the pictures; None: beside the pictures.

    Those that we wrote of pictures that a scan has found deleted or excluded are removed; a picture that was moved gets one where it is now, and leaves its former one behind.
    A sidecar that is not as we wrote it is named and stays as it is. Only files on this machine have sidecars, no members of archives, and beside the pictures only those
    that are there now.
    What the system refuses is counted, and all others are written. `dry_run`: finds out what would be done, and does nothing.
    Raises NotEmbedded, OutputNotWritable for a folder of a library or for what is no folder, and DiskFull.
    """
    if folder is not None:
        folder = _checked(folder)
    done = Sidecars()
    tidied: set[Path] = set()
    for record in images(library):
        own = list(dict.fromkeys((*record.labels, *words.get(record.image_id, ()))))
        place = _place(record.path, folder)
        if place is None:
            done.left_out.update(["it is no file of its own on this machine"] if own else [])
        elif own and folder is None and not os.path.lexists(record.path):
            # Where a drive was mounted, a sidecar would lie hidden below it from its return on.
            done.left_out["it is not there now"] += 1
        else:
            if not dry_run and place.parent not in tidied:
                tidied.add(place.parent)
                beside.tidy(place.parent, _BEGINNING)
            _update(place, own, done, make_folders=folder is not None, dry_run=dry_run)
    for place in _left_behind(library, folder):
        _update(place, (), done, make_folders=False, dry_run=dry_run)
    return done


def _left_behind(library: Library, folder: Path | None) -> Iterator[Path]:
    """
    Yield where sidecars may lie whose pictures a scan has found gone or excluded.

    No others, though a picture that was moved leaves one behind: other libraries and users may write below the same folder, and whose a sidecar is cannot be seen.
    """
    there = tuple(os.path.join(root.path, "") for root in library.catalogue.roots() if _is_there(root.path))  # noqa: PTH118  names may hold any bytes
    for path, gone in library.catalogue.rows("left_behind", "export.sql"):
        # Of a drive that is away nothing can be told: a picture that this library has left to another one may still be on it.
        if (
            path.startswith(there)
            and (place := _place(path, folder)) is not None
            and not (gone and source.exists(path))
        ):
            yield place


def _is_there(folder: str) -> bool:
    """Tell whether a folder has anything in it: an empty one may be where a drive is mounted."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def words_of_albums(found: Mapping[str, Sequence[int]]) -> dict[int, list[str]]:
    """Return image id -> the names of the albums that have it, from album -> image ids."""
    words: defaultdict[int, list[str]] = defaultdict(list)
    for name, ids in found.items():
        for image_id in ids:
            words[image_id].append(name)
    return dict(words)


def _checked(folder: Path) -> Path:
    path = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100  a link stays a link
    if (problem := disk.name_problem(path)) is not None:
        raise errors.OutputNotWritable(path=path, detail=problem)
    if os.path.lexists(path) and not path.is_dir():
        raise errors.OutputNotWritable(path=path, detail="it is no folder")
    # Also where a link leads.
    resolved = path.resolve()
    folders = (path, *path.parents, resolved, *resolved.parents)
    library = next((each for each in folders if generations.is_library(each)), None)
    if library is not None:
        raise errors.OutputNotWritable(path=path, detail=f"it belongs to the library {library}")
    return path


def _place(path: str, folder: Path | None) -> Path | None:
    """Return where the sidecar of a picture lies; None for one that has none."""
    if source.is_address(path) or source.file_of(path) != path:
        return None
    sidecar = Path(path + SUFFIX)
    return sidecar if folder is None else folder / mirrored(sidecar)


def mirrored(path: PurePath) -> PurePath:
    r"""Return where a file with an absolute path lies below the folder: home/me/a for /home/me/a, C/me/a for C:\me\a, server/share/a for \\server\share\a."""
    return type(path)(*re.findall(r"[^\\/:?]+", path.drive), *path.parts[1:])


def _update(place: Path, words: Sequence[str], done: Sidecars, *, make_folders: bool, dry_run: bool) -> None:
    try:
        before = _read(place)
        content = _content(words)
        if before is not None and not _OURS.fullmatch(before) and not (words and _is_cut(before, content)):
            # Of a picture without words nobody asked for a sidecar; one that we began may still hold words of ours.
            done.kept.extend([os.fspath(place)] if words or _NAMES_US in before else [])
            return
        if not words:
            if before is not None:
                if not dry_run:
                    place.unlink()
                done.removed += 1
            return
        if content == before:
            done.unchanged += 1
            return
        if not dry_run:
            if make_folders:
                place.parent.mkdir(parents=True, exist_ok=True)
            beside.write(place, content, replaces=before is not None)
        done.written += before is None
        done.changed += before is not None
    except OSError as error:
        if disk.is_full(error):
            raise disk.translated(error, "written", place) from error
        done.failed[error.strerror or str(error)] += 1


def _read(place: Path) -> bytes | None:
    """Return what lies there; None where nothing does. Of a link, or of what is no file, nothing that could be ours."""
    if not os.path.lexists(place):
        return None
    return place.read_bytes() if place.is_file() and not place.is_symlink() else b""


def _is_cut(before: bytes, content: bytes) -> bool:
    """Tell whether a sidecar is the beginning of what we write: where a file cannot appear in one step, a kill leaves it."""
    return _NAMES_US in before and content.startswith(before)


def _content(words: Sequence[str]) -> bytes:
    lines = "\n".join(f"     <rdf:li>{escape(path_text.plain(path_text.readable(word)))}</rdf:li>" for word in words)
    return _TEMPLATE.format(words=lines).encode()

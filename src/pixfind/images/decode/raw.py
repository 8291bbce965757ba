"""
RAW files: what a camera's sensor saw, with the pictures that the camera made of it.

Owns how a RAW file is recognised, which of its pictures is taken, and LibRaw, which reads the sensor's data (the extra `raw`; nobody else
imports it). Must not know Pillow; `decode` decodes the preview and turns what comes from here.

The containers: DNG 1.7.1 and TIFF/EP (ISO 12234-2), CR2 and CR3 as described by https://github.com/lclevy/canon_cr2 and canon_cr3, RAF and
the others as in LibRaw's `identify`.
"""

# ruff: noqa: PLR2004 - byte layouts are made of numbers

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from pixfind.errors import Damaged, ImageProblem, RawSupportMissing
from pixfind.images.decode import containers, exif, ifd
from pixfind.images.decode.problems import check_size, truncated
from pixfind.images.pixels import Pixels

if TYPE_CHECKING:
    from rawpy import RawPy

_CFA, _LINEAR = 32803, 34892
_MAX_DIRECTORIES: Final = 16

_LINKS: Final = frozenset({262, 273, 279, 324, 325, 330, 513, 514, 50706})
_COLOURS: Final = frozenset({33421, 33422, 50712, 50714, 50717, *range(50721, 50733), 50778, 50779, 50829})
"""without which the sensor's data have other colours"""
_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION = 262, 330, 50706
_OFFSETS_AND_LENGTHS: Final = ((273, 279), (324, 325), (513, 514))

#: Formats with a beginning of their own: where it lies, and what it is.
_MAGIC: Final = (
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIRO"),  # Olympus, three kinds
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIU\0"),  # Panasonic, Leica
    (0, b"FOVb"),
    (0, b"\0MRM"),
    (0, b"IIII"),  # Phase One
    (0, b"MMMM"),
    (6, b"HEAPCCDR"),
    (4, b"ftypcrx "),
)
_TIFF_MAGIC: Final = ((8, b"CR\2\0"), (8, b"IIII"), (8, b"MMMM"))

#: LibRaw's bits (1: left and right, 2: up and down, 4: across the diagonal, in this order from the last) as EXIF orientations.
_ORIENTATIONS: Final = {0: 1, 1: 2, 3: 3, 2: 4, 4: 5, 6: 6, 7: 7, 5: 8}
_FIRST_SIDEWAYS: Final = 5

_SRGB_GAMMA: Final = (2.4, 12.92)
"""As cameras' own JPEGs have it: with LibRaw's default, BT.709, the two lie further apart."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture that the camera made: a JPEG, as its sensor lies unless `orientation` is 1."""

    jpeg: bytes
    orientation: int
    """1 to 8, as in EXIF: how it has to be turned"""


def recognises(data: bytes) -> bool:
    """Tell whether bytes are a RAW file; the first 64 are enough for formats that do not begin as TIFF does."""
    if any(data.startswith(magic, at) for at, magic in _MAGIC):
        return True
    form = ifd.layout(data)
    if form is None:
        return False
    if any(data.startswith(magic, at) for at, magic in _TIFF_MAGIC):
        return True
    return any(_holds_sensor_data(each) for each in _directories(data, form))


class RawFile:
    """One RAW file, its header read."""

    def __init__(self, data: bytes) -> None:
        """Raises RawSupportMissing, Truncated, Damaged."""
        try:
            import rawpy
        except ImportError as error:
            raise RawSupportMissing from error
        _check_end(data)
        self._data = data
        self._file: RawPy = rawpy.RawPy()
        with _problems():
            self._file.open_buffer(io.BytesIO(data))
        sizes = self._file.sizes
        self.size: tuple[int, int] = (sizes.width, sizes.height)
        """width and height in pixels, as the sensor lies"""
        self.sensor_size: tuple[int, int] = (sizes.raw_width, sizes.raw_height)
        """with the margins that are not shown: what takes memory"""
        self.orientation = _ORIENTATIONS.get(sizes.flip, 1)
        """1 to 8, as in EXIF"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height in pixels, once turned."""
        width, height = self.size
        return (height, width) if self.orientation >= _FIRST_SIDEWAYS else (width, height)

    def preview(self, shortest_side: int | None) -> Preview | None:
        """
        Return the largest JPEG in the file if its shorter side has `shortest_side` pixels; None: as many as `develop` gives.

        None where there is none so large.
        """
        import rawpy

        wanted = min(self.size) // 2 if shortest_side is None else shortest_side
        with contextlib.suppress(rawpy.LibRawError, ImageProblem, OSError):
            found = self._file.extract_thumb()
            if found.format is rawpy.ThumbFormat.JPEG and isinstance(found.data, bytes):
                width, height = containers.jpeg_size(found.data)
                if min(width, height) >= wanted:
                    return Preview(found.data, self._turn(width, height))
        return None

    def _turn(self, width: int, height: int) -> int:
        """Return how a preview has to be turned: some cameras store it upright."""
        sideways = self.orientation >= _FIRST_SIDEWAYS
        upright = width != height and (width > height) != (self.size[0] > self.size[1])
        return 1 if sideways and upright else self.orientation

    def develop(self, max_pixels: int) -> Pixels:
        """
        Return what the sensor saw at half its size, as it lies: one pixel for each 2 x 2, [height, width, 3].

        With the camera's white balance and sRGB's curve. A sensor without a pattern of colours gives its full size. Raises TooLarge, Truncated, Damaged.
        """
        check_size(self.sensor_size, max_pixels)
        with _problems():
            pixels: Pixels = self._file.postprocess(half_size=True, use_camera_wb=True, user_flip=0, gamma=_SRGB_GAMMA)
        return pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels

    def facts(self, preview: Preview | None) -> exif.Exif:
        """Return what the file says of the picture; `preview` says it in formats whose own directory is not known here."""
        return facts(self._data) or (exif.Exif() if preview is None else exif.read(containers.jpeg(preview.jpeg).exif))


def facts(data: bytes) -> exif.Exif | None:
    """Return what the directories of a RAW file say of the picture; None for formats whose directories are not known here."""
    if ifd.layout(data) is not None:
        return exif.read(data)
    if data.startswith(b"ftypcrx ", 4):
        blocks = _canon_blocks(data)
        return exif.read_parts(*(blocks.get(name, b"") for name in (b"CMT1", b"CMT2", b"CMT4")))
    return None


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    """Raise an ImageProblem for an error of LibRaw."""
    import rawpy

    try:
        yield
    except rawpy.LibRawIOError as error:
        raise truncated() from error
    except rawpy.LibRawFileUnsupportedError as error:
        raise Damaged(detail="LibRaw does not know this kind of RAW file") from error
    except rawpy.LibRawError as error:
        first = error.args[0] if error.args else ""
        text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
        raise Damaged(detail=f"LibRaw: {text}") from error


# --- containers -----------------------------------------------------------------------------------

Directory = dict[int, ifd.Entry]


def _directories(data: bytes, form: ifd.Layout, *, check: bool = False) -> Iterator[Directory]:
    """
    Yield the directories of a file that is built as TIFF, those that others lead to included; at most _MAX_DIRECTORIES.

    With `check` a value that cannot be read raises Truncated.
    """
    waiting, seen = [ifd.first_offset(data, form)], set[int]()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if offset in seen or offset == 0:
            continue
        seen.add(offset)
        found = ifd.read(data, offset, form, _LINKS | _COLOURS)
        if check and ifd.listed_tags(data, offset, form) & (_LINKS | _COLOURS) - found.keys():
            raise truncated("the data ends before the directory does")
        yield found
        waiting += [ifd.next_offset(data, offset, form), *_numbers(found, _SUB_DIRECTORIES)]


def _holds_sensor_data(directory: Directory) -> bool:
    return _DNG_VERSION in directory or _numbers(directory, _PHOTOMETRIC)[:1] in {(_CFA,), (_LINEAR,)}


def _numbers(directory: Directory, tag: int) -> tuple[int, ...]:
    entry = directory.get(tag)
    if entry is None or isinstance(entry.value, bytes):
        return ()
    return tuple(int(number) for number in entry.value[:_MAX_PIECES])


_MAX_PIECES: Final = 1 << 16


def _check_end(data: bytes) -> None:
    """
    Raise Truncated where the file says that it has more bytes.

    The preview lies before the sensor's data: without this half a file would look whole.
    """
    if (form := ifd.layout(data)) is not None:
        # Olympus and Panasonic write other numbers there.
        if data.startswith((b"II*\0", b"MM\0*")):
            _check_directories(data, form)
    elif data.startswith(b"FUJIFILMCCD-RAW") and len(data) >= 108:
        jpeg, jpeg_length, _, _, sensor, sensor_length = struct.unpack_from(">6I", data, 84)
        if max(jpeg + jpeg_length, sensor + sensor_length) > len(data):
            raise truncated()
    elif data.startswith(b"ftyp", 4):
        containers.heif(data)


_CANON: Final = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")


def _canon_blocks(data: bytes) -> dict[bytes, bytes]:
    """Return the boxes of Canon's own box in a CR3, by type; CMT1, 2 and 4 are the directories that TIFF has, each a block of its own."""
    found: dict[bytes, bytes] = {}
    with contextlib.suppress(ImageProblem):
        for kind, start, end in containers.boxes(data):
            movie = data[start + 8 : end] if kind == b"moov" else b""
            for inner, first, last in containers.boxes(movie):
                if inner == b"uuid" and movie[first + 8 : first + 24] == _CANON:
                    ours = movie[first + 24 : last]
                    found |= {name: ours[at + 8 : to] for name, at, to in containers.boxes(ours)}
    return found


def _check_directories(data: bytes, form: ifd.Layout) -> None:
    if ifd.is_cut(data, ifd.first_offset(data, form), form):
        raise truncated("the data ends before the directory does")
    for directory in _directories(data, form, check=True):
        for offsets, lengths in _OFFSETS_AND_LENGTHS:
            pieces = zip(_numbers(directory, offsets), _numbers(directory, lengths), strict=False)
            if any(start + count > len(data) for start, count in pieces):
                raise truncated("its pictures are beyond the end of the file")

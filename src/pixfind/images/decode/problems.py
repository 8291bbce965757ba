"""
From errors of decoders to errors for the user.

Owns the message for each way in which a picture can be damaged. Must not know any format.
"""

from pixfind.errors import Damaged, ImageProblem, TooLarge, Truncated

_TRUNCATED: tuple[str, ...] = (
    "truncat",
    "end of file",
    "eof",
    "not enough image data",
    "buffer is not large enough",
    "insufficient",
)
_MAX_CHARACTERS = 120


def from_decoder(error: Exception) -> ImageProblem:
    """Return the ImageProblem for an error of any type that a decoder raised."""
    if isinstance(error, ImageProblem):
        return error
    if isinstance(error, MemoryError):
        return Damaged(detail="it needs more memory than there is")
    text = " ".join(str(error).split())[:_MAX_CHARACTERS] or type(error).__name__
    if isinstance(error, EOFError) or any(sign in text.lower() for sign in _TRUNCATED):
        return truncated()
    return Damaged(detail=text)


def truncated(detail: str = "the data ends before the picture does") -> Truncated:
    """Return the error for a truncated picture."""
    return Truncated(detail=detail)


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Check a size (width, height in pixels) before a decoder allocates memory; raises Damaged, TooLarge."""
    width, height = size
    if width < 1 or height < 1:
        raise Damaged(detail=f"its header gives {width} x {height} pixels")
    if width * height > max_pixels:
        raise TooLarge(megapixels=width * height / 1e6, limit=max_pixels / 1e6)

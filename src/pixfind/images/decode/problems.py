"""
What a decoder's complaint means to the user.

Owns the sentence for each way in which a picture can be broken. Must not know any format.
"""

from pixfind.errors import Damaged, ImageProblem, TooLarge, Truncated

_CUT: tuple[str, ...] = (
    "truncat",
    "end of file",
    "eof",
    "not enough image data",
    "buffer is not large enough",
    "insufficient",
)
_LONGEST = 120


def from_decoder(error: Exception) -> ImageProblem:
    """The problem behind whatever a decoder raised."""
    if isinstance(error, ImageProblem):
        return error
    if isinstance(error, MemoryError):
        return Damaged(detail="it needs more memory than there is")
    text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
    if isinstance(error, EOFError) or any(sign in text.lower() for sign in _CUT):
        return cut()
    return Damaged(detail=text)


def cut(detail: str = "the data ends before the picture does") -> Truncated:
    """A picture that lacks its end."""
    return Truncated(detail=detail)


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Refuse what is empty or too large, before any decoder allocates it."""
    width, height = size
    if width < 1 or height < 1:
        raise Damaged(detail=f"it says it is {width} x {height} pixels")
    if width * height > max_pixels:
        raise TooLarge(megapixels=width * height / 1e6, limit=max_pixels / 1e6)

"""
Problems with one image file: recorded as its reason, counted, never the end of a run.

The text before the colon is the kind by which `pixfind status` counts them.
"""

from pixfind.errors.base import ImageProblem


class NotAnImage(ImageProblem):
    """not an image: no decoder knows these bytes"""


class EmptyFile(ImageProblem):
    """empty file"""


class NotAFile(ImageProblem):
    """not a file: a pipe, a device or a folder lies in its place"""

    transient = True


class Truncated(ImageProblem):
    """truncated: {detail}"""


class Damaged(ImageProblem):
    """damaged: {detail}"""


class TooLarge(ImageProblem):
    """too large: {megapixels:g} MP is over the limit of {limit:g} MP; raise it with --max-megapixels"""

    skipped = True


class Unreadable(ImageProblem):
    """unreadable: {detail}"""

    transient = True


class Vanished(ImageProblem):
    """vanished: the file was there when it was registered"""

    transient = True


class KeepsChanging(ImageProblem):
    """keeps changing while it is read"""

    transient = True


class ChangedSince(ImageProblem):
    """changed since it was registered"""

    transient = True


class NoEmbedding(ImageProblem):
    """no embedding: the model gave something that is not a number for it"""


class KillsTheDecoder(ImageProblem):
    """kills the decoder: workers died on it again and again ({detail})"""


class TakesTooLong(ImageProblem):
    """takes too long: not decoded within {seconds:.0f} s"""

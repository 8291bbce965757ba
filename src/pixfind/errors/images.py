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
    """not a file: there is a pipe, a device or a folder at this path"""

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


class FileMissing(ImageProblem):
    """file missing: it was there when its folder was scanned"""

    transient = True


class ModifiedDuringRead(ImageProblem):
    """modified while it was read"""

    transient = True


class ModifiedSinceScan(ImageProblem):
    """modified since its folder was scanned"""

    transient = True


class NoEmbedding(ImageProblem):
    """no embedding: the model returned values that are not finite"""


class DecoderCrash(ImageProblem):
    """decoder crash: every worker that decoded this image crashed ({detail})"""


class DecodeTimeout(ImageProblem):
    """decode timeout: not decoded within {seconds:.0f} s"""


class RawSupportMissing(ImageProblem):
    """RAW support missing: install it with: pip install 'pixfind[raw]'"""

    transient = True


class VideoSupportMissing(ImageProblem):
    """video support missing: install it with: pip install 'pixfind[video]'"""

    transient = True


class NoVideo(ImageProblem):
    """no video: {detail}"""


class EncryptedVideo(ImageProblem):
    """encrypted: pixfind does not read videos that need a key"""

    skipped = True


class EncryptedMember(ImageProblem):
    """encrypted: pixfind does not read members of archives that need a password"""

    skipped = True


class MemberTooLarge(ImageProblem):
    """too large in its archive: {size:,.0f} MB are over the limit of {limit:,.0f} MB"""

    skipped = True


class ObjectTooLarge(ImageProblem):
    """too large to fetch: {size:,.0f} MB are over the limit of {limit:,.0f} MB"""

    skipped = True


class SourceAway(ImageProblem):
    """source away: {detail}"""

    # Never the outcome of an image: it stays pending, and the next run tries again.
    transient = True

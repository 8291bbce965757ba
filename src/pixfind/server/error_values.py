"""What stands in the message of an error: for who says it in another language."""

import math
import string

from pixfind import errors
from pixfind.library import path_text


def values(error: errors.PixfindError) -> dict[str, str | float]:
    """Return what stands in the message of an error, by its names there."""
    named = {name for _, name, _, _ in string.Formatter().parse(type(error).__doc__ or "") if name}
    found: dict[str, str | float] = {}
    for name in sorted(named & error.fields.keys()):
        value = error.fields[name]
        found[name] = (
            value if isinstance(value, int | float) and math.isfinite(value) else path_text.readable(str(value))
        )
    return found

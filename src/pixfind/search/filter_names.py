"""
The names of the filters: options of the command line, which errors name, and parameters of the API.
"""

from typing import Final

PARAMETERS: Final = {
    "--in": "in",
    "--after": "after",
    "--before": "before",
    "--added-after": "added_after",
    "--added-before": "added_before",
    "--min-size": "min_size",
    "--max-size": "max_size",
    "--camera": "camera",
    "--near": "near",
    "--where": "where",
    "--label": "label",
    "--in-album": "album",
}
"""option -> parameter; `shape` and `sort` are named without dashes everywhere"""

_OPTIONS: Final = {parameter: option for option, parameter in PARAMETERS.items()}


def option_of(name: str) -> str:
    """Return the option for a parameter; any other text as it is, such as an option, which servers before this version name."""
    return _OPTIONS.get(name, name)

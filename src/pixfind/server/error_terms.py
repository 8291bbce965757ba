"""
Errors in the terms of who asks: with parameters and examples of the API, or of the tools for agents, where an error names options and commands of the
command line.

Owns how these errors are said. Must not know HTTP. Errors whose remedy is a command on the server's machine, such as `pixfind index`, stay as they are.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pixfind import errors
from pixfind.search import filter_names

_OPTION: Final = re.compile(r"--[a-z]+(?:-[a-z]+)*")

_NAMES_OF_OTHERS: Final = ("--label", "--where")
"""filters whose refusal lists what the library has: a label may look like an option"""


@dataclass(frozen=True, slots=True)
class Terms:
    """How one interface says errors."""

    names: Mapping[str, str]
    """option -> parameter"""
    messages: Mapping[type[errors.PixfindError], str]
    """for those kinds whose own message teaches the command line"""

    def message(self, error: errors.PixfindError) -> str:
        """Return what an error says."""
        return self.template(type(error)).format(**self.renamed(error).fields)

    def template(self, kind: type[errors.PixfindError]) -> str:
        """Return the message of a kind of errors, with names where its fields stand."""
        return self.messages.get(kind) or inspect.cleandoc(kind.__doc__ or "")

    def renamed(self, error: errors.PixfindError) -> errors.PixfindError:
        """Return an error whose fields name parameters in place of options."""
        if not isinstance(error, errors.InvalidFilter):
            return error
        fields = dict(error.fields)
        if fields["option"] not in _NAMES_OF_OTHERS:
            fields["detail"] = _OPTION.sub(lambda found: self.names.get(found[0], found[0]), fields["detail"])
        fields["option"] = self.names.get(fields["option"], fields["option"])
        return type(error)(**fields)


_WHERE_IN_QUERY: Final = "Invalid query: {detail}.\n  {query}\n  {pointer}\n"

API: Final = Terms(
    filter_names.PARAMETERS,
    {
        errors.InvalidQuery: _WHERE_IN_QUERY
        + 'For example: q=beach +sunset -people, in an address q=beach+%2Bsunset+-people; quotes keep words as they are: "-40 degrees".\n'
        "Without q, filters alone show the newest pictures; in=* is all of them.",
        errors.InvalidQueryImage: "The query refers to the picture {path}, which cannot be used: {detail}.\n"
        'If these are words, quote them: "{path}"',
        errors.ImageNotFound: "There is no embedded image with id {image_id} in {path}.\n"
        "`image_id` of each hit of /api/v1/search is one.",
        errors.AlbumNotFound: 'There is no album "{name}" in {path}. There are: {albums}.\nPOST /api/v1/albums makes one.',
        errors.CollectionUnavailable: "A library that is needed did not answer:\n  {libraries}\n"
        "Start the servers, or mount the drives, and ask again.",
        errors.TooManyHits: "A library at an address gives at most {limit:,} hits, and {k:,} are needed.\nUse a smaller k.",
    },
)

AGENTS: Final = Terms(
    filter_names.PARAMETERS | {"--in": "inside"},
    {
        **API.messages,
        errors.InvalidQuery: _WHERE_IN_QUERY
        + 'For example: beach +sunset -people; quotes keep words as they are: "-40 degrees".\n'
        "With an empty query, filters alone show the newest pictures; inside=* is all of them.",
        errors.ImageNotFound: "There is no embedded image with id {image_id} in {path}.\n"
        "`image_id` of each hit of search_images is one.",
        errors.TooManyHits: "A library at an address gives at most {limit:,} hits, and {k:,} are needed.\nUse a smaller count.",
    },
)

"""
Fields: what the lists of a library say of their pictures, in columns that the user chose.

Owns the table `fields`: how a value is kept, so that numbers compare as numbers, and when it is forgotten. Must not know formats of lists or
searches.
"""

import itertools
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from pixfind.images.source import list_files
from pixfind.library import path_text
from pixfind.library.catalogue import Catalogue, Root

MAX_VALUE: Final = list_files.MAX_VALUE
"""characters of a value"""

_BATCH: Final = 2_000

_MAX_DIGITS: Final = 15
"""of a whole number: with more, two that differ may be one to a computer"""

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def number(text: str) -> float | None:
    """Return the number that a text is written as, such as "1200" or "-2.5e3"; None for any other text, "nan", "1,200" and long numbers of things included."""
    text = text.strip()
    if not _NUMBER.fullmatch(text) or (text.isdigit() and len(text.lstrip("0")) > _MAX_DIGITS):
        return None
    return found if math.isfinite(found := float(text)) else None


def names(catalogue: Catalogue) -> list[str]:
    """Return the names of the fields that the lists of a library keep, in the order of the alphabet."""
    return sorted(
        {path_text.readable(name) for root in catalogue.roots() for name in json.loads(root.settings).get("keep", ())}
    )


def of_image(catalogue: Catalogue, image_id: int) -> dict[str, str]:
    """Return the fields of one image."""
    return {name: value for name, value, _ in catalogue.rows("of_image", "fields.sql", image_id=image_id)}


class Fields:
    """The fields of one list, and which of its images have been named by one scan."""

    def __init__(self, catalogue: Catalogue, root: Root) -> None:
        self._catalogue = catalogue
        self._root_id = root.id
        # A byte for each image, as `KnownFiles` has it.
        self._named = bytearray()

    def keep(self, values: Mapping[str, Mapping[str, str | int | float]]) -> list[str]:
        """
        Set the fields of some images: location -> name -> value. What an image had before of this list goes.

        Returns locations that this scan has named before with other fields, which stay: those of the last row would change at each scan.
        """
        left, repeated = iter(values.items()), []
        while some := dict(itertools.islice(left, _BATCH)):
            repeated += self._keep({path_text.to_text(each): dict(_texts(fields)) for each, fields in some.items()})
        return repeated

    def forget_others(self) -> None:
        """Forget the fields of images that this scan did not name."""
        catalogue, root_id = self._catalogue, self._root_id
        with catalogue.transaction():
            kept = catalogue.all_rows("images_of", "fields.sql", root_id=root_id)
            catalogue.run_many(
                "forget",
                ({"image_id": each, "root_id": root_id} for (each,) in kept if not self._is_named(each)),
                "fields.sql",
            )

    def _note(self, ids: Collection[int]) -> None:
        self._named.extend(bytes(max(0, max(ids, default=0) + 1 - len(self._named))))
        for image_id in ids:
            self._named[image_id] = 1

    def _is_named(self, image_id: int) -> bool:
        return image_id < len(self._named) and bool(self._named[image_id])

    def _keep(self, values: Mapping[str, Mapping[str, str]]) -> list[str]:
        catalogue, root_id = self._catalogue, self._root_id
        ids = dict(catalogue.all_rows("ids_at", "fields.sql", paths=json.dumps(list(values))))
        # Of a list that several libraries divide, the others have the rest.
        values = {path: fields for path, fields in values.items() if path in ids}
        before: dict[int, dict[str, str]] = {}
        for image_id, name, value in catalogue.all_rows(
            "values_of", "fields.sql", ids=json.dumps(list(ids.values())), root_id=root_id
        ):
            before.setdefault(image_id, {})[name] = value
        differing = {path: fields for path, fields in values.items() if fields != before.get(ids[path], {})}
        repeated = [path for path in differing if self._is_named(ids[path])]
        changed = {ids[path]: fields for path, fields in differing.items() if not self._is_named(ids[path])}
        self._note(ids.values())
        if not changed:
            return repeated
        with catalogue.transaction():
            catalogue.run_many("forget", ({"image_id": each, "root_id": root_id} for each in changed), "fields.sql")
            catalogue.run_many(
                "set",
                (
                    {"image_id": image_id, "name": name, "root_id": root_id, "value": value, "number": number(value)}
                    for image_id, fields in changed.items()
                    for name, value in fields.items()
                ),
                "fields.sql",
            )
        return repeated


def _texts(fields: Mapping[str, str | int | float]) -> Iterator[tuple[str, str]]:
    return ((path_text.readable(name), path_text.readable(str(value))) for name, value in fields.items())

"""
Hits as the API names them, and the response without any.

Must not know how they were found.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Final

from pixfind.library.library import Library
from pixfind.search.query import Query
from pixfind.search.results import Hit, Stacked
from pixfind.server import schemas
from pixfind.types import iso_time

_UNKNOWN: Final = schemas.HitMetadata(width=None, height=None, taken=None, date=None)


def hit_metadata(library: Library, ids: Sequence[int]) -> dict[int, schemas.HitMetadata]:
    """Return what is shown with hits, by image id; nothing of images that are gone."""
    rows = library.catalogue.rows("facts", "search.sql", ids=json.dumps(list(ids)))
    return {
        image_id: schemas.HitMetadata(
            width=width or None,
            height=height or None,
            taken=iso_time(taken_at),
            date=iso_time(time),
            added=iso_time(added),
        )
        for image_id, width, height, taken_at, time, added in rows
    }


def hits(known: Mapping[int, schemas.HitMetadata], found: Sequence[Hit], offset: int) -> list[schemas.Hit]:
    """Return hits that follow `offset` others, with what is known of each."""
    made = []
    for rank, hit in enumerate(found, offset + 1):
        its = known.get(hit.image_id, _UNKNOWN)
        made.append(
            schemas.Hit(
                rank=rank,
                image_id=hit.image_id,
                path=schemas.display_path(hit.path),
                name=schemas.display_path(os.path.basename(hit.path)),  # noqa: PTH119  names may hold any bytes
                score=hit.score,
                query_z=hit.query_z,
                image_z=hit.image_z,
                unusual=hit.query_z,
                fitting=hit.image_z,
                width=its.width,
                height=its.height,
                taken=its.taken,
                date=its.date,
                added=its.added,
                folded=hit.folded,
                stack=[_stacked(one, known.get(one.image_id, _UNKNOWN)) for one in hit.stack[: schemas.MAX_STACK]],
                also=[schemas.display_path(path) for path in hit.also],
                same_shot=[schemas.display_path(path) for path in hit.same_shot],
                because=list(hit.because),
                lines=[
                    schemas.Line(text=line.text, confidence=line.confidence, box=list(line.box)) for line in hit.lines
                ],
                time=hit.time,
                same_video=[schemas.display_path(path) for path in hit.same_video],
                library=hit.library,
            )
        )
    return made


def ids_of(found: Sequence[Hit]) -> list[int]:
    """Return the ids of the images that are shown with hits: themselves, and those behind them."""
    return [
        image_id
        for hit in found
        for image_id in (hit.image_id, *(one.image_id for one in hit.stack[: schemas.MAX_STACK]))
    ]


def _stacked(one: Stacked, its: schemas.HitMetadata) -> schemas.Stacked:
    return schemas.Stacked(
        image_id=one.image_id,
        path=schemas.display_path(one.path),
        name=schemas.display_path(os.path.basename(one.path)),  # noqa: PTH119  names may hold any bytes
        width=its.width,
        height=its.height,
        date=its.date,
        kind=one.kind,
    )


def empty(query: Query, page: schemas.Page) -> schemas.SearchResponse:
    """Return the response of a library without embeddings."""
    return schemas.SearchResponse(
        query=query.source,
        hits=[],
        offset=page.offset,
        more=False,
        next=None,
        previous=None,
        hidden=0,
        cutoff=None,
        remark="Nothing is embedded yet.",
        unknown=[],
        ignored=[],
        date=None,
        rows=0,
        seconds=0.0,
        generation="",
    )

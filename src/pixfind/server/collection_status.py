"""
The state of several libraries as one.

Owns which figures are added up, and which are left to each library's own server. Must not know how a library is asked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pixfind.collection.config import CollectionConfig, MemberConfig
from pixfind.library import catalogue
from pixfind.server import status_schemas


def of_member(
    member: MemberConfig, state: status_schemas.Status | None, why: str | None
) -> status_schemas.MemberStatus:
    """Return the state of one library, as it stands beside those of the others; without a `state`, `why` it does not answer."""
    return status_schemas.MemberStatus(
        name=member.name,
        where=member.where,
        missing=why,
        images=None if state is None else state.images,
        searchable_rows=None if state is None else state.searchable_rows,
        searchable_images=None if state is None else state.searchable_images,
        running=None if state is None else state.running,
    )


def joined(
    config: CollectionConfig, states: Sequence[status_schemas.Status], members: list[status_schemas.MemberStatus]
) -> status_schemas.Status:
    """Return the state of all libraries together; what concerns the run in one of them is left to that one's own server."""
    recalls = [state.recall for state in states if state.recall is not None]
    rates = [state.images_per_second for state in states if state.images_per_second is not None]
    texts = [state.texts for state in states if state.texts is not None]
    return status_schemas.Status(
        library=str(config.file or config.names),
        images=_sum((state.images for state in states), catalogue.LEDGER),
        merged_rows=sum(state.merged_rows for state in states),
        index_rows=sum(state.index_rows for state in states),
        recall=min(recalls, default=None),
        model=next((state.model for state in states if state.model is not None), None),
        precision=next((state.precision for state in states if state.precision is not None), None),
        change=None,
        kept=[],
        running=any(state.running for state in states),
        run=None,
        watch=None,
        workers=[],
        images_per_second=sum(rates) if rates else None,
        eta_seconds=max((state.eta_seconds for state in states if state.eta_seconds is not None), default=None),
        bottleneck=None,
        because=None,
        stages={},
        bytes_per_second=None,
        cores=None,
        failures=_sum(state.failures for state in states),
        texts=_sum(texts) if texts else None,
        left_out=_sum(state.left_out for state in states),
        offline={root: why for state in states for root, why in state.offline.items()},
        roots=[root for state in states for root in state.roots],
        bytes=sum(state.bytes for state in states),
        free_bytes=min((state.free_bytes for state in states), default=0),
        searchable_rows=sum(state.searchable_rows for state in states),
        searchable_images=sum(state.searchable_images for state in states),
        paused=False,
        pause_reason=None,
        pause=None,
        held_back=None,
        can_control=False,
        folders=list(dict.fromkeys(folder for state in states for folder in state.folders)),
        fields=sorted({field for state in states for field in state.fields}),
        labels=list(dict.fromkeys(name for state in states for name in state.labels)),
        libraries=members,
    )


def _sum(counts: Iterable[Mapping[str, int]], always: Iterable[str] = ()) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return {**dict.fromkeys(always, 0), **total}

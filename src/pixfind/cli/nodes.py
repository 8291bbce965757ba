"""How the nodes of a cluster, and the workers on them, are shown in a terminal."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pixfind.types import numbered

if TYPE_CHECKING:
    from pixfind.embedding.elastic import Room
    from pixfind.embedding.plan import Plan


def planned(plan: "Plan", room: "Room | None") -> Iterator[tuple[str, str, str]]:
    """Yield for each node (name, workers that fit there, what it offers); nothing for a plan of one machine."""
    if room is not None and plan.elastic is not None:
        for node in room.nodes:
            fitting = node.fitting(plan.elastic.cpus, plan.elastic.gpus)
            offered = f"{node.cores:g} cores, {node.gpus:g} GPUs, {node.memory / 2**30:.1f} GiB"
            yield f"node {node.name}", str(fitting), f"workers fit there: {offered}"


def running(workers: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each node (its workers, what they do together, on which devices), and one for each worker."""
    for node in sorted({worker["node"] for worker in workers if worker["node"]}):
        here = [worker for worker in workers if worker["node"] == node]
        rate = sum(worker["images_per_second"] or 0.0 for worker in here)
        devices = ", ".join(sorted({worker["device"] for worker in here if worker["device"]})) or "starting"
        yield f"node {here[0]['host']}: {numbered(len(here), 'worker')}, {rate:,.1f} images/s, {devices}"
    for worker in workers:
        rate_of_it = f"{worker['images_per_second']:,.1f}/s" if worker["images_per_second"] is not None else "-"
        ago = f"{time.time() - worker['last_commit']:.0f} s ago" if worker["last_commit"] else "-"
        yield (
            f"worker {worker['worker']}: {_where(worker)}, {numbered(worker['images'], 'image')}, {rate_of_it}, "
            f"{worker['bottleneck'] or '?'}, last commit {ago}"
        )


def _where(worker: dict[str, Any]) -> str:
    """Tell where a worker runs."""
    if worker["pid"] is None:
        return "waits for room"
    return f"process {worker['pid']}" + (f" on {worker['host']}" if worker["node"] else "")

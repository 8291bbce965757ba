"""What a user may ask of an embed, and the plan that follows from it on this machine."""

import dataclasses
import math
import numbers
from dataclasses import dataclass

from pixfind import machine
from pixfind.embedding import plan
from pixfind.embedding.elastic import Elastic, Room, taken
from pixfind.embedding.schedule import TimeWindow
from pixfind.images.limits import DEFAULT_MEGAPIXELS
from pixfind.types import Choice, Split, numbered

RESCAN_MINUTES = 15.0
"""how often a watch scans folders whose file system does not tell what has changed"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOptions:
    """What a user may ask of an embed; every field has a default that suits most."""

    model: str | None = None
    """a name of `pixfind models`, OWNER/REPO of a hub, or a directory; None: the library's own, else the default"""
    precision: str = "auto"
    """fp32, int8, bf16, int8-openvino, or auto: measured where that pays"""
    device: str = "auto"
    workers: int | None = None
    """processes; None: as many as the share of the cores allows, on a cluster while nodes come and go"""
    most_workers: int | None = None
    """on a cluster: from `workers` up to so many, as nodes come and go; None: always `workers`"""
    share: float = plan.SHARE
    """of the machine's processor time, 0 to 1"""
    nice: int = 5
    """niceness of the worker processes, 0 to 19"""
    memory: int | None = None
    """bytes that all workers together may take; None: 80 % of what is available"""
    megapixels: float = DEFAULT_MEGAPIXELS
    """larger images are skipped"""
    seconds_per_image: float = 60.0
    """an image that takes longer counts as failed"""
    hours: TimeWindow | None = None
    """local time to work in; None: any"""
    pause_when_busy: bool = False
    """pause while other programs use the machine"""
    on: str | None = None
    """a Ray cluster to embed on: HOST:PORT, ray://HOST:PORT, "ray" or "local-ray"; None: on this machine"""
    maps: tuple[tuple[str, str], ...] = ()
    """on a cluster: (from, to), folders of this machine and where the nodes have them"""
    retry: bool = False
    """try again what failed or was skipped"""

    def __post_init__(self) -> None:
        """Raise ValueError for a number that means nothing, TypeError for what is no number."""
        _check("workers", self.workers, at_least=1, whole=True)
        _check("most_workers", self.most_workers, at_least=self.workers or 1, whole=True)
        _check("share", self.share, above=0, at_most=1)
        _check("nice", self.nice, at_least=0, at_most=19, whole=True)
        _check("memory", self.memory, at_least=1, whole=True)
        _check("megapixels", self.megapixels, above=0)
        _check("seconds_per_image", self.seconds_per_image, above=0)
        if self.hours is not None and not isinstance(self.hours, TimeWindow):
            message = f'hours takes a TimeWindow, such as TimeWindow.parse("22:00-07:00"), not {self.hours!r}'
            raise TypeError(message)


def _check(
    name: str,
    value: float | None,
    *,
    whole: bool = False,
    at_least: float = -math.inf,
    above: float = -math.inf,
    at_most: float = math.inf,
) -> None:
    if value is None:
        return
    if not isinstance(value, numbers.Integral if whole else numbers.Real) or isinstance(value, bool):
        message = f"{name} takes a {'whole ' if whole else ''}number, not {value!r}"
        raise TypeError(message)
    if not (at_least <= value <= at_most and value > above):
        message = f"{name} cannot be {value!r}"
        raise ValueError(message)


def make_plan(options: EmbedOptions, tuned: Split | None = None, room: Room | None = None) -> plan.Plan:
    """Decide how to embed on this machine, or in the `room` of a cluster; `tuned` is what `tune` found for the model."""
    return plan.make(
        cores=machine.cores()
        if room is None
        else Choice(room.cores, f"of {numbered(len(room.nodes), 'node')} of the cluster"),
        memory=machine.memory()
        if room is None
        else Choice(room.memory, f"of {numbered(len(room.nodes), 'node')} of the cluster"),
        memory_limit=options.memory,
        share=options.share,
        workers=options.workers,
        megapixels=options.megapixels,
        seconds_per_image=options.seconds_per_image,
        tuned=tuned,
    )


def plan_for(options: EmbedOptions, tuned: Split | None, room: Room | None) -> plan.Plan:
    """Decide how to embed on this machine or, where there is `room` on a cluster, there: now and while nodes come and go."""
    if room is None:
        return make_plan(options, tuned)
    least, most = options.workers or 1, options.most_workers or options.workers or math.inf
    unasked = make_plan(dataclasses.replace(options, workers=None, most_workers=None), tuned, room)
    wanted = room.gpus if options.device == "cuda" else unasked.workers.value
    at_first = int(max(least, min(most, wanted)))
    made = make_plan(dataclasses.replace(options, workers=at_first, most_workers=None), tuned, room)
    if least < most:
        # Rounded down: a thread more for each would leave no room for some of the workers.
        each = max(1, math.floor(options.share * room.cores / at_first))
        made = dataclasses.replace(
            made,
            threads=Choice(each, f"{made.budget.value:g} cores for {numbered(at_first, 'worker')}, rounded down"),
            decoders=Choice(each + 1, made.decoders.reason),
            images_per_worker=unasked.images_per_worker,
        )
    cpus, gpus = taken(made.threads.value, options.device, room)
    elastic = Elastic(least, most, options.share, cpus, gpus)
    if least == most:
        return dataclasses.replace(made, elastic=elastic)
    asked = f"of {least} or more" if math.isinf(most) else f"of {least} to {most}"
    reason = f"{asked}: what the cluster has room for now; more start when a node joins"
    return dataclasses.replace(made, workers=Choice(elastic.wanted(room), reason), elastic=elastic)

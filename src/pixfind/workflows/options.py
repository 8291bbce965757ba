"""What a user may ask of an embed, and the plan that follows from it on this machine."""

import math
import numbers
from dataclasses import dataclass

from pixfind import machine
from pixfind.embedding import plan
from pixfind.embedding.schedule import TimeWindow
from pixfind.types import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOptions:
    """What a user may ask of an embed; every field has a default that suits most."""

    model: str | None = None
    """a name of `pixfind models`, OWNER/REPO of a hub, or a directory; None: the library's own, else the default"""
    precision: str = "auto"
    """fp32, int8, bf16, int8-openvino, or auto: measured where that pays"""
    device: str = "auto"
    workers: int | None = None
    """processes; None: as many as the share of the cores allows"""
    share: float = plan.SHARE
    """of the machine's processor time, 0 to 1"""
    nice: int = 5
    """niceness of the worker processes, 0 to 19"""
    memory: int | None = None
    """bytes that all workers together may take; None: 80 % of what is available"""
    megapixels: float = 200.0
    """larger images are skipped"""
    seconds_per_image: float = 60.0
    """an image that takes longer counts as failed"""
    hours: TimeWindow | None = None
    """local time to work in; None: any"""
    pause_when_busy: bool = False
    """pause while other programs use the machine"""
    retry: bool = False
    """try again what failed or was skipped"""

    def __post_init__(self) -> None:
        """Raise ValueError for a number that means nothing, TypeError for what is no number."""
        _check("workers", self.workers, at_least=1, whole=True)
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


def make_plan(options: EmbedOptions, tuned: Split | None = None) -> plan.Plan:
    """Decide how to embed on this machine; `tuned` is what `tune` found for the model."""
    return plan.make(
        cores=machine.cores(),
        memory=machine.memory(),
        memory_limit=options.memory,
        share=options.share,
        workers=options.workers,
        megapixels=options.megapixels,
        seconds_per_image=options.seconds_per_image,
        tuned=tuned,
    )

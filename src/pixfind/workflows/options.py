"""What a user may ask of an embed, and the plan that follows from it on this machine."""

from dataclasses import dataclass

from pixfind import machine
from pixfind.embedding import plan
from pixfind.embedding.schedule import TimeWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOptions:
    """What a user may ask of an embed; every field has a default that suits most."""

    model: str | None = None
    """a name of `pixfind models`, OWNER/REPO of a hub, or a directory; None: the library's own, else the default"""
    precision: str = "auto"
    """fp32, int8, bf16, or auto: measured where that pays"""
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


def make_plan(options: EmbedOptions) -> plan.Plan:
    """Decide how to embed on this machine."""
    return plan.make(
        cores=machine.cores(),
        memory=machine.memory(),
        memory_limit=options.memory,
        share=options.share,
        workers=options.workers,
        megapixels=options.megapixels,
        seconds_per_image=options.seconds_per_image,
    )

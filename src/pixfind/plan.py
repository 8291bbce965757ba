"""
The plan of an embed: workers, threads, batch, memory, each with its reason.

Owns the decisions and nothing else: it starts nothing and measures nothing by itself.
`pixfind plan` prints it, and it opens the log of every run.
"""

import math
from dataclasses import dataclass, fields

from pixfind import decode
from pixfind.types import Choice

SHARE = 0.8
"""of the machine's processor time, unless told otherwise; the rest is the owner's"""

_WORKER_BYTES = 600 * 2**20
_LEAST_WORKER_BYTES = 3 * 2**29
_BATCH = 32
_SECONDS_PER_IMAGE = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How the pending images will be embedded."""

    cores: Choice[float]
    """cores that may be used at all"""
    budget: Choice[float]
    """cores' worth of processor time that all our processes together may use"""
    workers: Choice[int]
    threads: Choice[int]
    """inference threads of each worker"""
    decoders: Choice[int]
    """threads of each worker that read and decode"""
    batch: Choice[int]
    """images that go through the model together"""
    look_ahead: Choice[int]
    """images that a worker holds beyond the one batch in the model"""
    memory: Choice[int]
    """bytes that each worker may take for its data; beyond them a picture fails, not the machine"""
    limits: Choice[decode.Limits]
    """largest picture that is decoded"""
    seconds_per_image: Choice[float]

    def lines(self) -> list[tuple[str, str, str]]:
        """Return (name, value, reason) of each decision."""
        return [(f.name, _shown(getattr(self, f.name).value), getattr(self, f.name).reason) for f in fields(self)]


def make(
    *,
    cores: Choice[float],
    memory: Choice[int],
    share: float = SHARE,
    workers: int | None = None,
    megapixels: float = 200,
    seconds_per_image: float = _SECONDS_PER_IMAGE,
) -> Plan:
    """
    Decide how to embed on a machine with these cores and bytes of memory.

    The guide's rule: workers = max(1, floor(0.8 x cores)), or as many as asked for. The budget is on processor time, so that a
    small machine is not left half idle by the rounding.
    """
    budget = Choice(cores.value * share, f"{share:.0%} of {cores.value:g} cores; the rest is yours")
    if share >= 1:
        budget = Choice(math.inf, "all of the machine, as asked for")
    decided = _workers(cores.value, share, memory, workers)
    each = max(1, math.ceil(min(budget.value, cores.value) / decided.value))
    decoders = each + 1
    return Plan(
        cores=cores,
        budget=budget,
        workers=decided,
        threads=Choice(
            each, f"{budget.value:g} cores for {decided.value} worker(s), rounded up; the budget paces them"
        ),
        decoders=Choice(decoders, "one more than the inference threads, so that a slow file does not stop the model"),
        batch=Choice(_BATCH, "large enough that the model runs at full speed, small enough for the processor's cache"),
        look_ahead=Choice(3 * _BATCH, "three batches: one in the model, one decoded, one being decoded"),
        memory=_memory(memory, decided.value),
        limits=decode.limits_for(memory.value // (decided.value * decoders), megapixels),
        seconds_per_image=Choice(seconds_per_image, "longer than any sound picture takes on a slow disk"),
    )


def _workers(cores: float, share: float, memory: Choice[int], asked: int | None) -> Choice[int]:
    if asked is not None:
        return Choice(asked, "as asked for")
    wanted = max(1, math.floor(share * cores))
    room = max(1, memory.value // _WORKER_BYTES)
    if room < wanted:
        return Choice(room, f"not {wanted}: {memory.reason}, and a worker may need {_WORKER_BYTES / 2**20:.0f} MiB")
    return Choice(wanted, f"max(1, floor({share:g} x {cores:g} cores))")


def _memory(memory: Choice[int], workers: int) -> Choice[int]:
    share = int(memory.value * SHARE) // workers
    if share < _LEAST_WORKER_BYTES:
        return Choice(_LEAST_WORKER_BYTES, "a worker with a large model needs as much")
    return Choice(share, f"{memory.reason}; {SHARE:.0%} of them for {workers} worker(s)")


def _shown(value: object) -> str:
    if isinstance(value, int) and value > 2**20:
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, decode.Limits):
        return f"{value.max_pixels / 1e6:.0f} MP"
    return f"{value:g}" if isinstance(value, float) else str(value)

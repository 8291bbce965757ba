"""
The plan of an embed: workers, threads, batch, memory, each with its reason.

Owns the decisions and nothing else: it starts nothing and measures nothing by itself.
`pixfind plan` prints it, and it opens the log of every run.
"""

import math
from dataclasses import dataclass, fields

from pixfind import errors
from pixfind.embedding.budget import MIN_MEMORY
from pixfind.embedding.elastic import Elastic
from pixfind.images.limits import Limits, limits_for
from pixfind.types import Choice, Split, numbered

SHARE = 0.8
"""of the machine's processor time, by default; the rest is left to the owner"""

_WORKER_BYTES = 600 * 2**20
_MIN_WORKER_BYTES = 3 * 2**29
_BATCHES = (8, 16, 32)
_GPU_BATCHES = (64, 256)
_LOOK_AHEAD = 3
_SECONDS_PER_IMAGE = 60.0
_READ_AHEAD = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """How the pending images will be embedded."""

    cores: Choice[float]
    """cores that may be used at all"""
    budget: Choice[float]
    """cores' worth of processor time that all our processes together may use"""
    workers: Choice[int]
    """at most; on a cluster at first"""
    images_per_worker: Choice[int]
    """pending images for which one more worker is started, up to `workers`"""
    threads: Choice[int]
    """inference threads of each worker"""
    decoders: Choice[int]
    """images that each worker decodes at a time"""
    batches: Choice[tuple[int, ...]]
    """images that go through the model together on a processor: sizes to try"""
    gpu_batches: Choice[tuple[int, ...]]
    """... and on anything else"""
    look_ahead: Choice[int]
    """batches that a worker holds and has not put through the model"""
    read_ahead: Choice[int]
    """bytes of files that each worker reads ahead"""
    memory: Choice[int]
    """bytes that each worker may allocate for its data; an image that needs more fails, instead of driving the machine into its swap"""
    limits: Choice[Limits]
    """largest image that is decoded"""
    seconds_per_image: Choice[float]
    elastic: Elastic | None = None
    """how many workers there are once nodes of a cluster come and go; None on one machine"""

    def lines(self) -> list[tuple[str, str, str]]:
        """Return (name, value, reason) of each decision."""
        decided = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "elastic"]
        return [(name, _format(choice.value), choice.reason) for name, choice in decided]


def make(
    *,
    cores: Choice[float],
    memory: Choice[int],
    memory_limit: int | None = None,
    share: float = SHARE,
    workers: int | None = None,
    megapixels: float = 200,
    seconds_per_image: float = _SECONDS_PER_IMAGE,
    tuned: Split | None = None,
) -> Plan:
    """
    Decide how to embed on a machine with these cores and bytes of memory.

    The guide's rule: workers = max(1, floor(0.8 x cores)), or as many as requested. The budget is on processor time, so that a
    small machine is not left half idle by the rounding. `memory_limit` bytes, for all workers together, replace what is available.
    `tuned` replaces the rule, where it was found for as many cores.
    """
    if memory_limit is not None:
        memory = Choice(memory_limit, f"{memory_limit / 2**30:.1f} GiB were requested")
    budget = Choice(cores.value * share, f"{share:.0%} of {cores.value:g} cores; the rest is left to you")
    if share >= 1:
        budget = Choice(math.inf, "all of the machine, as requested")
    shared = shared_cores(cores.value, share)
    tuned = tuned if tuned is not None and tuned.cores == shared else None
    decided = _workers(cores.value, share, memory, workers, tuned)
    if memory_limit is not None and memory_limit // decided.value < MIN_MEMORY:
        raise errors.InsufficientMemory(
            asked=f"{memory_limit / 2**20:.0f}MiB",
            workers=numbered(decided.value, "worker"),
            least=f"{MIN_MEMORY / 2**20:.0f}MiB",
            enough=f"{decided.value * MIN_MEMORY / 2**20:.0f}MiB",
        )
    each = max(1, math.ceil(shared / decided.value))
    decoders = each + 1
    assigned = _LOOK_AHEAD * max(_BATCHES)
    return Plan(
        cores=cores,
        budget=budget,
        workers=decided,
        images_per_worker=Choice(assigned, "the start of another worker takes as long as these")
        if workers is None
        else Choice(1, "as many workers as requested"),
        threads=Choice(
            each,
            f"{budget.value:g} cores for {numbered(decided.value, 'worker')}, rounded up; the budget throttles them",
        ),
        decoders=Choice(decoders, "one more than the inference threads, so that a slow file does not stop the model"),
        batches=Choice((tuned.batch,), "`pixfind tune` found it the fastest")
        if tuned is not None and tuned.workers == decided.value
        else Choice(_BATCHES, "each is tried on the first images, and the fastest is kept"),
        gpu_batches=Choice(_GPU_BATCHES, "likewise; a GPU is fed in larger pieces"),
        look_ahead=Choice(_LOOK_AHEAD, "of the largest: one in the model, one decoded, one being decoded"),
        read_ahead=Choice(
            _READ_AHEAD, "a disk's next answers lie ready, and twenty camera files fit; more would only take memory"
        ),
        memory=_memory(memory, decided.value, requested=memory_limit is not None),
        limits=limits_for(memory.value // (decided.value * decoders), megapixels),
        seconds_per_image=Choice(seconds_per_image, "longer than any intact image takes on a slow disk"),
    )


def shared_cores(cores: float, share: float = SHARE) -> int:
    """Return how many cores the workers share, rounded up; the budget throttles them."""
    return max(1, math.ceil(min(share, 1.0) * cores))


def max_workers(memory: int) -> int:
    """Return how many workers so many bytes of memory are enough for; at least 1."""
    return max(1, memory // _WORKER_BYTES)


def _workers(
    cores: float, share: float, memory: Choice[int], requested: int | None, tuned: Split | None
) -> Choice[int]:
    if requested is not None:
        return Choice(requested, "as requested")
    wanted = tuned.workers if tuned is not None else max(1, math.floor(share * cores))
    room = max_workers(memory.value)
    if room < wanted:
        return Choice(room, f"not {wanted}: {memory.reason}, and a worker may need {_WORKER_BYTES / 2**20:.0f} MiB")
    if tuned is not None:
        return Choice(wanted, f"`pixfind tune` found them the fastest on {numbered(tuned.cores, 'core')}")
    return Choice(wanted, f"max(1, floor({share:g} x {cores:g} cores))")


def _memory(memory: Choice[int], workers: int, *, requested: bool) -> Choice[int]:
    if requested:
        return Choice(memory.value // workers, f"{memory.reason}, for {numbered(workers, 'worker')}")
    share = int(memory.value * SHARE) // workers
    if share < _MIN_WORKER_BYTES:
        return Choice(_MIN_WORKER_BYTES, "a worker with a large model needs as much")
    return Choice(share, f"{memory.reason}; {SHARE:.0%} of them for {numbered(workers, 'worker')}")


def _format(value: object) -> str:
    if isinstance(value, int) and value > 2**20:
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, Limits):
        return f"{value.max_pixels / 1e6:.0f} MP"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)

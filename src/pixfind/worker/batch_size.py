"""
The batch size: how many images go through the model together, measured while working.

Owns the trial and its outcome. What is fastest depends on the model, its precision, the processor's cache and what else runs, so it is
measured on the first real batches; nothing is computed for the measurement alone.
"""

import logging
import statistics

_ROUNDS = 4
"""batches of each size that count; the first of a size allocates memory and does not"""

_MIN_SPEEDUP = 1.02
"""a larger batch must be this much faster: it costs more in a kill, and is throttled less evenly"""

log = logging.getLogger("pixfind.worker")


class BatchSizeTuner:
    """Tries each size a few times, in turns, and then stays with the fastest."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.size = sizes[0]
        """of the next batch"""
        self._sizes = sorted(sizes)
        self._seconds: dict[int, list[float]] = {size: [] for size in self._sizes}

    @property
    def largest(self) -> int:
        """Return the largest size that a batch may have from now on."""
        return self._sizes[-1]

    def record(self, count: int, seconds: float) -> None:
        """Note that a batch of `count` images took `seconds`. Batches that were not full are ignored."""
        if count == self.size and len(self._sizes) > 1:
            self._seconds[count].append(seconds / count)
            self._choose()

    def _choose(self) -> None:
        least = min(self._sizes, key=lambda size: len(self._seconds[size]))
        if len(self._seconds[least]) <= _ROUNDS:
            self.size = least
            return
        each = {size: statistics.median(self._seconds[size][1:]) for size in self._sizes}
        best = min(each.values())
        self.size = next(size for size in self._sizes if each[size] <= best * _MIN_SPEEDUP)
        log.info("batch = %d: %s", self.size, ", ".join(f"{1 / each[size]:.0f} images/s with {size}" for size in each))
        self._sizes = [self.size]

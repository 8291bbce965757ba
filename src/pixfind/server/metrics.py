"""
Metrics for Prometheus: requests and their durations, queues, and the ledger.

Owns their names. Counters and histograms are kept here; other values (the ledger, the rate of an embed) are read at each scrape.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from pixfind.server import status_schemas

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_OUTCOMES = ("embedded", "duplicate", "failed", "skipped", "pending")


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Histogram(
            "pixfind_request_seconds",
            "From the head of a request to the end of its response",
            ["endpoint", "status"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.search_seconds = Histogram(
            "pixfind_search_seconds",
            "In the index and the catalogue, without the model and without queueing",
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def observe_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request. Requests without a route share one label, so that clients cannot create new labels."""
        name = getattr(scope.get("endpoint"), "__name__", "none")
        self._requests.labels(name, str(status)).observe(seconds)

    def add(self, name: str, text: str, values: Callable[[], dict[str, float]], *, counter: bool = False) -> None:
        """Add a metric whose values (label -> value) are read by calling `values` at each scrape."""
        self._registry.register(_CallbackCollector(name, text, values, counter=counter))

    def text(self, state: status_schemas.Status) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        registry = CollectorRegistry()
        registry.register(_Library(state))
        return generate_latest(self._registry) + generate_latest(registry)


class _CallbackCollector(Collector):
    def __init__(self, name: str, text: str, values: Callable[[], dict[str, float]], *, counter: bool) -> None:
        self._name, self._text, self._values, self._counter = name, text, values, counter

    def collect(self) -> Iterator[Metric]:
        made: CounterMetricFamily | GaugeMetricFamily
        kind = CounterMetricFamily if self._counter else GaugeMetricFamily
        made = kind(self._name, self._text, labels=["name"])
        for label, value in self._values().items():
            made.add_metric([label], value)
        yield made

    def describe(self) -> list[Metric]:
        return []


class _Library(Collector):
    """The ledger and the running embed, from one status."""

    def __init__(self, state: status_schemas.Status) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state = self._state
        images = GaugeMetricFamily(
            "pixfind_images", "Images by outcome; the sum is all images seen", labels=["outcome"]
        )
        for outcome in _OUTCOMES:
            images.add_metric([outcome], state.images[outcome])
        yield images
        failures = GaugeMetricFamily("pixfind_failures", "Images without an embedding, by reason", labels=["reason"])
        for reason, count in state.failures.items():
            failures.add_metric([reason], count)
        yield failures
        yield _gauge("pixfind_embeddings", "Merged rows", state.merged_rows)
        yield _gauge("pixfind_index_rows", "Rows covered by the index", state.index_rows)
        yield _gauge("pixfind_library_bytes", "Size of the library's own files", state.bytes)
        yield _gauge("pixfind_free_bytes", "Free space on its disk", state.free_bytes)
        yield _gauge("pixfind_embed_running", "1 while a process writes the library", float(state.running))
        yield from self._embed()

    def _embed(self) -> Iterator[Metric]:
        rates = GaugeMetricFamily(
            "pixfind_embed_images_per_second", "By worker, while an embed runs", labels=["worker"]
        )
        deaths = GaugeMetricFamily("pixfind_embed_worker_deaths", "By worker, while an embed runs", labels=["worker"])
        for worker in self._state.workers:
            if worker.get("images_per_second") is not None:
                rates.add_metric([str(worker["worker"])], worker["images_per_second"])
            deaths.add_metric([str(worker["worker"])], worker["deaths"])
        yield rates
        yield deaths
        stages = GaugeMetricFamily(
            "pixfind_embed_stage_seconds", "Seconds a second in each stage, all workers together", labels=["stage"]
        )
        for stage, seconds in self._state.stages.items():
            stages.add_metric([stage], seconds)
        yield stages
        if self._state.eta_seconds is not None:
            yield _gauge("pixfind_embed_eta_seconds", "Estimated from the measured rate", self._state.eta_seconds)
        held = GaugeMetricFamily("pixfind_embed_bottleneck", "1 for the stage that limits the embed", labels=["stage"])
        if self._state.bottleneck is not None:
            held.add_metric([self._state.bottleneck], 1)
        yield held

    def describe(self) -> list[Metric]:
        return []


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)

"""
Embed all pending images of a library with workers.

Owns what comes before a run and after it; the run's traffic is in `embedding.coordinator`, the durable moves in `library`.
"""

import contextlib
from collections.abc import Iterator

from pixfind.embedding import coordinator, progress, run_log
from pixfind.embedding.plan import Plan
from pixfind.embedding.runners import Runner
from pixfind.embedding.runners.local import Local
from pixfind.embedding.schedule import PausePolicy
from pixfind.images import source
from pixfind.library import commit
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import engines, hub
from pixfind.worker import protocol
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.events import EmbedFinished, EmbedProgress, EmbedStarted, Observer, ignore
from pixfind.workflows.options import EmbedOptions, plan_for

_PATIENCE_SECONDS = 600.0
"""for which workers wait for a source that cannot be reached, before they leave its images for the next run"""


def embed(
    library: Library,
    options: EmbedOptions | None = None,
    *,
    model: ModelIdentity | None = None,
    runner: Runner | None = None,
    observer: Observer = ignore,
) -> progress.RunReport:
    """
    Embed all that is pending; call it inside `library.lock("embed")`.

    `model` is the one that `choose_model` has chosen before; None: it is chosen now. First adopts what earlier workers left behind.
    Raises OperationError; whatever was saved until then is kept.
    """
    options = options or EmbedOptions()
    model = model or choose_model(library, options, observer=observer).value
    commit.adopt_and_trim(library)
    tuned = engines.tuned_split(model.hash, model.precision)
    with opened_runner(options) if runner is None else contextlib.nullcontext(runner) as carrier:
        plan = plan_for(options, tuned, carrier.room())
        pending = requeue(library, options, plan)
        if pending and engines.is_quantization(model.precision):
            # Before any worker starts: what is missing is made once, and a model that cannot be had blames no picture.
            engines.prepare_image(hub.resolve(model.name, offline=True), model.precision)
        observer(EmbedStarted(pending, plan))
        # Nothing is held open here: a crash at any line below leaves only what the next start adopts.
        pause_policy = PausePolicy(hours=options.hours, when_busy=options.pause_when_busy)
        with run_log.logging_to(library.logs / "embed.log"):
            report = coordinator.Coordinator(
                library,
                carrier,
                plan,
                worker_config(library, model, plan, options),
                lambda snapshot: observer(EmbedProgress(snapshot)),
                pause_policy,
            ).run()
    observer(EmbedFinished(report))
    return report


def requeue(library: Library, options: EmbedOptions, plan: Plan) -> int:
    """Let images wait again that are to be tried again with these options; return how many wait, with those that waited before."""
    library.catalogue.run("retry_failed" if options.retry else "retry_transient")
    library.catalogue.run("retry_too_large", megapixels=plan.limits.value.max_pixels / 1e6)
    return library.catalogue.count_pending()


@contextlib.contextmanager
def opened_runner(options: EmbedOptions) -> Iterator[Runner]:
    """Yield what carries workers here, or on the cluster that was asked for; raises ClusterUnreachable and ClusterVersionMismatch."""
    runner: Runner = Local()
    if options.on is not None:
        # It reads pictures, for nodes that cannot, and loads what that takes.
        from pixfind.embedding.runners.ray import RayRunner
        from pixfind.embedding.runners.ray_cluster import Cluster

        runner = RayRunner(Cluster(options.on))
    with contextlib.closing(runner):
        yield runner


def worker_config(library: Library, model: ModelIdentity, plan: Plan, options: EmbedOptions) -> protocol.WorkerConfig:
    """Return what a worker needs to know; its number is still to be given."""
    return protocol.WorkerConfig(
        worker=0,
        data=str(library.data),
        logs=str(library.logs),
        model=model.name,
        model_hash=model.hash,
        dimension=model.dimension,
        precision=model.precision,
        device=options.device,
        threads=plan.threads.value,
        decoders=plan.decoders.value,
        read_ahead=plan.read_ahead.value,
        batches=plan.batches.value,
        gpu_batches=plan.gpu_batches.value,
        max_pixels=plan.limits.value.max_pixels,
        max_scaled_pixels=plan.limits.value.max_scaled_pixels,
        seconds_per_image=plan.seconds_per_image.value,
        memory=plan.memory.value,
        cpu_quota=plan.budget.value / plan.workers.value,
        sources=tuple((root.path, root.settings) for root in library.catalogue.roots() if source.is_address(root.path)),
        patience=_PATIENCE_SECONDS,
        maps=options.maps,
        nice=options.nice,
        plan=tuple(f"{name} = {value}: {reason}" for name, value, reason in plan.lines()),
    )

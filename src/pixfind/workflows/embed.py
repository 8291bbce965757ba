"""
Embed all pending images of a library with workers.

Owns what comes before a run and after it; the run's traffic is in `embedding.coordinator`, the durable moves in `library`.
"""

from pixfind.embedding import coordinator, progress, run_log
from pixfind.embedding.plan import Plan
from pixfind.embedding.runners import Runner
from pixfind.embedding.runners.local import Local
from pixfind.embedding.schedule import PausePolicy
from pixfind.library import commit
from pixfind.library.library import Library, ModelIdentity
from pixfind.models import engines, hub
from pixfind.worker import protocol
from pixfind.workflows.choose_model import choose_model
from pixfind.workflows.events import EmbedFinished, EmbedProgress, EmbedStarted, Observer, ignore
from pixfind.workflows.options import EmbedOptions, make_plan


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
    plan = make_plan(options, engines.tuned_split(model.hash, model.precision))
    library.catalogue.run("retry_failed" if options.retry else "retry_transient")
    library.catalogue.run("retry_too_large", megapixels=plan.limits.value.max_pixels / 1e6)
    pending = library.catalogue.count_pending()
    if pending and engines.is_quantization(model.precision):
        # Before any worker starts: what is missing is made once, and a model that cannot be had blames no picture.
        engines.prepare_image(hub.resolve(model.name, offline=True), model.precision)
    observer(EmbedStarted(pending, plan))
    # Nothing is held open here: a crash at any line below leaves only what the next start adopts.
    pause_policy = PausePolicy(hours=options.hours, when_busy=options.pause_when_busy)
    with run_log.logging_to(library.logs / "embed.log"):
        report = coordinator.Coordinator(
            library,
            runner or Local(),
            plan,
            worker_config(library, model, plan, options),
            lambda snapshot: observer(EmbedProgress(snapshot)),
            pause_policy,
        ).run()
    observer(EmbedFinished(report))
    return report


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
        nice=options.nice,
        plan=tuple(f"{name} = {value}: {reason}" for name, value, reason in plan.lines()),
    )

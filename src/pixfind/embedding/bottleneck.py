"""
The bottleneck: what a run, or one of its workers, spends its time on, and what holds it back.

Owns the stages and the rule. Must not know how the seconds were measured.
"""

from collections.abc import Mapping

STAGES = ("read", "network", "decode", "model", "save", "wait", "pace")
"""what the seconds of a worker go into; `network`: fetching from other machines; `wait`: the model had nothing to do; `pace`: throttled by the budget"""


def bottleneck(stages: Mapping[str, float]) -> str | None:
    """
    Return disk, network, decode, model or budget: what limits a worker, or all of them; None before anything was measured.

    `stages` is seconds per second that went into each stage. It is what the model waits for, else the model, unless the budget throttles
    it for longer than it works or waits.
    """
    main = {stage: stages[stage] for stage in ("model", "wait", "pace")}
    if not any(main.values()):
        return None
    longest = max(main, key=lambda stage: main[stage])
    if longest == "wait":
        loading = {"disk": stages["read"], "network": stages["network"], "decode": stages["decode"]}
        return max(reversed(loading), key=lambda stage: loading[stage])
    return {"model": "model", "pace": "budget"}[longest]


def explain(limit: str, stages: Mapping[str, float], workers: int) -> str:
    """Return the figures behind a bottleneck in words; `stages` is seconds per second over all `workers`."""
    share = {stage: f"{seconds / max(workers, 1):.0%}" for stage, seconds in stages.items()}
    if limit in {"disk", "network", "decode"}:
        return (
            f"the model waits {share['wait']} of the time; "
            f"{stages['read'] + stages['network']:.1f} threads read, {stages['decode']:.1f} decode"
        )
    return f"the model works {share['model']} of the time, waits {share['wait']}, is throttled {share['pace']}"

"""What the Tune page calls things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import words
from app.components.train import fields
from backend.tuning.records import TrialState

if TYPE_CHECKING:
    from app.services.tuning import Sweep
    from backend.tuning.plan import Algorithm, Engine, Labels, Metric
    from backend.tuning.space import Kind

KINDS: dict[Kind, str] = {
    "choice": "Choice",
    "uniform": "Uniform",
    "loguniform": "Log-uniform",
    "quniform": "Uniform, in steps",
    "qloguniform": "Log-uniform, in steps",
}
METRICS: dict[Metric, str] = {"precision_at_1": "Precision@1", "map_at_r": "MAP@R"}
LABELS: dict[Labels, str] = {
    "seen": "Seen labels",
    "unseen": "Held-out labels",
    "mean": "Mean of both",
}
ALGORITHMS: dict[Algorithm, str] = {
    "tpe": "Tree-structured Parzen estimator (TPE)",
    "random": "Random search",
    "adaptive-tpe": "Adaptive TPE",
}
ENGINES: dict[Engine, str] = {"spark": "Spark, several at a time", "serial": "One process, one at a time"}
STATES: dict[TrialState, str] = {
    TrialState.WAITING: "Waiting",
    TrialState.RUNNING: "Running",
    TrialState.DONE: "Done",
    TrialState.HALTED: "Stopped early",
    TrialState.FAILED: "Failed",
    TrialState.INTERRUPTED: "Interrupted",
}
PHASES: dict[str, tuple[str, str, Any]] = {
    "running": ("Running", ":material/play_arrow:", "blue"),
    "pausing": ("Pausing", ":material/pause:", "blue"),
    "starting": ("Starting", ":material/hourglass_empty:", "gray"),
    "interrupted": ("Interrupted", ":material/link_off:", "orange"),
    "paused": ("Paused", ":material/pause:", "gray"),
    "finished": ("Done", ":material/check:", "green"),
    "cancelled": ("Cancelled", ":material/cancel:", "gray"),
    "failed": ("Failed", ":material/error:", "red"),
}


def phase(found: Sweep) -> str:
    """Describe the state of a sweep; one whose process was killed is interrupted."""
    if found.is_running:
        return "pausing" if found.is_pausing else "running"
    if found.job is not None:
        return "starting"
    return "interrupted" if found.status.phase == "running" else found.status.phase


def value(name: str, given: Any) -> str:
    """Say the value of a field."""
    if name in fields.WORDS:
        return fields.WORDS[name].get(given, str(given))
    if isinstance(given, bool):
        return "On" if given else "Off"
    return f"{given:.4g}" if isinstance(given, float) else str(given)


def values(given: dict[str, Any]) -> str:
    """Say the values of a trial in one line."""
    return " · ".join(f"{fields.title(name)} {value(name, one)}" for name, one in given.items())


def figure(share: float | None) -> str:
    """Say what a trial came to."""
    return "" if share is None else words.percent(share, digits=2)


def result(told: dict[str, Any]) -> list[str]:
    """Say what a sweep brought."""
    counts = [(STATES[state], told[str(state)]) for state in TrialState if told.get(str(state))]
    trials = f"{words.count(told['trials'], 'trial')}: {', '.join(f'{n} {title.lower()}' for title, n in counts)}."
    left_out = words.left_out(told.get("left_out", 0))
    if not told["best_trial"]:
        return [told["reason"], trials, *left_out]
    best = f"Trial {told['best_trial']} reached {figure(told['best_value'])}: {values(told['best_values'])}."
    return [told["reason"], trials, best, *left_out]

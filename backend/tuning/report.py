"""A sweep as tables: rows of trials for the screen and for export, how the best figure grew, and two sweeps side by side."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from backend.files.sheet_text import guarded
from backend.tuning.records import TrialRecord, TrialState, best_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.tuning.folder import SweepFolder
    from backend.tuning.plan import SweepPlan

Format = Literal["csv", "json"]


@dataclass(frozen=True, slots=True)
class SweepSummary:
    """A sweep in a few figures.

    Attributes:
        trials, done, halted, failed: Counts of trials.
        best: The best trial; None while there is none.
        seconds: It ran for, in all.
        epochs: That were trained, in all.
    """

    name: str
    plan: SweepPlan
    trials: int
    done: int
    halted: int
    failed: int
    best: TrialRecord | None
    seconds: float
    epochs: int

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        best = self.best
        return {
            "sweep": self.name,
            "catalogue": self.plan.catalogue,
            "version": self.plan.version,
            "objective": self.plan.objective.sentence(),
            "algorithm": self.plan.algorithm,
            "halving": self.plan.budget.halving,
            "trials": self.trials,
            "done": self.done,
            "halted": self.halted,
            "failed": self.failed,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "best_trial": best.number if best else 0,
            "best_value": best.value if best else None,
            "best_values": best.values if best else {},
        }


def summary_of(folder: SweepFolder) -> SweepSummary:
    """Return a sweep in a few figures.

    Raises:
        ConfigurationError: There is no such sweep.
    """
    records = folder.trials()
    counts = {state: sum(record.state is state for record in records) for state in TrialState}
    return SweepSummary(
        folder.name,
        folder.plan(),
        len(records),
        counts[TrialState.DONE],
        counts[TrialState.HALTED],
        counts[TrialState.FAILED],
        best_of(records),
        folder.status().spent_s,
        sum(len(record.epochs) for record in records),
    )


def row_of(record: TrialRecord) -> dict[str, Any]:
    """Return a trial as a row: what it tried, what it came to, and why it ended."""
    kept = next((figures for figures in record.epochs if figures.epoch == record.best_epoch), None)
    return {
        "trial": record.number,
        "state": str(record.state),
        "value": record.value,
        **record.values,
        "epochs": len(record.epochs),
        "best_epoch": record.best_epoch,
        **(kept.metrics if kept else {}),
        "seconds": round(record.seconds, 3),
        "started_at": _moment(record.started_at),
        "seed": record.seed,
        "reason": record.reason,
    }


def export(folder: SweepFolder, form: Format) -> str:
    """Return all trials as CSV, or the whole sweep as JSON."""
    records = folder.trials()
    if form == "json":
        sweep = {"plan": folder.plan().as_dict(), "status": folder.status().as_dict()}
        return json.dumps({**sweep, "trials": [record.as_dict() for record in records]}, indent=2)
    rows = [row_of(record) for record in records]
    stream = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: guarded(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def history(records: Sequence[TrialRecord]) -> list[tuple[TrialRecord, float]]:
    """Return the trials with a figure in the order in which they ended, each with the best figure until then."""
    ended = sorted((r for r in records if r.state.has_value), key=lambda record: record.finished_at)
    found, best = [], float("-inf")
    for record in ended:
        best = max(best, record.value if record.value is not None else best)
        found.append((record, best))
    return found


def comparison(first: SweepSummary, second: SweepSummary) -> dict[str, Any]:
    """Set two sweeps side by side, and say what stands in the way of comparing their figures."""
    notes = []
    if (first.plan.catalogue, first.plan.version) != (second.plan.catalogue, second.plan.version):
        notes.append("They ran on different catalogue versions, so their figures cannot be compared.")
    if first.plan.objective != second.plan.objective:
        notes.append("They maximised different figures.")
    values = [summary.best.value if summary.best else None for summary in (first, second)]
    difference = values[1] - values[0] if None not in values else None  # type: ignore[operator]
    return {"first": first.as_dict(), "second": second.as_dict(), "difference": difference, "notes": notes}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""

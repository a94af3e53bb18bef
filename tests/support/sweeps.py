"""Sweeps and trials as they would be, without training anything; and a real one in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backend.flow.requests import TuneRequest, to_json
from backend.training.config import TrainConfig
from backend.tuning.folder import SweepFolder
from backend.tuning.plan import Budget, SweepPlan
from backend.tuning.records import EpochFigures, SweepStatus, TrialRecord, TrialState
from backend.tuning.space import Dimension, Space

if TYPE_CHECKING:
    from typing import Any

    from backend.settings import Settings

SPACE = Space(
    {
        "learning_rate": Dimension("loguniform", low=1e-4, high=1e-2),
        "loss": Dimension("choice", ("triplet", "multi-similarity")),
        "embedding_size": Dimension("quniform", low=16, high=64, step=16),
    }
)
BEGAN = 1_800_000_000.0
_TUNE = """
import json, sys
from backend.access.asking import identify_by
from backend.access.edges import by_account
from backend.progress import NullProgress
from backend.flow.requests import from_json
from backend.settings import load_settings
from backend.flow.kinds import run_request
identify_by(lambda: by_account(load_settings(), "command"))
print(json.dumps(run_request(from_json("tune", json.loads(sys.argv[1])), load_settings(), NullProgress())))
"""


def record(
    number: int,
    *,
    value: float | None = None,
    state: TrialState | None = None,
    values: dict[str, Any] | None = None,
    epochs: int = 2,
    seconds: float = 5.0,
    reason: str = "",
) -> TrialRecord:
    """One trial; done where it has a value, and waiting otherwise."""
    state = state or (TrialState.WAITING if value is None else TrialState.DONE)
    began = BEGAN + 10.0 * number
    figures = tuple(
        EpochFigures(n, 2.0 / n, value * n / epochs, {"seen.precision_at_1": value * n / epochs}, seconds * n / epochs)
        for n in range(1, epochs + 1)
        if value is not None
    )
    return TrialRecord(
        number,
        values
        or {"learning_rate": 1e-4 * number, "loss": ("triplet", "multi-similarity")[number % 2], "embedding_size": 16},
        seed=number,
        planned_epochs=epochs,
        state=state,
        epochs=figures,
        value=value,
        best_epoch=epochs if value is not None else 0,
        proposed_at=began - 1,
        started_at=began if state is not TrialState.WAITING else 0.0,
        finished_at=began + seconds if state not in {TrialState.WAITING, TrialState.RUNNING} else 0.0,
        reason=reason,
    )


def plan_for(name: str = "autumn", catalogue: str = "shop", **changes: Any) -> SweepPlan:
    """A plan over :data:`SPACE`."""
    base = SweepPlan(name, catalogue, 1, TrainConfig(epochs=2), SPACE, budget=Budget(trials=8))
    return replace(base, **changes)


def stored_sweep(sweeps_dir: Path, *records: TrialRecord, plan: SweepPlan | None = None, **status: Any) -> SweepFolder:
    """Write a sweep that has run, or is under way."""
    plan = plan or plan_for()
    folder = SweepFolder(sweeps_dir / plan.name)
    folder.create(plan)
    for one in records:
        folder.write_trial(one)
    told = {
        "phase": "finished",
        "slots": 2,
        "parallelism": 2,
        "started_at": BEGAN,
        "ended_at": BEGAN + 90,
        "spent_s": 90.0,
    }
    folder.write_status(SweepStatus(**{**told, **status}))
    return folder


def started(settings: Settings, plan: SweepPlan, **changes: str) -> subprocess.Popen[str]:
    """Run a sweep as the job's process would, with further variables in its environment."""
    return subprocess.Popen(
        [sys.executable, "-c", _TUNE, json.dumps(to_json(TuneRequest(plan)))],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **settings.environment(), **changes},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class NullSweepTracker:
    """A tracker that keeps nothing; its ids are empty."""

    def begin(self, plan, *, run_id):
        """Open nothing."""
        return ""

    def trial(self, plan, record, *, parent):
        """Keep nothing."""
        return ""

    def end(self, run_id, *, status, best):
        """Close nothing."""

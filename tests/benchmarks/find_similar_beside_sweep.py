"""Find similar while a sweep runs: ``TWINSET_HOME=… python -m tests.benchmarks.find_similar_beside_sweep --json``.

Takes the champion of a copy of a home, starts its endpoint, and a sweep on the champion's catalogue as the job that the page starts.
One client sends photos of 1000 pixels a side, in turns: with all processes of the sweep stopped, and with them running.

``ratio`` is the p95 alone over the p95 beside the sweep, drawn turn by turn. Correct means that every photo had the same answer in both
arms, that none was refused, and that the sweep computed in every turn in which it was to run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from backend.access.asking import identify_by
from backend.access.edges import by_account
from backend.flow.requests import TuneRequest
from backend.jobs.runner import JobRunner
from backend.machine.processes import end_family, family, signal_all
from backend.machine.supervisor import endpoint_service, running
from backend.serving.clients import local_client
from backend.serving.tokens import token_store
from backend.settings import load_settings
from backend.training.config import TrainConfig
from backend.tuning.plan import Budget
from tests.benchmarks.find_similar import photos
from tests.support.benchmarking import machine, pin, told
from tests.support.browsing import free_port
from tests.support.load import Asker
from tests.support.sweeps import plan_for
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.jobs.store import Job
    from backend.settings import Settings

ALLOWED = 0.5  # p95 beside at most twice the p95 alone
PHOTOS, SETTLE_S, WARM_S = 40, 0.5, 450.0
LEAST_SHARE = 0.02  # of one core, that a sweep which runs uses beside a client
WARM_CPU_S = 8.0  # that one process of the sweep has used when it trains


@dataclass
class Arm:
    """What was measured in one arm: seconds of each turn's answers, the answers by photo, and cores that the sweep used."""

    turns: list[list[float]] = field(default_factory=list)
    answers: dict[int, set[tuple[str, ...]]] = field(default_factory=dict)
    cores: list[float] = field(default_factory=list)

    @property
    def p95_ms(self) -> float:
        """The 95th percentile of all turns."""
        return float(np.percentile(np.concatenate(self.turns), 95)) * 1e3


class Sweep:
    """A sweep as a job, which can be stopped and let go on."""

    def __init__(self, settings: Settings, catalogue: str, engine: str) -> None:
        self.runner = JobRunner(settings)
        plan = plan_for(
            "beside", catalogue, config=TrainConfig(epochs=50), engine=engine, budget=Budget(500, halving=0)
        )
        self.job: Job = self.runner.submit(TuneRequest(plan))

    def await_trial(self) -> None:
        """Wait until its first trial trains; fail where the sweep does."""

        def trains() -> bool:
            job = self.runner.get(self.job.id)
            if job.state.is_finished:
                raise SystemExit(f"the sweep ended: {job.error}")
            return any(self.seconds_of(one) > WARM_CPU_S for one in family(job.id, job.pid))

        until(trains, WARM_S)

    def send(self, number: signal.Signals) -> None:
        """Stop or continue all its processes."""
        signal_all(family(self.job.id, self.runner.get(self.job.id).pid), number)

    def seconds(self) -> float:
        """Processor time that its living processes have used."""
        return sum(map(self.seconds_of, family(self.job.id, self.runner.get(self.job.id).pid)))

    @staticmethod
    def seconds_of(process: psutil.Process) -> float:
        """Processor time of one process; one that has ended counts nothing."""
        try:
            used = process.cpu_times()
        except psutil.Error:
            return 0.0
        return float(used.user + used.system)

    def niceness(self) -> list[int]:
        """The niceness of its processes, each once."""
        return sorted({one.nice() for one in family(self.job.id, self.runner.get(self.job.id).pid)})


def ask(asker: Asker, data: Sequence[bytes], arm: Arm, seconds: float) -> None:
    """Send photos for so long, one after the other."""
    times: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(times) < PHOTOS:
        number = len(times) % len(data)
        took, status, body = asker.post("/v1/recommend?k=12", data[number])
        if status != 200:
            raise SystemExit(f"the endpoint answered {status}: {body[:300]!r}")
        times.append(took)
        arm.answers.setdefault(number, set()).add(tuple(one["product_id"] for one in json.loads(body)["neighbours"]))
    arm.turns.append(times)


def measure(asker: Asker, data: Sequence[bytes], sweep: Sweep, *, turns: int, seconds: float) -> tuple[Arm, Arm]:
    """Ask in turns; returns what was measured alone, and beside the sweep."""
    alone, beside = Arm(), Arm()
    for number in range(2 * turns):
        is_beside = number % 4 in {1, 2}  # neither arm always comes first
        sweep.send(signal.SIGCONT if is_beside else signal.SIGSTOP)
        time.sleep(SETTLE_S)
        arm = beside if is_beside else alone
        before, began = sweep.seconds(), time.perf_counter()
        ask(asker, data, arm, seconds)
        arm.cores.append((sweep.seconds() - before) / (time.perf_counter() - began))
    sweep.send(signal.SIGCONT)
    return alone, beside


def ratio_by_turn(alone: Arm, beside: Arm, *, draws: int = 2000) -> tuple[float, list[float]]:
    """Return p95 alone over p95 beside, with its 95 % interval: turns are drawn, since answers of one turn belong together."""
    rng = np.random.default_rng(7)

    def drawn(arm: Arm) -> float:
        chosen = rng.integers(len(arm.turns), size=len(arm.turns))
        return float(np.percentile(np.concatenate([arm.turns[at] for at in chosen]), 95))

    ratios = [drawn(alone) / drawn(beside) for _ in range(draws)]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return round(alone.p95_ms / beside.p95_ms, 3), [round(float(low), 3), round(float(high), 3)]


def figures_of(arm: Arm) -> dict[str, Any]:
    """What is said of an arm."""
    times = np.concatenate(arm.turns) * 1e3
    return {
        "asked": len(times),
        "p50_ms": round(float(np.median(times)), 2),
        "p95_ms": round(arm.p95_ms, 2),
        "sweep_cores": round(statistics.median(arm.cores), 2),
        "least_sweep_cores": round(min(arm.cores), 3),
    }


def run(settings: Settings, *, engine: str, turns: int, seconds: float) -> dict[str, Any]:
    """Start endpoint and sweep, measure, and end both."""
    settings = replace(settings, endpoint_port=free_port(), endpoint_url="", endpoint_rate=0.0, job_lost_after_s=3600.0)
    identify_by(lambda: by_account(settings, "command"))
    token = token_store(settings).issue("beside", scope="ask")
    with running(endpoint_service(settings), settings):
        client = local_client(settings)
        data, served = photos(settings, client, PHOTOS), client.version()
        sweep = Sweep(settings, served["catalogue"]["name"], engine)
        asker = Asker(settings.effective_endpoint_url, token)
        try:
            sweep.await_trial()
            ask(asker, data, Arm(), 1.0)  # warm
            alone, beside = measure(asker, data, sweep, turns=turns, seconds=seconds)
            niceness = sweep.niceness()
        finally:
            asker.close()
            sweep.send(signal.SIGCONT)
            end_family(sweep.job.id, sweep.runner.get(sweep.job.id).pid)
    ratio, interval = ratio_by_turn(alone, beside)
    is_same = all(len(alone.answers[at] | beside.answers[at]) == 1 for at in range(PHOTOS))
    return {
        "bench": "find_similar_beside_sweep",
        "ratio": ratio,
        "ci95": interval,
        "correct": is_same and min(beside.cores) >= LEAST_SHARE > 2 * max(alone.cores),
        "figures": {
            "allowed_ratio": ALLOWED,
            "same_answers": is_same,
            "times_slower": round(beside.p95_ms / alone.p95_ms, 2),
            "alone": figures_of(alone),
            "beside": figures_of(beside),
            "turns": turns,
            "engine": engine,
            "niceness": niceness,
            "gallery_size": served["gallery_size"],
        },
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--engine", choices=("spark", "serial"), default="spark", help="how the sweep runs its trials")
    parser.add_argument("--turns", type=int, default=15, help="turns of each arm")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of a turn")
    parser.add_argument(
        "--niceness", type=int, default=10, help="how far the sweep stands back; 0 shows what that brings"
    )
    options = parser.parse_args()
    pin(2)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = load_settings()
        home = Path(shutil.copytree(found.home, Path(folder) / "home"))
        settings = replace(found, home=home, job_niceness=options.niceness)
        result = run(settings, engine=options.engine, turns=options.turns, seconds=options.seconds)
    print(told(result, as_json=options.json))
    return 0 if result["correct"] and result["ratio"] >= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())

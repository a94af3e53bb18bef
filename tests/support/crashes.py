"""Jobs of all kinds that are killed at random moments, again and again, in a home of which everything is known."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psutil

from backend.files.scratch import LOCK
from backend.flow.requests import (
    DeleteRequest,
    DemoRequest,
    DeployRequest,
    EvaluateRequest,
    FetchRequest,
    FidelityRequest,
    IndexRequest,
    ProjectRequest,
    PromoteRequest,
    RebuildRequest,
    RefreshRequest,
    RenewRequest,
    RestoreRequest,
    RollbackRequest,
    SplitsRequest,
    TidyRequest,
    TrainRequest,
    TuneRequest,
)
from backend.jobs.runner import JobRunner
from backend.jobs.states import JobState
from backend.jobs.tidy_home import tidy
from backend.jobs.tidying import clear_left
from backend.tuning.plan import Budget
from backend.worker import EXIT_LIMIT_S
from tests.support import crash_home as home_of
from tests.support import picture_shop
from tests.support.sweeps import plan_for
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from backend.flow.requests import Request
    from backend.settings import Settings

_LOOK_S = 0.01
_WATCHED = ("models", "models/.*", "runs", "runs/*", "staging", "staging/*", "maps", "maps/*", "sweeps", "sweeps/*",
            "artifacts/*/models", "artifacts/*/models/*", "catalogues", "catalogues/*/*", "catalogues/*/*/_delta_log",
            "models/*", "models/*.checkpoints", "fetched", "fetched/*", "remembered", "*")  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    Attributes:
        request: Makes the n-th request of a round.
        changes: Beginnings of the names of what it may change, see :func:`crash_home.contents`.
        usual_s: What it takes on an idle machine.
        is_once: Whether the same request cannot be carried out twice.
    """

    name: str
    request: Callable[[Settings, int], Request]
    changes: tuple[str, ...]
    usual_s: float
    is_once: bool = False


def _fetch(settings: Settings) -> FetchRequest:
    table = picture_shop.table(settings.home.parent / "tables" / "further.csv")
    return FetchRequest("csv", str(table), {"product_id": "id", "image": "image_link"}, fresh_hours=0.0)


def _sweep(engine: str, n: int) -> TuneRequest:
    plan = plan_for(f"t{n}", "small", engine=engine, config=home_of.CONFIG, budget=Budget(2, halving=0))
    return TuneRequest(plan)


LIGHT = (
    Kind("promote", lambda _, n: PromoteRequest(3 if n % 2 else 1, reason="A test."), ("alias",), 4),
    Kind("challenge", lambda _, n: PromoteRequest(3 if n % 2 else 1, alias="challenger"), ("alias",), 4),
    Kind("rollback", lambda _, __: RollbackRequest(), ("alias",), 4),
    Kind("delete model", lambda _, n: DeleteRequest(model=f"copy{n}"), ("model", "map"), 4, is_once=True),
    Kind("delete sweep", lambda _, n: DeleteRequest(sweep=f"s{n}"), ("sweep",), 4, is_once=True),
    Kind("fidelity", lambda _, __: FidelityRequest("one", queries=20), ("model one",), 2),
    Kind("index", lambda _, __: IndexRequest("one"), ("model one",), 8),
    Kind("evaluate", lambda _, __: EvaluateRequest("one", bootstrap=100), ("model one",), 9),
    Kind("train", lambda _, n: TrainRequest("small", config=home_of.CONFIG, name=f"new{n}"), ("model new", "checkpoints new"), 10, is_once=True),
)  # fmt: skip
HEAVY = (
    Kind("deploy", lambda _, __: DeployRequest("one", reason="A test."), ("alias", "version"), 30),
    Kind("project", lambda _, n: ProjectRequest("one", neighbours=4, seed=n), ("map one",), 25),
    Kind("refresh", lambda _, __: RefreshRequest("one"), ("model one", "alias", "version"), 10),
    Kind("rebuild", lambda _, n: RebuildRequest(model="one", name=f"again{n}"), ("model again", "checkpoints again"), 15, is_once=True),
    Kind("ingest", lambda settings, _: replace(home_of.ingest(settings, 12), gone="delete"), ("catalogue shop",), 15),
    Kind("fetch", lambda settings, _: _fetch(settings), ("fetched",), 4),
    Kind("renew", lambda _, __: RenewRequest("web"), ("catalogue web", "fetched"), 25),
    Kind("splits", lambda _, n: SplitsRequest("shop", "redraw", seed=n), ("catalogue shop",), 15),
    Kind("restore", lambda _, __: RestoreRequest("shop", 1), ("catalogue shop",), 15),
    Kind("tidy", lambda _, __: TidyRequest("shop", vacuum=True, keep_days=0), (), 15),
    Kind("train on two", lambda _, n: TrainRequest("small", config=home_of.CONFIG, name=f"new{n}", workers=2), ("model new", "checkpoints new"), 35, is_once=True),
    Kind("tune", lambda _, n: _sweep("serial", n), ("sweep t",), 20),
    Kind("tune on Spark", lambda _, n: _sweep("spark", n), ("sweep t",), 35),
    Kind("demo", lambda _, __: DemoRequest("sample"), ("catalogue sample", "model", "checkpoints", "alias", "version"), 120),
)  # fmt: skip


@dataclass
class Found:
    """What came of the kills."""

    kills: dict[str, int] = field(default_factory=dict)
    came_late: int = 0
    succeeded: int = 0
    lost: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    not_succeeded: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Kills that hit a living job."""
        return sum(self.kills.values())


def _new_name(before: dict[str, object], after: dict[str, object]) -> bool:
    """Tell whether a model or a sweep came or went; checkpoints are a part of the way."""
    return any(name.startswith(("model", "sweep")) for name in before.keys() ^ after.keys())


def _between(states: Sequence[Mapping[str, object]]) -> set[str]:
    """Return the catalogues that were seen in a state that is neither the first nor the last one."""
    names = {name for state in states for name in state if name.startswith("catalogue ")}
    return {
        name for name in names for state in states if state.get(name) not in {states[0].get(name), states[-1].get(name)}
    }


class Campaign:
    """Kills jobs in copies of one home.

    Args:
        settings: Of the home in which jobs run; it is made from ``warm`` for every round.
        warm: The home that :func:`crash_home.build` made.
        place: Where temporary files go.
        seed: Of all that is random.
        command: What starts a worker; the product's own when left out.
    """

    def __init__(
        self, settings: Settings, warm: Path, place: Path, *, seed: int, command: Sequence[str] | None = None
    ) -> None:
        self.settings, self.warm, self.place, self.command = settings, warm, place, command
        self.random, self.found = random.Random(seed), Found()
        self._pace = 1.0  # how slow this machine is at the moment

    def round(self, kind: Kind, kills: int) -> None:
        """Kill jobs of a kind so often, then let one succeed; after each kill all must be as before, or as asked for."""
        shutil.rmtree(self.settings.home, ignore_errors=True)
        shutil.copytree(self.warm, self.settings.home, symlinks=True)
        home_of.dispose()
        before, ask = home_of.contents(self.settings), 0
        states = [before]
        for number in range(kills):
            what = f"{kind.name}, kill {number + 1} of {kills}"
            self.found.came_late += not self._killed(kind, ask)
            # A folder is there a moment before its lock; one without is left alone for a minute.
            home_of.age([path for path in self.place.iterdir() if not (path / LOCK).exists()], days=1)
            clear_left(self.settings)  # what the next start does
            after = self._checked(kind, before, what)
            self.found.left_behind += [f"{what}: {one}" for one in home_of.left_over(self.settings, self.place)]
            # What was deleted, or trained to its end, cannot be again.
            ask += kind.is_once and after is not None and _new_name(before, after)
            before = after or before
            states.append(before)
        states.append(self._finish(kind, ask, before, f"{kind.name} after {kills} kills"))
        self.found.lost += [f"{kind.name}: {one} was neither as before nor as after it" for one in _between(states)]

    def _finish(self, kind: Kind, ask: int, before: dict[str, object], what: str) -> dict[str, object]:
        started = time.monotonic()
        runner = JobRunner(self.settings, command=self.command)
        job = runner.wait(runner.submit(kind.request(self.settings, ask)).id, 600)
        self._pace = min(max((time.monotonic() - started) / kind.usual_s, 0.2), 8.0)
        if job.state is JobState.SUCCEEDED:
            self.found.succeeded += 1
        else:
            self.found.not_succeeded.append(f"{what}: {job.error} {runner.log_tail(job.id, 15)}")
        deadline = time.monotonic() + EXIT_LIMIT_S  # its end is recorded before its process is gone
        while home_of.processes(self.settings) and time.monotonic() < deadline:
            time.sleep(0.1)
        home_of.age(home_of.uncommitted(self.settings), days=2)
        tidy(self.settings)
        after = self._checked(kind, before, what)
        left = [*home_of.left_over(self.settings, self.place), *map(str, home_of.uncommitted(self.settings))]
        self.found.left_behind += [f"{what}: {one}" for one in left]
        return after or before

    def _checked(self, kind: Kind, before: dict[str, object], what: str) -> dict[str, object] | None:
        """Read everything; what the job may not change must be there as it was."""
        try:
            after = home_of.contents(self.settings)
        except Exception as error:  # noqa: BLE001 - whatever it is, something can no longer be read
            self.found.lost.append(f"{what}: {type(error).__name__}: {error}")
            return None
        names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        self.found.lost += [f"{what}: {name} is another" for name in names if not name.startswith(kind.changes or "\0")]
        kept = ("catalogue", "model one", "alias champion", "version")
        self.found.lost += [f"{what}: {name} is gone" for name in names if name.startswith(kept) and name not in after]
        return after

    def _killed(self, kind: Kind, ask: int) -> bool:
        """Start a job and kill it at a random moment; tell whether it was alive."""
        runner = JobRunner(self.settings, command=self.command)
        job = runner.submit(kind.request(self.settings, ask))
        assert job.pid is not None
        if self.random.random() < 0.5:
            self._wait(runner, job.id, self.random.uniform(0, kind.usual_s * self._pace * 1.05))
        else:
            self._watch(job.pid, self.random.randint(1, 25))
        family = []
        with suppress(psutil.Error):
            family = psutil.Process(job.pid).children(recursive=True) if self.random.random() < 0.5 else []
        was_alive = not runner.get(job.id).state.is_finished
        for one in (job.pid, *(process.pid for process in family)):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        state = runner.wait(job.id, 60).state
        until(lambda: not psutil.pid_exists(job.pid or 0))  # a dying process may still have its locks
        is_kill = was_alive and state in {JobState.LOST, JobState.FAILED}
        self.found.kills[kind.name] = self.found.kills.get(kind.name, 0) + is_kill
        if not is_kill and state is not JobState.SUCCEEDED:
            self.found.not_succeeded.append(f"{kind.name}: {runner.get(job.id).error}")
        return is_kill

    def _wait(self, runner: JobRunner, job_id: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not runner.get(job_id).state.is_finished:
            time.sleep(0.02)

    def _watch(self, pid: int, changes: int) -> None:
        """Wait until the home has changed so often, and a moment longer: kills fall where something is being written."""
        seen = self._sight()
        while changes and psutil.pid_exists(pid):
            time.sleep(_LOOK_S)
            now = self._sight()
            changes, seen = changes - (now != seen), now
        time.sleep(self.random.uniform(0, 0.02))

    def _sight(self) -> frozenset[tuple[str, int]]:
        """What a look at the home's folders shows: they are others once a file comes or goes."""
        found = []
        for pattern in _WATCHED:
            for path in self.settings.home.glob(pattern):
                with suppress(OSError):
                    found.append((str(path), path.stat().st_mtime_ns))
        return frozenset(found)

"""Which jobs may run now, and which wait for which. Pure; :class:`backend.jobs.store.JobStore` asks it in a transaction.

Every kind of job has a lane, and a lane has a limit of jobs that run at the same time. A job that exceeds it stays queued.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backend.jobs.job import Priority
from backend.jobs.states import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from backend.jobs.job import Job
    from backend.settings import Settings


class Lane(NamedTuple):
    """What jobs of a kind share with others.

    Attributes:
        name: The limit that counts: that of the setting ``job_limit_NAME``.
        priority: Of jobs of the kind.
        is_background: Whether the job takes only what processor time others leave.
    """

    name: str
    priority: Priority
    is_background: bool = True


# One job of a later priority goes before one of an earlier priority that came this much after it: nobody waits for ever.
OUTWEIGHS_S = 1800.0
_TRAINING = Lane("training", Priority.BACKGROUND)
_LOAD, _UPKEEP = Lane("catalogue", Priority.AWAITED), Lane("catalogue", Priority.USUAL)
_ANSWERS, _MODEL = Lane("models", Priority.AWAITED), Lane("models", Priority.USUAL)
_QUICK = Lane("quick", Priority.AWAITED, is_background=False)
LANES: dict[str, Lane] = {
    **dict.fromkeys(("train", "tune", "rebuild", "demo"), _TRAINING),
    **dict.fromkeys(("catalogue", "commit", "splits", "restore"), _LOAD),
    **dict.fromkeys(("renew", "quality", "tidy"), _UPKEEP),
    **dict.fromkeys(("ready_made", "refresh", "similar"), _ANSWERS),
    **dict.fromkeys(("fetch", "index", "fidelity", "evaluate", "project"), _MODEL),
    **dict.fromkeys(("export", "substitutes", "readiness", "simulate"), _QUICK),
    # A deployment waits for the index of its model, which may be queued itself: it must not take that one's place.
    **dict.fromkeys(("deploy", "promote", "rollback", "delete"), _QUICK),
}


def lane_of(kind: str) -> Lane:
    """Return the lane of a kind; an unknown one, which a later version left behind, counts as quick."""
    return LANES.get(kind, _QUICK)


def limits_of(settings: Settings) -> dict[str, int]:
    """Return how many jobs of each lane run at the same time."""
    return {lane.name: int(getattr(settings, f"job_limit_{lane.name}")) for lane in LANES.values()}


class Waiting(NamedTuple):
    """Why a job waits: its place in the queue, from 1, and what runs meanwhile."""

    place: int
    behind: tuple[Job, ...]

    def said(self, named: Callable[[Job], str]) -> str:
        """Say it in a sentence, with jobs named in this way."""
        at = self.place
        ending = "th" if 10 < at % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(at % 10, "th")
        behind = ", ".join(map(named, self.behind)) or "its start"
        return f"Waits for: {behind}; {at}{ending} in the queue"


def is_waiting(job: Job) -> bool:
    """Whether nobody has begun to start a job."""
    return job.state is JobState.QUEUED and job.pid is None and job.claimed_tick is None


def may_start(active: Iterable[Job], limits: dict[str, int]) -> list[Job]:
    """Return the waiting jobs that fit into their lanes now, in their order."""
    jobs = list(active)
    free = dict(limits)
    for job in jobs:
        if not is_waiting(job):
            free[lane_of(job.kind).name] -= 1
    found = []
    for job in in_order(jobs):
        if free[lane_of(job.kind).name] > 0:
            free[lane_of(job.kind).name] -= 1
            found.append(job)
    return found


def in_order(active: Iterable[Job]) -> list[Job]:
    """Return the waiting jobs in the order in which they get their turn: by priority, and by age within it."""
    waiting = [
        (job.created_at + OUTWEIGHS_S * job.priority, at, job) for at, job in enumerate(active) if is_waiting(job)
    ]
    return [job for _, _, job in sorted(waiting, key=lambda one: one[:2])]


def waits(job: Job, active: Sequence[Job]) -> Waiting | None:
    """Say why a job waits; None if it does not. ``active`` are all jobs that have not ended, oldest first."""
    lane = lane_of(job.kind).name
    ahead = [one for one in in_order(active) if lane_of(one.kind).name == lane]
    places = {one.id: place for place, one in enumerate(ahead, start=1)}
    if job.id not in places:
        return None
    running = tuple(one for one in active if lane_of(one.kind).name == lane and not is_waiting(one))
    return Waiting(places[job.id], running)


def beside(kind: str, active: Iterable[Job], settings: Settings) -> list[Job]:
    """Return the running jobs that a job of a kind would have to wait for; none where there is room for it."""
    lane = lane_of(kind).name
    running = [job for job in active if lane_of(job.kind).name == lane and not is_waiting(job)]
    return running if len(running) >= limits_of(settings)[lane] else []

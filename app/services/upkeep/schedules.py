"""What the Jobs page asks about jobs that recur."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from app.services import common
from backend.flow.current.renew import all_remembered
from backend.jobs import timing
from backend.jobs.schedules import Schedule, Schedules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

DAYS = 7


class Runs(NamedTuple):
    """The runs of one job on one day: its kind, what it is about, and the local times."""

    kind: str
    about: str
    times: tuple[datetime, ...]


def schedules() -> Schedules:
    """The schedules of the home."""
    return Schedules(common.settings())


def calendar(now: float, zone: str) -> Mapping[date, list[Runs]]:
    """Return what runs in the coming days, by day and then by time, as a clock in a zone shows it.

    Catalogues that are loaded again by themselves are among them.
    """
    until = now + DAYS * 86_400
    moments = [(moment, one.kind, about(one)) for moment, one in schedules().coming(DAYS)]
    for name, kept in all_remembered(common.settings()):
        if kept.due_at is not None:
            step, first = kept.every_hours * 3600, max(kept.due_at, now)
            count = min(int((until - first) // step) + 1, timing.MOST) if first <= until else 0
            moments += [(first + number * step, "renew", name) for number in range(count)]
    days: dict[date, dict[tuple[str, str], list[datetime]]] = {}
    for moment, kind, what in sorted(moments):
        local = datetime.fromtimestamp(moment, ZoneInfo(zone))
        days.setdefault(local.date(), {}).setdefault((kind, what), []).append(local)
    return {day: [Runs(*job, tuple(times)) for job, times in jobs.items()] for day, jobs in days.items()}


def about(one: Schedule) -> str:
    """Return the catalogue that a schedule is for; empty where it is for what answers now."""
    return str(one.request.get("catalogue", ""))

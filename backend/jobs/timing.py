"""When something recurs: a plain rule or five cron fields, in a time zone; the arithmetic is cronsim's. Pure.

A time that the clocks skip in spring runs when they have been put forward; one that comes twice in autumn runs once, except
where the rule means every hour.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from backend.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EVERY = (1, 2, 3, 4, 6, 8, 12)  # hours that divide a day
MOST = 1000  # runs that are counted one by one
ON_TIME_S = 600.0  # a run that starts later was missed
_CLOCK = r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)"
_NEXT_STEP = 'Write "daily 03:00", "mon,thu 03:00", "monthly 1 03:00", "monthly last 03:00", "every 6 hours", or five cron fields.'


class Due(NamedTuple):
    """What is to be done about a rule whose time has come.

    Attributes:
        runs_for: The moment for which it runs now; None if it does not.
        missed: Moments that passed without a run, oldest first.
        next_at: When its time comes next.
    """

    runs_for: float | None
    missed: tuple[float, ...]
    next_at: float


def parsed(text: str) -> str:
    """Return a rule as five cron fields.

    Raises:
        JobError: It is none, or would never come.
    """
    words = " ".join(text.lower().split())
    rule = _plain(words) or words
    next_after(rule, "UTC", 0.0)
    return rule


def _plain(words: str) -> str:
    if found := re.fullmatch(rf"daily {_CLOCK}", words):
        return f"{int(found['minute'])} {int(found['hour'])} * * *"
    if found := re.fullmatch(rf"monthly (?P<day>\d+|last) {_CLOCK}", words):
        day = "L" if found["day"] == "last" else found["day"]
        return f"{int(found['minute'])} {int(found['hour'])} {day} * *"
    if found := re.fullmatch(r"every (?P<hours>\d+) hours?|hourly", words):
        hours = int(found["hours"] or 1)
        return _every(hours) if hours in EVERY else ""
    short = [day[:3].lower() for day in DAYS]
    if (
        (found := re.fullmatch(rf"(?P<days>[a-z, ]+) {_CLOCK}", words))
        and (chosen := [name.strip()[:3] for name in found["days"].split(",")])
        and set(chosen) <= set(short)
    ):
        days = ",".join(str(short.index(name) + 1) for name in sorted(chosen, key=short.index))
        return f"{int(found['minute'])} {int(found['hour'])} * * {days}"
    return ""


def _every(hours: int) -> str:
    return "0 * * * *" if hours == 1 else f"0 */{hours} * * *"


class Shape(NamedTuple):
    """A rule as a form shows it: on some ``days`` of the week, or a ``day`` of the month, or every so many ``hours``.

    ``is_plain`` is False for one that only its cron fields say.
    """

    is_plain: bool
    at: time = time(3)
    days: tuple[str, ...] = ()
    day: str = ""
    hours: int = 0


def shape_of(rule: str) -> Shape:
    """Return the shape of a rule."""
    for hours in EVERY:
        if rule == _every(hours):
            return Shape(is_plain=True, hours=hours)
    found = re.fullmatch(r"(\d+) (\d+) (?P<day>\*|\d+|L) \* (?P<days>\*|[1-7](,[1-7])*)", rule)
    if found is None or "*" not in {found["day"], found["days"]}:
        return Shape(is_plain=False)
    days = () if found["days"] == "*" else tuple(DAYS[int(number) - 1] for number in found["days"].split(","))
    day = {"*": "", "L": "last"}.get(found["day"], found["day"])
    return Shape(is_plain=True, at=time(int(found[2]), int(found[1])), days=days, day=day)


def said(rule: str) -> str:
    """Say a rule in words: ``At 03:00 every day``."""
    shape = shape_of(rule)
    if shape.hours:
        return "Every hour" if shape.hours == 1 else f"Every {shape.hours} hours"
    if shape.day.isdigit():
        return f"At {shape.at:%H:%M} on day {shape.day} of every month"
    return str(CronSim(rule, datetime.now(UTC)).explain())


def next_after(rule: str, zone: str, at: float) -> float:
    """Return the first moment of a rule after another; seconds since the epoch.

    Raises:
        JobError: The rule or the zone is none.
    """
    return next(_moments(rule, zone, at))


def within(rule: str, zone: str, start: float, end: float) -> list[float]:
    """Return the moments of a rule after ``start``, to ``end``; no more than ``MOST``."""
    found: list[float] = []
    for moment in _moments(rule, zone, start):
        if moment > end or len(found) == MOST:
            break
        found.append(moment)
    return found


def due(rule: str, zone: str, next_at: float, now: float, *, catch_up: bool) -> Due:
    """Say what to do now about a rule whose next moment was ``next_at``, which has come.

    Of several moments that have passed, one runs at most: the newest if it is on time, or else if ``catch_up``.
    """
    moments = [next_at, *within(rule, zone, next_at, now)]
    newest = moments[-1]
    is_on_time = now - newest <= ON_TIME_S
    missed = moments[:-1] if is_on_time else moments
    return Due(newest if is_on_time or catch_up else None, tuple(missed), next_after(rule, zone, now))


def _moments(rule: str, zone: str, start: float) -> Iterator[float]:
    try:
        for moment in CronSim(rule, datetime.fromtimestamp(start, _zone(zone))):
            yield moment.timestamp()
    except CronSimError as error:
        raise JobError(f"{rule!r} is not a rule for a schedule: {error}.", next_step=_NEXT_STEP) from error
    raise JobError(f"The time {rule!r} never comes.", next_step=_NEXT_STEP)


def local_zone() -> str:
    """Return the time zone of this machine; UTC where it does not say."""
    found = Path("/etc/localtime").resolve().as_posix().partition("zoneinfo/")[2]
    return found if found in available_timezones() else "UTC"


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    if name not in available_timezones():
        raise JobError(f"There is no time zone {name[:60]!r}.", next_step="Name one like Europe/Berlin, or UTC.")
    return ZoneInfo(name)

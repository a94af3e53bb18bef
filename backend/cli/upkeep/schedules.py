"""``schedules``: jobs that recur."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from backend.cli.text import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.cli.running import Result
    from backend.jobs.schedules import Schedule
    from backend.settings import Settings

_LOOK_S = 0.5
_AT = 'when: "daily 03:00", "mon,thu 03:00", "monthly 1 03:00", "monthly last 03:00", "every 6 hours", or five cron fields'


def add_schedules(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``schedules`` with its actions; ``command`` makes one with ``--json`` and a handler."""
    group = commands.add_parser("schedules", help="have jobs recur: load again, refresh, measure, tidy")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    listed = command(actions, "list", "List the schedules, the next one first.", list_schedules)
    listed.set_defaults(show=_list_as_lines)
    made = command(actions, "add", "Have a job recur.", add)
    made.add_argument("kind", metavar="KIND", help="renew, quality, tidy, refresh, similar, readiness or evaluate")
    made.add_argument("--catalogue", default="", help="catalogue to load again, measure or tidy")
    made.add_argument("--at", required=True, metavar="RULE", help=_AT)
    made.add_argument("--zone", default="", help="time zone, such as Europe/Berlin; default: that of this machine")
    made.add_argument("--skip-missed", action="store_true", help="do not run late where a run was missed")
    for name, help_text, handler in (
        ("pause", "Pause a schedule.", pause),
        ("resume", "Resume a schedule, from its next time on.", resume),
        ("remove", "Remove a schedule.", remove),
    ):
        command(actions, name, help_text, handler).add_argument(
            "schedule", metavar="SCHEDULE", help="id of the schedule"
        )
    command(actions, "run", "Start what is due and what is queued, until Ctrl-C.", run, own_output=True)


def list_schedules(_options: argparse.Namespace, settings: Settings) -> Result:
    """``schedules list``."""
    from backend.jobs.schedules import Schedules

    return {"schedules": [_as_values(one) for one in Schedules(settings).list()]}


def add(options: argparse.Namespace, settings: Settings) -> Result:
    """``schedules add``."""
    from backend.jobs.schedules import Schedules, request_for
    from backend.jobs.timing import local_zone

    request, zone = request_for(options.kind, options.catalogue), options.zone or local_zone()
    return _as_values(Schedules(settings).add(request, options.at, zone, catch_up=not options.skip_missed))


def pause(options: argparse.Namespace, settings: Settings) -> Result:
    """``schedules pause``."""
    from backend.jobs.schedules import Schedules

    return _as_values(Schedules(settings).change(options.schedule, is_on=False))


def resume(options: argparse.Namespace, settings: Settings) -> Result:
    """``schedules resume``."""
    from backend.jobs.schedules import Schedules

    return _as_values(Schedules(settings).change(options.schedule, is_on=True))


def remove(options: argparse.Namespace, settings: Settings) -> Result:
    """``schedules remove``."""
    from backend.jobs.schedules import Schedules

    Schedules(settings).remove(options.schedule)
    return {"removed": options.schedule}


def run(_options: argparse.Namespace, settings: Settings) -> Result:
    """``schedules run``: as ``run`` does it, without the servers."""
    from backend.cli.console import ConsoleProgress
    from backend.jobs.tending import Tending

    tending = Tending(settings)
    print("Starting what is due. Press Ctrl-C to stop.", flush=True)
    with ConsoleProgress().cancelled_by_signals() as progress:
        while not progress.cancelled:
            tending.look()
            time.sleep(_LOOK_S)
    return {"status": 0}


def _as_values(one: Schedule) -> Result:
    from backend.jobs import timing

    said = {"when": timing.said(one.rule), "missed_runs": one.said_missed(time.time())}
    return {**asdict(one), "made_by": one.made_by.name, **said}


def _list_as_lines(result: Result) -> str:
    rows = [
        {
            "id": one["id"],
            "job": one["kind"],
            "catalogue": one["request"].get("catalogue", ""),
            "when": f"{one['when']} ({one['zone']})",
            "next": _moment(one["next_at"], one["zone"]) if one["is_on"] else "paused",
            "last": _moment(one["last_at"], one["zone"]) if one["last_at"] else "",
            "by": one["made_by"],
            "message": " ".join(filter(None, (one["missed_runs"], one["note"]))),
        }
        for one in result["schedules"]
    ]
    return table(rows) if rows else "No job recurs yet."


def _moment(epoch_s: float, zone: str) -> str:
    return f"{datetime.fromtimestamp(epoch_s, ZoneInfo(zone)):%Y-%m-%d %H:%M}"

"""The commands of the audit: who did what, and whether nobody changed that."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from backend.cli.text import table
from backend.errors import UsageError
from backend.files.storage import write_export

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.access.audit import Link
    from backend.jobs.audit_table import Wanted
    from backend.settings import Settings

Result = dict[str, Any]
_USUAL = 50
_WHEN = "a day as 2026-11-28, or a time as 2026-11-28T14:30, in UTC unless it says otherwise"


def add_audit(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``audit`` with its actions; ``command`` makes one with ``--json`` and a handler."""
    group = commands.add_parser("audit", help="who did what")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    shown = command(actions, "show", "Show who did what, the newest first.", show)
    shown.add_argument("--limit", type=int, default=_USUAL, help=f"number of rows, default {_USUAL}")
    shown.set_defaults(show=_as_text)
    written = command(actions, "export", "Write who did what to a file, the oldest first.", export)
    written.add_argument("file", type=Path, help="a file ending in .csv for spreadsheets, or .jsonl for programs")
    for one in (shown, written):
        one.add_argument("--person", default="", help="only what people did whose name contains this")
        one.add_argument(
            "--action", default="", help="only actions whose name contains this, as rules.publish or rules"
        )
        one.add_argument("--result", default="", help="only done, refused, failed, or the code of an error")
        one.add_argument("--since", default="", metavar="WHEN", help=f"not before: {_WHEN}")
        one.add_argument("--until", default="", metavar="WHEN", help="not after; a day is included")
    checked = command(actions, "check", "Check that no row was changed, removed or inserted.", check)
    known = "also check that the row NUMBER:HASH of an earlier check is still there"
    checked.add_argument("--known", default="", metavar="NUMBER:HASH", help=known)
    checked.set_defaults(status_of=lambda result: int(bool(result["problems"])), show=_checked_as_text, clear=False)


def show(options: argparse.Namespace, settings: Settings) -> Result:
    """``audit show``."""
    from backend.jobs.audit_table import page

    found = page(settings, _wanted(options), options.limit)
    return {"rows": [row.as_dict() for row in found.rows], "total": found.total}


def export(options: argparse.Namespace, settings: Settings) -> Result:
    """``audit export``."""
    from backend.jobs import audit_table

    form = options.file.suffix.removeprefix(".").lower()
    if form not in get_args(audit_table.Form):
        raise UsageError(f"{options.file.name} ends in neither .csv nor .jsonl.", next_step="Give it one of them.")
    data = audit_table.export(settings, _wanted(options), form)
    write_export(options.file.expanduser(), data)
    return {"file": str(options.file), "bytes": len(data)}


def check(options: argparse.Namespace, settings: Settings) -> Result:
    """``audit check``."""
    from backend.jobs import audit_table

    found = audit_table.check(settings, _link(options.known) if options.known else None)
    number, digest = found.newest
    return {**asdict(found), "newest": f"{number}:{digest}"}


def _wanted(options: argparse.Namespace) -> Wanted:
    from backend.jobs.audit_table import Wanted

    named = {name: getattr(options, name) for name in ("person", "action", "result")}
    return Wanted(**named, since=_moment(options.since), until=_moment(options.until, is_end=True))


def _moment(text: str, *, is_end: bool = False) -> datetime | None:
    """Read a day or a time; a day at the end of a period is its end."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no day or time.", next_step=f"Give {_WHEN}.") from error
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found + timedelta(days=is_end and len(text) == len("2026-11-28"))


def _link(text: str) -> Link:
    from backend.access.audit import Link

    number, _, digest = text.partition(":")
    if not number.isdecimal():
        raise UsageError(f"{text!r} is not NUMBER:HASH.", next_step="Give the newest row of an earlier check.")
    return Link(int(number), digest)


def _as_text(result: Result) -> str:
    left_out = {"number", "hash"}
    rows = [{name: value for name, value in row.items() if name not in left_out} for row in result["rows"]]
    return "\n".join([*([table(rows)] if rows else []), f"{len(rows):,} of {result['total']:,} rows."])


def _checked_as_text(result: Result) -> str:
    lines = [f"Checked {result['rows']:,} rows; {len(result['problems']) + result['more']:,} problems."]
    return "\n".join([*lines, *result["problems"], f"Newest row: {result['newest']}"])

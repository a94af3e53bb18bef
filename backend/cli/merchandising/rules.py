"""The commands of rules on answers: a file planned and published, what is live, and every version undone."""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from backend.cli import outcome
from backend.cli.text import as_lines
from backend.errors import Cancelled, UsageError
from backend.files.storage import write_export

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.merchandising.known_products import KnownProducts
    from backend.merchandising.rule_files.plan import Plan
    from backend.merchandising.rule_store import RuleStore
    from backend.settings import Settings

Result = dict[str, Any]
_SIGNS = {"added": "+", "changed": "~", "removed": "-"}


def add_rules(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``rules`` with its actions; ``command`` makes one with ``--json`` and a handler."""
    rules = commands.add_parser("rules", help="pins, boosts, blocks and fall-backs on answers")
    actions = rules.add_subparsers(required=True, metavar="ACTION")
    planned = _about(actions, command, "plan", "Show what a file of rules would change, and what is wrong in it.", plan)
    planned.set_defaults(show=plan_as_lines, status_of=_status_of)
    applied = _about(actions, command, "apply", "Publish a file of rules.", apply)
    for one in (planned, applied):
        one.add_argument("file", help="YAML, or CSV with the columns seed, pinned and blocked")
    applied.add_argument("--yes", action="store_true", help="do not ask")
    exported = _about(actions, command, "export", "Write the rules as a file that can be applied again.", export)
    exported.add_argument(
        "--format", choices=("yaml", "csv"), default="", help="default: by the name of the file, YAML"
    )
    exported.add_argument("--output", default="", metavar="FILE", help="default: standard output")
    exported.set_defaults(show=_export_as_text)
    history = _about(actions, command, "history", "Show the published versions, newest first.", show_history)
    history.add_argument("--limit", type=int, default=100, help="number of versions, default 100")
    undone = _about(actions, command, "undo", "Publish the rules of an older version again.", undo)
    undone.add_argument("version", type=int)
    shown = _about(actions, command, "show", "Show the rules that are live at a time.", show)
    shown.add_argument("--at", default="", metavar="TIME", help="local time as 2026-12-24T10:00; default: now")
    shown.add_argument("--zone", default="UTC", help="time zone of --at, as Europe/Berlin; default UTC")
    tried = command(actions, "simulate", "Try rules on approved examples and logged questions.", simulate)
    wanted = tried.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--draft", default="", metavar="NAME", help="the draft of this person")
    wanted.add_argument("--file", default="", help="rules in a YAML file, instead of all those published")
    wanted.add_argument("--version", type=int, default=None, help="a published version")
    tried.set_defaults(show=lambda result: "\n".join(result["summary"]))
    for one in (exported, shown):
        one.add_argument("--version", type=int, default=None, help="version of the rules; default: the newest")
    for one in (applied, undone):
        one.add_argument("--note", default="", help="why; shown in the history")
        one.add_argument("--by", default="", help="who; default: the user of this computer")


def _about(actions: Any, command: Callable[..., Any], name: str, help_text: str, handler: Any) -> Any:
    made = command(actions, name, help_text, handler)
    made.add_argument("--catalogue", default="", help="name of the catalogue; default: the only one")
    return made


def plan(options: argparse.Namespace, settings: Settings) -> Result:
    """``rules plan``."""
    return _planned(options, settings)[1].as_dict()


def apply(options: argparse.Namespace, settings: Settings) -> Result:
    """``rules apply``."""
    from backend.merchandising.rule_files.plan import apply as publish

    store, planned = _planned(options, settings)
    if not planned.difference and not planned.torn:
        return {"catalogue": store.catalogue, "version": planned.now.version, "published": False}
    if not options.yes and not planned.is_refused:
        _ask(plan_as_lines(planned.as_dict()))
    done = publish(planned, store, by=options.by or user(), note=options.note)
    counts = planned.difference.counts
    return {"catalogue": store.catalogue, "version": done.version, "published": True, **counts}


def export(options: argparse.Namespace, settings: Settings) -> Result:
    """``rules export``."""
    from backend.merchandising.rule_files.csv_file import as_csv
    from backend.merchandising.rule_files.yaml_file import as_yaml

    rules = _store(options, settings).read(options.version)
    is_csv = options.format == "csv" or (not options.format and options.output.lower().endswith(".csv"))
    text, notes = as_csv(rules.rules) if is_csv else (as_yaml(rules), [])
    result: Result = {"version": rules.version, "rules": len(rules.rules), "notes": notes}
    if not options.output:
        return {**result, "text": text}
    write_export(Path(options.output).expanduser(), text.encode("utf-8-sig" if is_csv else "utf-8"))
    return {**result, "written": options.output}


def show_history(options: argparse.Namespace, settings: Settings) -> Result:
    """``rules history``."""
    store = _store(options, settings)
    return {"catalogue": store.catalogue, "versions": [asdict(one) for one in store.history(limit=options.limit)]}


def undo(options: argparse.Namespace, settings: Settings) -> Result:
    """``rules undo``."""
    store = _store(options, settings)
    before = store.newest()
    done = store.restore(options.version, by=options.by or user(), note=options.note)
    return {"catalogue": store.catalogue, "version": done.version, "published": done.version != before}


def show(options: argparse.Namespace, settings: Settings) -> Result:
    """``rules show``."""
    from backend.merchandising.wording import said

    rules, moment = _store(options, settings).read(options.version), _moment(options.at, options.zone)
    live = [
        {"id": rule.id, "rule": said(rule), "priority": rule.priority, "owner": rule.owner, "reason": rule.reason}
        for rule in rules.live(moment)
    ]
    at = moment.isoformat(timespec="minutes")
    return {"version": rules.version, "at": at, "of": len(rules.rules), "live": live}


def simulate(options: argparse.Namespace, settings: Settings) -> Result:
    """``rules simulate``."""
    from backend.cli.running import carry_out
    from backend.files.plain_files import read_plain
    from backend.flow.requests import SimulateRequest
    from backend.merchandising.rule_files.yaml_file import MOST_BYTES, from_yaml
    from backend.retrieval.rules.rule_set import as_plain

    rules = None
    if options.file:
        read, _ = from_yaml(read_plain(Path(options.file).expanduser().resolve(), MOST_BYTES))
        rules = [as_plain(rule) for rule in read]
    return carry_out(SimulateRequest(options.draft, options.version, rules), settings)


# ------------------------------------------------------------------------------------------------ shown


def plan_as_lines(result: Result) -> str:
    """Show a plan: what is added, changed and removed, and what is wrong."""
    lines = []
    for what, sign in _SIGNS.items():
        for one in result[what]:
            rule = one.get("rule") or f"{one['before']}  ->  {one['after']}"
            lines.append(f"{sign} {one['id']}: {rule}")
    counts = ", ".join(f"{len(result[what])} {what}" for what in _SIGNS)
    lines += [f"{counts}, {result['unchanged']} unchanged, on version {result['version']}."]
    lines += [f"{one['severity']}: {one['sentence']}" for one in result["conflicts"]]
    lines += [f"refused: {one} was also changed by another person." for one in result["changed_by_both"]]
    return "\n".join([*lines, *(f"note: {one}" for one in result["notes"])])


def _export_as_text(result: Result) -> str:
    if "text" not in result:
        return as_lines(result)
    for note in result["notes"]:
        outcome.complain(f"note: {note}")
    return str(result["text"]).rstrip("\n")


def _status_of(result: Result) -> int:
    if result["is_refused"]:
        return outcome.MENDABLE
    return outcome.CHANGES if any(result[what] for what in _SIGNS) else outcome.DONE


# ------------------------------------------------------------------------------------------------ read


def _planned(options: argparse.Namespace, settings: Settings) -> tuple[RuleStore, Plan]:
    from backend.merchandising.rule_files.plan import plan as planned

    store = _store(options, settings)
    return store, planned(Path(options.file).expanduser(), store, _known(settings, store.catalogue))


def _store(options: argparse.Namespace, settings: Settings) -> RuleStore:
    from backend.merchandising.rule_store import RuleStore

    return RuleStore(settings.rules_dir, catalogue_named(options, settings))


def catalogue_named(options: argparse.Namespace, settings: Settings) -> str:
    """Return the catalogue that a command is about: the one it names, else the only one; raises UsageError."""
    from backend.catalogue.snapshot import list_catalogues

    names = list_catalogues(settings.catalogues_dir)
    if not options.catalogue and len(names) != 1:
        which = f"There are {len(names)} catalogues." if names else "There is no catalogue yet."
        raise UsageError(which, next_step="Name one with --catalogue.")
    return str(options.catalogue or names[0])


def _known(settings: Settings, catalogue: str) -> KnownProducts | None:
    """Return the products of a catalogue; None where there is no such catalogue (any more)."""
    from backend.catalogue.snapshot import list_catalogues, open_snapshot
    from backend.merchandising.known_products import KnownProducts

    if catalogue not in list_catalogues(settings.catalogues_dir):
        return None
    return KnownProducts.of(open_snapshot(settings.catalogues_dir, catalogue))


def _moment(at: str, zone: str) -> datetime:
    if not at:
        return datetime.now(UTC)
    try:
        return datetime.strptime(at, "%Y-%m-%dT%H:%M").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, LookupError, OSError, OverflowError) as error:
        raise UsageError(
            "The time cannot be read.", next_step="Write --at 2026-12-24T10:00 --zone Europe/Berlin."
        ) from error


def user() -> str:
    """Return who works at this computer."""
    try:
        return getpass.getuser()
    except (OSError, LookupError):  # a container may run a user without a name
        return "unknown"


def _ask(planned: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to confirm on.", next_step="Check the plan, then add --yes.")
    outcome.complain(planned)
    outcome.complain("Publish this? Type yes:")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Cancelled("Nothing was published.", next_step="Run it again when you are ready.")

"""The commands of a home as a whole: back up, restore, check, upgrade."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli.console import ConsoleProgress
from backend.cli.text import as_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.settings import Settings

Result = dict[str, Any]


def add_home(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``home`` with its actions; ``command`` makes one with ``--json`` and a handler."""
    group = commands.add_parser("home", help="back up, restore, check or upgrade the home folder")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    made = command(actions, "backup", "Write a backup of the home; everything may keep running.", backup)
    made.add_argument("file", type=Path, help="the backup, a new tar file; it contains the keys of the home")
    put = command(actions, "restore", "Restore a backup into TWINSET_HOME, which must be empty or absent.", restore)
    put.add_argument("file", type=Path, help="a backup")
    put.set_defaults(clear=False)
    looked = command(actions, "check", "Check every table, model and database, or a backup.", check)
    looked.add_argument("file", type=Path, nargs="?", help="a backup; default: the home")
    looked.set_defaults(clear=False, status_of=lambda result: int(bool(result.get("problems"))), show=_as_text)
    newer = command(actions, "upgrade", "Upgrade a home of an earlier version, after a backup.", upgrade)
    newer.add_argument("--backup", type=Path, help="the backup; default: a new file beside the home")
    kept = command(actions, "versions", "List who saved which version of a space, a mapping or a source.", versions)
    kept.add_argument("kind", choices=("space", "mapping", "source"), help="search space, columns, or source")
    kept.add_argument("name", help="name of it; of the catalogue for a source")
    kept.add_argument("--restore", type=int, default=0, metavar="VERSION", help="make this version the newest again")


def backup(options: argparse.Namespace, settings: Settings) -> Result:
    """``home backup``."""
    from backend.jobs.backup.archive import back_up

    with ConsoleProgress().cancelled_by_signals() as progress:
        return {"backup": str(options.file), **asdict(back_up(settings.home, options.file, progress))}


def restore(options: argparse.Namespace, settings: Settings) -> Result:
    """``home restore``."""
    from backend.jobs.backup.archive import restore as put_back

    with ConsoleProgress().cancelled_by_signals() as progress:
        return {"home": str(settings.home), **asdict(put_back(options.file, settings.home, progress))}


def check(options: argparse.Namespace, settings: Settings) -> Result:
    """``home check``."""
    from backend.jobs.backup.archive import check as check_backup
    from backend.jobs.backup.home_check import check_home

    with ConsoleProgress().cancelled_by_signals() as progress:
        if options.file is not None:
            return {"backup": str(options.file), **asdict(check_backup(options.file, progress)), "problems": {}}
        return {"home": str(settings.home), **asdict(check_home(settings, progress))}


def upgrade(options: argparse.Namespace, settings: Settings) -> Result:
    """``home upgrade``."""
    from backend.jobs.backup.upgrade import upgrade as bring_up

    with ConsoleProgress().cancelled_by_signals() as progress:
        return asdict(bring_up(settings, options.backup, progress))


def versions(options: argparse.Namespace, settings: Settings) -> Result:
    """``home versions``."""
    from backend.jobs import earlier

    if options.restore:
        earlier.put_back(settings, options.kind, options.name, options.restore)
    found = earlier.versions(settings, options.kind, options.name)
    return {options.kind: options.name, "versions": [asdict(one) for one in found]}


def _as_text(result: Result) -> str:
    if "checked" not in result:
        return as_lines(result)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in result["checked"].items()) or "nothing"
    lines = [f"Checked {counted}; {len(result['problems']):,} problems."]
    return "\n".join([*lines, *(f"{place}: {problem}" for place, problem in result["problems"].items())])

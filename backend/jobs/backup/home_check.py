"""A home looked over: whether every table, model and database in it is whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backend.bundles import bundle
from backend.catalogue.delta.log_replay import states
from backend.catalogue.sources.parquet.files import UNREADABLE, read_footer
from backend.errors import WorkbenchError
from backend.jobs import audit_table
from backend.jobs.backup.frozen import LEFT_OUT, folders, tables_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backend.progress import Progress
    from backend.settings import Settings


@dataclass(slots=True)
class HomeReport:
    """What was looked at, by kind, and what is wrong: the place and a sentence."""

    checked: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def check_home(settings: Settings, progress: Progress) -> HomeReport:
    """Read the newest version of every table, all files of every model, and every database; nothing is changed.

    Raises:
        Cancelled: The user asked to stop.
    """
    home, report = settings.home, HomeReport()
    kinds = [path for path in folders(home) if path.name not in LEFT_OUT] if home.is_dir() else []
    looked_at: list[tuple[str, Path, Callable[[Path], str]]] = [
        *(("tables", path, _of_table) for kind in kinds for path in tables_in(kind)),
        *(("models", path, _of_bundle) for path in _bundles(settings.models_dir)),
        *(("audits", path, lambda _: _of_audit(settings)) for path in kinds if path == settings.audit_dir),
        *(("databases", path, _of_database) for path in sorted([*home.glob("*.db"), *home.glob("*/*.db")])),
    ]
    for number, (kind, path, problem_of) in enumerate(looked_at):
        progress.check_cancelled()
        progress.report(number, len(looked_at), note=f"Checking {path.relative_to(home)}")
        report.checked[kind] = report.checked.get(kind, 0) + 1
        if problem := problem_of(path):
            report.problems[str(path.relative_to(home))] = problem
    return report


def _bundles(models_dir: Path) -> list[Path]:
    return [path for path in folders(models_dir) if (path / bundle.MANIFEST).is_file()] if models_dir.is_dir() else []


def _of_table(path: Path) -> str:
    try:
        history = states(path)
    except WorkbenchError as error:
        return error.message
    newest = history[-1].files if history else None
    if newest is None:
        return "Its log is incomplete."
    for file in newest.values():
        for name in file.paths:
            if not (path / name).is_file():
                return f"{name} is missing."
        try:
            read_footer(path / file.path)
        except UNREADABLE:
            return f"{file.path} is damaged."
    return ""


def _of_audit(settings: Settings) -> str:
    return " ".join(audit_table.check(settings).problems)


def _of_bundle(path: Path) -> str:
    try:
        bundle.verify(path)
    except WorkbenchError as error:
        return error.message
    return ""


def _of_database(path: Path) -> str:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            said = connection.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        said = str(error)
    return "" if said == "ok" else f"SQLite reports: {said}."

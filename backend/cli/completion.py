"""Tab completion: commands and options by the parser, names by what is in the home folder; nothing heavy is imported."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from backend.cli.options import arguments
from backend.errors import WorkbenchError
from backend.settings import load_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from backend.settings import Settings

ASKED_BY = "_ARGCOMPLETE"  # the shell sets it, and wants words instead of a result
_JOBS = 50


def complete(build: Callable[[], argparse.ArgumentParser]) -> None:
    """Answer the shell and end the process, if it is the shell that calls."""
    if ASKED_BY not in os.environ:
        return
    import argcomplete

    parser = build()
    add_completers(parser)
    argcomplete.autocomplete(parser, always_complete_options=False)


def add_completers(parser: argparse.ArgumentParser) -> None:
    """Say of every argument that names something, below all commands, which names there are."""
    for action, called in arguments(parser):
        kind = called.rpartition("_")[2]  # OTHER_SWEEP is a sweep, too
        if kind in NAMES:
            action.completer = partial(_found, NAMES[kind])  # type: ignore[attr-defined]


def _found(names: Callable[[Settings], Iterable[str]], **_asked: object) -> list[str]:
    with suppress(OSError, WorkbenchError):  # a completion that cannot be had is none
        return sorted(name for name in names(load_settings()) if not name.startswith("."))
    return []


def _folders(of: Callable[[Settings], Path], holding: str) -> Callable[[Settings], Iterable[str]]:
    return lambda settings: (path.parent.name for path in of(settings).glob(f"*/{holding}"))


def _files(of: Callable[[Settings], Path]) -> Callable[[Settings], Iterable[str]]:
    return lambda settings: (path.stem for path in of(settings).glob("*.json"))


def _jobs(settings: Settings) -> Iterable[str]:
    from backend.jobs.store import JobStore

    if not settings.jobs_db.is_file():
        return []
    return [job.id for job in JobStore(settings.jobs_db).list(limit=_JOBS)]


def _presets(_settings: Settings) -> Iterable[str]:
    from backend.training.presets import PRESETS

    return PRESETS


# By what an argument is called in the help of its command.
NAMES: dict[str, Callable[[Settings], Iterable[str]]] = {
    "MODEL": _folders(lambda settings: settings.models_dir, "manifest.json"),
    "CATALOGUE": _folders(lambda settings: settings.catalogues_dir, "products"),
    "SWEEP": _folders(lambda settings: settings.sweeps_dir, "sweep.json"),
    "SPACE": _files(lambda settings: settings.spaces_dir),
    "LIST": _files(lambda settings: settings.lists_dir),
    "JOB": _jobs,
    "PRESET": _presets,
}

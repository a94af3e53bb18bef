"""The command that says what the home holds on its disk."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from backend.cli.text import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.settings import Settings

Result = dict[str, Any]


def add_disk(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``disk``; ``command`` makes one with ``--json`` and a handler."""
    shown = command(commands, "disk", "Show what takes space in the home folder, what may go, and why not.", show)
    shown.set_defaults(show=_as_text, clear=False)


def show(_options: argparse.Namespace, settings: Settings) -> Result:
    """``disk``."""
    from backend.jobs.disk import disk_use

    found = disk_use(settings)
    return {"home": str(settings.home), "bytes": found.total, **asdict(found)}


def _as_text(result: Result) -> str:
    rows = [
        {
            "": f"{one['n_bytes'] / 1e6:,.1f} MB",
            "what": f"{one['what']} {one['name']}".rstrip(),
            "may be removed": "yes" if one["may_go"] else "no",
            "how, or why not": one["note"],
        }
        for one in result["held"]
    ]
    low = " The disk is almost full." if result["is_low"] else ""
    total = f"{result['bytes'] / 1e6:,.1f} MB in {result['home']}, {result['free'] / 1e9:,.1f} GB free.{low}"
    return "\n".join([*([table(rows)] if rows else []), total])

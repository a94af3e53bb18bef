"""The commands of logged questions: what was asked, and every answer reproduced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.cli.console import ConsoleProgress
from backend.cli.merchandising.rules import catalogue_named
from backend.cli.text import as_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.settings import Settings

Result = dict[str, Any]
_USUAL = 10_000


def add_questions(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``questions`` with its actions; ``command`` makes one with ``--json`` and a handler."""
    group = commands.add_parser("questions", help="the log of what the endpoint was asked")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    shown = command(actions, "show", "Show what was asked, and which products never appear in an answer.", show)
    checked = command(actions, "verify", "Answer logged questions again and compare the answers.", verify)
    checked.add_argument(
        "--limit", type=int, default=_USUAL, help="number of questions, the newest first, default 10000"
    )
    checked.set_defaults(status_of=lambda result: int(result["equal"] != result["asked"]), show=_verified_as_text)
    for one in (shown, checked):
        one.add_argument("--catalogue", default="", help="name of the catalogue; default: the only one")


def show(options: argparse.Namespace, settings: Settings) -> Result:
    """``questions show``."""
    from backend.merchandising.questions.report import report

    return report(settings.questions_dir, settings.catalogues_dir, catalogue_named(options, settings))


def verify(options: argparse.Namespace, settings: Settings) -> Result:
    """``questions verify``."""
    from backend.flow.current.asked import verify_questions

    with ConsoleProgress().cancelled_by_signals() as progress:
        return verify_questions(settings, catalogue_named(options, settings), options.limit, progress)


def _verified_as_text(result: Result) -> str:
    lines = [
        f"{result['equal']:,} of {result['asked']:,} answers are equal, {result['identical']:,} in every similarity."
    ]
    lines += [f"{count:,} were left out: {reason}." for reason, count in result["left_out"].items()]
    return "\n".join([*lines, *(as_lines(one) for one in result["different"])])

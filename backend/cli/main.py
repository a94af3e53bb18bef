"""The command line: whatever a page can do, a command can do, with ``--json`` for machines.

Every command that takes long shows a bar on the error stream and stops at Ctrl-C; the result is alone on the
output stream.
"""

from __future__ import annotations

import argparse
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from backend import __version__
from backend.access.asking import identify_by
from backend.access.edges import by_account
from backend.access.logs import begin_process, log_lines, log_person, new_id
from backend.cli import outcome
from backend.cli import running as handlers
from backend.cli.access import add_access
from backend.cli.catalogue import add_catalogue
from backend.cli.completion import complete
from backend.cli.console import AboveTheBar, stdout_kept_clean
from backend.cli.evaluate import add_evaluation
from backend.cli.explore import add_explore
from backend.cli.index import add_index
from backend.cli.jobs import add_jobs
from backend.cli.merchandising.collections import add_collections
from backend.cli.merchandising.questions import add_questions
from backend.cli.merchandising.rules import add_rules
from backend.cli.merchandising.similar import add_similar
from backend.cli.merchandising.substitutes import add_substitutes
from backend.cli.models import add_registry
from backend.cli.options import describe
from backend.cli.recommend import add_recommend
from backend.cli.text import as_lines
from backend.cli.train import add_training
from backend.cli.tune import add_tuning
from backend.cli.upkeep.alerts import add_alerts
from backend.cli.upkeep.audit import add_audit
from backend.cli.upkeep.disk import add_disk
from backend.cli.upkeep.home import add_home
from backend.cli.upkeep.people import add_people
from backend.cli.upkeep.schedules import add_schedules
from backend.errors import UsageError
from backend.files.storage import AGAIN, UNTOUCHED, disk_watched
from backend.jobs.tidying import own_process
from backend.settings import load_settings
from backend.training.runtime import set_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.settings import Settings


_VERSION = f"twinset {__version__}"
_SOURCE = "what the demo loads; auto uses Fashion-MNIST if available, otherwise the built-in sample"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; see :mod:`backend.cli.outcome`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = outcome.wants_json(words)
    outcome.open_streams()
    complete(parser)
    try:
        text, status = _answered(words, as_json=as_json)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - all of them end as a sentence and a status
        return outcome.write_failure(error, as_json=as_json)
    return outcome.write_result(text, status) if text else status


def _answered(words: list[str], *, as_json: bool) -> tuple[str, int]:
    """Return what a command prints, and its exit status."""
    with redirect_stdout(io.StringIO()) as helped:
        try:
            options = parser().parse_args(words)
        except SystemExit:  # argparse printed the help or the version
            text = helped.getvalue().rstrip()
            found = {"version": __version__} if text == _VERSION else {"help": text}
            return outcome.as_json(found) if as_json else text, outcome.DONE
    settings = load_settings()
    _configure(settings)
    asking = by_account(settings, "command")
    identify_by(lambda: asking)
    log_person(asking.person.name)
    if options.own_output and not as_json:  # servers talk while they run
        with own_process(settings):
            return "", int(options.handler(options, settings)["status"])
    with stdout_kept_clean(), own_process(settings, clear=options.clear):
        result = _carried_out(options, settings)
    status = int(result.get("status", outcome.DONE)) if options.own_output else options.status_of(result)
    return outcome.as_json(result) if as_json else options.show(result), status


def _carried_out(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    with disk_watched(AGAIN, so=UNTOUCHED):
        result: dict[str, Any] = options.handler(options, settings)
    return result


def _configure(settings: Settings) -> None:
    set_environment()
    begin_process(settings.log_format, request=new_id())
    log_lines(AboveTheBar(), level=settings.log_level)


class _Parser(argparse.ArgumentParser):
    """Raises wrong usage instead of printing it and leaving, so that it ends as every other error does."""

    def parse_known_args(
        self, args: Any = None, namespace: Any = None
    ) -> Any:  # the command itself says what it does not know
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unknown arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", next_step=f"See `{self.prog} --help`.")


def parser() -> argparse.ArgumentParser:
    """Build the parser; the commands are in the order of the flow."""
    installed = Path(sys.argv[0]).name == "twinset"
    top = _Parser(prog="twinset" if installed else "python -m backend", description="Twinset, from the command line.")
    top.add_argument("--version", action="version", version=_VERSION, help="print the version of Twinset")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_catalogue(commands, _command)
    _add_models(commands)
    _add_recommend(commands)
    add_rules(commands, _command)
    add_collections(commands, _command)
    add_questions(commands, _command)
    add_jobs(commands, _command)
    add_schedules(commands, _command)
    _add_servers(commands)
    describe(top)
    return top


def _command(commands: Any, name: str, help_text: str, handler: Any, *, own_output: bool = False) -> Any:
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.add_argument("--json", action="store_true", help="print exactly one JSON object on standard output")
    command.set_defaults(handler=handler, own_output=own_output, show=as_lines, status_of=_done, clear=True)
    return command


def _done(_result: dict[str, Any]) -> int:
    return outcome.DONE


def _add_models(commands: Any) -> None:
    add_training(commands, _command)
    add_tuning(commands, _command)
    add_index(commands, _command)
    add_evaluation(commands, _command)
    add_explore(commands, _command)
    add_registry(commands, _command)
    add_similar(commands, _command)
    add_substitutes(commands, _command)
    add_access(commands, _command)


def _add_recommend(commands: Any) -> None:
    add_recommend(commands, _command)
    demo = _command(commands, "demo", "Run all steps in one go, from loading to publishing.", handlers.demo)
    demo.add_argument("--source", choices=("auto", "fashion-mnist", "sample"), default="auto", help=_SOURCE)
    demo.add_argument("--preset", default="", help="training preset; default: the one for the source")


def _add_servers(commands: Any) -> None:
    doctor = _command(commands, "doctor", "Check that this machine is ready.", handlers.doctor)
    doctor.set_defaults(show=handlers.doctor_as_lines, status_of=handlers.doctor_status, clear=False)
    tidy = _command(commands, "tidy", "Remove what killed processes left behind.", handlers.tidy)
    tidy.add_argument("--dry-run", action="store_true", help="only list it")
    kept = "also empty the cache of decoded pictures, which later trainings fill again"
    tidy.add_argument("--cache", action="store_true", help=kept)
    tidy.add_argument("--fetched", action="store_true", help="also remove fetched pictures that no table names")
    tidy.set_defaults(clear=False)
    add_home(commands, _command)
    add_audit(commands, _command)
    add_alerts(commands, _command)
    add_disk(commands, _command)
    add_people(commands, _command)
    _command(commands, "serve", "Start the recommendation endpoint.", handlers.serve, own_output=True)
    everything = "Start the app, the endpoint and MLflow, after the demo if there is no model yet."
    run = _command(commands, "run", everything, handlers.run, own_output=True)
    run.add_argument("--source", choices=("auto", "fashion-mnist", "sample"), default="auto", help=_SOURCE)

"""The command line: whatever a page can do, a command can do, with ``--json`` for machines.

Every command that takes long shows a bar on the error stream and stops at Ctrl-C; the result stands alone on the
output stream.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from backend import cli_handlers as handlers
from backend.cli_access import add_access
from backend.cli_catalogue import add_catalogue
from backend.cli_evaluation import add_evaluation
from backend.cli_explore import add_explore
from backend.cli_index import add_index
from backend.cli_jobs import add_jobs
from backend.cli_recommend import add_recommend
from backend.cli_registry import add_registry
from backend.cli_text import as_lines
from backend.cli_training import add_training
from backend.cli_tuning import add_tuning
from backend.console import stdout_kept_clean
from backend.errors import Cancelled, WorkbenchError, is_disk_full
from backend.settings import load_settings
from backend.training.runtime import set_environment

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed with a sentence, 2 wrong usage, 130 stopped."""
    options = parser().parse_args(arguments)
    try:
        settings = load_settings()
        _configure(settings.log_level)
        if options.own_output:  # servers and doctor talk for themselves
            return int(options.handler(options, settings))
        with stdout_kept_clean():
            result = options.handler(options, settings)
    except Cancelled as error:
        return _fail(options, error, 130)
    except WorkbenchError as error:
        return _fail(options, error, 1)
    except OSError as error:
        if not is_disk_full(error):
            raise
        from backend.steps import disk_full

        return _fail(options, disk_full(load_settings()), 1)
    print(json.dumps(result) if options.json else options.show(result))
    return 0


def _configure(level: str) -> None:
    set_environment()
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )


def _fail(options: argparse.Namespace, error: WorkbenchError, status: int) -> int:
    if options.json:
        print(json.dumps({"error": {"code": error.code, "message": error.message, "next_step": error.next_step}}))
    print(error.message, file=sys.stderr)
    if error.next_step:
        print(f"-> {error.next_step}", file=sys.stderr)
    return status


def parser() -> argparse.ArgumentParser:
    """Build the parser; commands stand in the order of the flow."""
    top = argparse.ArgumentParser(prog="python -m backend", description="Twinset, from the command line.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_catalogue(commands, _command)
    _add_models(commands)
    _add_recommend(commands)
    add_jobs(commands, _command)
    _add_servers(commands)
    return top


def _command(commands: Any, name: str, help_text: str, handler: Any, *, own_output: bool = False) -> Any:
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.add_argument("--json", action="store_true", help="print one JSON object, last, on the output stream")
    command.set_defaults(handler=handler, own_output=own_output, show=as_lines)
    return command


def _add_models(commands: Any) -> None:
    add_training(commands, _command)
    add_tuning(commands, _command)
    add_index(commands, _command)
    add_evaluation(commands, _command)
    add_explore(commands, _command)
    add_registry(commands, _command)
    add_access(commands, _command)


def _add_recommend(commands: Any) -> None:
    add_recommend(commands, _command)
    demo = _command(commands, "demo", "Run the whole path in one go.", handlers.demo)
    demo.add_argument("--source", choices=("auto", "fashion-mnist", "sample"), default="auto")
    demo.add_argument("--preset", default="", help="training preset; the one made for the source when left out")


def _add_servers(commands: Any) -> None:
    _command(commands, "doctor", "Check that this machine is ready.", handlers.doctor, own_output=True)
    _command(commands, "serve", "Start the recommendation endpoint.", handlers.serve, own_output=True)
    run = _command(commands, "run", "Prepare the demo, then start everything.", handlers.run, own_output=True)
    run.add_argument("--source", choices=("auto", "fashion-mnist", "sample"), default="auto")

"""The command ``tune``: sweeps started, steered, looked at and taken further; spaces as ``--vary FIELD=KIND:VALUES``."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from backend.cli import sweeps
from backend.cli.running import carry_out
from backend.cli.train import changes_of, fitting_preset_of
from backend.errors import UsageError
from backend.flow.requests import TuneRequest
from backend.training.presets import preset
from backend.tuning.plan import ALGORITHMS, ENGINES, LABELS, METRICS, Budget, Objective, SweepPlan
from backend.tuning.report import Format
from backend.tuning.saved_spaces import load_space, save_space
from backend.tuning.space import KINDS, QUANTISED, Dimension, Kind, Space

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.settings import Settings

Result = dict[str, Any]
_VARY = re.compile(r"([a-z_]+)=([a-z]+):(.+)")
_RANGE = re.compile(r"(\S+?)\.\.(\S+?)(?:/(\S+))?")
_VARY_HELP = (
    "learning_rate=loguniform:0.0005..0.01, epochs=quniform:4..12/2 (in steps of 2), loss=choice:triplet,circle; "
    f"kinds: {', '.join(KINDS)}"
)
_USUAL = SweepPlan()


def add_tuning(commands: Any, command: Callable[..., Any]) -> None:
    """Add the commands; ``command`` makes one that has ``--json``."""
    tune = commands.add_parser("tune", help="search for the best training settings")
    actions = tune.add_subparsers(required=True, metavar="ACTION")
    start = command(actions, "start", "Run a sweep: many trainings with some fields varied.", start_sweep)
    _add_plan(start)
    draw = command(actions, "draw", "Check a sweep and show values it would try, without starting it.", draw_values)
    _add_plan(draw)
    resume = command(actions, "resume", "Continue a sweep that was paused, cancelled or killed.", resume_sweep)
    resume.add_argument("name", metavar="SWEEP")
    for name, kind in (("trials", int), ("minutes", float), ("parallelism", int), ("patience", int)):
        resume.add_argument(f"--{name}", type=kind, default=None, help="new budget; default: unchanged")
    for name, help_text, handler in (
        ("pause", "Start no more trials; running ones finish.", sweeps.pause),
        ("cancel", "Stop all running trials; a resumed sweep runs them again.", sweeps.cancel),
        ("show", "Show a sweep with all its trials.", sweeps.show),
        ("delete", "Permanently delete a sweep and its runs, unless something needs it.", sweeps.delete),
        ("trial", "Run one trial again on its own; the result is the same.", sweeps.trial),
        ("final", "Train a model with the values of a trial; default: the best one.", sweeps.final),
    ):
        action = command(actions, name, help_text, handler)
        action.add_argument("name", metavar="SWEEP")
        if name in {"trial", "final"}:
            action.add_argument("number", type=int, nargs="?" if name == "final" else None, default=0, metavar="TRIAL")
        if name == "final":
            action.add_argument(
                "--name", dest="model", default="", help="name of the new model; default: from the name of the sweep"
            )
            action.add_argument("--model", default=argparse.SUPPRESS, help=argparse.SUPPRESS)  # what --name was called
    _add_tables(actions, command)


def _add_tables(actions: Any, command: Callable[..., Any]) -> None:
    command(actions, "list", "List the sweeps, newest first.", sweeps.list_all)
    export = command(actions, "export", "Write the trials of a sweep to a file.", sweeps.export_trials)
    export.add_argument("name", metavar="SWEEP")
    export.add_argument("--format", choices=get_args(Format), default="csv", help="file format, default csv")
    export.add_argument(
        "--to", type=Path, default=None, metavar="FILE", help="file to write; default: named after the sweep"
    )
    compare = command(actions, "compare", "Compare two sweeps side by side.", sweeps.compare)
    compare.add_argument("first", metavar="SWEEP")
    compare.add_argument("second", metavar="OTHER_SWEEP")
    save = command(actions, "save-space", "Save a search space under a name.", keep_space)
    save.add_argument("name", metavar="SPACE")
    save.add_argument("--vary", action="append", default=[], metavar="FIELD=KIND:VALUES", help=_VARY_HELP)
    command(actions, "spaces", "List the saved search spaces.", sweeps.list_spaces)
    forget = command(actions, "forget-space", "Delete a saved search space.", sweeps.forget_space)
    forget.add_argument("name", metavar="SPACE")


def _add_plan(action: Any) -> None:
    action.formatter_class = argparse.RawDescriptionHelpFormatter
    budget, objective = _USUAL.budget, _USUAL.objective
    action.add_argument("--catalogue", required=True)
    action.add_argument("--version", type=int, default=0, help="version of the catalogue; default: the newest")
    action.add_argument("--name", default="", help="name of the sweep; default: generated from the current time")
    action.add_argument(
        "--preset",
        default="",
        help="configuration of the fields that do not vary; default: one that fits the catalogue",
    )
    action.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the preset; repeatable"
    )
    action.add_argument("--vary", action="append", default=[], metavar="FIELD=KIND:VALUES", help=_VARY_HELP)
    action.add_argument("--space", default="", help="name of a saved search space; --vary adds to it")
    action.add_argument("--metric", choices=METRICS, default=objective.metric, help="figure to maximise")
    action.add_argument(
        "--labels", choices=LABELS, default=objective.labels, help="labels whose validation products are scored"
    )
    action.add_argument(
        "--unseen-share", type=float, default=objective.unseen_share, help="share of labels held out from every trial"
    )
    for name, meaning in (
        ("trials", "largest number of trials"),
        ("minutes", "time limit in minutes; 0 means none"),
        ("parallelism", "trials at the same time; 0 means one per slot"),
        ("patience", "stop after this many trials without improvement; 0 means never"),
        ("halving", "continue only 1 in this many trials; 0 means all"),
    ):
        usual = getattr(budget, name)
        action.add_argument(f"--{name}", type=float if name == "minutes" else int, default=usual, help=meaning)
    action.add_argument("--algorithm", choices=ALGORITHMS, default=_USUAL.algorithm, help="search algorithm")
    action.add_argument("--engine", choices=ENGINES, default=_USUAL.engine, help="what runs the trials")
    action.add_argument("--seed", type=int, default=_USUAL.seed)


def start_sweep(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune start``."""
    return carry_out(TuneRequest(plan_of(options, settings)), settings)


def draw_values(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune draw``.

    Raises:
        ConfigurationError: The sweep could not be started.
    """
    return sweeps.drawn(plan_of(options, settings), settings)


def resume_sweep(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune resume``."""
    plan = sweeps.plan_named(options.name, settings)
    asked = {name: getattr(options, name) for name in ("trials", "minutes", "parallelism", "patience")}
    budget = replace(plan.budget, **{name: value for name, value in asked.items() if value is not None})
    return carry_out(TuneRequest(replace(plan, budget=budget), resume=True), settings)


def keep_space(options: argparse.Namespace, settings: Settings) -> Result:
    """``tune save-space``."""
    space = space_of(options.vary)
    save_space(settings.spaces_dir, options.name, space)
    return {"space": options.name, **space.as_dict()}


def plan_of(options: argparse.Namespace, settings: Settings) -> SweepPlan:
    """Fill a plan from the command line.

    Raises:
        ConfigurationError: A field or a range does not fit.
    """
    saved = load_space(settings.spaces_dir, options.space) if options.space else Space()
    space = Space({**saved.dimensions, **space_of(options.vary).dimensions})
    changes = changes_of(options.set)
    plan = SweepPlan(
        options.name,
        options.catalogue,
        options.version,
        preset(options.preset or fitting_preset_of(options, settings), **changes),
        space,
        Objective(options.metric, options.labels, options.unseen_share),
        Budget(options.trials, options.minutes, options.parallelism, options.patience, options.halving),
        options.algorithm,
        options.engine,
        options.seed,
    )
    return sweeps.named(plan)


def space_of(pairs: list[str]) -> Space:
    """Parse ``FIELD=KIND:VALUES``.

    Raises:
        UsageError: One does not have this form, or its values the wrong type.
    """
    return Space(dict(map(_dimension, pairs)))


def _dimension(pair: str) -> tuple[str, Dimension]:
    found = _VARY.fullmatch(pair.strip())
    if found is None or found[2] not in KINDS:
        raise UsageError(f"--vary {pair} cannot be read.", next_step=f"Write it like {_VARY_HELP}.")
    name, kind, values = found[1], cast("Kind", found[2]), found[3]
    if kind == "choice":
        return name, Dimension(kind, tuple(_value(name, text) for text in values.split(",")))
    bounds = _RANGE.fullmatch(values)
    if bounds is None or (kind in QUANTISED) != (bounds[3] is not None):
        form = "low..high/step" if kind in QUANTISED else "low..high"
        raise UsageError(f"The range {values} of {name} cannot be read.", next_step=f"Write it as {form}.")
    low, high = (_value(name, text) for text in bounds.groups()[:2])
    return name, Dimension(kind, low=low, high=high, step=_number(bounds[3]) if bounds[3] else 0.0)


def _value(name: str, text: str) -> Any:
    return changes_of([f"{name}={text.strip()}"])[name]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"The step {text!r} is not a number.", next_step="Write a number.") from error

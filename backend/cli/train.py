"""The command ``train``, and the fields of a configuration as it takes them: ``--set FIELD=VALUE``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from backend.cli.running import carry_out
from backend.errors import ConfigurationError, UsageError
from backend.flow.requests import TrainRequest
from backend.flow.train import RESUMABLE
from backend.training.config import CHOICES, RANGES, TrainConfig
from backend.training.presets import preset

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.settings import Settings

_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def add_training(commands: Any, command: Callable[..., Any]) -> None:
    """Add the command; ``command`` makes one that has ``--json``."""
    train = command(commands, "train", "Train a model on a catalogue version, or resume a training.", train_model)
    train.formatter_class = argparse.RawDescriptionHelpFormatter
    train.epilog = f"fields for --set:\n{fields_help()}"
    train.add_argument("--catalogue", default="", help="name of the catalogue")
    train.add_argument("--version", type=int, default=None, help="version of the catalogue; default: the newest")
    train.add_argument("--preset", default="", help="named configuration; default: one that fits the catalogue")
    train.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the preset; repeatable"
    )
    train.add_argument("--name", default="", help="name of the new model; default: generated from the current time")
    train.add_argument(
        "--workers",
        type=int,
        default=None,
        metavar="N",
        help="number of workers, each in its own Spark task; default 1",
    )
    train.add_argument(
        "--resume",
        default="",
        metavar="NAME",
        help="continue from the last checkpoint of this training; --set epochs=N trains longer",
    )


def train_model(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """``train``.

    Raises:
        UsageError: Neither a catalogue nor a training to resume is named, or a field cannot be read.
        ConfigurationError: A field does not fit.
    """
    if options.resume:
        return carry_out(resumption(options, settings), settings)
    if not options.catalogue:
        raise UsageError(
            "No catalogue is given.", next_step="Add --catalogue NAME, or --resume NAME to continue a training."
        )
    changes = changes_of(options.set)
    config = preset(options.preset or fitting_preset_of(options, settings), **changes)
    workers = 1 if options.workers is None else options.workers
    request = TrainRequest(options.catalogue, options.version, config, options.name, workers)
    return carry_out(request, settings)


def fitting_preset_of(options: argparse.Namespace, settings: Settings) -> str:
    """Return the preset that fits the catalogue that is named.

    Raises:
        CatalogueNotFound: There is no such name and version.
    """
    from backend.catalogue.snapshot import open_snapshot
    from backend.training.presets import fitting_preset

    return fitting_preset(open_snapshot(settings.catalogues_dir, options.catalogue, options.version))


def resumption(options: argparse.Namespace, settings: Settings) -> TrainRequest:
    """Ask for the rest of a training; what it was started with may be said again, and epochs and patience changed.

    Raises:
        ConfigurationError: There is no such training, or an option differs from what it was started with.
    """
    from backend.training.preparation import unfinished_training

    found = unfinished_training(settings.models_dir, options.resume)
    begun = {
        "preset": found.config.preset,
        "name": found.name,
        "workers": found.workers,
        "catalogue": found.catalogue.name,
        "version": found.catalogue.version,
    }
    asked = {name: getattr(options, name) for name in begun}
    differing = [f"--{name} {value}" for name, value in asked.items() if value not in {None, "", begun[name]}]
    changes = {name: value for name, value in changes_of(options.set).items() if value != getattr(found.config, name)}
    differing += [f"--set {name}={value}" for name, value in changes.items() if name not in RESUMABLE]
    if differing:
        raise ConfigurationError(
            f"A resumed training keeps its settings, but {', '.join(differing)} would change them.",
            next_step=f"Remove that (only {' and '.join(RESUMABLE)} can be changed), or start a new training under "
            "another name.",
        )
    return TrainRequest(name=found.name, resume=True, changes=changes)


def changes_of(pairs: list[str]) -> dict[str, Any]:
    """Parse ``FIELD=VALUE`` pairs to the types of the training configuration.

    Raises:
        UsageError: A pair has no ``=``, names no field, or its value has the wrong type.
    """
    kinds = {item.name: type(getattr(TrainConfig(), item.name)) for item in fields(TrainConfig)}
    del kinds["preset"]  # chosen by --preset
    changes = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in kinds:
            raise UsageError(f"--set {pair} has no field.", next_step=f"Fields are {', '.join(kinds)}.")
        changes[name] = _parsed(name, value.strip(), kinds[name])
    return changes


def _parsed(name: str, value: str, kind: type) -> Any:
    try:
        return _TRUTHS[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{name} must be {_WORDS[kind]}, got {value!r}.", next_step="Correct the field.") from error


def fields_help() -> str:
    """Return one line a field: its name and what it may be, for the help of ``train``."""
    lines = []
    for item in fields(TrainConfig):
        if item.name in CHOICES:
            lines.append(f"{item.name}: {', '.join(map(str, CHOICES[item.name]))}")
        elif item.name in RANGES:
            low, high = RANGES[item.name]
            lines.append(f"{item.name}: {low:,} to {high:,}")
        elif item.name != "preset":
            lines.append(f"{item.name}: true or false")
    return "\n".join(lines)

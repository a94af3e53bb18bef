"""The command ``train``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from backend.cli_handlers import carry_out
from backend.cli_training import changes_of, fields_help
from backend.errors import ConfigurationError
from backend.requests import TrainRequest
from backend.training.config import preset

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.settings import Settings


def add_training(commands: Any, command: Callable[..., Any]) -> None:
    """Add the command; ``command`` makes one that has ``--json``."""
    train = command(commands, "train", "Train a model on a catalogue version, or resume a training.", train_model)
    train.formatter_class = argparse.RawDescriptionHelpFormatter
    train.epilog = f"fields for --set:\n{fields_help()}"
    train.add_argument("--catalogue", default="")
    train.add_argument("--version", type=int, default=None, help="Delta version; the newest when left out")
    train.add_argument("--preset", default="", help="named configuration; one that fits the catalogue when left out")
    train.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the preset")
    train.add_argument("--name", default="", help="name of the model; made from the time when left out")
    train.add_argument("--workers", type=int, default=1, metavar="N", help="processes, each in a Spark task; default 1")
    train.add_argument("--resume", default="", metavar="NAME", help="go on from the last checkpoint of this model")


def train_model(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """``train``.

    Raises:
        ConfigurationError: Neither a catalogue nor a training to resume is named, or a field does not fit.
    """
    if options.resume:
        return carry_out(TrainRequest(name=options.resume, resume=True), settings)
    if not options.catalogue:
        raise ConfigurationError(
            "No catalogue is named.", next_step="Add --catalogue NAME, or --resume NAME to go on with a training."
        )
    named = options.preset or ("resnet" if options.catalogue == "fashion-mnist" else "resnet-colour")
    config = preset(named, **changes_of(options.set))
    request = TrainRequest(options.catalogue, options.version, config, options.name, options.workers)
    return carry_out(request, settings)

"""Fields of a training configuration as the command line gives them: ``--set FIELD=VALUE``, as often as needed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from backend.errors import ConfigurationError
from backend.training.config import CHOICES, RANGES, TrainConfig

_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_WORDS = {bool: "truth value, true or false", int: "whole number", float: "number", str: "text"}


def changes_of(pairs: list[str]) -> dict[str, Any]:
    """Parse ``FIELD=VALUE`` pairs to the types of the training configuration.

    Raises:
        ConfigurationError: A pair has no ``=``, names no field, or its value has the wrong type.
    """
    kinds = {item.name: type(getattr(TrainConfig(), item.name)) for item in fields(TrainConfig)}
    del kinds["preset"]  # chosen by --preset
    changes = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in kinds:
            raise ConfigurationError(f"--set {pair} names no field.", next_step=f"Fields are {', '.join(kinds)}.")
        changes[name] = _parsed(name, value.strip(), kinds[name])
    return changes


def _parsed(name: str, value: str, kind: type) -> Any:
    try:
        return _TRUTHS[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            f"{name} must be a {_WORDS[kind]}, got {value!r}.", next_step="Correct the field."
        ) from error


def fields_help() -> str:
    """Return one line a field: its name and what it may be, for the help of ``train``."""
    lines = []
    for item in fields(TrainConfig):
        if item.name in CHOICES:
            lines.append(f"{item.name}: {', '.join(map(str, CHOICES[item.name]))}")
        elif item.name in RANGES:
            low, high = RANGES[item.name]
            lines.append(f"{item.name}: {low:g} to {high:g}")
        elif item.name != "preset":
            lines.append(f"{item.name}: true or false")
    return "\n".join(lines)

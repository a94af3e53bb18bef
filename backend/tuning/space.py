"""What a sweep varies: fields of the training configuration, each with the values it may take. Pure; no Hyperopt here.

Values travel, never the indices that Hyperopt keeps for choices: :meth:`Space.clean` makes a configuration's values out
of what ``space_eval`` gives, :meth:`Space.point_of` goes the other way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from backend.errors import ConfigurationError
from backend.training.config import CHOICES, RANGES, SWITCHES, TrainConfig, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

Kind = Literal["choice", "uniform", "loguniform", "quniform", "qloguniform"]
KINDS: tuple[Kind, ...] = get_args(Kind)
QUANTISED: tuple[Kind, ...] = ("quniform", "qloguniform")
LOGARITHMIC: tuple[Kind, ...] = ("loguniform", "qloguniform")
# The sweep gives each trial a seed of its own; the preset only names where a configuration came from.
FIXED = ("preset", "seed")
FIELDS: tuple[str, ...] = tuple(item.name for item in fields(TrainConfig) if item.name not in FIXED)
_MOST_STEPS = 2**53  # beyond it, not every multiple of a step is a number of its own
_NEXT = "Correct the range."


@dataclass(frozen=True, slots=True)
class Dimension:
    """What one field may be.

    Attributes:
        kind: ``choice`` takes one of ``values``; ``uniform`` a number between ``low`` and ``high``; ``loguniform`` one
            whose logarithm is uniform; with ``q`` in front, one rounded to a multiple of ``step`` and kept in the range.
        values: For ``choice``.
        low, high: For all others, both included.
        step: For the quantised.
    """

    kind: Kind
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, without what the kind has no use for."""
        if self.kind == "choice":
            return {"kind": self.kind, "values": list(self.values)}
        bounds = {"kind": self.kind, "low": self.low, "high": self.high}
        return {**bounds, "step": self.step} if self.kind in QUANTISED else bounds

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Dimension:
        """Read JSON values back.

        Raises:
            ConfigurationError: They describe no dimension.
        """
        known = {item.name for item in fields(cls)}
        if raw.get("kind") not in KINDS or raw.keys() - known:
            raise ConfigurationError(
                f"{dict(raw)} is not a set of values to try.", next_step=f"The kind must be one of {', '.join(KINDS)}."
            )
        return cls(**{**raw, "values": tuple(raw.get("values", ()))})

    def clean(self, value: Any, *, whole: bool) -> Any:
        """Turn what was drawn into what the configuration takes."""
        if self.kind == "choice":
            return value
        number = min(max(float(value), self.low), self.high)  # a multiple of the step may lie just outside
        return round(number) if whole else number

    def draw(self, rng: np.random.Generator) -> Any:
        """Draw a value, as Hyperopt's random search does, but not the same ones."""
        if self.kind == "choice":
            return self.values[int(rng.integers(len(self.values)))]
        if self.kind in LOGARITHMIC:
            number = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        else:
            number = float(rng.uniform(self.low, self.high))
        return round(number / self.step) * self.step if self.kind in QUANTISED else number

    @property
    def ends(self) -> tuple[Any, ...]:
        """All choices, or the lowest and the highest number."""
        return self.values if self.kind == "choice" else (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Space:
    """The fields that vary, by name."""

    dimensions: dict[str, Dimension] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {name: dimension.as_dict() for name, dimension in self.dimensions.items()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Space:
        """Read JSON values back; :meth:`check` says whether they can be used.

        Raises:
            ConfigurationError: A field has no values to try.
        """
        return cls({name: Dimension.from_dict(dimension) for name, dimension in raw.items()})

    def check(self) -> None:
        """Check that there is something to vary, and every range and choice on its own.

        Raises:
            ConfigurationError: The first field that does not fit.
        """
        if not self.dimensions:
            raise ConfigurationError(
                "The space is empty: no field varies.", next_step="Choose a field and the values it may take."
            )
        for name, dimension in self.dimensions.items():
            if name not in FIELDS:
                raise ConfigurationError(
                    f"{name} cannot be varied.", next_step=f"Fields that can: {', '.join(FIELDS)}."
                )
            (_check_choice if dimension.kind == "choice" else _check_range)(name, dimension)

    def clean(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Turn what ``space_eval`` gives into values of the configuration, in their types and ranges."""
        return {name: dimension.clean(drawn[name], whole=is_whole(name)) for name, dimension in self.dimensions.items()}

    def point_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn values of the configuration into what Hyperopt keeps: the place of a choice, or the number."""
        return {
            name: dimension.values.index(values[name]) if dimension.kind == "choice" else float(values[name])
            for name, dimension in self.dimensions.items()
        }

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw values to show what would be tried."""
        return self.clean({name: dimension.draw(rng) for name, dimension in self.dimensions.items()})

    def config_of(self, base: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
        """Put values into a configuration.

        Raises:
            ConfigurationError: They do not go together.
        """
        config = replace(base, **values)
        validate(config)
        return config


def is_whole(name: str) -> bool:
    """Whether a field holds whole numbers."""
    return name in RANGES and isinstance(getattr(TrainConfig(), name), int)


def kinds_of(name: str) -> tuple[Kind, ...]:
    """How a field can vary: what is not a number by choice only, whole numbers in steps."""
    if name not in RANGES:
        return ("choice",)
    return ("choice", *QUANTISED) if is_whole(name) else KINDS


def offered(name: str) -> tuple[Any, ...]:
    """What a field can be, where that is not a range; nothing for numbers."""
    return (True, False) if name in SWITCHES else CHOICES.get(name, ())


def _check_choice(name: str, dimension: Dimension) -> None:
    if not dimension.values:
        raise ConfigurationError(f"{name} has no values to choose from.", next_step="List two or more.")
    if len(set(map(repr, dimension.values))) != len(dimension.values):
        raise ConfigurationError(f"{name} has a value twice.", next_step="List each once.")
    known = offered(name)
    for value in dimension.values:
        if known and not any(value is one or (type(value) is type(one) and value == one) for one in known):
            raise ConfigurationError(
                f"{name} cannot be {value!r}.", next_step=f"It can be {', '.join(map(str, known))}."
            )
        if not known:
            _check_bound(name, value)


def _check_range(name: str, dimension: Dimension) -> None:
    if dimension.kind not in kinds_of(name):
        raise ConfigurationError(
            f"{name} cannot be sampled as {dimension.kind}.", next_step=f"Supported: {', '.join(kinds_of(name))}."
        )
    for end in (dimension.low, dimension.high):
        _check_bound(name, end, whole=False)
    if dimension.kind in LOGARITHMIC and dimension.low <= 0:
        raise ConfigurationError(
            f"The range of {name} starts at {dimension.low:g}, which has no logarithm.",
            next_step="Start above 0, or use uniform.",
        )
    if dimension.low >= dimension.high:
        raise ConfigurationError(
            f"The range of {name} is reversed or empty: from {dimension.low:g} to {dimension.high:g}.",
            next_step="Put the smaller number first.",
        )
    if dimension.kind in QUANTISED:
        _check_step(name, dimension)


def _check_step(name: str, dimension: Dimension) -> None:
    is_within = 0 < dimension.step <= dimension.high - dimension.low
    if not is_within or dimension.high / dimension.step > _MOST_STEPS:
        raise ConfigurationError(
            f"The step of {name} is {dimension.step:g}, but its range is {dimension.high - dimension.low:g} wide.",
            next_step="Use a step above 0 and within the range.",
        )
    if is_whole(name) and not all(float(n).is_integer() for n in (dimension.low, dimension.high, dimension.step)):
        raise ConfigurationError(
            f"{name} takes whole numbers, but its range or step is not whole.", next_step="Use whole numbers."
        )


def _check_bound(name: str, value: Any, *, whole: bool | None = None) -> None:
    low, high = RANGES[name]
    needs_whole = is_whole(name) if whole is None else whole
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or (needs_whole and not isinstance(value, int)):
        kind = "whole number" if needs_whole else "number"
        raise ConfigurationError(f"{name} must be a {kind}, got {value!r}.", next_step=_NEXT)
    if not low <= value <= high:
        raise ConfigurationError(f"{name} must be between {low:g} and {high:g}, got {value:g}.", next_step=_NEXT)

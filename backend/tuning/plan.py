"""What a sweep is to do: where it looks, what it aims for, and how much it may spend; as JSON and back."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from backend.errors import ConfigurationError
from backend.training.config import TrainConfig
from backend.tuning.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Metric = Literal["precision_at_1", "map_at_r"]
Labels = Literal["seen", "unseen", "mean"]
Algorithm = Literal["tpe", "random", "adaptive-tpe"]  # the last only in sweeps of earlier versions, to be read
Engine = Literal["spark", "serial"]
METRICS: tuple[Metric, ...] = get_args(Metric)
LABELS: tuple[Labels, ...] = get_args(Labels)
ALGORITHMS: tuple[Algorithm, ...] = ("tpe", "random")
ENGINES: tuple[Engine, ...] = get_args(Engine)

METRIC_WORDS: dict[Metric, str] = {"precision_at_1": "precision@1", "map_at_r": "MAP@R"}
MOST_TRIALS, MOST_AT_A_TIME = 1_000, 128  # SparkTrials runs no more than that at a time
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_SEEDS = 1_000_003  # between two sweeps' seeds, so that neighbouring ones share no trial


@dataclass(frozen=True, slots=True)
class Objective:
    """What trials are compared by; always validation products, asked against train products.

    Attributes:
        metric: precision@1, or MAP@R.
        labels: ``seen``: all labels are learnt. ``unseen``: some labels are kept from learning, and only their products
            are asked about. ``mean``: the mean of that and of the products whose labels are learnt.
        unseen_share: Share of the labels that are kept from learning.
    """

    metric: Metric = "precision_at_1"
    labels: Labels = "seen"
    unseen_share: float = 0.25

    @property
    def holds_out(self) -> bool:
        """Whether labels are kept from learning."""
        return self.labels != "seen"

    def sentence(self) -> str:
        """Say what is maximised."""
        asked = {
            "seen": "validation products",
            "unseen": f"validation products of the {self.unseen_share:.0%} of labels held out from every trial",
            "mean": f"validation products, averaged over seen labels and the {self.unseen_share:.0%} held out",
        }[self.labels]
        return f"{METRIC_WORDS[self.metric]} of {asked}, searched among all train products; larger is better."


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a sweep may spend.

    Attributes:
        trials: Trials in all.
        minutes: Minutes of running in all; 0 means no limit. Trials that then still run are ended, and can be resumed.
        parallelism: Trials at a time; 0 means as many as Spark has slots.
        patience: Finished trials without a better one after which no more are begun; 0 means never.
        halving: A trial goes on after 1, h, h², … epochs only if it is among the best 1/h there; 0 means always.
    """

    trials: int = 24
    minutes: float = 0.0
    parallelism: int = 0
    patience: int = 0
    halving: int = 3


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep as it was asked for.

    Attributes:
        name: Of the sweep; its folder below the sweeps folder.
        catalogue, version: What trials train on; version 0 means the newest when it begins.
        config: The values of all fields that do not vary.
        space: The fields that do.
        algorithm: How the next values are chosen.
        engine: ``spark`` runs trials in tasks of a Spark master; ``serial`` one after the other in the sweep's process.
        seed: All of the sweep's draws, and the trials' seeds, come from it.
    """

    name: str = ""
    catalogue: str = ""
    version: int = 0
    config: TrainConfig = field(default_factory=TrainConfig)
    space: Space = field(default_factory=Space)
    objective: Objective = field(default_factory=Objective)
    budget: Budget = field(default_factory=Budget)
    algorithm: Algorithm = "tpe"
    engine: Engine = "spark"
    seed: int = 7

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {**asdict(self), "config": self.config.as_dict(), "space": self.space.as_dict()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> SweepPlan:
        """Read JSON values back; fields that are absent have their defaults.

        Raises:
            ConfigurationError: A field is unknown, or the configuration in it cannot work.
        """
        values = _known(cls, raw)
        readers: dict[str, Callable[[Any], Any]] = {
            "config": TrainConfig.from_dict,
            "space": Space.from_dict,
            "objective": lambda found: Objective(**_known(Objective, found)),
            "budget": lambda found: Budget(**_known(Budget, found)),
        }
        return cls(**{name: readers[name](value) if name in readers else value for name, value in values.items()})

    def check(self) -> None:
        """Check all that can be said without the catalogue.

        Raises:
            ConfigurationError: The first thing that cannot work.
        """
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"{self.name!r} is not a valid sweep name.",
                next_step="Use up to 80 letters, digits, dots, hyphens and underscores, starting with a letter or digit.",
            )
        if self.algorithm == "adaptive-tpe":
            raise ConfigurationError(
                "Adaptive TPE is no longer offered: it takes no seed, and found no better values than a random search.",
                next_step="Start a new sweep with tpe or random. The trials of this one can still be viewed and trained.",
            )
        offered = {"algorithm": ALGORITHMS, "engine": ENGINES}
        for name, choices in offered.items():
            _check_one_of(name, getattr(self, name), choices)
        _check_one_of("metric", self.objective.metric, METRICS)
        _check_one_of("labels", self.objective.labels, LABELS)
        for name, value, low, high in self._numbers():
            if isinstance(value, bool) or not low <= value <= high:
                raise ConfigurationError(
                    f"{name} must be between {low:g} and {high:g}, got {value:g}.", next_step="Correct the field."
                )
        self._check_budget()
        self.space.check()

    def _numbers(self) -> tuple[tuple[str, float, float, float], ...]:
        budget = self.budget
        return (
            ("trials", budget.trials, 1, MOST_TRIALS),
            ("minutes", budget.minutes, 0, 100_000),
            ("parallelism", budget.parallelism, 0, MOST_AT_A_TIME),
            ("patience", budget.patience, 0, MOST_TRIALS),
            ("halving", budget.halving, 0, 10),
            ("unseen_share", self.objective.unseen_share, 0.05, 0.75),
            ("seed", self.seed, 0, 2**31 - 1),
        )

    def _check_budget(self) -> None:
        if self.budget.halving == 1:
            raise ConfigurationError(
                "Halving by 1 would stop no trial.", next_step="Use 2 or more, or 0 to run every trial to its end."
            )
        if self.engine == "serial" and self.budget.parallelism > 1:
            raise ConfigurationError(
                f"{self.budget.parallelism} trials at a time were requested, but without Spark only one is possible.",
                next_step="Use the engine spark, or a parallelism of 1.",
            )

    def config_of(self, number: int, values: Mapping[str, Any]) -> TrainConfig:
        """Return the configuration of a trial: its values, and the seed that it has whenever it runs.

        Raises:
            ConfigurationError: The values do not go together.
        """
        return self.space.config_of(self.config, {**values, "seed": trial_seed(self.seed, number)})


def trial_seed(seed: int, number: int) -> int:
    """Return the seed of a trial."""
    return (seed * _SEEDS + number * 7919) % (2**31 - 1)


def _check_one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}, got {value!r}.", next_step="Correct it.")


def _known(cls: type[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    unknown = raw.keys() - {item.name for item in fields(cls)}
    if unknown:
        raise ConfigurationError(f"A sweep has no field {min(unknown)!r}.", next_step="Submit it again from its page.")
    return dict(raw)

"""Everything that can be said about a sweep before it starts, from the counts of a catalogue; no TensorFlow, no Hyperopt.

The page shows it live under the form; the use case refuses with the first problem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import ConfigurationError, EnvironmentUnready
from backend.spark.cluster import is_local
from backend.training.config import RANGES, TrainConfig
from backend.training.ranks.preflight import Machine, preflight
from backend.tuning.budget import planned_s
from backend.tuning.objective import held_out
from backend.tuning.space import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backend.errors import WorkbenchError
    from backend.training.costs import Estimate
    from backend.tuning.plan import SweepPlan

    Counts = Mapping[str, Mapping[str, int]]

# Fields that can stand in each other's way, or in the machine's; every combination of their ends is tried.
COUPLED = (
    *("backbone", "pretrained", "channels", "height", "width", "detail_share", "loss", "distance", "mixed_precision"),
    *("classes_per_batch", "examples_per_class", "embedding_size"),
)
MOST_COMBINATIONS = 4_096
_NAMED = 3
_GB = 1e9


@dataclass(frozen=True, slots=True)
class SweepCheck:
    """What is known before a sweep starts.

    Attributes:
        problems: Why it cannot start; empty when it can.
        notes: Sentences about what may surprise.
        unseen: Labels that no trial would learn.
        estimate: What the largest trial would take; None when that cannot be said.
        seconds: What the sweep would take; None when that cannot be said.
    """

    problems: tuple[WorkbenchError, ...]
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    estimate: Estimate | None = None
    seconds: float | None = None

    def raise_first(self) -> None:
        """Refuse what cannot start.

        Raises:
            ConfigurationError: The first problem.
            EnvironmentUnready: A package is missing.
        """
        if self.problems:
            raise self.problems[0]


def check_sweep(plan: SweepPlan, by_label: Counts, machine: Machine, *, slots: int = 0) -> SweepCheck:
    """Check a plan against a catalogue and a machine.

    Args:
        plan: As it was asked for.
        by_label: Products by label and split, ``{label: {split: count}}``.
        machine: Where one trial will run.
        slots: Trials that can run at a time; 0 where that is not known before Spark is asked.
    """
    try:
        plan.check()
        unseen = held_out(plan.objective, by_label, seed=plan.seed)
        _check_slots(plan, slots)
        learnt = {label: counts for label, counts in by_label.items() if label not in unseen}
        needs = _check_combinations(plan, learnt, replace(machine, cores=1))
        parallelism = 1 if plan.engine == "serial" else plan.budget.parallelism or slots or 1
        _check_memory(needs, machine, parallelism if slots else 1)
    except (ConfigurationError, EnvironmentUnready) as error:
        return SweepCheck((error,))
    largest = max(needs, key=lambda found: found.seconds or 0.0, default=None)
    trial_s = largest.seconds if largest is not None else None
    epochs = max((config.epochs for config in _ends(plan)), default=plan.config.epochs)
    needed = None if trial_s is None else planned_s(plan.budget, trial_s, epochs=epochs, parallelism=parallelism)
    return SweepCheck((), tuple(_notes(plan, unseen)), unseen, largest, needed)


def slots_of(master: str, cores: int) -> int:
    """Return how many trials a Spark master on this machine can run at a time; 0 for a cluster, which must be asked."""
    if not is_local(master):
        return 0
    inside = master.partition("[")[2].rstrip("]").partition(",")[0]
    return 1 if not inside else cores if inside == "*" else int(inside)


def examples(plan: SweepPlan, count: int) -> list[dict[str, Any]]:
    """Draw values as a random search would, to show what the space holds; the same ones for the same seed."""
    rng = np.random.default_rng(plan.seed)
    return [plan.space.draw(rng) for _ in range(count)]


def _check_slots(plan: SweepPlan, slots: int) -> None:
    if plan.engine == "spark" and slots and plan.budget.parallelism > slots:
        raise ConfigurationError(
            f"{plan.budget.parallelism} trials at a time were requested, but there are {slots} slots.",
            next_step=f"Use a parallelism of 1 to {slots}, or a larger Spark master.",
        )


def _check_memory(needs: list[Estimate], machine: Machine, at_a_time: int) -> None:
    largest = max((found.memory_bytes for found in needs), default=0) * at_a_time
    if machine.memory_bytes and largest > machine.memory_bytes:
        raise ConfigurationError(
            f"{at_a_time} trials at a time need up to {largest / _GB:.1f} GB of memory, but this machine has "
            f"{machine.memory_bytes / _GB:.1f} GB.",
            next_step="Run fewer at a time, or remove large batches, pictures or networks from the space.",
        )


def _check_combinations(plan: SweepPlan, by_label: Counts, machine: Machine) -> list[Estimate]:
    """Refuse a space in which some values cannot be trained together; return what trials would need."""
    estimates = []
    for config, changed in _combinations(plan):
        found = preflight(config, by_label, machine)
        if found.problems:
            first = found.problems[0]
            said = ", ".join(f"{name} {value}" for name, value in changed.items())
            among = f"Some trials of this space would fail: {said}. " if changed else ""
            raise ConfigurationError(
                among + first.message,
                next_step=f"{first.next_step} Or remove one of these values from the space."
                if changed
                else first.next_step,
            )
        if found.estimate is not None:
            estimates.append(found.estimate)
    return estimates


def _combinations(plan: SweepPlan) -> Iterator[tuple[TrainConfig, dict[str, Any]]]:
    """Yield a configuration for every combination of the ends of coupled fields, the others at their highest."""
    dimensions = plan.space.dimensions
    coupled = {name: dimensions[name].ends for name in COUPLED if name in dimensions}
    others = {name: _typed(name, dimension.ends[-1]) for name, dimension in dimensions.items() if name not in coupled}
    for ends in islice(product(*coupled.values()), MOST_COMBINATIONS):
        changed = {name: _typed(name, end) for name, end in zip(coupled, ends, strict=True)}
        yield replace(plan.config, **others, **changed), changed


def _ends(plan: SweepPlan) -> Iterator[TrainConfig]:
    dimension = plan.space.dimensions.get("epochs")
    for end in dimension.ends if dimension is not None else (plan.config.epochs,):
        yield replace(plan.config, epochs=_typed("epochs", end))


def _typed(name: str, value: Any) -> Any:
    if name not in RANGES or isinstance(value, bool):
        return value
    return round(value) if is_whole(name) else float(value)


def _notes(plan: SweepPlan, unseen: tuple[str, ...]) -> Iterator[str]:
    if unseen:
        named = ", ".join(unseen[:_NAMED]) + (f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else "")
        yield f"{named} are held out from every trial; a final training with the values found uses all labels."
    dimensions = plan.space.dimensions.values()
    if all(dimension.kind == "choice" for dimension in dimensions):
        held = math.prod(len(dimension.values) for dimension in dimensions)
        if held < plan.budget.trials:
            yield f"The space has {held} combinations, so {plan.budget.trials} trials will try some of them twice."
    if plan.budget.halving and plan.config.schedule == "one-cycle":
        yield (
            "Trials are compared after their first epochs, but the schedule keeps the learning rate high until the "
            "last: early figures are unreliable."
        )

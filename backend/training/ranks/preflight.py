"""Everything that can be said about a training before it starts, from the counts of a catalogue; no TensorFlow here.

The page shows it live under the form; the use case refuses with the first problem.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import ConfigurationError
from backend.spark.cluster import name_remedy, own_name_trouble
from backend.training.cards import Cards, look_at_cards
from backend.training.config import validate
from backend.training.costs import Estimate, estimate
from backend.training.network.network import can_synchronise, has_batch_statistics
from backend.training.resolve import MIN_EXAMPLES, resolve_counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from backend.training.config import TrainConfig
    from backend.training.resolve import Resolved

TIGHT_SHARE = 0.7  # of the machine's memory, above which it is said
FEW_QUERIES = 50  # validation products, below which scores jump
SGD_RATE = 0.01  # below which stochastic gradient descent hardly moves
_GB = 1e9
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Machine:
    """What a training may use; 0 bytes mean unknown.

    Attributes:
        gpus: Cards that TensorFlow can use.
        idle_cards: Why it can use none of those that are there; empty where that is not so.
        is_shared: Whether all workers of a training share this machine.
    """

    cores: int = 1
    gpus: int = 0
    memory_bytes: int = 0
    disk_free_bytes: int = 0
    idle_cards: str = ""
    is_shared: bool = True


@dataclass(frozen=True, slots=True)
class Preflight:
    """What is known before a training starts.

    Attributes:
        problems: Why it cannot start; empty when it can.
        notes: Sentences about what differs from what was asked for, or may surprise.
        resolved: What would really be trained; None when that cannot be said.
        estimate: What it would take; None when that cannot be said.
    """

    problems: tuple[ConfigurationError, ...]
    notes: tuple[str, ...] = ()
    resolved: Resolved | None = None
    estimate: Estimate | None = None

    def raise_first(self) -> None:
        """Refuse what cannot start.

        Raises:
            ConfigurationError: The first problem.
        """
        if self.problems:
            raise self.problems[0]


def this_machine(folder: Path, *, threads: int = 0, device: str = "auto") -> Machine:
    """Look at the machine this runs on, without starting anything.

    Args:
        folder: Where the pixels will be; its disk is asked for free space.
        threads: Cores that the settings allow; 0 means all.
        device: What the settings allow; with ``cpu`` no card counts.
    """
    cards = Cards() if device == "cpu" else look_at_cards()
    cores = len(os.sched_getaffinity(0))
    place = next(path for path in (folder, *folder.resolve().parents) if path.is_dir())
    return Machine(
        cores=min(threads or cores, cores),
        gpus=cards.usable,
        idle_cards=cards.sentence and f"{cards.sentence} {cards.next_step}",
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk_free_bytes=shutil.disk_usage(place).free,
    )


def preflight(
    config: TrainConfig, by_label: Mapping[str, Mapping[str, int]], machine: Machine, *, workers: int = 1
) -> Preflight:
    """Check a configuration against a catalogue and a machine.

    Args:
        config: As it was asked for.
        by_label: Products by label and split, ``{label: {split: count}}``; a label may be empty.
        machine: Where one process will run.
        workers: Processes that train together, each on its own part of the train split.
    """
    train, validation = (
        {label: counts[split] for label, counts in by_label.items() if counts.get(split)}
        for split in ("train", "validation")
    )
    try:
        validate(config)
        resolved = resolve_counts(config, train, validation)
    except ConfigurationError as error:
        return Preflight((error,))
    kept = {label: train[label] for label in resolved.classes}
    needs = estimate(
        resolved.config,
        train=sum(kept.values()),
        validation=sum(validation.values()),
        cores=machine.cores,
        gpus=machine.gpus,
    )
    problems = (
        *_workers(config, kept, machine, workers),
        *_precision(config, machine),
        *_room(needs, machine),
    )
    notes = (*resolved.notes, *_notes(resolved.config, kept, sum(validation.values()), needs, machine))
    return Preflight(problems, notes, resolved, needs)


def _workers(
    config: TrainConfig, counts: Mapping[str, int], machine: Machine, workers: int
) -> Iterator[ConfigurationError]:
    if workers < 1:
        yield ConfigurationError(
            f"{workers} workers were requested, but a training needs at least one.", next_step="Use 1 worker or more."
        )
    if workers > 1 and machine.is_shared and 0 < machine.gpus < workers:
        yield too_few_cards(workers, machine.gpus)
    if workers > 1 and machine.is_shared and (trouble := own_name_trouble()):
        yield ConfigurationError(f"{trouble}.", next_step=f"{name_remedy()}, or train with one worker.")
    if workers > 1 and (problem := unsynchronisable(config)):
        yield problem
    needed = MIN_EXAMPLES * workers
    scarce = sorted(label for label, count in counts.items() if count < needed)
    if workers > 1 and scarce:
        yield ConfigurationError(
            f"With {workers} workers, every label needs {needed} products in the train split so that each worker has "
            f"a pair; {_some(scarce)} {'has' if len(scarce) == 1 else 'have'} fewer.",
            next_step="Train with fewer workers, or add products.",
        )


def unsynchronisable(config: TrainConfig) -> ConfigurationError | None:
    """Say that a network cannot be trained by several workers; None where it can."""
    if not has_batch_statistics(config) or can_synchronise(config):
        return None
    return ConfigurationError(
        f"The network {config.backbone} uses batch statistics, which cannot be synchronised across workers.",
        next_step="Use the network resnet, whose statistics are synchronised, or train it with one worker.",
    )


def too_few_cards(workers: int, cards: int) -> ConfigurationError:
    """Say that workers would have to share a card, which what they speak by cannot."""
    has = "one graphics card" if cards == 1 else f"{cards} graphics cards"
    return ConfigurationError(
        f"{workers} workers were requested on one machine, but it has {has} that TensorFlow can use; each worker "
        "needs its own.",
        next_step=f"Use {cards} worker{'s' if cards > 1 else ''}, or set TWINSET_DEVICE to cpu.",
    )


def _precision(config: TrainConfig, machine: Machine) -> Iterator[ConfigurationError]:
    if config.mixed_precision and not machine.gpus:
        yield ConfigurationError(
            "Mixed precision needs a GPU, but this machine has none that TensorFlow can use.",
            next_step="Switch mixed precision off, or train on a machine with an NVIDIA GPU.",
        )


def _room(needs: Estimate, machine: Machine) -> Iterator[ConfigurationError]:
    if machine.memory_bytes and needs.memory_bytes > machine.memory_bytes:
        yield ConfigurationError(
            f"A batch needs about {needs.memory_bytes / _GB:.1f} GB of memory, but this machine has "
            f"{machine.memory_bytes / _GB:.1f} GB.",
            next_step="Lower classes_per_batch, examples_per_class, height or width.",
        )
    if machine.disk_free_bytes and needs.disk_bytes > machine.disk_free_bytes:
        yield ConfigurationError(
            f"The decoded pictures need about {needs.disk_bytes / _GB:.1f} GB on disk, but only "
            f"{machine.disk_free_bytes / _GB:.1f} GB are free.",
            next_step="Free some space, or lower height and width.",
        )


def _notes(
    config: TrainConfig, counts: Mapping[str, int], queries: int, needs: Estimate, machine: Machine
) -> Iterator[str]:
    scarce = sorted(label for label, count in counts.items() if count < config.examples_per_class)
    if scarce:
        yield (
            f"{_some(scarce)} {'has' if len(scarce) == 1 else 'have'} fewer products than the "
            f"{config.examples_per_class} per batch: some are drawn twice."
        )
    if machine.idle_cards:
        yield machine.idle_cards
    if queries < FEW_QUERIES:
        yield f"Only {queries} validation products score the epochs, so the scores will fluctuate."
    if machine.memory_bytes and needs.memory_bytes > TIGHT_SHARE * machine.memory_bytes:
        yield "A batch takes most of this machine's memory; other programs may make it fail."
    if config.optimizer == "sgd" and config.learning_rate < SGD_RATE:
        yield "Stochastic gradient descent usually needs a higher learning rate than Adam, for example 0.05."
    if config.pretrained == "imagenet":
        yield "The ImageNet weights are downloaded by the first training that needs them."


def _some(labels: list[str]) -> str:
    more = len(labels) - _NAMED
    return ", ".join(labels[:_NAMED]) + (f" and {more} more" if more > 0 else "")

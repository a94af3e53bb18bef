"""Fit a configuration to the catalogue it meets, so that every preset works on every catalogue, and say what changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backend.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backend.training.config import TrainConfig

MIN_EXAMPLES = 2  # fewer make no pair of the same class
MIN_CLASSES = 2  # fewer make no pair of different ones
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Resolved:
    """What will really be trained.

    Attributes:
        config: The configuration, with batches that this catalogue can fill.
        classes: Labels that are trained on, sorted; a label's place is its class number.
        examples: Train products with these labels.
        notes: Sentences for the user about everything that differs from what was asked for.
        left_out: Products that would be trained on or judged by, and whose pictures cannot be read.
    """

    config: TrainConfig
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    examples: int
    left_out: int = 0

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes, and how many products were left out."""
        if not self.left_out:
            return self.notes
        many = f"{self.left_out:,} products were left out: their pictures cannot be read."
        return (*self.notes, "One product was left out: its picture cannot be read." if self.left_out == 1 else many)


def resolve(config: TrainConfig, train_labels: Iterable[str], validation_labels: Iterable[str]) -> Resolved:
    """Decide on classes and batch shape from the labels of the train and the validation split.

    Raises:
        ConfigurationError: A split is empty, or the labels make no pairs to learn from or no queries to score.
    """
    return resolve_counts(config, Counter(train_labels), Counter(validation_labels))


def resolve_counts(config: TrainConfig, train: Mapping[str, int], validation: Mapping[str, int]) -> Resolved:
    """Decide as :func:`resolve`, from the number of products of each label.

    Raises:
        ConfigurationError: As :func:`resolve`.
    """
    if not config.learnt_size:
        raise ConfigurationError(
            "Nothing is trained where detail_share is 1.",
            next_step="Set detail_share to 0.9 or less, or index the catalogue without training.",
        )
    counts = {label: count for label, count in train.items() if label and count}
    missing = sum(count for label, count in train.items() if not label)
    if not counts and missing:
        raise ConfigurationError(
            f"None of the {missing} products in the train split has a label, but training needs labels.",
            next_step="Load the products again and choose the column or folder with the labels.",
        )
    if not counts:
        raise ConfigurationError(
            "The catalogue has no products in its train split.",
            next_step="Load a source that has some, or choose another catalogue.",
        )
    classes = tuple(sorted(label for label, count in counts.items() if count >= MIN_EXAMPLES))
    if len(classes) < MIN_CLASSES:
        raise ConfigurationError(
            f"Training compares products of different labels, but the train split has {len(classes)} with at least "
            f"{MIN_EXAMPLES} products.",
            next_step="Choose a catalogue with at least two labels.",
        )
    _check_validation({label for label, count in validation.items() if label and count}, classes)
    fitted = replace(
        config,
        classes_per_batch=min(config.classes_per_batch, len(classes)),
        examples_per_class=min(config.examples_per_class, max(counts.values())),
    )
    rare = sorted(counts.keys() - set(classes))
    notes = (*_notes(config, fitted, rare), *_missing_note(missing))
    return Resolved(fitted, classes, notes, sum(counts[label] for label in classes))


def _check_validation(labels: set[str], classes: tuple[str, ...]) -> None:
    if not labels:
        raise ConfigurationError(
            "The catalogue has no products in its validation split, which is needed to choose the best epoch.",
            next_step="Load it again with a validation share above 0.",
        )
    if labels.isdisjoint(classes):
        raise ConfigurationError(
            "No label of the validation split is in the train split, so no query can be answered.",
            next_step="Load the catalogue again with a validation split drawn from its train split.",
        )


def _missing_note(missing: int) -> Iterable[str]:
    if missing:
        yield f"{missing} products of the train split have no label and are not used for training."


def _notes(asked: TrainConfig, fitted: TrainConfig, rare: list[str]) -> Iterable[str]:
    if fitted.classes_per_batch != asked.classes_per_batch:
        yield (
            f"A batch has {fitted.classes_per_batch} classes instead of {asked.classes_per_batch}: the catalogue has "
            "no more."
        )
    if fitted.examples_per_class != asked.examples_per_class:
        yield (
            f"A batch has {fitted.examples_per_class} products per class instead of {asked.examples_per_class}: no "
            "class has more."
        )
    if rare:
        names = ", ".join(rare[:_NAMED]) + (", …" if len(rare) > _NAMED else "")
        yield f"{len(rare)} labels with a single product are not used for training: {names}."

"""A configuration meets a catalogue: what is fitted, what is said, and what cannot work."""

from __future__ import annotations

from collections import Counter

import pytest

from backend.errors import ConfigurationError
from backend.training.config import PRESETS, TrainConfig
from backend.training.resolve import resolve, resolve_counts

CONFIG = TrainConfig(classes_per_batch=3, examples_per_class=4)


def test_a_catalogue_that_fills_the_batches_changes_nothing():
    resolved = resolve(CONFIG, list("aaaabbbbcccc"), list("ab"))
    assert (resolved.config, resolved.classes, resolved.notes) == (CONFIG, ("a", "b", "c"), ())


def test_batches_shrink_to_what_the_catalogue_has_and_it_is_said():
    resolved = resolve(CONFIG, list("aaabb"), list("ab"))
    assert (resolved.config.classes_per_batch, resolved.config.examples_per_class) == (2, 3)
    assert resolved.notes == (
        "A batch holds 2 classes instead of 3: the catalogue has no more.",
        "A batch holds 3 products per class instead of 4: no class has more.",
    )


def test_a_label_with_a_single_product_is_left_out_and_named():
    resolved = resolve(CONFIG, list("aaaabbbbccccd"), list("ab"))
    assert resolved.classes == ("a", "b", "c")
    assert resolved.notes == ("1 labels with a single product are not trained on: d.",)


def test_products_without_a_label_are_left_out_and_counted():
    resolved = resolve(CONFIG, [*"aaaabbbbcccc", "", ""], ["a", ""])
    assert resolved.classes == ("a", "b", "c")
    assert resolved.notes == ("2 products of the train split have no label and are not trained on.",)


def test_a_catalogue_without_labels_is_refused():
    with pytest.raises(ConfigurationError, match="None of the 3 products in the train split has a label") as caught:
        resolve(CONFIG, ["", "", ""], [""])
    assert "label" in caught.value.next_step


def test_counts_decide_as_labels_do():
    labels = list("aaaabbbc")
    assert resolve_counts(CONFIG, Counter(labels), {"a": 1}) == resolve(CONFIG, labels, ["a"])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_works_on_the_smallest_catalogue(name):
    resolved = resolve(PRESETS[name], list("aabb"), list("a"))
    assert resolved.config.batch_size == 4


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        ("", "ab", "no products in its train split"),
        ("aaaa", "a", "has 1 with at least 2 products"),
        ("ab", "ab", "has 0 with at least 2 products"),
        ("aabb", "", "no products in its validation split"),
        ("aabb", "xy", "No label of the validation split"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(train, validation, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        resolve(CONFIG, list(train), list(validation))
    assert caught.value.next_step

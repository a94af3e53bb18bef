"""Class-balanced batches: the balance, the even use, and the seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from backend.errors import ConfigurationError
from backend.feeding.sampling import Deck, balanced_batches

LABELS = np.repeat(np.arange(5, dtype=np.int32), [40, 30, 20, 10, 3])


def plan(**changes):
    asked = {"classes": 3, "examples": 4, "steps": 25, "seed": 7, "epoch": 0, **changes}
    return list(balanced_batches(LABELS, **asked))


def test_every_batch_holds_p_classes_with_k_examples_each():
    for rows in plan():
        assert sorted(Counter(LABELS[rows].tolist()).values()) == [4, 4, 4]


def test_a_batch_repeats_a_row_only_if_its_class_is_too_small():
    for rows in plan():
        repeated = {int(LABELS[row]) for row, times in Counter(rows.tolist()).items() if times > 1}
        assert repeated <= {4}  # the class with three rows


def test_classes_and_rows_are_used_evenly():
    batches = plan(steps=50)
    classes = Counter(int(label) for rows in batches for label in np.unique(LABELS[rows]))
    assert max(classes.values()) - min(classes.values()) <= 1
    rows = Counter(int(row) for batch in batches for row in batch)
    for label in range(5):
        uses = [rows[int(row)] for row in np.flatnonzero(label == LABELS)]
        assert max(uses) - min(uses) <= 1


def test_the_same_seed_and_epoch_give_the_same_batches():
    np.testing.assert_array_equal(plan(), plan())


@pytest.mark.parametrize("change", [{"seed": 8}, {"epoch": 1}])
def test_another_seed_or_epoch_gives_other_batches(change):
    assert not np.array_equal(plan(), plan(**change))


def test_an_epoch_does_not_depend_on_the_ones_before():
    whole = {epoch: plan(epoch=epoch) for epoch in range(3)}
    np.testing.assert_array_equal(whole[2], plan(epoch=2))


def test_rows_with_a_negative_class_are_never_drawn():
    labels = np.where(np.arange(len(LABELS)) % 2, LABELS, -1).astype(np.int32)
    drawn = np.concatenate(list(balanced_batches(labels, classes=2, examples=3, steps=40, seed=1, epoch=0)))
    assert (labels[drawn] >= 0).all()


def test_too_few_classes_are_said():
    with pytest.raises(ConfigurationError, match="needs 6 classes, but there are only 5"):
        plan(classes=6)


def test_a_hand_larger_than_the_deck_holds_every_card():
    hand = Deck(3, np.random.default_rng(0)).deal(7)
    assert sorted(Counter(hand.tolist()).values()) == [2, 2, 3]

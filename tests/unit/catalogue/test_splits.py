"""The validation draw: exact shares, its own seed, no eye for the order of rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from backend.catalogue.splits import SplitPlan, assign_splits, draw_validation
from backend.errors import CatalogueError

IDS = [f"p{number:04d}" for number in range(1000)]
LABELS = [("bag", "coat", "shirt")[min(number % 7, 2)] for number in range(1000)]


def drawn_ids(ids, labels, *, share=0.1, seed=7):
    drawn = draw_validation(ids, labels, share=share, seed=seed)
    return {product_id for product_id, is_drawn in zip(ids, drawn, strict=True) if is_drawn}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9])
def test_every_class_gives_exactly_its_share(share):
    drawn = draw_validation(IDS, LABELS, share=share, seed=7)
    sizes, taken = Counter(LABELS), Counter(np.array(LABELS)[drawn].tolist())
    assert {label: taken[label] for label in sizes} == {label: int(share * n + 0.5) for label, n in sizes.items()}


def test_the_order_of_rows_does_not_matter():
    order = np.random.default_rng(1).permutation(len(IDS))
    assert drawn_ids(IDS, LABELS) == drawn_ids([IDS[i] for i in order], [LABELS[i] for i in order])


def test_the_seed_matters_and_is_all_that_matters():
    assert drawn_ids(IDS, LABELS, seed=7) == drawn_ids(IDS, LABELS, seed=7)
    assert drawn_ids(IDS, LABELS, seed=7) != drawn_ids(IDS, LABELS, seed=8)


def test_a_product_that_goes_changes_hardly_any_other_lot():
    before, after = drawn_ids(IDS, LABELS), drawn_ids(IDS[1:], LABELS[1:])
    assert len(before ^ after) <= 2


def test_a_class_keeps_at_least_one_for_training():
    assert drawn_ids(["only", "a", "b"], ["rare", "bag", "bag"], share=0.9) in ({"a"}, {"b"})


def test_nothing_is_drawn_from_nothing():
    assert draw_validation([], [], share=0.5, seed=1).tolist() == []


@pytest.mark.parametrize("share", [-0.1, 1.0, 3.0, float("nan")])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(CatalogueError, match="at least 0 and below 1"):
        draw_validation(IDS, LABELS, share=share, seed=7)


# ------------------------------------------------------------------------------------------- all splits at once


def counted(splits, labels):
    return Counter(zip(labels, splits.tolist(), strict=True))


def test_what_has_no_split_gets_one_by_the_shares_class_by_class():
    splits = assign_splits(IDS, LABELS, [None] * len(IDS), SplitPlan(validation_share=0.1, test_share=0.2))
    found, sizes = counted(splits, LABELS), Counter(LABELS)
    for label, n in sizes.items():
        test = int(0.2 * n + 0.5)
        assert found[label, "test"] == test
        assert found[label, "validation"] == int(0.1 * (n - test) + 0.5)
        assert sum(found[label, split] for split in ("train", "validation", "test")) == n


def test_a_split_that_the_source_gives_stays_and_its_own_validation_is_enough():
    given = ["test"] * 300 + ["train"] * 600 + ["validation"] * 100
    assert assign_splits(IDS, LABELS, given, SplitPlan()).tolist() == given
    drawn = assign_splits(IDS[:900], LABELS[:900], given[:900], SplitPlan(validation_share=0.5))
    assert Counter(drawn[:300].tolist()) == {"test": 300}
    assert 290 < Counter(drawn.tolist())["validation"] < 310


def test_a_class_kept_out_is_shown_and_asked_about_but_never_learnt_from():
    splits = assign_splits(IDS, LABELS, [None] * len(IDS), SplitPlan(unseen=("coat",)))
    found = counted(splits, LABELS)
    assert found["coat", "train"] == found["coat", "validation"] == 0
    assert found["coat", "test"] > 0 < found["coat", "gallery-only"]
    assert found["bag", "train"] > 0 == found["bag", "gallery-only"]


def test_a_class_that_is_none_cannot_be_kept_out():
    with pytest.raises(CatalogueError, match="no label 'hat'") as caught:
        assign_splits(IDS, LABELS, [None] * len(IDS), SplitPlan(unseen=("hat",)))
    assert "bag, coat, shirt" in caught.value.next_step


def test_unlabelled_products_are_only_shown_whatever_was_given():
    assert assign_splits(["a", "b"], ["", "bag"], ["train", "train"], SplitPlan(0.0)).tolist() == [
        "gallery-only",
        "train",
    ]

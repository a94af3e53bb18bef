"""Labels that are alike are offered as one, and shares that leave a split empty are told with the share that would do."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.catalogue.labels import OneLabelEach, alike, apart, listed
from backend.catalogue.loading.entries import check_entries
from backend.catalogue.sources.pictures.listing import FolderSource
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.sources import Source, entry_table, remarks_of
from backend.catalogue.split_demand import demand_of, shortfalls
from backend.catalogue.splits import SplitPlan, assign_splits
from tests.support.pictures import pictures_of, put

# ------------------------------------------------------------------------------------------------ labels


def test_labels_that_differ_by_case_or_blanks_are_one_group():
    labels = {"bag": 3, "Bag": 2, "bag ": 1, "T  shirt": 1, "t shirt": 4, "hat": 5, "Mu\u0308tze": 1, "Mütze": 2}
    assert alike(labels) == {
        "bag": ("Bag", "bag", "bag "),
        "t shirt": ("T  shirt", "t shirt"),
        "Mütze": ("Mu\u0308tze", "Mütze"),
    }
    assert listed(("Bag", "bag", "bag ")) == "Bag, bag and 'bag '"
    assert apart(labels)[0] == "Bag, bag and 'bag ' differ only in case or spaces, and stay separate labels."
    assert alike({"bag": 1, "bags": 2}) == {}


def test_a_source_is_loaded_with_one_label_each(tmp_path):
    put(tmp_path, "bag/1.png", "bag/2.png", "Bag/3.png", "BAG /4.png", "hat/5.png", "6.png")
    folder = FolderSource(tmp_path, notes=("Said.",))
    merged = OneLabelEach(folder)
    assert isinstance(merged, Source)
    assert merged.entries()["label"].to_pylist() == [None, "bag", "bag", "bag", "bag", "hat"]
    assert Counter(folder.entries()["label"].to_pylist())["bag"] == 2
    assert (merged.name, remarks_of(merged)) == (folder.name, ("Said.",))
    assert pictures_of(merged) == pictures_of(folder)


# ---------------------------------------------------------------------------------------- empty splits


def sentences(labels, splits=None, **options):
    return shortfalls(demand_of(labels, splits or [None] * len(labels)), SplitPlan(**options))


def test_shares_that_would_leave_a_split_empty_are_told_with_the_share_that_would_do():
    two_each = [f"kind {number // 2}" for number in range(20)]
    test, validation = sentences(two_each)
    assert test == (
        "No product would be set aside for the final check: labels have at most 2 products to draw from. "
        "A share of 0.25 for the final check would do."
    )
    assert "A share of 0.25 for the progress check would do." in validation
    assert sentences(["bag"] * 100) == []
    assert sentences([f"kind {number}" for number in range(9)])[0].endswith("no label has two products to draw from.")
    assert sentences([None] * 9) == []


def test_splits_that_the_source_states_need_no_share():
    labels = ["bag", "bag", "hat", "hat"]
    assert sentences(labels, ["train", "test", "train", "validation"]) == []
    assert len(sentences(labels, ["train", "test", "train", None], validation_share=0.0)) == 1
    assert len(sentences(["bag"] * 9, unseen=("bag",))) == 0  # its products are shown and tested, nothing is learnt


COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=5)
SHARES = st.integers(0, 50).map(lambda percent: percent / 100)


@given(COUNTS, SHARES, SHARES)
@hypothesis_settings(max_examples=80)
def test_what_is_told_is_what_the_draw_does_and_the_share_named_would_do(counts, test_share, validation_share):
    labels = [f"kind {number}" for number, count in enumerate(counts) for _ in range(count)]

    def drawn(**shares):
        ids = [f"p{number}" for number in range(len(labels))]
        return set(assign_splits(ids, labels, [None] * len(labels), SplitPlan(**shares)))

    shares = {"test_share": test_share, "validation_share": validation_share}
    told = sentences(labels, **shares)
    for split, use in {"test": "final check", "validation": "progress check"}.items():
        (sentence,) = [each for each in told if f"set aside for the {use}" in each] or [None]
        assert (sentence is None) == (split in drawn(**shares))
        if sentence and (named := re.search(r"share of (0\.\d\d)", sentence)):
            enough = float(named[1])
            assert split in drawn(**{**shares, f"{split}_share": enough})
            assert split not in drawn(**{**shares, f"{split}_share": max(enough - 0.0101, 0)})
        elif sentence:
            assert split not in drawn(**{**shares, f"{split}_share": 0.99})


def test_a_preview_counts_what_the_draw_will_see(tmp_path):
    put(tmp_path, *(f"train/bag/{n}.png" for n in range(3)), "test/bag/9.png", "hat/1.png", "hat/2.bmp")
    demand = preview("folder", tmp_path).demand
    assert (demand.open, demand.train, demand.stated) == ({"hat": 1}, {"bag": 3}, {"train", "test"})
    assert demand.with_labels({"hat": "bag"}).open == {"bag": 1}


@pytest.mark.parametrize("label", ["bag ", " bag"])
def test_blanks_at_the_ends_never_make_another_label(label):
    entries = entry_table({"product_id": ["a", "b"], "label": ["bag", label], "position": [0, 1]})
    assert set(check_entries(entries, SplitPlan())["label"].to_pylist()) == {"bag"}

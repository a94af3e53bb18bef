"""How a split is cut: what is dealt out, how evenly, and what is said of the parts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.errors import ConfigurationError
from backend.feeding.shards import Shard, cut, facts_of, shard_plan
from backend.feeding.split_index import SplitIndex, index_split
from tests.support.stored_catalogues import hide, picture_rows, store

COUNTS = {"bag": 37, "coat": 23, "hat": 4, "shoe": 36}  # 100 rows


def index(labels, groups=None):
    """Rows as a split would have them; nothing lies in files."""
    count = len(labels)
    numbers = np.arange(count, dtype=np.int64)
    group = np.zeros(count, dtype=np.int64) if groups is None else np.asarray(groups, dtype=np.int64)
    return SplitIndex(np.char.add("p", np.char.zfill(numbers.astype(str), 4)), np.array(labels), numbers, group, None)


ROWS = index([label for label, count in COUNTS.items() for _ in range(count)])
# Ten row groups of ten rows, each with both classes.
GROUPED = index(["bag", "coat"] * 50, np.repeat(np.arange(10), 10))


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_rows_are_dealt_out_evenly_by_class(ranks):
    plan = cut(ROWS, ranks, seed=5)
    assert plan.mode == "rows"
    shards = [plan.shard(rank) for rank in range(ranks)]
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
    for label, count in COUNTS.items():
        parts = [Counter(shard.labels.tolist())[label] for shard in shards]
        assert sum(parts) == count
        assert max(parts) - min(parts) <= 1
    assert sorted(np.concatenate([shard.product_ids for shard in shards])) == ROWS.product_ids.tolist()
    assert plan.facts.rows == tuple(sizes)
    assert plan.facts.classes == (4,) * ranks
    assert (plan.facts.disjoint, plan.facts.covering, plan.facts.every_class_everywhere) == (True, True, True)


def test_row_groups_stay_whole_where_every_rank_gets_every_class():
    plan = cut(GROUPED, 2)
    assert plan.mode == "row groups"
    assert plan.facts.rows == (50, 50)
    for number in range(10):
        assert len(set(plan.owner[number == GROUPED.group])) == 1


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param(np.arange(100) % 2, id="a class of its own in each"),
        pytest.param(np.repeat([0, 1], [70, 30]), id="too different in size"),
        pytest.param(np.zeros(100), id="fewer than ranks"),
    ],
)
def test_row_groups_are_cut_where_they_would_not_do(groups):
    plan = cut(index(["bag", "coat"] * 50, groups), 2)
    assert plan.mode == "rows"
    assert plan.facts.rows == (50, 50)
    assert plan.facts.every_class_everywhere


@pytest.mark.parametrize("rows", [ROWS, GROUPED], ids=["rows", "row groups"])
def test_the_cut_repeats_with_its_seed_and_changes_with_another(rows):
    first = cut(rows, 2, seed=1).owner
    np.testing.assert_array_equal(first, cut(rows, 2, seed=1).owner)
    assert any(not np.array_equal(first, cut(rows, 2, seed=seed).owner) for seed in range(2, 5))


def test_one_rank_has_everything():
    plan = cut(ROWS, 1)
    assert plan.mode == "whole"
    assert plan.shard(0).product_ids.tolist() == ROWS.product_ids.tolist()
    assert plan.facts.covering


def test_a_class_with_fewer_rows_than_ranks_is_told_as_a_sentence():
    with pytest.raises(ConfigurationError, match="Each of the 5 workers must have every label, but 'hat' has only 4"):
        cut(ROWS, 5)
    assert cut(ROWS, 5, classes=["bag", "coat", "shoe"]).facts.every_class_everywhere  # hats are not learnt


@pytest.mark.parametrize(("rank", "ranks"), [(-1, 2), (2, 2), (0, 0)])
def test_a_rank_that_cannot_be_is_refused(rank, ranks):
    with pytest.raises(ConfigurationError, match="does not exist"):
        Shard(rank, ranks)


def test_the_facts_are_found_and_not_claimed():
    one, other = cut(ROWS, 2).shard(0), cut(ROWS, 2).shard(1)
    assert facts_of([one, other], ROWS, "rows").disjoint
    assert not facts_of([one, one], ROWS, "rows").covering
    assert not facts_of([ROWS, other], ROWS, "rows").disjoint
    assert not facts_of([one, other.take(np.arange(3))], ROWS, "rows").covering
    strange = replace(other, product_ids=np.char.add(other.product_ids, "x"))
    assert not facts_of([one, strange], ROWS, "rows").covering
    bags = other.take(np.flatnonzero(other.labels == "bag"))
    assert not facts_of([one, bags], ROWS, "rows").every_class_everywhere
    facts = facts_of([one, other], ROWS, "rows")
    assert json.loads(json.dumps(facts.as_dict()))["rows"] == [50, 50]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=60),
    st.integers(1, 5),
    st.integers(0, 2**31),
    st.booleans(),
)
@profile(max_examples=60)
def test_any_cut_gives_each_row_to_one_rank_and_each_rank_every_class(rows, ranks, seed, is_some):
    """Of any row groups, also of those that are no runs; ``is_some`` leaves classes with too few rows out."""
    labels, groups = [f"c{label}" for label, _ in rows], [group for _, group in rows]
    large = [label for label, count in Counter(labels).items() if count >= ranks]
    classes = sorted(large) if is_some else ()
    whole = index(labels, groups)
    if len(large) < len({*labels}) and not (is_some and large):
        with pytest.raises(ConfigurationError, match="must have every label"):
            cut(whole, ranks, seed=seed, classes=classes)
        return
    plan = cut(whole, ranks, seed=seed, classes=classes)
    shards = [plan.shard(rank) for rank in range(ranks)]
    assert sorted(np.concatenate([shard.stored for shard in shards]).tolist()) == list(range(len(rows)))
    for shard in shards:
        assert {*(classes or labels)} <= {*shard.labels.tolist()}
        assert shard.product_ids.tolist() == [f"p{at:04d}" for at in shard.stored.tolist()]
    if plan.mode == "row groups":
        assert all(len({*plan.owner[whole.group == group].tolist()}) == 1 for group in groups)
    if plan.mode == "rows":
        assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_all_ranks_cut_a_stored_catalogue_alike(tmp_path):
    rows = picture_rows(["bag", "coat"] * 40)
    snapshot = hide(store(tmp_path, rows[:40], rows[40:]), tmp_path, ["p0001", "p0002", "p0050"])
    plans = [shard_plan(snapshot, "train", 2, seed=3) for _ in range(2)]
    np.testing.assert_array_equal(plans[0].owner, plans[1].owner)
    assert plans[0].mode == "row groups"
    assert sum(plans[0].facts.rows) == 77


def test_an_index_knows_where_its_rows_lie(tmp_path):
    """Positions in a row group count the rows behind deletion vectors, too."""
    rows = picture_rows(["bag", "coat"] * 8)
    snapshot = hide(store(tmp_path, rows, rows_per_group=6), tmp_path, ["p0001", "p0007"])
    found = index_split(snapshot, "train")
    lie = {}
    for group, positions, places in found.groups():
        lie |= {(group.number, int(at)): found.product_ids[row] for at, row in zip(positions, places, strict=True)}
    expected = {(at // 6, at % 6): row["product_id"] for at, row in enumerate(rows) if at not in {1, 7}}
    assert lie == expected

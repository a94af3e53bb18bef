"""What every kind of index must do, asked of the real one and of a fake that is too simple to be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.errors import RetrievalError
from backend.retrieval.fidelity import share_found
from backend.retrieval.indexes.approximate import ApproximateIndex
from backend.retrieval.indexes.cells import MIN_ITEMS
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.index import Neighbours, check_search


class BruteForceIndex:
    """Sorts every item for every query, one by one, in float64."""

    def __init__(self, vectors):
        self._vectors = vectors

    @property
    def size(self):
        return len(self._vectors)

    @property
    def dimensions(self):
        return self._vectors.shape[1]

    def search(self, queries, *, k, allowed=None):
        check_search(self, queries, k=k, allowed=allowed)
        open_to = [p for p in range(self.size) if allowed is None or allowed[p]]
        rows = []
        for query in queries:
            far = [(np.float32(1.0 - sum(self._vectors[p].astype(float) * query)), p) for p in open_to]
            rows.append(sorted(far)[:k])
        positions = np.array([[p for _, p in row] for row in rows], dtype=np.int64)
        distances = np.array([[d for d, _ in row] for row in rows], dtype=np.float32)
        shape = (len(queries), min(k, len(open_to)))
        return Neighbours(positions.reshape(shape), distances.reshape(shape).clip(0, 2))


def similarity_index(vectors):
    from tests.support.similarity_index import SimilarityIndex

    return SimilarityIndex(vectors)


KINDS = [
    pytest.param(ExactIndex, id="exact"),
    pytest.param(ApproximateIndex, id="approximate"),
    pytest.param(similarity_index, id="the original's", marks=pytest.mark.tf),
    pytest.param(BruteForceIndex, id="fake"),
]
REAL = KINDS[:3]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def clustered():
    """6,007 embeddings in forty clumps, as training makes them, and 200 queries near them."""
    rng = np.random.default_rng(21)
    middles = rng.standard_normal((40, 32))
    vectors, queries = (middles[rng.integers(0, 40, n)] + 0.3 * rng.standard_normal((n, 32)) for n in (6_007, 199))
    return unit(vectors), unit(queries)


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def random_units(count, size, *, seed):
    return unit(np.random.default_rng(seed).standard_normal((count, size)))


EAST, NORTH, WEST, SOUTH = [1, 0], [0, 1], [-1, 0], [0, -1]
COMPASS = unit([EAST, NORTH, WEST, SOUTH])


@pytest.mark.parametrize(
    ("query", "k", "positions", "distances"),
    [
        pytest.param(EAST, 1, [0], [0], id="itself"),
        pytest.param(EAST, 4, [0, 1, 3, 2], [0, 1, 1, 2], id="all, equals by position, opposite last"),
        pytest.param([1, 1], 2, [0, 1], [0.29289, 0.29289], id="between two"),
        pytest.param([-3, -4], 3, [3, 2, 0], [0.2, 0.4, 1.6], id="a 3-4-5 triangle"),
        pytest.param(SOUTH, 99, [3, 0, 2, 1], [0, 1, 1, 2], id="k beyond the gallery"),
    ],
)
def test_it_finds_what_a_compass_says(kind, query, k, positions, distances):
    found = kind(COMPASS).search(unit([query]), k=k)
    assert found.positions.tolist() == [positions]
    np.testing.assert_allclose(found.distances, [distances], atol=1e-5)
    assert found.positions.dtype == np.int64
    assert found.distances.dtype == np.float32


def test_what_is_not_allowed_is_gone_before_ranking(kind):
    allowed = np.array([False, True, True, False])
    found = kind(COMPASS).search(unit([EAST]), k=4, allowed=allowed)
    assert found.positions.tolist() == [[1, 2]]
    assert found.distances.tolist() == [[1.0, 2.0]]


def test_an_empty_selection_gives_an_empty_answer(kind):
    found = kind(COMPASS).search(unit([EAST, WEST]), k=3, allowed=np.zeros(4, dtype=np.bool_))
    assert found.positions.shape == found.distances.shape == (2, 0)


def test_no_query_gives_no_answer(kind):
    assert kind(COMPASS).search(np.empty((0, 2), dtype=np.float32), k=3).positions.shape[0] == 0


@pytest.mark.parametrize("size", [7, 127, 128])
@pytest.mark.parametrize("count", [5, 13, 50, 203])
def test_equal_items_rank_by_position_even_across_the_last_place(kind, count, size):
    """BLAS rounds the last rows of a matrix differently, so that copies of one vector seem to differ."""
    vectors = random_units(count, size, seed=count + size)
    vectors[count // 2 :] = vectors[0]
    queries = random_units(3, size, seed=1)
    found = kind(vectors).search(queries, k=count)
    for positions, distances in zip(found.positions.tolist(), found.distances.tolist(), strict=True):
        copies = [(p, d) for p, d in zip(positions, distances, strict=True) if p == 0 or p >= count // 2]
        assert [p for p, _ in copies] == [0, *range(count // 2, count)]
        assert len({d for _, d in copies}) == 1

    near = kind(vectors).search(vectors[:1], k=3)
    assert near.positions.tolist() == [[0, count // 2, count // 2 + 1]]


def test_a_gallery_of_copies_answers_its_first_items(kind):
    found = kind(np.repeat(random_units(1, 64, seed=3), 300, axis=0)).search(random_units(1, 64, seed=4), k=5)
    assert found.positions.tolist() == [[0, 1, 2, 3, 4]]


def test_a_query_is_answered_alone_as_in_a_batch(kind):
    index, queries = kind(random_units(307, 16, seed=5)), random_units(19, 16, seed=6)
    together = index.search(queries, k=9)
    alone = [index.search(query[None], k=9) for query in queries]
    assert together.positions.tolist() == [one.positions[0].tolist() for one in alone]


def test_distances_stay_in_range_and_ascend(kind):
    vectors = random_units(200, 128, seed=7)
    found = kind(np.concatenate([vectors, -vectors])).search(vectors[:20], k=400)
    assert found.distances.min() >= 0.0
    assert found.distances.max() <= 2.0
    assert np.all(np.diff(found.distances, axis=1) >= 0)
    assert found.positions[:, 0].tolist() == list(range(20))
    assert found.positions[:, -1].tolist() == list(range(200, 220))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param({"k": 0}, "at least 1", id="k"),
        pytest.param({"queries": np.ones((1, 3), dtype=np.float32)}, r"\(Q, 2\)", id="dimensions"),
        pytest.param({"queries": np.ones(2, dtype=np.float32)}, r"\(Q, 2\)", id="no matrix"),
        pytest.param({"queries": np.zeros((1, 2), dtype=np.float32)}, "length is not 1", id="zero"),
        pytest.param({"queries": np.full((1, 2), np.nan, dtype=np.float32)}, "length is not 1", id="not a number"),
        pytest.param({"allowed": np.ones(3, dtype=np.bool_)}, r"bool \(4,\)", id="mask too short"),
        pytest.param({"allowed": np.ones(4, dtype=np.int64)}, r"bool \(4,\)", id="mask of numbers"),
    ],
)
def test_a_question_it_cannot_answer_is_refused(kind, arguments, says):
    question = {"queries": COMPASS[:1], "k": 1, **arguments}
    queries = question.pop("queries")
    with pytest.raises(RetrievalError, match=says):
        kind(COMPASS).search(queries, **question)


@pytest.fixture(scope="module", params=REAL)
def large(request, clustered):
    """Each kind over so many embeddings that it does what it is made for."""
    return request.param(clustered[0])


@pytest.mark.parametrize("share", [1.0, 0.6, 0.2, 0.05, 0.0005])
def test_most_of_the_exact_neighbours_are_found_and_k_of_what_is_allowed(large, clustered, share):
    vectors, queries = clustered
    allowed = np.random.default_rng(5).random(len(vectors)) < share
    truth = ExactIndex(vectors).search(queries, k=10, allowed=allowed)
    found = large.search(queries, k=10, allowed=allowed)
    assert found.positions.shape == truth.positions.shape == (199, min(10, int(allowed.sum())))
    assert allowed[found.positions].all()
    least = 0.98 if isinstance(large, ExactIndex | ApproximateIndex) else 0.9  # the original's graph has gaps
    assert share_found(found.positions, truth.positions) >= least
    for mine, right in zip(found.positions, truth.positions, strict=True):
        assert len({*mine.tolist()}) == len(right)


def test_distances_are_exact_to_the_last_bit_whatever_finds_them(large, clustered):
    vectors, queries = clustered
    found, truth = large.search(queries, k=10), ExactIndex(vectors).search(queries, k=10)
    for row in range(len(queries)):
        of = dict(zip(truth.positions[row].tolist(), truth.distances[row].tolist(), strict=True))
        for position, distance in zip(found.positions[row].tolist(), found.distances[row].tolist(), strict=True):
            assert of.get(position, distance) == distance
    assert np.all(np.diff(found.distances, axis=1) >= 0)


@pytest.mark.parametrize("make", REAL)
def test_copies_rank_by_position_in_a_large_gallery(make, clustered):
    vectors = clustered[0].copy()
    vectors[1_000:1_400] = vectors[7]
    found = make(vectors).search(vectors[7][None], k=5)
    assert found.positions.tolist() == [[7, 1_000, 1_001, 1_002, 1_003]]
    assert len({*found.distances[0].tolist()}) == 1


@pytest.mark.tf
def test_copies_that_the_original_leaves_out_are_found_all_the_same(clustered):
    vectors = clustered[0].copy()
    vectors[1_000:1_400] = vectors[7]
    index, has = similarity_index(vectors), np.delete(np.arange(len(vectors)), [1_000, 1_002])
    with_gaps = type(index.indexer)(vectors.shape[1], distance="cosine")
    with_gaps.batch_add(vectors[has], labels=has.tolist(), verbose=0)
    index.indexer = with_gaps
    assert index.search(vectors[7][None], k=5).positions.tolist() == [[7, 1_000, 1_001, 1_002, 1_003]]


def test_a_lone_query_is_answered_exactly_as_in_a_batch(clustered):
    """Alone it takes the short cut by the heads, in a batch the matrix product."""
    vectors, queries = clustered
    index = ExactIndex(vectors)
    for k in (1, 10, 200):
        together = index.search(queries, k=k)
        alone = [index.search(query[None], k=k) for query in queries]
        np.testing.assert_array_equal(together.positions, np.concatenate([one.positions for one in alone]))
        np.testing.assert_array_equal(together.distances, np.concatenate([one.distances for one in alone]))


@pytest.fixture(scope="module", params=[ExactIndex, ApproximateIndex], ids=["exact", "approximate"])
def copied(request):
    """Galleries on both sides of the size from which on short cuts are taken, a third and more of each is copies."""
    rng = np.random.default_rng(51)
    found = []
    for size in (300, MIN_ITEMS + 400):
        vectors = random_units(size, 24, seed=size)
        vectors[::3] = vectors[rng.integers(0, 12, len(vectors[::3])) * 3 + 1]
        vectors[1::7] = -vectors[0]
        found.append((request.param(vectors), vectors))
    return found


@hypothesis_settings(max_examples=30)
@given(
    large=st.booleans(),
    batch=st.lists(st.integers(0, 299), min_size=1, max_size=40),
    turned=st.sets(st.integers(0, 39), max_size=5),
    k=st.sampled_from([1, 2, 5, 17, 150]),
    share=st.sampled_from([None, 0.7, 0.1]),
)
def test_ties_are_in_the_same_order_whatever_else_is_asked(copied, large, batch, turned, k, share):
    index, vectors = copied[large]
    queries = vectors[batch].copy()
    for row in turned & set(range(len(batch))):
        queries[row] = unit(queries[row][None] + 0.05 * random_units(1, 24, seed=row))[0]
    allowed = None if share is None else np.random.default_rng(k).random(len(vectors)) < share
    together = index.search(queries, k=k, allowed=allowed)
    backwards = index.search(np.ascontiguousarray(queries[::-1]), k=k, allowed=allowed)
    np.testing.assert_array_equal(together.positions, backwards.positions[::-1])
    np.testing.assert_array_equal(together.distances, backwards.distances[::-1])
    for row in {0, len(batch) // 2, len(batch) - 1}:
        alone = index.search(queries[row][None], k=k, allowed=allowed)
        assert alone.positions[0].tolist() == together.positions[row].tolist()
        assert alone.distances[0].tolist() == together.distances[row].tolist()
        ties = np.diff(alone.distances[0]) == 0
        assert (np.diff(alone.positions[0])[ties] > 0).all()


def test_heads_cut_nothing_short_where_embeddings_lie_in_all_directions():
    vectors, queries = random_units(5_021, 24, seed=31), random_units(12, 24, seed=32)
    index = ExactIndex(vectors)
    alone = np.concatenate([index.search(query[None], k=7).positions for query in queries])
    assert alone.tolist() == BruteForceIndex(vectors).search(queries, k=7).positions.tolist()


def test_embeddings_are_given_by_position(kind):
    if kind is not BruteForceIndex:
        np.testing.assert_array_equal(kind(COMPASS).embeddings(np.array([2, 0])), COMPASS[[2, 0]])


def test_the_exact_index_agrees_with_sorting_everything():
    vectors, queries = random_units(2_011, 32, seed=8), random_units(53, 32, seed=9)
    allowed = np.random.default_rng(10).random(len(vectors)) < 0.3
    found = ExactIndex(vectors).search(queries, k=25, allowed=allowed)
    expected = BruteForceIndex(vectors).search(queries, k=25, allowed=allowed)
    assert found.positions.tolist() == expected.positions.tolist()
    np.testing.assert_allclose(found.distances, expected.distances, atol=1e-6)


# ------------------------------------------------------------------------------- every size, against a plain sort

MOST_ITEMS = 4_200  # a hundred sizes beyond the one from which on both kinds take their short cuts
COUNTS = (1, 3, 12, 48, None)  # neighbours wanted; None is all
SHARES = (None, 0.5, 0.1)  # of the items that a filter lets pass; None is no filter


@pytest.fixture(scope="module")
def nested():
    """Embeddings of which the first N are a gallery, some of them copies, and queries with a plain sort's distances."""
    vectors, queries = random_units(MOST_ITEMS, 8, seed=41), random_units(5, 8, seed=42)
    vectors[5::97] = vectors[2]
    queries[0] = vectors[2]
    wide = 1.0 - vectors.astype(np.float64) @ queries.astype(np.float64).T
    return vectors, queries, np.ascontiguousarray(wide.round(9).T.clip(0, 2).astype(np.float32))


def check_against_a_sort(index, nested, count, share, *, asked, kind):
    _, queries, distances = nested
    size, k = index.size, index.size if count is None else count
    allowed = None if share is None else np.random.default_rng(size).random(size) < share
    found = index.search(queries[asked], k=k, allowed=allowed)
    open_to = np.arange(size) if allowed is None else np.flatnonzero(allowed)
    for row, of in enumerate(distances[asked]):
        truth = open_to[np.argsort(of[open_to], kind="stable")][:k]
        if kind is ApproximateIndex and size >= MIN_ITEMS:
            # It compares the cells around a query: k allowed items with their own distances, and most of the nearest.
            assert len(set(found.positions[row].tolist())) == len(truth)
            assert np.isin(found.positions[row], open_to).all()
            assert np.isin(truth, found.positions[row]).mean() >= 0.8 or k < 12
        else:
            assert found.positions[row].tolist() == truth.tolist()
        np.testing.assert_allclose(found.distances[row], of[found.positions[row]], atol=1e-6)
        assert np.all(np.diff(found.distances[row]) >= 0)


SEARCHES = [slice(0, 1), slice(0, 5)]  # alone, and so many that both kinds take them at once


@pytest.mark.parametrize("kind", [ExactIndex, ApproximateIndex])
@pytest.mark.parametrize("size", [1, 2, 63, 65, 500, 1_000, 1_001, 3_000, 4_095, 4_096, 4_159])
def test_a_gallery_of_any_size_is_searched_as_by_a_plain_sort(nested, kind, size):
    index = kind(nested[0][:size])
    for count in COUNTS:
        for share in SHARES:
            for asked in SEARCHES:
                check_against_a_sort(index, nested, count, share, asked=asked, kind=kind)


@hypothesis_settings(max_examples=150)
@given(
    size=st.integers(1, MOST_ITEMS),
    count=st.sampled_from(COUNTS),
    share=st.sampled_from(SHARES),
    asked=st.sampled_from(SEARCHES),
)
def test_no_size_is_special(nested, size, count, share, asked):
    check_against_a_sort(ExactIndex(nested[0][:size]), nested, count, share, asked=asked, kind=ExactIndex)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ExactIndex, ApproximateIndex])
def test_every_size_is_searched_as_by_a_plain_sort(nested, kind):
    for size in range(1, MOST_ITEMS + 1):
        index = kind(nested[0][:size])
        # Up to where it has cells, the approximate kind hands a search on to the exact one: there, each count in turn.
        for count in COUNTS if kind is ExactIndex or size >= MIN_ITEMS else [COUNTS[size % len(COUNTS)]]:
            for share in (None, SHARES[1 + size % 2]):
                for asked in SEARCHES if size >= MIN_ITEMS else SEARCHES[:1]:
                    check_against_a_sort(index, nested, count, share, asked=asked, kind=kind)

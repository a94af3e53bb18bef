"""Trustworthiness and accuracy against hand-sized tables and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from backend.progress import NullProgress
from backend.projection import worth
from backend.projection.first_look import principal_components
from backend.projection.worth import map_neighbours, trustworthiness, worth_of
from backend.retrieval.indexes.neighbour_graph import build_graph


@pytest.fixture(scope="module")
def flat(five_kinds):
    return np.ascontiguousarray(principal_components(five_kinds.vectors, 2))


@pytest.mark.slow
def test_trustworthiness_is_that_of_scikit_learn(five_kinds, flat):
    from sklearn.manifold import trustworthiness as reference

    rows = np.arange(len(flat))
    found = trustworthiness(five_kinds.vectors, map_neighbours(flat, rows, 15), rows)
    assert found == pytest.approx(reference(five_kinds.vectors, flat, n_neighbors=15), abs=1e-3)


def test_a_map_that_is_the_data_can_be_trusted_wholly():
    angles = np.linspace(0, 1.5, 80)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    rows = np.arange(len(circle))
    assert trustworthiness(circle, map_neighbours(circle, rows, 15), rows) == pytest.approx(1.0, abs=1e-3)


def test_a_random_map_cannot(five_kinds):
    rng = np.random.default_rng(3)
    rows = np.arange(len(five_kinds.vectors))
    shuffled = rng.standard_normal((len(rows), 2)).astype(np.float32)
    assert trustworthiness(five_kinds.vectors, map_neighbours(shuffled, rows, 15), rows) < 0.7


def test_neighbours_on_the_map_leave_the_point_itself_out_also_where_points_coincide():
    found = map_neighbours(np.zeros((5, 2), dtype=np.float32), np.arange(5), 3)
    assert found.shape == (5, 3)
    assert (found != np.arange(5)[:, None]).sum() >= 14  # at most one lost among equals
    line = np.arange(6, dtype=np.float32)[:, None] * np.ones((1, 2), dtype=np.float32)
    assert map_neighbours(line, np.asarray([0]), 2).tolist() == [[1, 2]]


def test_accuracy_is_the_vote_of_ten_neighbours(five_kinds, flat):
    graph = build_graph(five_kinds.vectors, 15, progress=NullProgress())
    found = worth_of(five_kinds.vectors, flat, five_kinds.labels, graph.positions)
    assert found.full_accuracy == 1.0
    assert 0.4 < found.accuracy <= 1.0
    assert found.asked == len(flat)


def test_large_galleries_are_sampled_and_unlabelled_ones_have_no_accuracy(five_kinds, flat, monkeypatch):
    monkeypatch.setattr(worth, "SAMPLED", 50)
    graph = build_graph(five_kinds.vectors, 15, progress=NullProgress())
    found = worth_of(five_kinds.vectors, flat, np.full(len(flat), ""), graph.positions)
    assert (found.asked, found.accuracy, found.full_accuracy) == (50, None, None)


def test_votes_that_tie_go_to_the_nearer():
    assert worth._vote(np.asarray([["a", "b", "b", "a"], ["c", "d", "d", "d"]])).tolist() == ["a", "d"]


@pytest.mark.parametrize("size", range(3, 46))
def test_figures_are_given_only_where_they_are_defined(size):
    """As scikit-learn has it, which refuses k of half of the points or more; on the data themselves it is 1."""
    from sklearn.manifold import trustworthiness as reference

    rng = np.random.default_rng(size)
    vectors = rng.standard_normal((size, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = rng.standard_normal((size, 2)).astype(np.float32)
    graph = build_graph(vectors, min(15, size - 1), progress=NullProgress())
    labels = np.where(np.arange(size) < size / 2, "bag", "hat")
    found = worth_of(vectors, flat, labels, graph.positions)
    if size > 30:
        assert found.trustworthiness == pytest.approx(reference(vectors, flat, n_neighbors=15), abs=1e-3)
        assert 0 < found.trustworthiness < 1
    else:
        assert found.trustworthiness is None
        with pytest.raises(ValueError, match="n_neighbors"):
            reference(vectors, flat, n_neighbors=15)
    assert (found.accuracy is None) == (size <= 20)
    assert (found.trustworthiness, found.accuracy) == (found.within(size).trustworthiness, found.within(size).accuracy)


def test_only_labels_that_ten_neighbours_can_all_have_are_voted_for():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((60, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = build_graph(vectors, 15, progress=NullProgress())
    few = np.asarray([f"kind-{number % 20}" for number in range(60)])
    found = worth_of(vectors, vectors[:, :2].copy(), few, graph.positions)
    assert (found.accuracy, found.full_accuracy, found.voted) == (None, None, 0)
    some = np.where(np.arange(60) < 11, "many", few)
    assert worth_of(vectors, vectors[:, :2].copy(), some, graph.positions).voted == 11

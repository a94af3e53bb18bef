"""Outliers, overlaps, hubs and near duplicates on tables small enough to check by eye."""

from __future__ import annotations

import numpy as np
import pytest

from backend.progress import NullProgress
from backend.projection import insight
from backend.retrieval.indexes.neighbour_graph import NeighbourGraph, build_graph


def graph_of(lists, distances=None):
    positions = np.asarray(lists, dtype=np.int32)
    apart = np.full(positions.shape, 0.5, dtype=np.float32) if distances is None else np.asarray(distances, np.float32)
    return NeighbourGraph(positions, apart)


def test_a_stranger_among_its_kind_is_the_first_outlier(five_kinds):
    labels = five_kinds.labels.copy()
    labels[0] = "kind-3"  # it is one of kind-0
    found = insight.outliers(five_kinds.vectors, labels)
    assert found[0].position == 0
    assert found[0].strength > found[1].strength


def test_without_labels_there_are_no_outliers(five_kinds):
    assert insight.outliers(five_kinds.vectors, np.full(len(five_kinds.vectors), "")) == []


def test_overlap_counts_whose_neighbours_products_are():
    vectors = np.eye(4, dtype=np.float32)
    labels = np.asarray(["a", "a", "b", ""])
    found = insight.overlap(vectors, labels, graph_of([[1, 2], [0, 2], [0, 1], [0, 1]]))
    assert found.labels == ("a", "b")
    assert found.counts == (2, 1)
    assert found.shares.tolist() == [[0.5, 0.5], [1.0, 0.0]]
    assert found.distances[0, 1] == pytest.approx(1.0)
    assert found.distances[0, 0] == pytest.approx(0.0, abs=1e-6)


def test_hubs_are_counted_and_so_are_those_never_recommended():
    found = insight.hubs(graph_of([[1], [0], [0], [0]]), k=1)
    assert found.occurrences.tolist() == [3, 1, 0, 0]
    assert found.most(2) == [0, 1]
    assert found.forgotten(5) == [2, 3]
    assert found.never == 2
    assert found.skewness > 0


def test_near_duplicates_are_linked_by_chains():
    near, far = 0.001, 0.5
    graph = graph_of([[1], [2], [1], [4], [3], [0]], [[near], [near], [near], [near], [near], [far]])
    assert insight.near_duplicates(graph, 0.002) == [(0, 1, 2), (3, 4)]
    assert insight.near_duplicates(graph, 0.0001) == []


def test_they_work_on_a_graph_that_was_built(five_kinds):
    graph = build_graph(five_kinds.vectors, 15, progress=NullProgress())
    found = insight.overlap(five_kinds.vectors, five_kinds.labels, graph)
    assert np.allclose(found.shares.sum(axis=1), 1.0)
    assert insight.hubs(graph).occurrences.sum() == 10 * graph.size

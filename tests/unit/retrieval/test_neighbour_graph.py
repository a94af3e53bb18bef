"""The neighbour graph is exact, leaves a product out of its own list, and ranks ties by position."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import Cancelled, RetrievalError
from backend.progress import NullProgress
from backend.retrieval.indexes import neighbour_graph
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.neighbour_graph import build_graph
from tests.fixtures.projection import blobs


def graph_of(vectors, k, **options):
    return build_graph(vectors, k, progress=NullProgress(), **options)


def test_it_holds_what_the_exact_index_finds(five_kinds):
    graph = graph_of(five_kinds.vectors, 10)
    found = ExactIndex(five_kinds.vectors).search(five_kinds.vectors, k=11)
    assert graph.positions.dtype == np.int32
    assert (graph.positions != np.arange(graph.size)[:, None]).all()
    assert np.array_equal(graph.positions, found.positions[:, 1:])  # the product itself stands first there
    assert np.allclose(graph.distances, found.distances[:, 1:], atol=1e-6)


def test_equal_products_rank_by_position_and_never_name_themselves():
    one = np.zeros((6, 4), dtype=np.float32)
    one[:, 0] = 1.0
    graph = graph_of(one, 3)
    assert (graph.positions != np.arange(6)[:, None]).all()
    assert (np.diff(graph.positions, axis=1) > 0).all()
    assert (graph.distances == 0).all()


def test_the_same_vectors_give_the_same_bytes_on_one_thread_and_on_two(five_kinds):
    first, second = (graph_of(five_kinds.vectors, 7, threads=threads) for threads in (1, 2))
    assert first.positions.tobytes() == second.positions.tobytes()
    assert first.distances.tobytes() == second.distances.tobytes()


def test_large_galleries_are_searched_by_cells_and_find_nearly_all(monkeypatch):
    vectors = blobs(800, spread=0.2).vectors
    exact = graph_of(vectors, 10)
    monkeypatch.setattr(neighbour_graph, "EXACT_UP_TO", 100)
    found = graph_of(vectors, 10)
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(exact.positions, found.positions, strict=True)]
    assert np.mean(shared) > 0.95


def test_fewer_products_than_neighbours_is_a_sentence(five_kinds):
    with pytest.raises(RetrievalError, match="4 products cannot have 4 neighbours") as caught:
        graph_of(five_kinds.vectors[:4], 4)
    assert "at most 3 neighbours" in caught.value.next_step


def test_embeddings_that_are_no_numbers_are_a_sentence(five_kinds):
    broken = five_kinds.vectors.copy()
    broken[3, 1] = np.nan
    with pytest.raises(RetrievalError, match="not finite"):
        graph_of(broken, 3)


def test_it_can_be_cancelled(five_kinds):
    class Stopped(NullProgress):
        def check_cancelled(self):
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        build_graph(five_kinds.vectors, 3, progress=Stopped())

"""Class-disjoint scores on embeddings whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import EvaluationError
from backend.evaluation.unseen import class_disjoint, halves_of
from backend.evaluation.vectors import VectorParts, nearest_other, nearest_similarity
from backend.progress import NullProgress

LABELS = np.array(["bag", "boot", "coat", "hat"] * 10)


def around(centres, seed=1):
    """Unit vectors close to a centre a label."""
    rng = np.random.default_rng(seed)
    vectors = np.stack([centres[label] for label in LABELS]) + rng.normal(0, 0.05, (len(LABELS), 4))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


APART = dict(zip(["bag", "boot", "coat", "hat"], np.eye(4), strict=True))
# A model that knows bags and boots: it tells coats from hats, but puts coats where the bags are.
COLLAPSED = {**APART, "coat": APART["bag"]}


def test_halves_are_disjoint_and_cover_the_unseen_classes():
    halves = halves_of(LABELS, ("coat", "hat"), seed=7)
    together = np.concatenate([halves.queries, halves.gallery, halves.others])
    assert sorted(together.tolist()) == list(range(len(LABELS)))
    assert set(LABELS[halves.others]) == {"bag", "boot"}
    assert all((LABELS[halves.queries] == label).sum() == 5 for label in ("coat", "hat"))
    assert (halves_of(LABELS, ("coat", "hat"), seed=8).queries != halves.queries).any()


def test_collapse_shows_in_the_mixed_gallery_only():
    good, bad = (class_disjoint(around(centres), LABELS, ("coat", "hat"), k=3) for centres in (APART, COLLAPSED))
    assert good.among.means()["map_at_r"] == good.mixed.means()["map_at_r"] == 1
    assert bad.among.means()["map_at_r"] == 1
    assert bad.mixed.means()["map_at_r"] < 0.8
    assert set(bad.mixed.labels) == {"coat", "hat"}
    assert (good.among.gallery, good.mixed.gallery) == (10, 30)


def test_parts_score_as_one_array_does():
    vectors = around(COLLAPSED)
    whole = class_disjoint(vectors, LABELS, ("coat", "hat"))
    parts = class_disjoint(VectorParts((vectors[:7], vectors[7:])), LABELS, ("coat", "hat"))
    assert (whole.mixed.neighbours == parts.mixed.neighbours).all()
    assert np.allclose(whole.mixed.rates["map_at_r"], parts.mixed.rates["map_at_r"])


def test_queries_can_be_limited_and_a_class_of_one_asks_nothing():
    found = class_disjoint(around(APART), LABELS, ("coat", "hat"), most=4)
    assert len(found.queries) == 4
    with pytest.raises(EvaluationError, match="two products"):
        halves_of(np.array(["bag", "bag", "hat"]), ("hat",), seed=7)


def test_rows_of_parts_come_in_the_order_asked():
    vectors = around(APART)
    parts = VectorParts((vectors[:5], vectors[5:]))
    rows = np.array([9, 2, 5])
    assert (parts.only(rows).rows() == vectors[rows]).all()
    assert (parts.only(rows).only(np.array([1, 0])).rows() == vectors[[2, 9]]).all()
    assert np.allclose(parts.only(rows).similarities(vectors[:2]), vectors[:2] @ vectors[rows].T)
    with pytest.raises(EvaluationError, match="Need"):
        VectorParts((vectors, vectors[:, :2]))


def test_nobody_is_its_own_nearest():
    vectors = around(APART)
    asking = np.array([0, 13, 39])
    found, similarity = nearest_other(vectors, asking, progress=NullProgress())
    table = vectors @ vectors.T
    np.fill_diagonal(table, -1)
    assert (found == table[asking].argmax(axis=1)).all()
    assert np.allclose(similarity, table[asking].max(axis=1))
    everything = nearest_similarity(vectors[asking], VectorParts((vectors,)), progress=NullProgress())
    assert np.allclose(everything, 1, atol=1e-5)

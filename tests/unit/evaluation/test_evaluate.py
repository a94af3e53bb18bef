"""Exact search and scoring together, against a plain re-computation."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import Cancelled, EvaluationError
from backend.evaluation import evaluate as module
from backend.evaluation.evaluate import evaluate_retrieval
from backend.progress import NullProgress
from tests.fixtures.models import Listener


def unit_vectors(count, seed):
    vectors = np.random.default_rng(seed).standard_normal((count, 6)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plainly(queries, query_labels, gallery, gallery_labels, k):
    """The same scores, one query at a time, by the book."""
    rows = []
    for query, label in zip(queries, query_labels, strict=True):
        order = sorted(range(len(gallery)), key=lambda i: (-float(query @ gallery[i]), i))
        hits = [gallery_labels[i] == label for i in order]
        r = sum(hits)
        average = sum(sum(hits[: i + 1]) / (i + 1) for i in range(r) if hits[i]) / r
        rows.append((hits[0], sum(hits[:k]) / k, any(hits[:k]), sum(hits[:r]) / r, average))
    return np.mean(np.array(rows, dtype=float), axis=0)


@pytest.mark.parametrize("cells", [8_000_000, 100])
def test_scores_equal_a_plain_computation_in_any_chunks(monkeypatch, cells):
    monkeypatch.setattr(module, "_CHUNK_CELLS", cells)
    rng = np.random.default_rng(1)
    gallery, queries = unit_vectors(40, 2), unit_vectors(15, 3)
    gallery_labels = rng.choice(["bag", "boot", "coat"], 40, p=[0.6, 0.3, 0.1]).tolist()
    query_labels = rng.choice(["bag", "boot", "coat"], 15).tolist()
    found = evaluate_retrieval(queries, query_labels, gallery, gallery_labels, k=4, progress=NullProgress())
    expected = plainly(queries, query_labels, gallery, gallery_labels, 4)
    got = [found.precision_at_1, found.precision_at_k, found.hit_rate_at_k, found.r_precision, found.map_at_r]
    assert got == pytest.approx(expected)
    assert (found.queries, found.gallery, found.k, found.unanswerable) == (15, 40, 4, 0)
    weights = {label: query_labels.count(label) for label in found.by_label}
    assert sum(found.by_label[label] * n for label, n in weights.items()) / 15 == pytest.approx(found.precision_at_1)


def test_equal_distances_rank_by_position():
    gallery = np.tile(np.eye(6, dtype=np.float32)[:1], (5, 1))
    found = evaluate_retrieval(gallery[:1], ["a"], gallery, ["b", "a", "a", "b", "b"], k=2, progress=NullProgress())
    assert (found.precision_at_1, found.precision_at_k, found.r_precision) == (0, 0.5, 0.5)


def test_queries_of_a_label_that_the_gallery_lacks_are_counted_apart():
    gallery = unit_vectors(4, 5)
    found = evaluate_retrieval(
        gallery[:2], ["a", "unseen"], gallery, ["a", "a", "b", "b"], k=1, progress=NullProgress()
    )
    assert (found.queries, found.unanswerable, found.precision_at_1) == (1, 1, 1)


def test_k_is_clipped_to_the_gallery():
    gallery = unit_vectors(3, 6)
    assert evaluate_retrieval(gallery, list("aab"), gallery, list("aab"), k=10, progress=NullProgress()).k == 3


def test_it_reports_and_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_CELLS", 1)
    gallery, heard = unit_vectors(3, 7), Listener()
    evaluate_retrieval(gallery, list("aab"), gallery, list("aab"), k=1, progress=heard)
    assert [(done, total, unit) for done, total, unit, _ in heard.reports] == [(i, 3, "queries") for i in (1, 2, 3)]

    class Impatient(Listener):
        def check_cancelled(self):
            raise Cancelled("The user asked to stop.")

    with pytest.raises(Cancelled):
        evaluate_retrieval(gallery, list("aab"), gallery, list("aab"), k=1, progress=Impatient())


@pytest.mark.parametrize(
    ("queries", "labels", "gallery", "gallery_labels", "k", "message"),
    [
        (unit_vectors(2, 0), list("ab"), unit_vectors(2, 0)[:, :3], list("ab"), 1, "Need"),
        (unit_vectors(2, 0), list("a"), unit_vectors(2, 0), list("ab"), 1, "needs its label"),
        (unit_vectors(0, 0), [], unit_vectors(2, 0), list("ab"), 1, "no queries"),
        (unit_vectors(2, 0), list("ab"), unit_vectors(2, 0), list("ab"), 0, "at least 1"),
        (unit_vectors(2, 0), list("xy"), unit_vectors(2, 0), list("ab"), 1, "No query has a label"),
    ],
)
def test_what_cannot_be_scored_is_said(queries, labels, gallery, gallery_labels, k, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate_retrieval(queries, labels, gallery, gallery_labels, k=k, progress=NullProgress())

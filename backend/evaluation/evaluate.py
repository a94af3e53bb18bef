"""Score embeddings by exact search: every query against the whole gallery, in chunks that fit in memory."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError
from backend.evaluation import scores
from backend.evaluation.vectors import VectorParts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.progress import Progress

    Labels = Sequence[str] | NDArray[np.str_]

RATES = ("precision_at_1", "precision_at_k", "hit_rate_at_k", "r_precision", "map_at_r")
_CHUNK_CELLS = 8_000_000  # similarities held at once: 32 MB
_SAMPLED = 16  # one in so many items tells where to cut


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """How well a gallery answers a set of queries; all rates are in [0, 1].

    Attributes:
        queries: Queries that were scored.
        unanswerable: Queries left out, because no gallery item carries their label.
        gallery: Items of the gallery.
        k: Neighbours that ``precision_at_k`` and ``hit_rate_at_k`` count.
        by_label: precision@1 of the queries of each label.
    """

    queries: int
    unanswerable: int
    gallery: int
    k: int
    precision_at_1: float
    precision_at_k: float
    hit_rate_at_k: float
    r_precision: float
    map_at_r: float
    by_label: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueryScores:
    """How well a gallery answers each of A queries, in the order they came.

    Attributes:
        rows: Which of the queries that were asked these are; int64 (A,), ascending.
        labels: Their labels; (A,).
        rates: One value a query by name, in the order of :data:`RATES`; float64 (A,) each.
        neighbours: Positions of the k nearest gallery items, nearest first; int64 (A, k).
        similarities: Their cosine similarities; float32 (A, k).
        relevant: Gallery items that carry the query's label; int64 (A,).
        unanswerable: Queries left out, because no gallery item carries their label.
        gallery: Items of the gallery.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.str_]
    rates: dict[str, NDArray[np.float64]]
    neighbours: NDArray[np.int64]
    similarities: NDArray[np.float32]
    relevant: NDArray[np.int64]
    unanswerable: int
    gallery: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def k(self) -> int:
        """Neighbours that ``precision_at_k`` and ``hit_rate_at_k`` count."""
        return int(self.neighbours.shape[1])

    def of(self, chosen: NDArray[np.bool_]) -> QueryScores:
        """Return the scores of those queries of these that are chosen, bool (A,)."""
        return QueryScores(
            self.rows[chosen],
            self.labels[chosen],
            {name: values[chosen] for name, values in self.rates.items()},
            self.neighbours[chosen],
            self.similarities[chosen],
            self.relevant[chosen],
            self.unanswerable,
            self.gallery,
        )

    def means(self) -> dict[str, float]:
        """Return the mean of every rate."""
        return {name: float(values.mean()) for name, values in self.rates.items()}


def evaluate_retrieval(
    query_vectors: NDArray[np.float32],
    query_labels: Labels,
    gallery_vectors: NDArray[np.float32],
    gallery_labels: Labels,
    *,
    k: int,
    progress: Progress,
) -> RetrievalScores:
    """Return the means of what :func:`score_queries` finds; same arguments, same errors."""
    found = score_queries(query_vectors, query_labels, gallery_vectors, gallery_labels, k=k, progress=progress)
    first = found.rates["precision_at_1"]
    return RetrievalScores(
        queries=len(found),
        unanswerable=found.unanswerable,
        gallery=found.gallery,
        k=found.k,
        by_label={str(name): float(first[found.labels == name].mean()) for name in np.unique(found.labels)},
        **found.means(),
    )


def score_queries(
    query_vectors: NDArray[np.float32],
    query_labels: Labels,
    gallery_vectors: NDArray[np.float32] | VectorParts,
    gallery_labels: Labels,
    *,
    k: int,
    progress: Progress,
) -> QueryScores:
    """Rank the gallery for every query by cosine similarity and score the ranking; equal similarities rank by position.

    No query may be an item of the gallery: it would find itself.

    Args:
        query_vectors: L2-normalised embeddings, float32 (Q, D).
        query_labels: Their labels; Q texts.
        gallery_vectors: L2-normalised embeddings, float32 (N, D); may be memory-mapped, in parts, or some of them.
        gallery_labels: Their labels; N texts.
        k: Neighbours to count, at least 1; clipped to N.
        progress: Hears how many queries are done, and may cancel.

    Raises:
        EvaluationError: The shapes disagree, k is below 1, or no query's label is in the gallery.
        Cancelled: The user asked to stop.
    """
    gallery = gallery_vectors if isinstance(gallery_vectors, VectorParts) else VectorParts((gallery_vectors,))
    _check(query_vectors, query_labels, gallery, gallery_labels, k)
    names, codes = np.unique(np.asarray(gallery_labels, dtype=np.str_), return_inverse=True)
    queries = np.asarray(query_labels, dtype=np.str_)
    rows = np.flatnonzero(np.isin(queries, names))
    if not rows.size:
        raise EvaluationError(
            "No query has a label that is in the gallery.",
            next_step="Check that the queries and the gallery come from the same catalogue.",
        )
    wanted = np.searchsorted(names, queries[rows])  # (A,) class number of each query
    ranker = _Ranker(codes, np.bincount(codes, minlength=len(names)), min(k, len(codes)))
    step = max(1, _CHUNK_CELLS // len(codes))
    parts: list[_Part] = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # NumPy sorts outside the interpreter's lock
        for start in range(0, len(rows), step):
            progress.check_cancelled()
            chunk = slice(start, start + step)
            similarity = gallery.similarities(query_vectors[rows[chunk]])  # (q, N)
            parts.append(ranker.scored(similarity, wanted[chunk], pool))
            progress.report(min(start + step, len(rows)), len(rows), unit="queries", note="scoring")
    return QueryScores(
        rows=rows,
        labels=queries[rows],
        rates={name: np.concatenate([part.rates[name] for part in parts]) for name in RATES},
        neighbours=np.concatenate([part.neighbours for part in parts]),
        similarities=np.concatenate([part.similarities for part in parts]),
        relevant=ranker.sizes[wanted],
        unanswerable=len(queries) - len(rows),
        gallery=len(codes),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What is kept of a chunk of q queries."""

    rates: dict[str, NDArray[np.float64]]
    neighbours: NDArray[np.int64]
    similarities: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Ranker:
    """Ranks and scores chunks of queries: class number of every gallery item, class sizes, neighbours to keep."""

    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    k: int

    def scored(self, similarity: NDArray[np.float32], wanted: NDArray[np.int64], pool: ThreadPoolExecutor) -> _Part:
        """Score one chunk, similarities (q, N) and class numbers (q,)."""
        relevant = self.sizes[wanted]
        depth = max(int(relevant.max()), self.k)
        matches = np.zeros((len(wanted), depth), dtype=np.bool_)
        nearest = np.empty((len(wanted), self.k), dtype=np.int64)

        def fill(row: int) -> None:
            found = _nearest(similarity[row], max(int(relevant[row]), self.k))
            matches[row, : len(found)] = self.codes[found] == wanted[row]
            nearest[row] = found[: self.k]

        list(pool.map(fill, range(len(wanted))))
        rates = {
            "precision_at_1": scores.precision_at_1(matches),
            "precision_at_k": scores.precision_at_k(matches, k=self.k),
            "hit_rate_at_k": scores.hit_rate_at_k(matches, k=self.k),
            "r_precision": scores.r_precision(matches, relevant),
            "map_at_r": scores.map_at_r(matches, relevant),
        }
        return _Part(rates, nearest, np.take_along_axis(similarity, nearest, axis=1))


def _nearest(similarity: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """Return the positions of the ``depth`` most similar items, best first, equal ones by position."""
    found = _candidates(similarity, depth)
    order = np.argsort(-similarity[found], kind="stable")[:depth]
    nearest: NDArray[np.int64] = found[order]
    return nearest


def _candidates(similarity: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """Return positions, ascending, of all items from some similarity on: ``depth`` of them or a few more.

    Where to cut is guessed from every 16th item, which takes a third of the time; a guess too high is made good.
    """
    sample = similarity[::_SAMPLED]
    many = depth // _SAMPLED + depth // (8 * _SAMPLED) + _SAMPLED
    if many < len(sample):
        found = np.flatnonzero(similarity >= np.partition(sample, len(sample) - many)[len(sample) - many])
        if len(found) >= depth:
            return found
    return np.flatnonzero(similarity >= np.partition(similarity, len(similarity) - depth)[len(similarity) - depth])


def _check(
    queries: NDArray[np.float32], query_labels: Labels, gallery: VectorParts, gallery_labels: Labels, k: int
) -> None:
    if queries.ndim != 2 or queries.shape[1] != gallery.dimensions:
        raise EvaluationError(f"Need (Q, D) and (N, D), got {queries.shape} and {(len(gallery), gallery.dimensions)}.")
    if len(queries) != len(query_labels) or len(gallery) != len(gallery_labels):
        raise EvaluationError("Every embedding needs its label.")
    if not len(queries) or not len(gallery):
        raise EvaluationError("There are no queries, or the gallery is empty.")
    if k < 1:
        raise EvaluationError(f"k must be at least 1, got {k}.", next_step="Use k of 1 or more.")

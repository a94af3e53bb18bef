"""Recall@K by the protocol of a retrieval data set, whose test products are of classes that no network has learnt.

Where the catalogue has products of those classes that only answer, the test products are asked against these alone, as
DeepFashion In-Shop has it (Liu et al., 2016); where it has none, each is asked against all other test products, as
Stanford Online Products has it (Song et al., 2016). A query counts as found at K if one of its K nearest has its label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from backend.catalogue.items import UNLABELLED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.progress import Progress

AT = (1, 10, 100)
PROTOCOL = "protocol.recall_at_"  # of a figure's name in manifest and run; the K is behind it
_CHUNK_CELLS = 8_000_000  # similarities held at once: 32 MB
Way = Literal["gallery", "each other"]


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall of test products: how they were asked, how many, among how many, and the share found, by K."""

    way: Way
    queries: int
    gallery: int
    at: dict[int, float]

    @property
    def metrics(self) -> dict[str, float]:
        """The figures as a manifest and a run have them."""
        return {f"{PROTOCOL}{k}": value for k, value in self.at.items()}

    @property
    def sentence(self) -> str:
        """The figures in words."""
        told = ", ".join(f"recall@{k} {100 * value:.1f} %" for k, value in self.at.items())
        whom = "products that only answer" if self.way == "gallery" else "test products, each among all others"
        return f"{told}: {self.queries:,} queries among {self.gallery:,} {whom}."


def way_of(
    test_labels: NDArray[np.str_], labels: NDArray[np.str_], splits: NDArray[np.str_], classes: tuple[str, ...]
) -> Way | None:
    """Say how the test products of a catalogue are asked; None where the network has learnt some of their labels.

    Args:
        test_labels: Of the test products.
        labels: Of the N products of the index that are scored.
        splits: Of the same products.
        classes: Labels that the network has learnt.
    """
    known = test_labels[test_labels != UNLABELLED]
    learnt = np.concatenate([np.asarray(classes, dtype=np.str_), labels[np.isin(splits, ("train", "validation"))]])
    if not known.size or np.isin(known, learnt).any():
        return None
    if np.isin(labels[splits == "gallery-only"], known).any():
        return "gallery"
    _, counts = np.unique(known, return_counts=True)
    return "each other" if (counts > 1).any() else None


def recall(
    queries: NDArray[np.float32],
    query_labels: NDArray[np.str_],
    gallery: NDArray[np.float32] | None,
    gallery_labels: NDArray[np.str_] | None,
    *,
    progress: Progress,
) -> Recall:
    """Ask every query; without a gallery, each against all others.

    Args:
        queries: L2-normalised embeddings, float32 (Q, D).
        query_labels: Their labels; (Q,).
        gallery: L2-normalised embeddings, float32 (N, D), or None.
        gallery_labels: Their labels; (N,), or None.
        progress: Hears how many queries are done, and may cancel.

    Raises:
        Cancelled: The user asked to stop.
    """
    is_among_themselves = gallery is None or gallery_labels is None
    others, names = (queries, query_labels) if gallery is None or gallery_labels is None else (gallery, gallery_labels)
    found = np.zeros(len(AT))
    step = max(1, _CHUNK_CELLS // len(others))
    for start in range(0, len(queries), step):
        progress.check_cancelled()
        similar = queries[start : start + step] @ others.T  # (q, N)
        rows = np.arange(len(similar))
        if is_among_themselves:
            similar[rows, start + rows] = -np.inf
        is_right = names[None, :] == query_labels[start : start + step, None]
        if is_among_themselves:
            is_right[rows, start + rows] = False
        # As many are nearer than the nearest right one as there are wrong ones above it; equal ones count against it.
        best = np.where(is_right, similar, -np.inf).max(axis=1)
        above = ((similar >= best[:, None]) & ~is_right).sum(axis=1)
        is_found = np.isfinite(best)
        found += [(is_found & (above < k)).sum() for k in AT]
        progress.report(min(start + step, len(queries)), len(queries), unit="queries", note="scoring")
    size = len(others) - is_among_themselves
    shares = dict(zip(AT, (found / len(queries)).tolist(), strict=True))
    return Recall("each other" if is_among_themselves else "gallery", len(queries), size, shares)

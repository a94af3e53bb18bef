"""How good a network is so far: validation queries against a part of the train split, small enough for every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import TrainingError
from backend.evaluation.evaluate import evaluate_retrieval
from backend.progress import NullProgress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.evaluation.evaluate import RetrievalScores
    from backend.feeding.arrow import PixelTable
    from backend.retrieval.embedder import Embedder

MAX_QUERIES = 3_000
MAX_GALLERY = 9_000
K = 10
_SHARED = 50  # queries a rank, at least, for the asking to be shared
# Unit vectors whose mean has this length or more all point the same way: the network tells nothing apart.
COLLAPSED = 0.99999


@dataclass(frozen=True, slots=True)
class Sample:
    """Some pictures of a split: uint8 (N, H, W, C), and their labels."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.str_]


class Validator:
    """Scores embedders with the same queries and the same gallery every time.

    Args:
        train: The train split, of which the gallery is drawn.
        validation: The validation split, of which the queries are drawn.
        seed: Seed of both draws.
        rank, ranks: Of the drawn queries, this rank asks every ``ranks``-th; all of them where there are too few.
    """

    def __init__(self, train: PixelTable, validation: PixelTable, *, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self._gallery = _sample(train, MAX_GALLERY, seed)
        queries = _sample(validation, MAX_QUERIES, seed)
        is_shared = len(queries.labels) >= _SHARED * ranks
        share = slice(rank, None, ranks) if is_shared else slice(None)
        self._queries = Sample(queries.pixels[share], queries.labels[share])

    def score(self, embedder: Embedder) -> RetrievalScores:
        """Embed queries and gallery, and score the answers.

        Raises:
            TrainingError: All embeddings are the same, or some are not finite.
        """
        queries, gallery = (embedder.embed(part.pixels) for part in (self._queries, self._gallery))
        check_alive(np.concatenate([queries, gallery]))
        return evaluate_retrieval(
            queries, self._queries.labels, gallery, self._gallery.labels, k=K, progress=NullProgress()
        )


def _sample(table: PixelTable, most: int, seed: int) -> Sample:
    """Draw rows evenly, so that a label's share stays what it is in the split."""
    by_label = np.argsort(np.random.default_rng(seed).permutation(len(table)))
    order = np.lexsort((by_label, table.labels))  # label by label, shuffled within each
    rows = np.sort(order[np.linspace(0, len(order) - 1, min(most, len(order))).astype(np.int64)])
    return Sample(np.asarray(table.pixels[rows]), table.labels[rows])


def check_alive(vectors: NDArray[np.float32]) -> None:
    """Check that a network tells pictures apart.

    Raises:
        TrainingError: All embeddings are the same, or some are not finite.
    """
    if not np.isfinite(vectors).all():
        raise TrainingError(
            "The network produces embeddings that are not finite.", next_step="Train again with a lower learning rate."
        )
    if float(np.linalg.norm(vectors.mean(axis=0, dtype=np.float64))) >= COLLAPSED:
        raise TrainingError(
            "The training collapsed: all pictures get the same embedding.",
            next_step="Train again with a lower learning rate, or with another loss.",
        )

"""Ask one contender everything: the test products of seen classes, unseen classes, and changed pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError
from backend.evaluation.contenders import TEST
from backend.evaluation.evaluate import score_queries
from backend.evaluation.pictures import embed
from backend.evaluation.robustness import CHANGES
from backend.evaluation.unseen import class_disjoint
from backend.evaluation.vectors import VectorParts
from backend.progress import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.evaluation.contenders import Contender, Ground
    from backend.evaluation.evaluate import QueryScores
    from backend.evaluation.options import EvaluationOptions
    from backend.evaluation.pictures import Pictures
    from backend.evaluation.robustness import Change
    from backend.evaluation.unseen import ClassDisjoint
    from backend.progress import Progress

ROBUSTNESS_QUERIES = 2_000  # test products whose changed pictures are asked about, drawn evenly
UNSEEN_QUERIES = 5_000


@dataclass(frozen=True, slots=True)
class Measured:
    """What one contender answered.

    Attributes:
        contender: Who was asked.
        pictures: The test products.
        vectors: Their embeddings; float32 (T, D).
        seen_rows: Positions among the pictures of those of seen classes.
        everything: Scores of all of these; ``rows`` are positions in ``seen_rows``.
        seen: Those of them that are not left out.
        unseen: Scores of unseen classes; None where there are none.
        changed: Scores of the changed pictures, and under an empty name those of the same products unchanged.
    """

    contender: Contender
    pictures: Pictures
    vectors: NDArray[np.float32]
    seen_rows: NDArray[np.int64]
    everything: QueryScores
    seen: QueryScores
    unseen: ClassDisjoint | None
    changed: dict[Change | str, QueryScores]

    @property
    def seen_ids(self) -> NDArray[np.str_]:
        """Product ids of all queries of seen classes; ``seen.rows`` are positions in it."""
        return self.pictures.ids[self.seen_rows]


@dataclass(frozen=True, slots=True)
class Questions:
    """What every contender is asked.

    Attributes:
        ground: Gallery and test products.
        options: What was asked for.
        left_out: Test products that are left out of the report.
        unseen: Labels that the model was not trained on and that have products enough.
    """

    ground: Ground
    options: EvaluationOptions
    left_out: frozenset[str]
    unseen: tuple[str, ...]

    def ask(self, contender: Contender, *, progress: Progress) -> Measured:
        """Ask a contender everything.

        Raises:
            EvaluationError: There is no test product to ask about.
            Cancelled: The user asked to stop.
        """
        steps = [("reading", 2), ("embedding", 2), ("scoring", 6), ("unseen classes", 4), ("changed pictures", 8)]
        reading, embedding, scoring, others, changing = Span.split(progress, [("", weight) for _, weight in steps])
        pictures = self.ground.test(contender.embedder.spec, progress=reading)
        vectors = embed(contender.embedder, pictures, progress=embedding)
        rows = self._seen_rows(pictures)
        gallery = self.ground.gallery_of(contender)
        labels = self.ground.labels[self.ground.kept]
        everything = score_queries(
            vectors[rows], pictures.labels[rows], gallery, labels, k=self.options.k, progress=scoring
        )
        seen = self._without_left_out(everything, pictures.ids[rows])
        unseen = self._ask_unseen(contender, pictures, vectors, progress=others) if self.unseen else None
        changed = self._ask_changed(contender, pictures.ids[rows], seen, progress=changing)
        return Measured(contender, pictures, vectors, rows, everything, seen, unseen, changed)

    def _seen_rows(self, pictures: Pictures) -> NDArray[np.int64]:
        keep = np.flatnonzero(self.ground.is_seen(pictures.labels))
        if not keep.size:
            name = self.ground.reader.snapshot.name
            raise EvaluationError(
                f"{name} has no product in its test split that can be used as a query.",
                next_step="Draw a test split on the Catalogue page, then train and evaluate again.",
            )
        return keep

    def _without_left_out(self, scores: QueryScores, ids: NDArray[np.str_]) -> QueryScores:
        if not self.left_out:
            return scores
        keep = ~np.isin(ids[scores.rows], sorted(self.left_out))
        if not keep.any():
            raise EvaluationError(
                "Every test product has a near duplicate in the gallery.",
                next_step="Evaluate with near duplicates, or give each group a single use on the Catalogue page.",
            )
        return scores.of(keep)

    def _ask_unseen(
        self, contender: Contender, pictures: Pictures, vectors: NDArray[np.float32], *, progress: Progress
    ) -> ClassDisjoint:
        test = np.flatnonzero(np.isin(pictures.labels, self.unseen))
        kept = self.ground.kept
        both = VectorParts((contender.gallery, vectors), np.concatenate([kept, len(contender.gallery) + test]))
        labels = np.concatenate([self.ground.labels[kept], pictures.labels[test]])
        options = self.options
        return class_disjoint(
            both, labels, self.unseen, k=options.k, seed=options.seed, most=UNSEEN_QUERIES, progress=progress
        )

    def _ask_changed(
        self, contender: Contender, ids: NDArray[np.str_], seen: QueryScores, *, progress: Progress
    ) -> dict[Change | str, QueryScores]:
        if not self.options.robustness:
            return {}
        sample = self._sample(ids[seen.rows])
        found: dict[Change | str, QueryScores] = {"": seen.of(np.isin(ids[seen.rows], sample))}
        gallery, labels = self.ground.gallery_of(contender), self.ground.labels[self.ground.kept]
        for change, span in zip(CHANGES, Span.split(progress, [(change, 1) for change in CHANGES]), strict=True):
            reading, embedding, scoring = Span.split(span, [("", 1), ("", 1), ("", 2)])
            pictures = self.ground.reader.read(
                TEST, contender.embedder.spec, progress=reading, only=tuple(sample.tolist()), change=change
            )
            vectors = embed(contender.embedder, pictures, progress=embedding)
            found[change] = score_queries(vectors, pictures.labels, gallery, labels, k=self.options.k, progress=scoring)
        return found

    def _sample(self, ids: NDArray[np.str_]) -> NDArray[np.str_]:
        rng = np.random.default_rng(self.options.seed)
        drawn: NDArray[np.str_] = np.sort(rng.permutation(np.sort(ids))[:ROBUSTNESS_QUERIES])
        return drawn

"""What a trial is judged by: validation products against train products, of labels that it learns and of those it does not.

Labels that no trial learns are held out of the train split by the sweep's seed; their train products stay in the gallery.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import ConfigurationError
from backend.evaluation.evaluate import evaluate_retrieval
from backend.progress import NullProgress
from backend.training.data import TRAIN, VALIDATION, TrainingData, feed_of, table_reader
from backend.training.detail import FITTED_ON
from backend.training.resolve import MIN_CLASSES, resolve
from backend.training.validation import K, Validator, check_alive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.evaluation.evaluate import RetrievalScores
    from backend.feeding.arrow import PixelTable
    from backend.feeding.content_cache import CacheFolder
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder
    from backend.training.config import TrainConfig
    from backend.tuning.plan import Objective
    from backend.tuning.snapshot import ChoiceSnapshot

SEEN, UNSEEN = "seen", "unseen"
_RATES = ("precision_at_1", "map_at_r")


def held_out(objective: Objective, by_label: Mapping[str, Mapping[str, int]], *, seed: int) -> tuple[str, ...]:
    """Draw the labels that no trial learns; none where the objective asks about learnt labels only.

    Args:
        objective: Says how many.
        by_label: Products by label and split, ``{label: {split: count}}``.
        seed: Of the draw.

    Raises:
        ConfigurationError: There are too few labels to keep some from learning.
    """
    if not objective.holds_out:
        return ()
    both = sorted(name for name, counts in by_label.items() if name and counts.get(TRAIN) and counts.get(VALIDATION))
    count = max(1, round(objective.unseen_share * len(both)))
    if len(both) - count < MIN_CLASSES:
        raise ConfigurationError(
            f"{len(both)} labels have train and validation products, which is too few to hold out {count}.",
            next_step="Tune for seen labels, or lower the share of held-out labels.",
        )
    chosen = np.random.default_rng(seed).permutation(len(both))[:count]
    return tuple(sorted(both[place] for place in chosen))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What trials are judged by; the same for all of a sweep.

    Attributes:
        objective: Which figure counts.
        unseen: Labels that are not learnt.
        seed: Of the draws of queries and gallery, where there are many.
    """

    objective: Objective
    unseen: tuple[str, ...]
    seed: int


def prepare_trial(
    snapshot: ChoiceSnapshot,
    config: TrainConfig,
    folder: Path,
    judgement: Judgement,
    *,
    progress: Progress,
    cache: CacheFolder | None = None,
) -> TrainingData:
    """Decode what a trial learns from and is judged by into ``folder``, which must outlive what is returned.

    Without labels held out, it is what a training of the same configuration would read. What the cache holds is not
    decoded again.

    Raises:
        ConfigurationError: What can be read of the catalogue is not enough.
        StorageFull: There is no space for the pixels.
        Cancelled: The sweep was ended.
    """
    read = table_reader(snapshot, config, progress=progress, cache=cache)
    train = read(split=TRAIN, path=folder / TRAIN)
    validation = read(split=VALIDATION, path=folder / VALIDATION)
    learnt = ~np.isin(train.labels, judgement.unseen)
    asked = ~np.isin(validation.labels, judgement.unseen)
    resolved = resolve(config, train.labels[learnt].tolist(), validation.labels[asked].tolist())
    resolved = replace(resolved, left_out=len(train.unreadable) + len(validation.unreadable))
    judge = ObjectiveValidator(train, validation, judgement)
    return TrainingData(resolved, feed_of(train, resolved), judge, _looked_at(train, learnt))


def _looked_at(train: PixelTable, learnt: NDArray[np.bool_]) -> PixelTable:
    """Leave products of labels that are not learnt out of what else a training looks at; few are looked at."""
    if learnt.all():
        return train
    rows = np.flatnonzero(learnt)
    rows = rows[np.linspace(0, len(rows) - 1, min(FITTED_ON, len(rows))).astype(np.int64)]
    return replace(train, product_ids=train.product_ids[rows], labels=train.labels[rows], pixels=train.pixels[rows])


class ObjectiveValidator(Validator):
    """Scores embedders by an objective; ``parts`` holds the figures of the last scoring, by name.

    Args:
        train: The train split, all labels of it.
        validation: The validation split, ditto.
        judgement: What counts.
    """

    def __init__(self, train: PixelTable, validation: PixelTable, judgement: Judgement) -> None:
        super().__init__(train, validation, seed=judgement.seed)
        self._judgement = judgement
        self.parts: dict[str, float] = {}

    def score(self, embedder: Embedder) -> RetrievalScores:
        """Embed queries and gallery, and score the answers; the rates are those that the objective asks for.

        Raises:
            TrainingError: All embeddings are the same, or some are not finite.
        """
        queries, gallery = (embedder.embed(part.pixels) for part in (self._queries, self._gallery))
        check_alive(np.concatenate([queries, gallery]))
        is_unseen = np.isin(self._queries.labels, self._judgement.unseen)
        groups = {SEEN: ~is_unseen, UNSEEN: is_unseen}
        scores = {
            name: evaluate_retrieval(
                queries[rows],
                self._queries.labels[rows],
                gallery,
                self._gallery.labels,
                k=K,
                progress=NullProgress(),
            )
            for name, rows in groups.items()
            if rows.any()
        }
        self.parts = {f"{name}.{rate}": getattr(found, rate) for name, found in scores.items() for rate in _RATES}
        return self._counted(scores)

    def _counted(self, scores: Mapping[str, RetrievalScores]) -> RetrievalScores:
        labels = self._judgement.objective.labels
        wanted = {SEEN, UNSEEN} if labels == "mean" else {labels}
        if not wanted <= scores.keys():
            raise ConfigurationError(
                f"No validation product of {min(wanted - scores.keys())} labels can be read, but the sweep needs them "
                "as queries.",
                next_step="Load the catalogue again, or tune for seen labels.",
            )
        if labels != "mean":
            return scores[labels]
        precision, map_at_r = (float(np.mean([getattr(s, rate) for s in scores.values()])) for rate in _RATES)
        return replace(scores[SEEN], precision_at_1=precision, map_at_r=map_at_r)

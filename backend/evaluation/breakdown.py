"""Where the answers go wrong: label by label, label against label, and query by query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.evaluation.bootstrap import estimates
from backend.evaluation.report import ConfusionCell, LabelScore, ScoreRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.evaluation.answers import AnswerTable
    from backend.evaluation.evaluate import QueryScores
    from backend.evaluation.options import EvaluationOptions
    from backend.evaluation.report import RowKind

EXAMPLES = 5  # pairs of a cell that the report itself holds; all are in the table of answers
SHOWN_QUERIES = 48


def score_row(name: str, kind: RowKind, scores: QueryScores, options: EvaluationOptions) -> ScoreRow:
    """Return the line of a table, with intervals over its queries."""
    rates = estimates(scores.rates, resamples=options.bootstrap, seed=options.seed)
    return ScoreRow(name, kind, len(scores), scores.unanswerable, scores.gallery, rates)


def label_scores(scores: QueryScores) -> tuple[LabelScore, ...]:
    """Return the scores of every label, the one with the lowest precision@1 first."""
    found = []
    for label in np.unique(scores.labels).tolist():
        mine = scores.labels == label
        means = {name: float(values[mine].mean()) for name, values in scores.rates.items()}
        del means["hit_rate_at_k"]
        found.append(LabelScore(label, int(mine.sum()), int(scores.relevant[mine][0]), **means))
    return tuple(sorted(found, key=lambda score: (score.precision_at_1, score.label)))


def confusion(answers: AnswerTable) -> tuple[ConfusionCell, ...]:
    """Count the queries by their label and that of their nearest product, cells with queries only, ordered by labels."""
    labels = np.stack([answers.labels, answers.nearest_labels], axis=1)
    pairs = np.unique(labels, axis=0) if len(labels) else labels
    cells = []
    for label, nearest in pairs.tolist():
        ids = answers.cell(label, nearest)
        shown = answers.queries(ids[:EXAMPLES])
        examples = tuple((query.product_id, query.neighbours[0].product_id) for query in shown)
        cells.append(ConfusionCell(label, nearest, len(ids), examples))
    return tuple(cells)


def worst_queries(answers: AnswerTable) -> tuple[str, ...]:
    """Return the queries with the lowest average precision; of equal ones those with the most similar nearest product."""
    order = np.lexsort((-answers.nearest_similarities, answers.rate("map_at_r")))
    return _ids(answers, order)


def confident_queries(answers: AnswerTable) -> tuple[str, ...]:
    """Return the queries whose nearest product has another label, the most similar first."""
    wrong = np.flatnonzero(answers.labels != answers.nearest_labels)
    return _ids(answers, wrong[np.argsort(-answers.nearest_similarities[wrong], kind="stable")])


def _ids(answers: AnswerTable, order: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(answers.ids[order[:SHOWN_QUERIES]].tolist())

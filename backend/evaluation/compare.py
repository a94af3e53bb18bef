"""Two models on the same queries: how far their figures are apart, and what each answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError
from backend.evaluation.answers import load_answers
from backend.evaluation.bootstrap import Estimate, estimates
from backend.evaluation.evaluate import RATES
from backend.evaluation.report import load_report

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.evaluation.answers import AnsweredNeighbour, AnsweredQuery, AnswerTable
    from backend.evaluation.report import Evaluation


@dataclass(frozen=True, slots=True)
class Difference:
    """One rate of both models on the queries that both were asked, and the second's minus the first's."""

    first: Estimate
    second: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same queries.

    Attributes:
        first, second: Names of the models.
        queries: Queries that both were asked.
        rates: By name; see ``backend.evaluation.evaluate.RATES``.
        gained: Queries that only the second answers rightly, those whose average precision rose most first.
        lost: Queries that only the first answers rightly, those whose average precision fell most first.
        both_wrong: Queries that neither answers rightly.
        notes: Sentences for the user about what is not alike.
    """

    first: str
    second: str
    queries: int
    rates: dict[str, Difference]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    both_wrong: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarkedNeighbour:
    """One answered product, and whether the other model answered it, too."""

    neighbour: AnsweredNeighbour
    is_right: bool
    is_shared: bool


def compare(
    first: Evaluation, first_answers: AnswerTable, second: Evaluation, second_answers: AnswerTable
) -> Comparison:
    """Compare two evaluated models on the queries that both were asked.

    Raises:
        EvaluationError: They were evaluated on different catalogues, or have no query in common.
    """
    if first.catalogue.name != second.catalogue.name:
        raise EvaluationError(
            f"{first.model} was evaluated on {first.catalogue.name} and {second.model} on {second.catalogue.name}.",
            next_step="Compare models of the same catalogue.",
        )
    _, mine, others = np.intersect1d(first_answers.ids, second_answers.ids, assume_unique=True, return_indices=True)
    if not mine.size:
        raise EvaluationError(
            f"{first.model} and {second.model} have no query in common.",
            next_step="Evaluate both again on the same catalogue version.",
        )
    resampling = {"resamples": first.options.bootstrap, "seed": first.options.seed}
    a = {name: first_answers.rate(name)[mine] for name in RATES}
    b = {name: second_answers.rate(name)[others] for name in RATES}
    parts = (estimates(values, **resampling) for values in (a, b, {name: b[name] - a[name] for name in RATES}))
    rates_a, rates_b, apart = parts
    change = b["map_at_r"] - a["map_at_r"]
    right_a, right_b = a["precision_at_1"] > 0, b["precision_at_1"] > 0
    ids = first_answers.ids[mine]
    return Comparison(
        first=first.model,
        second=second.model,
        queries=len(mine),
        rates={name: Difference(rates_a[name], rates_b[name], apart[name]) for name in RATES},
        gained=_ids(ids, right_b & ~right_a, -change),
        lost=_ids(ids, right_a & ~right_b, change),
        both_wrong=_ids(ids, ~right_a & ~right_b, change),
        notes=tuple(_notes(first, second, len(mine))),
    )


def marked(query: AnsweredQuery, other: AnsweredQuery) -> tuple[MarkedNeighbour, ...]:
    """Return the answers to a query, each with whether it is right and whether the other model gave it, too."""
    shared = {neighbour.product_id for neighbour in other.neighbours}
    return tuple(MarkedNeighbour(one, one.label == query.label, one.product_id in shared) for one in query.neighbours)


def compare_bundles(first: Path, second: Path) -> Comparison:
    """Compare the evaluated models of two folders.

    Raises:
        EvaluationError: One was not evaluated yet, or they cannot be compared.
    """
    return compare(*_evaluated(first), *_evaluated(second))


def _evaluated(folder: Path) -> tuple[Evaluation, AnswerTable]:
    report = load_report(folder)
    if report is None:
        raise EvaluationError(
            f"{folder.name} has not been evaluated yet.",
            next_step=f"Run `python -m backend evaluate {folder.name}` first.",
        )
    return report, load_answers(folder)


def _ids(ids: NDArray[np.str_], chosen: NDArray[np.bool_], order: NDArray[np.float64]) -> tuple[str, ...]:
    rows = np.flatnonzero(chosen)
    return tuple(ids[rows[np.argsort(order[rows], kind="stable")]].tolist())


def _notes(first: Evaluation, second: Evaluation, queries: int) -> list[str]:
    notes = []
    if first.catalogue != second.catalogue:
        notes.append(
            f"{first.model} searches version {first.catalogue.version} of {first.catalogue.name}, {second.model} "
            f"version {second.catalogue.version}: part of the difference may come from the products."
        )
    elif first.gallery != second.gallery:
        notes.append(f"The galleries differ: {first.gallery:,} products and {second.gallery:,}.")
    asked = max(first.model_row.queries, second.model_row.queries)
    if queries < asked:
        notes.append(f"Compared on the {queries:,} queries that both have, of {asked:,}.")
    if first.options.k != second.options.k:
        notes.append(f"Precision@k and hit rate@k are not comparable: k is {first.options.k} and {second.options.k}.")
    return notes

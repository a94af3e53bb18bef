"""Which fields matter: the share of the variance of the trials' figures that each explains alone.

Trials are cut into groups by the field's value, numbers into as many equal groups as there are enough trials for; the
share is omega squared of a one-way analysis of variance, which is 0 on average where a field does nothing.

Source: Hays, "Statistics for Psychologists", 1963, chapter 12 (omega squared).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.tuning.records import TrialRecord
    from backend.tuning.space import Space

FEWEST = 6  # trials, below which nothing is said
MOST_GROUPS = 4
_A_GROUP = 3  # trials, at least


def importances(space: Space, records: Sequence[TrialRecord]) -> dict[str, float]:
    """Return each field's share in [0, 1], the largest first; empty while there are too few trials."""
    valued = [record for record in records if record.state.has_value and record.value is not None]
    if len(valued) < FEWEST:
        return {}
    figures = np.array([record.value for record in valued], dtype=np.float64)
    shares = {
        name: _share(_groups([record.values[name] for record in valued], is_choice=dimension.kind == "choice"), figures)
        for name, dimension in space.dimensions.items()
    }
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _groups(values: Sequence[Any], *, is_choice: bool) -> NDArray[np.int64]:
    """Return the number of each trial's group, (N,)."""
    if is_choice or len(set(map(repr, values))) <= MOST_GROUPS:
        known = sorted(set(map(repr, values)))
        return np.array([known.index(repr(value)) for value in values], dtype=np.int64)
    count = max(min(MOST_GROUPS, len(values) // _A_GROUP), 2)
    ranks = np.argsort(np.argsort(np.array(values, dtype=np.float64), kind="stable"), kind="stable")
    groups: NDArray[np.int64] = ranks * count // len(values)
    return groups


def _share(groups: NDArray[np.int64], figures: NDArray[np.float64]) -> float:
    numbers = np.unique(groups)
    inner = len(figures) - len(numbers)
    if len(numbers) < 2 or inner < 1:
        return 0.0
    mean = figures.mean()
    parts = [figures[groups == number] for number in numbers]
    between = sum(len(part) * (part.mean() - mean) ** 2 for part in parts)
    within = sum(((part - part.mean()) ** 2).sum() for part in parts)
    noise = within / inner
    total = between + within + noise
    return float(np.clip((between - (len(numbers) - 1) * noise) / total, 0.0, 1.0)) if total > 0 else 0.0

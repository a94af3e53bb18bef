"""Successive halving without waiting: a trial asks at some epochs whether it is among the best of those that came so far.

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020, arXiv:1810.05934 (ASHA, with its early
stopping instead of promotions, so that no trial is ever put aside and taken up again).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def rungs(epochs: int, halving: int) -> tuple[int, ...]:
    """Return the epochs after which a trial of so many may be ended: 1, h, h², … below the last; none without halving."""
    found, epoch = [], 1
    while halving > 1 and epoch < epochs:
        found.append(epoch)
        epoch *= halving
    return tuple(found)


def is_hopeless(value: float, others: Sequence[float], halving: int) -> bool:
    """Tell whether a trial is not among the best 1/h of those that came to its epoch.

    Args:
        value: What it came to.
        others: What the others came to, at the same epoch.
        halving: h; of fewer than h trials, the best one goes on.
    """
    better = sum(other > value for other in others)
    return better >= max(1, (len(others) + 1) // halving)

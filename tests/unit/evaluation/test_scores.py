"""Retrieval scores on tables small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import EvaluationError
from backend.evaluation import scores

MATCHES = np.array(
    [
        [True, False, True, False],  # R = 2: found 1 of 2
        [False, True, True, True],  # R = 3: found 2 of 3
        [True, True, True, True],  # R = 4: found all
        [False, False, False, True],  # R = 1: found none
    ]
)
RELEVANT = np.array([2, 3, 4, 1])


def test_precision_at_1_looks_at_the_nearest_item_only():
    assert scores.precision_at_1(MATCHES).tolist() == [1, 0, 1, 0]


def test_precision_at_k_is_the_share_of_k():
    assert scores.precision_at_k(MATCHES, k=3).tolist() == pytest.approx([2 / 3, 2 / 3, 1, 0])


def test_hit_rate_at_k_needs_one_hit():
    assert scores.hit_rate_at_k(MATCHES, k=3).tolist() == [1, 1, 1, 0]


def test_r_precision_counts_up_to_r():
    assert scores.r_precision(MATCHES, RELEVANT).tolist() == pytest.approx([1 / 2, 2 / 3, 1, 0])


def test_map_at_r_rewards_early_matches():
    by_hand = [(1 / 1) / 2, (1 / 2 + 2 / 3) / 3, 1, 0]
    assert scores.map_at_r(MATCHES, RELEVANT).tolist() == pytest.approx(by_hand)


@pytest.mark.parametrize("k", [0, 5])
def test_k_must_lie_within_the_answer(k):
    with pytest.raises(EvaluationError, match=f"k={k}"):
        scores.precision_at_k(MATCHES, k=k)


@pytest.mark.parametrize("relevant", [[0, 1, 1, 1], [5, 1, 1, 1]])
def test_r_must_lie_within_the_answer(relevant):
    with pytest.raises(EvaluationError, match=r"R must be in 1\.\.4"):
        scores.map_at_r(MATCHES, np.array(relevant))


def test_shapes_must_agree():
    with pytest.raises(EvaluationError, match=r"\(4, 4\), \(2,\)"):
        scores.r_precision(MATCHES, np.array([1, 1]))

"""Principal directions are those of a singular value decomposition, with fixed signs."""

from __future__ import annotations

import numpy as np
import pytest

from backend.retrieval.directions import energy_and_directions, leading_directions


@pytest.fixture
def rows():
    return np.random.default_rng(2).normal(size=(200, 6)) * np.array([9.0, 5.0, 3.0, 2.0, 1.0, 0.5]) + 4.0


def test_they_are_those_of_a_singular_value_decomposition_and_their_largest_entry_is_positive(rows):
    mean = rows.mean(axis=0)
    _, lengths, expected = np.linalg.svd(rows - mean, full_matrices=False)
    directions = leading_directions(rows.T @ rows, 3, mean=mean, rows=len(rows))
    assert np.allclose(np.abs(expected[:3] @ directions), np.eye(3), atol=1e-6)
    assert (directions[np.abs(directions).argmax(axis=0), np.arange(3)] > 0).all()
    assert np.allclose(leading_directions(rows.T @ rows / len(rows), 3, mean=mean), directions)
    energies, _ = energy_and_directions((rows - mean).T @ (rows - mean))
    assert np.allclose(energies, lengths**2)


def test_no_more_are_answered_than_there_are(rows):
    directions = leading_directions(rows.T @ rows, 9)
    assert directions.shape == (6, 6)
    assert np.allclose(directions.T @ directions, np.eye(6))

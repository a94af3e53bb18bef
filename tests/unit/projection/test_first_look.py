"""Principal components are those of a singular value decomposition, up to what a sign means."""

from __future__ import annotations

import numpy as np

from backend.projection.first_look import principal_components


def test_they_are_those_of_a_singular_value_decomposition(five_kinds):
    centred = five_kinds.vectors - five_kinds.vectors.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    theirs = left * lengths
    ours = principal_components(five_kinds.vectors, 3)
    for axis in range(3):
        agreement = abs(np.corrcoef(theirs[:, axis], ours[:, axis])[0, 1])
        assert agreement > 0.9999


def test_fewer_dimensions_than_asked_for_stay_flat():
    found = principal_components(np.asarray([[1, 0], [0, 1]], dtype=np.float32), 3)
    assert found.shape == (2, 3)
    assert (found[:, 2] == 0).all()

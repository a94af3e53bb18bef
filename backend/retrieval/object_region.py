"""Where in a photo the product probably is: a guess that is offered, from how much a network sees where.

The length of the feature vectors of the last map is large over things that the network was trained to see, and small over
floors, walls and skies, whatever kind of thing it is.

Source: the activation maps of Wei et al., "Selective Convolutional Descriptor Aggregation", 2017, arXiv:1604.04994, who
keep the largest connected part above the mean; a share of the maximum cuts closer around small products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.errors import ImageRejected
from backend.imaging.pixels import decode
from backend.imaging.region import Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.retrieval.embedder import QueryEmbedder
    from backend.retrieval.recommendation import Recommendation

LEAST = 50.0  # length of a feature vector over a thing; plain grounds and noise stay below
# Share of the maximum that belongs to it, and what is left around that, as a share of the longer side. Chosen on 200 photos
# of clothes put somewhere on other grounds: cut so, 0.67 of them find their kind first, and 0.40 as they are.
_LEVEL, _MARGIN = 0.7, 0.03
_FINE = 4  # places between two cells of a map
_MOST = 0.5  # of the photo: where the product fills more of it, to cut away the rest gains nothing


def suggested(answer: Recommendation, embedder: QueryEmbedder) -> Region | None:
    """Return the part of the first picture of a question about whole pictures that shows a thing; None where none does."""
    seen = embedder.seen(decode(answer.seen_png, embedder.spec).pixels)
    return None if seen is None else region_of(seen, answer.size)


def region_of(seen: NDArray[np.float32], size: tuple[int, int]) -> Region | None:
    """Return the part of a picture that shows a thing; None where none does, or it fills the picture.

    Args:
        seen: How much a network sees in each cell, (n, n), of the picture padded to a square around its middle.
        size: Of the picture as it stands upright, (W, H).
    """
    if not np.isfinite(seen).all() or seen.max() < LEAST:
        return None
    fine = _finer(_finer(seen.astype(np.float64)).T).T
    mask = _connected(fine >= _LEVEL * fine.max(), np.unravel_index(fine.argmax(), fine.shape))
    left, right = _within(mask.any(axis=0), size[0], max(size))
    top, bottom = _within(mask.any(axis=1), size[1], max(size))
    if (right - left) * (bottom - top) > _MOST:
        return None
    try:
        found = Region(left, top, right, bottom)
        found.check(size)
    except ImageRejected:  # it lies on the padding, or is a speck
        return None
    return found


def _finer(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate between rows, (n, m) to (n x _FINE, m); beyond the outermost middles, they go on."""
    places = (np.arange(len(rows) * _FINE) + 0.5) / _FINE - 0.5
    first = np.clip(np.floor(places).astype(np.int64), 0, max(len(rows) - 2, 0))
    share = np.clip(places - first, 0.0, 1.0)[:, None]
    finer: NDArray[np.float64] = rows[first] * (1.0 - share) + rows[np.minimum(first + 1, len(rows) - 1)] * share
    return finer


def _connected(mask: NDArray[np.bool_], start: tuple[np.intp, ...]) -> NDArray[np.bool_]:
    """Return the part of a mask that hangs together with a place in it."""
    found = np.zeros_like(mask)
    found[start] = True
    while True:
        grown = found.copy()
        grown[1:] |= found[:-1]
        grown[:-1] |= found[1:]
        grown[:, 1:] |= found[:, :-1]
        grown[:, :-1] |= found[:, 1:]
        grown &= mask
        if (grown == found).all():
            return found
        found = grown


def _within(taken: NDArray[np.bool_], length: int, side: int) -> tuple[float, float]:
    """Return where what is taken of a square begins and ends, as fractions of a side of the picture inside it."""
    places = np.flatnonzero(taken)
    padding = (side - length) / 2
    ends = np.array([places[0] / len(taken) - _MARGIN, (places[-1] + 1) / len(taken) + _MARGIN])
    first, last = ((ends * side - padding) / length).clip(0.0, 1.0).tolist()
    return first, last

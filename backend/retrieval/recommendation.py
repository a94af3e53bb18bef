"""The answer to a question, as everything above gets it."""

from __future__ import annotations

from dataclasses import dataclass

from backend.catalogue.fields import Details


@dataclass(frozen=True, slots=True)
class Neighbour(Details):
    """One similar product; ``rank`` starts at 1, ``similarity`` is cosine similarity, 1 - ``distance``.

    ``probability`` is what that similarity is worth: how likely the product is of the same kind as the picture, in
    [0, 1]; None while the model is not calibrated. ``is_match`` tells whether that is enough to be called a match, which
    nothing is where the calibration reached no threshold; None while the model is not calibrated. ``hidden`` are the ids of products that are the same and are not
    shown, where that was wished for.
    """

    rank: int
    product_id: str
    label: str
    distance: float
    similarity: float
    position: int
    probability: float | None = None
    is_match: bool | None = None
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to one question.

    Attributes:
        neighbours: Nearest first, unless the question was varied or turned away from something; fewer than asked for
            where fewer items pass the filters.
        notes: Sentences for the user about what was done to the picture, or why there is no neighbour.
        seen_png: The picture as the network saw it; the first of several.
        timings_ms: ``decode`` of this picture; ``embed`` and ``search`` of all pictures asked together.
        seen_others: The further pictures of one question as the network saw them.
        has_match: Whether any neighbour is similar enough to be called a match, which none is to a picture that shows
            nothing, or where the calibration reached no threshold; None while the model is not calibrated.
    """

    neighbours: tuple[Neighbour, ...]
    notes: tuple[str, ...]
    seen_png: bytes
    timings_ms: dict[str, float]
    has_match: bool | None = None
    seen_others: tuple[bytes, ...] = ()

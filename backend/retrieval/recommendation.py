"""The answer to a question, as everything above gets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backend.catalogue.fields import Details, details_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from backend.imaging.pixels import DecodedImage
    from backend.retrieval.arrange import Shown
    from backend.retrieval.asked_again import Embedded
    from backend.retrieval.closeness import Closeness, Verdict
    from backend.retrieval.gallery.gallery import Gallery

NOTHING_SHOWN = "The picture is a uniform surface, so there is nothing to compare."
NOTHING_FITS = "No product in the gallery fits the filters."


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProduct(Details):
    """One similar product; ``rank`` starts at 1, ``similarity`` is cosine similarity, 1 - ``distance``.

    ``closeness`` is what that similarity is worth in words: ``very close``, ``close``, ``related`` or ``not close``; None
    in a gallery too small to tell. ``is_match`` tells whether it is close or very close, which nothing is where the
    calibration reached no threshold; None where ``closeness`` is. ``probability`` is how likely the product is of the same
    kind as the picture, in [0, 1], that of a product taken at random where it is not close; None while the model is not
    calibrated. ``hidden`` are the ids of products that are the same and are not shown, where that was wished for.
    ``picture`` is the place of the picture by which it was found among the ``pictures`` of the product, 0 for the first; a
    further one is named by its hash, too. ``rank_before`` is the rank without rules, None where it was not among the candidates;
    ``rules`` are the ids of the rules that moved it.
    """

    rank: int
    product_id: str
    label: str
    distance: float
    similarity: float
    probability: float | None = None
    is_match: bool | None = None
    closeness: Closeness | None = None
    hidden: tuple[str, ...] = ()
    picture: int = 0
    picture_sha256: str | None = None
    pictures: int = 1
    rank_before: int | None = None
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour(FoundProduct):
    """One similar product, by its position in the gallery."""

    position: int


def neighbours_of(
    gallery: Gallery, shown: Sequence[Shown], distances: NDArray[np.float32], worth: Sequence[Verdict]
) -> tuple[Neighbour, ...]:
    """Put together what is said of the products of an answer, in their order."""
    items = gallery.items([one.position for one in shown])
    return tuple(
        Neighbour(
            rank=rank,
            product_id=item.product_id,
            label=item.label,
            distance=distance,
            similarity=1.0 - distance,
            **details_of(item),
            position=item.position,
            probability=verdict.probability,
            is_match=verdict.is_match,
            closeness=verdict.closeness,
            hidden=tuple(other.product_id for other in gallery.items(one.hidden)),
            picture=one.picture.place,
            picture_sha256=one.picture.sha256,
            pictures=one.picture.count,
            rank_before=one.before if one.is_ruled else rank,
            rules=one.rules,
        )
        for rank, (item, one, distance, verdict) in enumerate(
            zip(items, shown, distances.tolist(), worth, strict=True), 1
        )
    )


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to one question.

    Attributes:
        neighbours: Nearest first, unless the question was varied or turned away from something; fewer than asked for
            where fewer items pass the filters.
        notes: Sentences for the user about what was done to the picture, or why there is no neighbour.
        seen_png: The picture as the network saw it; the first of several.
        timings_ms: ``decode`` of this picture; ``embed`` and ``search`` of all pictures asked together.
        size: Of the first picture as it stands upright, (W, H).
        seen_others: The further pictures of one question as the network saw them.
        has_match: Whether any neighbour is a match, which none is to a picture that shows nothing; None where that is not
            known of any.
        embedded: What the network made of the pictures, so that the question can be answered again without them.
        touching: Ids of the rules that are for this answer, also those that moved nothing in it, but for rules of every answer.
    """

    neighbours: tuple[Neighbour, ...]
    notes: tuple[str, ...]
    seen_png: bytes
    timings_ms: dict[str, float]
    has_match: bool | None = None
    seen_others: tuple[bytes, ...] = ()
    size: tuple[int, int] = (0, 0)
    embedded: Embedded | None = field(default=None, repr=False, compare=False)
    touching: tuple[str, ...] = ()


def recommendation_of(
    neighbours: tuple[Neighbour, ...],
    images: Sequence[DecodedImage],
    timings_ms: dict[str, float],
    embedded: Embedded,
    *,
    is_empty: bool,
) -> Recommendation:
    """Put an answer together; ``is_empty`` says that there is nothing on the pictures that were asked about."""
    notes = dict.fromkeys(note for image in images for note in image.notes)
    said = (*notes, *([NOTHING_SHOWN] if is_empty else []), *([] if neighbours else [NOTHING_FITS]))
    seen, *others = (image.to_png() for image in images)
    size = images[0].info.upright
    return Recommendation(neighbours, said, seen, timings_ms, any_match(neighbours), tuple(others), size, embedded)


def any_match(neighbours: Sequence[Neighbour]) -> bool | None:
    """Tell whether any product is a match; None where that is not known of any."""
    verdicts = {neighbour.is_match for neighbour in neighbours} - {None}
    return any(verdicts) if verdicts else None

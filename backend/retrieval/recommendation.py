"""The answer to a question, as everything above gets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.catalogue.fields import Details, details_of

if TYPE_CHECKING:
    from backend.retrieval.closeness import Closeness, Verdict
    from backend.retrieval.gallery.gallery import GalleryItem


@dataclass(frozen=True, slots=True)
class Neighbour(Details):
    """One similar product; ``rank`` starts at 1, ``similarity`` is cosine similarity, 1 - ``distance``.

    ``closeness`` is what that similarity is worth in words: ``very close``, ``close``, ``related`` or ``not close``; None
    in a gallery too small to tell. ``is_match`` tells whether it is close or very close, which nothing is where the
    calibration reached no threshold; None where ``closeness`` is. ``probability`` is how likely the product is of the same
    kind as the picture, in [0, 1], that of a product taken at random where it is not close; None while the model is not
    calibrated. ``hidden`` are the ids of products that are the same and are not shown, where that was wished for.
    ``picture`` is the place of the picture by which it was found among those of the product, 0 for the first; a further
    one is named by its hash, too.
    """

    rank: int
    product_id: str
    label: str
    distance: float
    similarity: float
    position: int
    probability: float | None = None
    is_match: bool | None = None
    closeness: Closeness | None = None
    hidden: tuple[str, ...] = ()
    picture: int = 0
    picture_sha256: str | None = None


def neighbour_of(
    rank: int,
    item: GalleryItem,
    hidden: tuple[str, ...],
    distance: float,
    worth: Verdict,
    picture: tuple[int, str | None],
) -> Neighbour:
    """Put together what is said of one product; its fields are those of :class:`Neighbour`."""
    return Neighbour(
        rank=rank,
        product_id=item.product_id,
        label=item.label,
        distance=distance,
        similarity=1.0 - distance,
        **details_of(item),
        position=item.position,
        probability=worth.probability,
        is_match=worth.is_match,
        closeness=worth.closeness,
        hidden=hidden,
        picture=picture[0],
        picture_sha256=picture[1],
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
    """

    neighbours: tuple[Neighbour, ...]
    notes: tuple[str, ...]
    seen_png: bytes
    timings_ms: dict[str, float]
    has_match: bool | None = None
    seen_others: tuple[bytes, ...] = ()
    size: tuple[int, int] = (0, 0)

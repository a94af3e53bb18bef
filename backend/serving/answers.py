"""What the endpoint answers, as its client hands it on; and neighbour pictures back to pixels."""

from __future__ import annotations

import base64
import binascii
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from backend.catalogue.items import GALLERY_SPLITS
from backend.errors import EndpointRejected
from backend.retrieval.recommendation import FoundProduct

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.imaging.region import Region
    from backend.retrieval.closeness import Closeness

NOTHING_CLOSE = "Nothing close: no product looks similar enough. These are the nearest ones."
NOT_CLOSE: Closeness = "not close"
_FLOAT_HEX = 8  # hex digits of a float32
_HEX_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerNeighbour(FoundProduct):
    """One similar product with the picture that was found, PNG or WEBP.

    It is the first picture where a model's index was made by an earlier version.
    """

    image: bytes


@dataclass(frozen=True, slots=True)
class RulesUsed:
    """The rules that an answer was made by: their version and SHA-256, and the time they were in force for (ISO).

    ``touching`` are the ids of those that are for the answer; None from an endpoint of an earlier version.
    """

    version: int
    digest: str
    at: str
    touching: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question, and which model gave it.

    Attributes:
        neighbours: Nearest first, unless variety was asked for, or something to stay away from.
        seen: The picture as the network saw it, PNG; the first of several.
        seen_others: The further pictures of the question, as the network saw them.
        notes: Sentences for the user about the picture or the filters.
        model_name, model_version, model: Registered model, its version, and the name of its bundle.
        catalogue, catalogue_version, gallery_size: What was searched; a refreshed index is of a newer version than the
            one that was trained on.
        splits: The catalogue's splits that are searched; an index of an earlier version of Twinset lacks the test split.
        timings_ms: decode, embed, search, and total in the endpoint.
        match: Whether any neighbour is a match; None where that is not known.
        suggested_region: The part of the photo that shows the product, by a guess; None without one.
        rules: The rules that it was made by; None where they were off.
    """

    neighbours: tuple[AnswerNeighbour, ...]
    seen: bytes
    notes: tuple[str, ...]
    model_name: str
    model_version: int
    model: str
    catalogue: str
    catalogue_version: int
    gallery_size: int
    timings_ms: dict[str, float]
    match: bool | None = None
    seen_others: tuple[bytes, ...] = ()
    splits: tuple[str, ...] = GALLERY_SPLITS
    suggested_region: Region | None = None
    rules: RulesUsed | None = None

    @property
    def has_nothing_close(self) -> bool:
        """Whether there are neighbours and none of them is close, or related at least."""
        return {neighbour.closeness for neighbour in self.neighbours} == {NOT_CLOSE}

    @property
    def has_labels(self) -> bool:
        """Whether any neighbour has a label."""
        return any(neighbour.label for neighbour in self.neighbours)


@dataclass(frozen=True, slots=True)
class InvokedRow:
    """One row of an answer in MLflow's protocol; ``image`` is empty, base64 PNG or hex as asked for.

    A picture that cannot be used has one row of rank 0, with the reason as ``error``, and without a product.
    """

    query_row: int
    rank: int
    product_id: str
    label: str
    distance: float | None
    similarity: float | None
    image: str = ""
    error: str = ""


def decode_response_image(text: str, *, shape: tuple[int, int, int] | None = None) -> NDArray[np.uint8]:
    """Turn a neighbour's ``image`` of MLflow's protocol back into pixels, uint8 (H, W, C).

    Args:
        text: Base64 PNG, or the hex of float32 pixels in [0, 1], as asked for with ``include_images``.
        shape: (H, W, C) of a hex image; a square of 1 or 3 channels when left out.

    Raises:
        EndpointRejected: The text is neither, or has not as many pixels as the shape.
    """
    if len(text) % _FLOAT_HEX == 0 and text and _HEX_DIGITS.issuperset(text):
        return _from_hex(text, shape)
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG",)) as image:
            pixels = np.asarray(image.convert("L" if image.mode == "L" else "RGB"), dtype=np.uint8)
    except (binascii.Error, OSError, ValueError, SyntaxError) as error:
        raise _unreadable("It is neither base64 PNG nor hex.") from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _from_hex(text: str, shape: tuple[int, int, int] | None) -> NDArray[np.uint8]:
    values = np.frombuffer(bytes.fromhex(text), dtype="<f4")
    shape = shape or _square(values.size)
    if values.size != math.prod(shape):
        raise _unreadable(f"It has {values.size} values, which does not fit {shape}.")
    if not np.all((values >= 0) & (values <= 1)):
        raise _unreadable("Its values are not in [0, 1].")
    pixels: NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return pixels.reshape(shape)


def _square(values: int) -> tuple[int, int, int]:
    for channels in (1, 3):
        side = math.isqrt(values // channels)
        if side * side * channels == values:
            return (side, side, channels)
    raise _unreadable(f"Its {values} values do not form a square picture; give the shape.")


def _unreadable(why: str) -> EndpointRejected:
    return EndpointRejected(f"The picture in the answer cannot be read. {why}", code="bad_answer", status=502)

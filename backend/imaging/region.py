"""The part of a picture that a question is about."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from backend.errors import ImageRejected
from backend.imaging.refusals import MIN_SIDE

if TYPE_CHECKING:
    from collections.abc import Iterable

_EDGES = 4
_DIGITS = 4  # of a fraction as it is written: a pixel of a picture of 10,000


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a picture as it is upright: edges as fractions of its width and height, from the upper left corner.

    Raises:
        ImageRejected: The edges are not fractions in order; ``code`` is ``bad_region``.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.left < self.right <= 1.0 and 0.0 <= self.top < self.bottom <= 1.0):
            raise _no_region()

    @classmethod
    def read(cls, text: object) -> Region | None:
        """Read a region as it is written, ``left,top,right,bottom``; None where nothing is.

        Raises:
            ImageRejected: The text is none; ``code`` is ``bad_region``.
        """
        if not isinstance(text, str):
            raise _no_region()
        return cls.of(text.split(",")) if text else None

    @classmethod
    def of(cls, edges: Iterable[object]) -> Region:
        """Return the region with these edges: numbers, or texts of numbers.

        Raises:
            ImageRejected: They are not four numbers, or no fractions in order; ``code`` is ``bad_region``.
        """
        try:
            found = [float(edge) for edge in edges]  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError) as error:
            raise _no_region() from error
        if len(found) != _EDGES:
            raise _no_region()
        return cls(*found)

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return astuple(self)

    @property
    def shorter(self) -> float:
        """The smaller of its width and height, as a fraction of the picture's."""
        return min(self.right - self.left, self.bottom - self.top)

    def __str__(self) -> str:
        """Return the region as :meth:`read` understands it."""
        return ",".join(f"{round(edge, _DIGITS):g}" for edge in self.edges)

    def box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return the pixels, (left, top, right, bottom), of an upright picture, (W, H): one at least each way."""
        left, right = _span(self.left, self.right, size[0])
        top, bottom = _span(self.top, self.bottom, size[1])
        return left, top, right, bottom

    def check(self, size: tuple[int, int]) -> None:
        """Refuse a region that is too small a part of an upright picture, (W, H), to show anything.

        Raises:
            ImageRejected: It is; ``code`` is ``too_small``.
        """
        left, top, right, bottom = self.box(size)
        if min(right - left, bottom - top) < MIN_SIDE:
            raise ImageRejected(
                f"The chosen part of the picture is only {right - left} x {bottom - top} pixels.",
                code="too_small",
                next_step=f"Choose a part of at least {MIN_SIDE} x {MIN_SIDE} pixels.",
            )


def _span(start: float, end: float, length: int) -> tuple[int, int]:
    first = min(math.floor(start * length), length - 1)
    return first, max(first + 1, min(math.ceil(end * length), length))


def _no_region() -> ImageRejected:
    return ImageRejected(
        "region is not four fractions of the picture's width and height.",
        code="bad_region",
        next_step="Write left,top,right,bottom, each from 0 to 1, for example region=0.1,0.2,0.9,0.8.",
    )

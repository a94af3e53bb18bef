"""What a model sees, as data: no pixels here, so that pages, requests and workers can name it without numpy or Pillow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Background = Literal["dark", "light", "any"]
# The number of the pixel contract: one more whenever the same bytes and spec are turned into other pixels than before. What
# was embedded under another number is embedded anew. 2: colour photos are never inverted, profiles are taken to sRGB.
# 3: pictures of more than 4 million pixels are averaged down while they are read.
CONTRACT = 3


@dataclass(frozen=True, slots=True)
class PixelSpec:
    """What a model sees: size, colour mode, and the background its gallery is photographed on.

    ``background`` is ``dark`` for a light garment on black (Fashion-MNIST), ``light`` for a shop's white, and ``any``
    where pictures are left as they are. It matters to a network in grey only: pictures without colours, however they
    are stored, are inverted where they are on the other ground; a photo in colour never is.
    """

    height: int
    width: int
    channels: Literal[1, 3]
    background: Background = "any"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (self.height, self.width, self.channels)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the header of an accepted picture says; ``is_turned`` that it lies on its side."""

    format: str
    width: int
    height: int
    channels: int
    frames: int
    is_turned: bool = False

    @property
    def upright(self) -> tuple[int, int]:
        """(W, H) of the picture as it stands upright."""
        return (self.height, self.width) if self.is_turned else (self.width, self.height)

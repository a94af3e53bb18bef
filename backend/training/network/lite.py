"""The networks with ready-made weights, as data: nothing here needs TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend.bundles.colours import COLOURS

__all__ = ["COLOURS", "LITE", "Lite", "LiteName"]

LiteName = Literal["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]


@dataclass(frozen=True, slots=True)
class Lite:
    """How an EfficientNet-Lite is scaled, and the side of the pictures that its weights were trained on, in pixels."""

    side: int
    width: float
    depth: float


LITE: dict[LiteName, Lite] = {
    "efficientnet-lite0": Lite(224, 1.0, 1.0),
    "efficientnet-lite1": Lite(240, 1.0, 1.1),
    "efficientnet-lite2": Lite(260, 1.1, 1.2),
}

"""What the network will see: products of the catalogue through the pixel contract, and as augmentation changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app import words
from app.services import training_checks
from backend.errors import ImageRejected
from backend.feeding.augment import augment
from backend.imaging import pixels as imaging

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.training.config import TrainConfig

PRODUCTS = 4
VERSIONS = 6
SIDE = 96  # pixels on the screen that a picture should fill
GAP = 6
_PAPER = 255


def show(catalogue: str, version: int, config: TrainConfig) -> None:
    """Show a few products, each in a row: as the network sees it, then as it is changed while it learns."""
    with st.expander("What the network will see", icon=":material/visibility:"):
        products = training_checks.learnt_from(catalogue, version, PRODUCTS)
        pictures, shown = [], []
        for product in products:
            try:
                pictures.append(imaging.decode(product.image, config.pixels).pixels)
            except ImageRejected:  # one that no training could read either
                continue
            shown.append(words.plain(words.label(product.label)))
        if not pictures:
            st.caption("None of the sampled products has a readable picture.")
            return
        sheet = contact_sheet(np.stack(pictures), config)
        st.image(imaging.encode_png(sheet), caption=f"From the top: {', '.join(shown)}")
        st.caption(_explained(config))


def contact_sheet(pixels: NDArray[np.uint8], config: TrainConfig) -> NDArray[np.uint8]:
    """Lay out pictures (N, H, W, C): one row each, unchanged in the first column; pixels are shown enlarged, not blurred."""
    columns = [pixels]
    if config.augmentation != "none":
        rng = np.random.default_rng(config.seed)
        columns += [augment(pixels, config.augmentation, rng) for _ in range(VERSIONS)]
    enlarged = max(1, round(SIDE / config.height))
    cells = np.stack(columns, axis=1).repeat(enlarged, axis=2).repeat(enlarged, axis=3)  # (N, V, H, W, C)
    spaced = np.pad(cells, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=_PAPER)
    rows, versions, height, width, channels = spaced.shape
    sheet: NDArray[np.uint8] = spaced.swapaxes(1, 2).reshape(rows * height, versions * width, channels)
    return sheet


def _explained(config: TrainConfig) -> str:
    seen = f"The network sees each at {config.width} x {config.height} pixels."
    if config.augmentation == "none":
        return f"{seen} Pictures are not changed during training."
    return f"{seen} The first of each row is the original; the others are examples of how it is changed."

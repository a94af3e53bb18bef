"""The ready-made network sees a product on a wide ground where it is, and nothing on a photo without an object."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from backend.imaging.pixels import decode
from backend.retrieval.object_region import region_of
from backend.sample.shop import draw, sample_products
from backend.training.embedder import NetworkEmbedder
from backend.training.network.lite_weights import load_lite_weights
from backend.training.network.network import build_network
from backend.training.presets import READY_MADE
from tests.fixtures.endpoint import encoded

pytestmark = [pytest.mark.tf, pytest.mark.slow]
SIZE, SIDE = (600, 420), 200


@pytest.fixture(scope="module")
def embedder():
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    prepare_tensorflow(2)
    prepare_similarity()
    model = build_network(READY_MADE)
    load_lite_weights(model, READY_MADE.backbone)
    found = NetworkEmbedder(model, READY_MADE.pixels)
    found.quicken(1)
    return found


def guessed(embedder, photo):
    return region_of(embedder.seen(decode(encoded(photo), embedder.spec).pixels), photo.size)


@pytest.mark.parametrize("corner", [(40, 60), (300, 180)])
def test_a_product_on_a_wide_ground_is_framed(embedder, corner):
    left, top = (place / length for place, length in zip(corner, SIZE, strict=True))
    right, bottom = left + SIDE / SIZE[0], top + SIDE / SIZE[1]
    for product in sample_products(24)[::4]:
        drawn = Image.open(io.BytesIO(draw(product))).convert("RGB").resize((SIDE, SIDE))
        photo = Image.new("RGB", SIZE, drawn.getpixel((0, 0)))
        photo.paste(drawn, corner)
        found = guessed(embedder, photo)
        across = min(found.right, right) - max(found.left, left)
        down = min(found.bottom, bottom) - max(found.top, top)
        assert across * down > 0.7 * (right - left) * (bottom - top), product
        assert (found.right - found.left) * (found.bottom - found.top) <= 0.5


def test_a_photo_without_an_object_has_no_region(embedder):
    rng = np.random.default_rng(3)
    ramp = np.broadcast_to(np.linspace(30, 220, SIZE[0])[None, :, None], (SIZE[1], SIZE[0], 3))
    stripes = np.broadcast_to((np.arange(SIZE[0]) // 12 % 2 * 120 + 80)[None, :, None], ramp.shape)
    photos = [Image.new("RGB", SIZE, colour) for colour in ("white", "grey", "navy", "black")]
    photos += [Image.fromarray(plain.astype(np.uint8)) for plain in (ramp, stripes, rng.integers(0, 256, ramp.shape))]
    assert [guessed(embedder, photo) for photo in photos] == [None] * len(photos)

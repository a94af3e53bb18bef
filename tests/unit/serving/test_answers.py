"""A neighbour's picture in MLflow's protocol comes back as the pixels that it was made of."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from backend.errors import EndpointRejected
from backend.imaging import pixels as imaging
from backend.serving.client import decode_response_image


def random_pixels(*shape):
    return np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)


def as_hex(pixels):
    return imaging.to_float(pixels).tobytes().hex()


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28, 3), (9, 16, 1)])
def test_hex_and_png_give_back_the_same_pixels(shape):
    pixels = random_pixels(*shape)
    np.testing.assert_array_equal(decode_response_image(as_hex(pixels), shape=shape), pixels)
    png = base64.b64encode(imaging.encode_png(pixels)).decode()
    np.testing.assert_array_equal(decode_response_image(png), pixels)


def test_a_square_needs_no_shape():
    """An RGB picture is one picture of three channels, not three pictures."""
    assert decode_response_image(as_hex(random_pixels(28, 28, 1))).shape == (28, 28, 1)
    assert decode_response_image(as_hex(random_pixels(28, 28, 3))).shape == (28, 28, 3)


@pytest.mark.parametrize(
    ("text", "shape", "says"),
    [
        ("", None, "neither"),
        ("not an image", None, "neither"),
        (base64.b64encode(b"GIF89a").decode(), None, "neither"),
        (as_hex(random_pixels(5, 4, 1)), None, "not form a square"),
        (as_hex(random_pixels(4, 4, 1)), (5, 5, 1), "16 values"),
        (np.full(16, 1.5, dtype=np.float32).tobytes().hex(), None, r"not in \[0, 1\]"),
        (np.full(16, np.nan, dtype=np.float32).tobytes().hex(), None, r"not in \[0, 1\]"),
    ],
)
def test_what_is_no_picture_is_said_as_such(text, shape, says):
    with pytest.raises(EndpointRejected, match=says):
        decode_response_image(text, shape=shape)

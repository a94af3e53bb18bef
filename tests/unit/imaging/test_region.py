"""The part of a picture that counts: any four numbers are a crop of at least one pixel, or refused in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backend.errors import ImageRejected
from backend.imaging.pixels import decode
from backend.imaging.region import Region
from backend.imaging.spec import PixelSpec
from tests.support.hostile_pictures import encoded

COLOUR = PixelSpec(32, 32, 3)
QUARTERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
EDGES = {
    "upper left": (0.0, 0.0, 0.5, 0.5),
    "upper right": (0.5, 0.0, 1.0, 0.5),
    "lower left": (0.0, 0.5, 0.5, 1.0),
    "lower right": (0.5, 0.5, 1.0, 1.0),
}

# How a camera lays down an upright picture that it then says to turn so.
LAID = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def quarters(width, height):
    """A picture of four colours: upper left, upper right, lower left, lower right."""
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0], pixels[0, 1], pixels[1, 0], pixels[1, 1] = QUARTERS
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)


def colour(data, edges):
    return decode(data, COLOUR, region=Region(*edges)).pixels[4:-4, 4:-4].reshape(-1, 3).mean(axis=0)


def outcome(call):
    """What a call returns, or the code of its refusal."""
    try:
        return call()
    except ImageRejected as error:
        return error.code


@given(st.tuples(*[st.floats()] * 4), st.tuples(*[st.integers(1, 70_000)] * 2))
def test_any_four_numbers_are_a_crop_or_refused(edges, size):
    found = outcome(lambda: Region(*edges).box(size))
    if found == "bad_region":
        return
    left, top, right, bottom = found
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]


@given(st.tuples(*[st.floats(0, 1)] * 4).map(lambda edges: (*sorted(edges[::2]), *sorted(edges[1::2]))))
def test_any_region_of_a_picture_is_pixels_or_refused(edges):
    left, right, top, bottom = edges
    data = encoded(quarters(40, 24), "PNG")
    found = outcome(lambda: decode(data, COLOUR, region=Region(left, top, right, bottom)).pixels.shape)
    assert found in ("bad_region", "too_small", COLOUR.shape)


@given(st.one_of(st.text(max_size=30), st.integers(), st.none(), st.lists(st.floats(), max_size=5)))
def test_any_text_is_a_region_or_refused(text):
    found = outcome(lambda: Region.read(text))
    assert found in ("bad_region", None) or isinstance(found, Region)


def test_a_region_is_written_as_it_is_read():
    assert Region.read("0.1,0.25,0.9,1") == Region(0.1, 0.25, 0.9, 1.0)
    assert str(Region(1 / 3, 0.0, 0.5, 1.0)) == "0.3333,0,0.5,1"
    assert Region.read("") is None


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "HEIF"])
def test_each_quarter_shows_its_own_colour(kind, name):
    data = encoded(quarters(64, 48), kind, quality=95)
    expected = QUARTERS[list(EDGES).index(name)]
    assert np.abs(colour(data, EDGES[name]) - expected).max() < 30


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_region_is_of_the_picture_as_it_stands_upright(orientation):
    upright = quarters(48, 64)
    stored = upright.transpose(LAID[orientation]) if orientation in LAID else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "JPEG", quality=95, exif=exif)
    for expected, edges in zip(QUARTERS, EDGES.values(), strict=True):
        assert np.abs(colour(data, edges) - expected).max() < 40


def test_a_small_part_of_a_large_photo_is_as_sharp_as_a_photo_of_it():
    rng = np.random.default_rng(5)
    coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
    scene = coarse.resize((3_200, 2_400), Image.Resampling.NEAREST)
    edges = (0.5, 0.5, 0.6, 0.6)
    part = scene.crop(Region(*edges).box(scene.size))
    for kind, options in (("JPEG", {"quality": 95, "subsampling": 0}), ("WEBP", {"quality": 95, "method": 0})):
        found = decode(encoded(scene, kind, **options), COLOUR, region=Region(*edges)).pixels.astype(int)
        assert np.abs(found - decode(encoded(part, "PNG"), COLOUR).pixels).mean() < 12, kind


def test_too_small_a_part_is_refused_in_words():
    with pytest.raises(ImageRejected, match="chosen part of the picture is only 4 x 24 pixels") as caught:
        decode(encoded(quarters(40, 24), "PNG"), COLOUR, region=Region(0.0, 0.0, 0.1, 1.0))
    assert caught.value.code == "too_small"

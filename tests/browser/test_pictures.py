"""Pictures of any shape as they are painted: whole, undistorted and as large as their frame allows, in every grid."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.fixtures.base import settings_for
from tests.support.browsing import app_running
from tests.support.pages import expect_pictures
from tests.ui.conftest import add_version, shop_row, write_catalogue

pytestmark = pytest.mark.browser
SHAPES = {"b001": (300, 400), "b002": (400, 300), "b003": (120, 360)}  # 3:4, 4:3 and 1:3
RED = (200, 20, 20)
NEAR = 2.0  # pixels: edges are blended


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """The app over a shop with a portrait, a landscape and a strip, each one colour to its edges."""
    settings = settings_for(tmp_path_factory.mktemp("shapes") / "home")
    write_catalogue(settings, "shop")
    add_version(settings, "shop", *(shop_row(name, image=one_colour(size)) for name, size in SHAPES.items()))
    with app_running(settings) as (address, _):
        yield address


def one_colour(size):
    file = io.BytesIO()
    Image.new("RGB", size, RED).save(file, "JPEG")
    return file.getvalue()


def painted(element):
    """Width and height of what is red of an element on the screen, and the element's own, in pixels."""
    pixels = np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB")).astype(int)
    red = np.abs(pixels - RED).max(axis=2) < 60
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    return (columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1), (pixels.shape[1], pixels.shape[0])


@pytest.mark.parametrize("product", SHAPES)
@pytest.mark.parametrize("grid", ["view=Products", "view=Changes"], ids=["a card", "two versions beside each other"])
def test_a_picture_of_any_shape_is_painted_whole_and_fills_its_frame(page, shapes, product, grid):
    page.goto(f"{shapes}/catalogue?{grid}")
    card = page.locator(f"ol.grid > li[data-product-id={product}]")
    frame = card.locator(".frame").last
    frame.scroll_into_view_if_needed()
    expect_pictures(frame.locator("img"))
    frame.evaluate("frame => frame.closest('.card').querySelectorAll('.rank, .badges').forEach(it => it.remove())")
    (width, height), (frame_width, frame_height) = painted(frame)
    wide, high = SHAPES[product]
    scale = min(frame_width / wide, frame_height / high)
    assert abs(frame_width - frame_height) <= NEAR
    assert abs(width - wide * scale) <= NEAR
    assert abs(height - high * scale) <= NEAR
    box, outer = frame.locator("img").bounding_box(), frame.bounding_box()
    assert [round(box[side] - outer[side]) for side in ("x", "y", "width", "height")] == [0, 0, 0, 0]

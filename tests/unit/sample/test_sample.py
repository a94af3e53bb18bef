"""The built-in sample catalogue: the same everywhere, balanced, plausible, and drawn as a shop would show it."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from backend.imaging import pixels as imaging
from backend.imaging.spec import PixelSpec
from backend.sample.drawing.canvas import SIDE, Canvas, Pose, box, spline, symmetric
from backend.sample.drawing.dice import Dice
from backend.sample.drawing.patterns import PATTERNS, Fabric, weave
from backend.sample.names import BRANDS, PATTERN_WORDS
from backend.sample.range import PALETTE, PARTNERS
from backend.sample.shop import ARTISTS, KINDS, draw, sample_products

PRODUCTS = sample_products()
BY_LABEL = {kind.label: [product for product in PRODUCTS if product.label == kind.label] for kind in KINDS}


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture(scope="module")
def pictures() -> dict[str, list[np.ndarray]]:
    """Two pictures of every kind, uint8 (H, W, 3)."""
    return {label: [_pixels(draw(product)) for product in products[:2]] for label, products in BY_LABEL.items()}


# ------------------------------------------------------------------------------------------------------- the list


def test_there_are_enough_products_of_enough_kinds():
    assert len(PRODUCTS) >= 1440
    assert len(KINDS) >= 14
    assert set(ARTISTS) == {kind.label for kind in KINDS}


def test_ids_are_unique_and_sort_in_the_order_of_the_list():
    ids = [product.product_id for product in PRODUCTS]
    assert ids[0] == "tw-0001"
    assert all(first < second for first, second in pairwise(ids))


def test_labels_are_balanced_and_a_fifth_of_each_is_for_testing():
    assert len(set(Counter(product.label for product in PRODUCTS).values())) == 1
    for products in BY_LABEL.values():
        share = Counter(product.split for product in products)
        assert share == {"train": len(products) * 4 // 5, "test": len(products) // 5}


def test_a_shorter_list_is_the_beginning_of_the_longer_one():
    assert sample_products(100) == PRODUCTS[:100]
    assert sample_products(0) == []


def test_every_column_is_plausible():
    for product in PRODUCTS:
        assert re.fullmatch(r"[A-Z].+ in [a-z ]+", product.title), product.title
        assert product.brand in BRANDS
        assert product.colour in PALETTE or product.colour == "natural"
        assert 10 <= product.price <= 600
        assert round(product.price % 1, 2) in {0.0, 0.5, 0.9, 0.95}
        assert 0 <= product.stock <= 60


def test_some_products_are_sold_out_but_few():
    sold_out = sum(product.stock == 0 for product in PRODUCTS)
    assert 0.03 < sold_out / len(PRODUCTS) < 0.12


def test_coats_cost_more_than_t_shirts():
    average = {label: np.mean([product.price for product in products]) for label, products in BY_LABEL.items()}
    assert average["Coat"] > 3 * average["T-shirt"]


def test_titles_name_pattern_and_colour():
    for product in PRODUCTS:
        word = PATTERN_WORDS.get(product.look.fabric.pattern)
        assert word is None or product.title.startswith(word)
        assert product.colour.removeprefix("denim ") in product.title


def test_the_range_uses_all_its_styles_colours_and_brands():
    for kind in KINDS:
        assert {product.look.style for product in BY_LABEL[kind.label]} == {style.name for style in kind.styles}
    assert {product.brand for product in PRODUCTS} == set(BRANDS)
    assert len({product.colour for product in PRODUCTS}) >= 25


def test_every_colour_and_pattern_that_is_named_exists():
    assert set(PARTNERS) == set(PALETTE)
    assert {partner for partners in PARTNERS.values() for partner in partners} <= set(PALETTE)
    for kind in KINDS:
        assert set(kind.colours) <= set(PALETTE)
        assert {*kind.patterns, *(name for style in kind.styles for name in style.patterns)} <= set(PATTERNS)


def test_products_travel_to_other_processes():
    assert pickle.loads(pickle.dumps(PRODUCTS[:40])) == PRODUCTS[:40]


# --------------------------------------------------------------------------------------------------- the pictures


def test_a_fresh_process_draws_the_same_bytes_in_another_order():
    chosen = [0, 5, 250, 901, 1439]
    program = (
        "import hashlib; from backend.sample.shop import draw, sample_products; products = sample_products();"
        f"print(*[hashlib.sha256(draw(products[i])).hexdigest() for i in {chosen[::-1]}])"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    here = [hashlib.sha256(draw(PRODUCTS[i])).hexdigest() for i in chosen[::-1]]
    assert other.stdout.split() == here


@pytest.mark.slow
def test_every_style_and_every_print_is_drawn_as_an_accepted_picture():
    seen = {}
    for product in PRODUCTS:
        seen.setdefault((product.label, product.look.style, product.look.print_motif), product)
    for product in seen.values():
        info = imaging.verify(draw(product))
        assert (info.format, info.width, info.height, info.channels, info.frames) == ("PNG", SIDE, SIDE, 3, 1)


def test_pictures_are_small_files():
    sizes = [len(draw(product)) for product in PRODUCTS[:: len(PRODUCTS) // 20]]
    assert np.mean(sizes) < 14_000
    assert max(sizes) < 40_000


@pytest.mark.parametrize("step", [61, pytest.param(13, marks=pytest.mark.slow)])
def test_the_background_is_light_all_around_and_nothing_is_cut_off(step):
    for product in PRODUCTS[::step]:
        pixels = _pixels(draw(product))
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert border.min() > 190, product.product_id
        assert np.median(border) > 230


def test_a_product_fills_a_fair_part_of_its_picture(pictures):
    for label, images in pictures.items():
        for pixels in images:
            away = np.abs(pixels.astype(int) - np.median(pixels[:2].reshape(-1, 3), axis=0)).max(axis=2) > 24
            rows, columns = np.flatnonzero(away.any(axis=1)), np.flatnonzero(away.any(axis=0))
            assert max(np.ptp(rows), np.ptp(columns)) > 0.45 * SIDE, label
            assert 0.03 < away.mean() < 0.7, label


def test_no_two_products_share_a_picture(pictures):
    drawn = [pixels.tobytes() for images in pictures.values() for pixels in images]
    assert len(set(drawn)) == len(drawn)
    for label, images in pictures.items():
        for first, second in pairwise(images):
            assert np.abs(first.astype(int) - second).mean() > 2, label


def test_the_shop_is_in_colour(pictures):
    saturated = [np.ptp(pixels.astype(int), axis=2).max() > 60 for images in pictures.values() for pixels in images]
    assert np.mean(saturated) > 0.7


def test_the_model_sees_the_products_on_light_ground():
    spec = PixelSpec(height=64, width=64, channels=3, background="light")
    for product in PRODUCTS[: len(KINDS)]:
        decoded = imaging.decode(draw(product), spec)
        assert decoded.notes == ()
        assert decoded.pixels.shape == (64, 64, 3)


# ---------------------------------------------------------------------------------------------------- the workshop


def test_dice_answer_by_name_and_seed_alone():
    dice = Dice("a")
    before = dice.unit("x")
    dice.unit("y")
    assert dice.unit("x") == before == Dice("a").unit("x")
    assert len({Dice("a").unit("x"), Dice("b").unit("x"), Dice("a").unit("y")}) == 3
    assert before == pytest.approx(0.957387, abs=1e-6)  # blake2b-64 of b"a/x", big-endian, over 2**64


def test_dice_are_fair():
    draws = [Dice(str(i)).unit("x") for i in range(2000)]
    assert np.mean(draws) == pytest.approx(0.5, abs=0.03)
    assert {Dice(str(i)).pick("x", "abc") for i in range(50)} == set("abc")


def test_splines_pass_through_their_points_and_symmetry_mirrors():
    knots = [(0.0, 0.0), (0.5, 1.0), (1.0, 0.0)]
    line = spline(knots, steps=4)
    assert line.shape == (9, 2)
    np.testing.assert_allclose(line[::4], knots, atol=1e-12)
    half = symmetric([(0.0, -1.0), (0.3, 0.2), (0.0, 1.0)])
    np.testing.assert_allclose(half, half[::-1] * [-1, 1])


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_patterns_colour_every_thread_from_their_own_palette(pattern):
    v, u = np.mgrid[-0.6:0.6:60j, -0.6:0.6:60j]
    cloth = weave(Fabric(pattern, (200, 40, 40), (250, 250, 250), (20, 20, 90)), u, v)
    assert cloth.shape == (60, 60, 3)
    assert cloth.dtype == np.uint8
    colours = len(np.unique(cloth.reshape(-1, 3), axis=0))
    assert colours == 1 if pattern == "plain" else 2 <= colours <= 6


@pytest.mark.parametrize(("mirrored", "side"), [(False, 1), (True, -1)])
def test_a_pose_places_and_mirrors_a_part(mirrored, side):
    canvas = Canvas(Pose(mirrored=mirrored))
    canvas.part(box(0.2, -0.3, 0.6, 0.3), Fabric("plain", (180, 30, 30)), relief=0.0)
    pixels = _pixels(canvas.finish(standing=False)).astype(int)
    red = np.argwhere(pixels[..., 0] - pixels[..., 1] > 80)
    assert red.mean(axis=0) == pytest.approx([SIDE / 2, SIDE / 2 + side * 36], abs=2)

"""Measures, flags, histograms and filters of a catalogue's products, on pictures that are as they should be and not."""

from __future__ import annotations

import io
from dataclasses import astuple

import deltalake
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from backend.catalogue.items import QUALITY
from backend.catalogue.quality.measures import measure
from backend.catalogue.quality.view import FLAGS, MEASURES, QualityRules, QualityTable, open_quality
from backend.catalogue.schemas import QUALITY_SCHEMA
from backend.catalogue.sources.built_in import SampleSource
from backend.errors import CatalogueError


def quality_rows(hashes, measures):
    columns = zip(*map(astuple, measures), strict=True) if measures else [[]] * 5
    return pa.table([list(hashes), *map(list, columns)], schema=QUALITY_SCHEMA)


def product_rows(hashes, sizes=None):
    count = len(hashes)
    sizes = sizes or [(400, 500)] * count
    return pa.table(
        {
            "product_id": [f"p{at:05d}" for at in range(count)],
            "image_sha256": pa.array(hashes, pa.string()),
            "label": ["Coat"] * count,
            "split": ["train"] * count,
            "width": pa.array([width for width, _ in sizes], pa.int32()),
            "height": pa.array([height for _, height in sizes], pa.int32()),
        }
    )


def table_of(pictures, rules=None):
    """The quality of products with these pictures."""
    buffers = [io.BytesIO() for _ in pictures]
    for picture, buffer in zip(pictures, buffers, strict=True):
        picture.save(buffer, format="PNG")
    hashes = [f"{at:064d}" for at in range(len(pictures))]
    measures = [measure(buffer.getvalue()) for buffer in buffers]
    sizes = [picture.size for picture in pictures]
    return QualityTable(product_rows(hashes, sizes), quality_rows(hashes, measures), rules or QualityRules())


def numbered(*, brightness=0.5, contrast=0.2, sharpness=0.02, entropy=7.0, sizes=None):
    """A table from lists of numbers, one product a number; what is one number is the same for all."""
    given = {"brightness": brightness, "contrast": contrast, "sharpness": sharpness, "entropy": entropy}
    count = max([len(sizes or ()), *(len(values) for values in given.values() if isinstance(values, list))])
    hashes = [f"{at:064d}" for at in range(count)]
    columns = [values if isinstance(values, list) else [values] * count for values in given.values()]
    quality = pa.table([hashes, *columns, ["00"] * count], schema=QUALITY_SCHEMA)
    return QualityTable(product_rows(hashes, sizes), quality)


def flagged(table, flag):
    return table.flags()[flag].tolist()


def garment(ground, cloth, *, side=200, seed=0):
    """A coat with buttons and a weave, on plain ground."""
    image = Image.new("L", (side, side), ground)
    pen = ImageDraw.Draw(image)
    pen.polygon([(side * x // 10, side * y // 10) for x, y in ((3, 1), (7, 1), (9, 8), (1, 8))], fill=cloth)
    for row in range(2, 8):
        pen.line((side // 2, side * row // 10, side // 2 + 2, side * row // 10 + 6), fill=ground, width=2)
    noise = np.random.default_rng(seed).normal(0, 5, (side, side))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def drawn():
    """60 drawn products on a light ground."""
    source = SampleSource(60)
    (batch,) = source.entries().combine_chunks().to_batches()
    return [Image.open(io.BytesIO(data)).convert("RGB") for data in source.read(batch)]


# ---------------------------------------------------------------------------------------------- flags


def test_good_pictures_are_not_flagged(drawn):
    """But for one in white on the light ground, which is hard to see indeed."""
    assert table_of(drawn).flag_counts() == {**dict.fromkeys(FLAGS, 0), "bright": 1}


def test_products_on_white_are_not_bright_and_products_on_black_not_dark():
    """The same coats, light on black and dark on white, and a tiny one on a wide ground of each."""
    on_black = [garment(0, cloth) for cloth in (120, 180, 240)]
    on_white = [garment(255, cloth) for cloth in (15, 75, 135)]
    tiny = []
    for ground, cloth in ((0, 200), (255, 55)):
        wide = Image.new("L", (400, 400), ground)
        wide.paste(garment(ground, cloth, side=60), (170, 170))
        tiny.append(wide)
    counts = table_of([*on_black, *on_white, *tiny]).flag_counts()
    assert (counts["dark"], counts["bright"]) == (0, 0)


CANARIES = {
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(4)),
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.2),
    "bright": lambda image: Image.blend(image, Image.new("RGB", image.size, "white"), 0.85),
    "low_information": lambda image: Image.new("RGB", image.size, image.getpixel((0, 0))),
    "odd_aspect": lambda image: image.resize((image.width, image.height // 3)),
    "odd_size": lambda image: image.resize((20, 20)),
}


@pytest.mark.parametrize("flag", FLAGS)
def test_canaries_are_caught_and_the_others_are_not(drawn, flag):
    canaries = [CANARIES[flag](image) for image in drawn[:10]]
    table = table_of([*drawn[10:], *canaries])
    found = table.flags()[flag]
    assert found[: len(drawn) - 10].sum() <= (flag == "bright")  # the one in white on the light ground
    assert found[len(drawn) - 10 :].mean() >= 0.9


def test_a_picture_of_one_grey_says_nothing_but_is_not_blurred():
    table = table_of([Image.new("L", (100, 100), shade) for shade in (0, 128, 255)])
    assert flagged(table, "low_information") == [True] * 3
    assert flagged(table, "blurred") == [False] * 3
    assert flagged(table, "dark") == [True, False, False]
    assert flagged(table, "bright") == [False, False, True]


def test_noise_on_one_grey_says_nothing_either():
    noise = np.random.default_rng(0).normal(128, 3, (64, 64)).astype(np.uint8)
    assert flagged(table_of([Image.fromarray(noise)]), "low_information") == [True]


def test_blur_is_judged_by_what_is_usual_in_the_catalogue_too():
    """Among pictures of few pixels, whose edges are steep, 0.01 is blurred; among photos it is not."""
    assert flagged(numbered(sharpness=[0.16, 0.2, 0.01, 0.15], contrast=0.35), "blurred") == [False, False, True, False]
    assert flagged(numbered(sharpness=[0.016, 0.02, 0.01, 0.003]), "blurred") == [False, False, False, True]


def test_a_dark_picture_is_not_called_blurred_for_its_small_contrast():
    table = numbered(sharpness=[0.02, 0.02, 0.002], contrast=[0.2, 0.2, 0.05], brightness=[0.5, 0.5, 0.1])
    assert flagged(table, "blurred") == [False] * 3
    assert flagged(table, "dark") == [False, False, True]


def test_odd_shapes_and_sizes_are_told_by_the_sides_alone():
    sizes = [(400, 500)] * 6 + [(500, 1300), (1300, 500), (20, 20), (1700, 2100), (90, 110), (500, 1250)]
    hashes = [f"{at:064d}" for at in range(len(sizes))]
    table = QualityTable(product_rows(hashes, sizes), QUALITY_SCHEMA.empty_table())
    assert np.flatnonzero(table.flags()["odd_aspect"]).tolist() == [6, 7]
    assert np.flatnonzero(table.flags()["odd_size"]).tolist() == [8, 9, 10]
    assert table.values("aspect")[6] == pytest.approx(2.6)
    assert table.values("megapixels")[0] == pytest.approx(0.2)


def test_a_catalogue_of_small_pictures_is_not_odd_for_it():
    assert not any(flagged(numbered(sizes=[(28, 28)] * 5), "odd_size"))


def test_rules_can_be_others():
    pictures = [garment(255, 60)]
    assert table_of(pictures).flag_counts()["dark"] == 0
    assert table_of(pictures, QualityRules(dark_below=0.99)).flag_counts()["dark"] == 1


# ---------------------------------------------------------------------------------------------- what is not measured


def test_products_that_are_not_measured_are_counted_and_neither_flagged_nor_in_a_range():
    known = numbered(brightness=[0.1, 0.5], contrast=0.05)
    hashes = ["0" * 63 + "1", "f" * 64, "0" * 64, "0" * 64]
    table = QualityTable(product_rows(hashes), known.quality)
    assert (len(table), table.measured, table.missing) == (4, 3, 1)
    assert table.is_measured.tolist() == [True, False, True, True]
    assert table.values("brightness") == pytest.approx([0.5, np.nan, 0.1, 0.1], nan_ok=True)
    assert flagged(table, "dark") == [False, False, True, True]
    assert table.select({"brightness": (0.0, 1.0)}) == ("p00000", "p00002", "p00003")
    assert sum(table.histogram("brightness")[1]) == 3


def test_a_catalogue_without_the_table_quality_is_not_measured(tmp_path):
    class Shop:
        def columns(self, names):
            return product_rows(["0" * 64, "1" * 64]).select(names)

    table = open_quality(Shop(), tmp_path)
    assert (table.measured, table.missing) == (0, 2)
    assert table.flag_counts() == dict.fromkeys(FLAGS, 0)
    edges, counts = table.histogram("sharpness", bins=4)
    assert (edges.tolist(), counts.tolist()) == ([0, 0.25, 0.5, 0.75, 1], [0, 0, 0, 0])
    rows = numbered(brightness=[0.25]).quality
    deltalake.write_deltalake(tmp_path / QUALITY, rows)
    deltalake.write_deltalake(tmp_path / QUALITY, rows.slice(0, 0), mode="append")
    assert open_quality(Shop(), tmp_path).values("brightness")[0] == 0.25


def test_an_empty_catalogue_has_a_quality_too():
    table = QualityTable(product_rows([]), QUALITY_SCHEMA.empty_table())
    assert (len(table), table.missing, table.select()) == (0, 0, ())
    assert table.flag_counts() == dict.fromkeys(FLAGS, 0)


# ---------------------------------------------------------------------------------------------- histograms, filters


def test_a_histogram_counts_every_measured_product():
    table = numbered(brightness=[0.0, 0.1, 0.2, 0.9, 1.0], contrast=0.0)
    edges, counts = table.histogram("brightness", bins=4)
    assert edges.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert counts.tolist() == [3, 0, 0, 2]
    for measured in MEASURES:
        edges, counts = table.histogram(measured, bins=7)
        assert (edges.shape, counts.shape, counts.sum()) == ((8,), (7,), 5)


def test_ranges_narrow_and_flags_widen():
    table = numbered(brightness=[0.05, 0.1, 0.5, 0.5, 0.95], contrast=0.05, entropy=[7, 1, 7, 1, 7])
    assert table.select() == tuple(table.product_ids)
    assert table.select({"brightness": (0.1, 0.5)}) == ("p00001", "p00002", "p00003")
    assert table.select({"brightness": (0.1, 0.5), "entropy": (2, 8)}) == ("p00002",)
    assert table.select(flags=["dark"]) == ("p00000", "p00001")
    assert table.select(flags=["dark", "low_information"]) == ("p00000", "p00001", "p00003")
    assert table.select({"entropy": (0, 2)}, ["dark"]) == ("p00001",)
    assert table.matching({"entropy": (0, 2)}).tolist() == [False, True, False, True, False]


def test_what_is_not_a_measure_or_a_flag_is_named():
    table = numbered(brightness=[0.5])
    with pytest.raises(CatalogueError, match="no measure 'beauty'"):
        table.histogram("beauty")
    with pytest.raises(CatalogueError, match="no measure 'beauty'"):
        table.select({"beauty": (0, 1)})
    with pytest.raises(CatalogueError, match="no flag 'ugly'"):
        table.select(flags=["ugly"])


@pytest.mark.slow
def test_sixty_thousand_products_in_another_order_keep_their_own_measures():
    rng = np.random.default_rng(3)
    hashes = [f"{number:064x}" for number in rng.permutation(60_000)]
    values = [rng.random(60_000).astype(np.float32) for _ in range(4)]
    quality = pa.table([hashes, *values, ["00"] * 60_000], schema=QUALITY_SCHEMA)
    products = product_rows(hashes).take(pa.array(rng.permutation(60_000)))
    table = QualityTable(products, quality)
    of_hash = dict(zip(hashes, values[0], strict=True))
    expected = [of_hash[found] for found in products["image_sha256"].to_pylist()]
    np.testing.assert_array_equal(table.values("brightness").astype(np.float32), np.asarray(expected))
    inside = sum(0.25 <= value <= 0.75 for value in expected)
    assert len(table.select({"brightness": (0.25, 0.75)})) == inside
    assert all(table.histogram(measured)[1].sum() == 60_000 for measured in ("brightness", "contrast"))

"""The quality of pictures: measures, flags, duplicates and leaks, on real Delta tables."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from app.components.catalogue import quality_charts
from tests.ui.conftest import add_version, assert_calm, grid, press, shop_row, texts, write_quality

PREFIX = "quality-shop-5-1"


def dark_picture() -> bytes:
    """A picture of hardly any light, with a gradient in it."""
    buffer = io.BytesIO()
    Image.fromarray(np.linspace(0, 40, 32 * 32).reshape(32, 32).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def judged(screen, shop_catalogue):
    """The shop at version 5 with measured pictures: a dark one, and two products with one picture in two splits."""
    twin = shop_row("b001", product_id="twin", split="train")
    add_version(screen.settings, "shop", shop_row("c003", image=dark_picture()), twin)
    write_quality(screen.settings, "shop")
    return screen


def quality(screen, **address: str):
    return screen.open("catalogue", view="Quality", **address)


def duplicates(screen, **address: str):
    return quality(screen, **address).segmented_control(key="quality_view").select("Duplicates").run()


# ------------------------------------------------------------------------------------------------- measuring


def test_pictures_that_are_not_measured_are_measured_by_a_job(screen, shop_catalogue):
    test = quality(screen)
    assert_calm(test)
    assert "The pictures of this version have not been measured yet" in texts(test)
    press(test, "Measure the pictures")
    (job,) = screen.runner.list()
    assert (job.kind, job.request) == ("quality", {"catalogue": "shop"})


def test_products_are_shown_although_nothing_is_measured(screen, shop_catalogue):
    test = quality(screen)
    assert not test.get("plotly_chart")  # all of one size, and nothing else is known
    assert len(grid(test)) == 24


def test_what_is_missing_is_counted(screen, shop_catalogue):
    write_quality(screen.settings, "shop", leave_out=("b001", "b002"))
    test = quality(screen)
    assert "2 pictures are not measured yet" in texts(test)
    assert len(test.get("plotly_chart")) == 4


def test_an_older_version_is_not_measured(screen, shop_catalogue):
    test = quality(screen, version="2")
    assert "Pictures can only be measured in the newest version" in texts(test)
    assert "Measure the pictures" not in [button.label for button in test.button]


def test_a_damaged_table_of_measures_is_said_as_such(judged):
    for path in (judged.settings.catalogues_dir / "shop" / "quality" / "_delta_log").glob("*.json"):
        path.write_text("not a log")
    test = quality(judged)
    assert not test.exception
    assert "cannot be read" in test.error[0].value


# ------------------------------------------------------------------------------------------------- measures and flags


def test_every_measure_is_drawn_and_has_a_slider(judged):
    test = quality(judged)
    assert_calm(test)
    assert len(test.get("plotly_chart")) == len(test.slider) == 4  # all are squares of one size
    assert [slider.label for slider in test.slider] == [
        "Range of brightness",
        "Range of contrast",
        "Range of sharpness",
        "Range of detail",
    ]
    assert "61 products" in texts(test)


def test_a_range_filters_the_products(judged):
    test = quality(judged)
    slider = test.slider(key=f"{PREFIX}-brightness")
    slider.set_range(slider.min, slider.min + 5 * slider.step).run()
    assert_calm(test)
    assert [card["id"] for card in grid(test)] == ["c003"]


def test_ranges_that_no_product_lies_in_say_so(judged):
    test = quality(judged)
    brightness, contrast = test.slider(key=f"{PREFIX}-brightness"), test.slider(key=f"{PREFIX}-contrast")
    brightness.set_range(brightness.min, brightness.min + brightness.step)
    contrast.set_range(contrast.max - contrast.step, contrast.max).run()
    assert_calm(test)
    assert "No product fits all of these ranges" in texts(test)


def test_flags_are_counted_filter_and_are_marked(judged):
    test = quality(judged)
    (flags,) = test.pills
    assert "Dark · 1" in flags.options
    flags.select("dark").run()
    assert [card["id"] for card in grid(test)] == ["c003"]
    assert "Dark" in grid(test)[0]["badges"]


def test_bars_outside_the_range_are_faded():
    figure = quality_charts.histogram([0.0, 1.0, 2.0, 3.0], [4, 5, 6], chosen=(1.2, 2.0))
    (bars,) = figure.data
    assert list(bars.x) == [0.5, 1.5, 2.5]
    assert list(bars.y) == [4, 5, 6]
    assert list(bars.marker.opacity) == [quality_charts.FADED, 1.0, quality_charts.FADED]


def test_label_bars_stand_in_the_order_of_their_length_and_only_the_largest_of_very_many():
    figure = quality_charts.label_bars({"a": 1, "b": 5, "": 2})
    assert list(figure.data[0].y) == ["a", "No label", "b"]
    many = quality_charts.label_bars({f"label {at}": at for at in range(99)})
    assert len(many.data[0].y) == 40
    assert "the 40 largest of 99" in many.layout.title.text


# ------------------------------------------------------------------------------------------------- duplicates


def test_equal_pictures_are_shown_side_by_side_with_their_splits(judged):
    test = duplicates(judged)
    assert_calm(test)
    cards = grid(test)
    assert [(card["id"], card["badges"], card["group"]) for card in cards] == [
        ("b001", ["Final check"], "Group 1: 2 products"),
        ("twin", ["Learning"], "Group 1: 2 products"),
    ]


def test_leaks_are_a_warning_and_are_mended_by_a_job(judged):
    test = duplicates(judged)
    assert "1 group is used both for learning and for a check" in test.warning[0].value
    press(test, "Give each group a single use")
    (job,) = judged.runner.list()
    assert job.kind == "splits"
    assert {"catalogue": "shop", "action": "mend", "near": True}.items() <= job.request.items()


def test_groups_are_told_apart_by_how_they_are_alike(judged):
    test = duplicates(judged)
    (kinds,) = test.pills
    assert kinds.options[:2] == ["Used in several ways · 1", "Same picture · 1"]
    kinds.select("exact").run()
    assert {card["id"] for card in grid(test)} == {"b001", "twin"}


def test_without_measures_equal_pictures_are_found_all_the_same(screen, shop_catalogue):
    add_version(screen.settings, "shop", shop_row("b001", product_id="twin"))
    test = duplicates(screen)
    assert_calm(test)
    assert "appear here once they are measured" in texts(test)
    assert {card["id"] for card in grid(test)} == {"b001", "twin"}
    assert not test.warning


def test_large_groups_are_shown_in_part(screen, shop_catalogue):
    copies = (shop_row("b001", product_id=f"copy-{number:02d}") for number in range(20))
    add_version(screen.settings, "shop", *copies)
    cards = grid(duplicates(screen))
    assert len(cards) == 12
    assert cards[0]["group"] == "Group 1: 21 products, first 12 shown"


def test_a_catalogue_without_duplicates_says_so(screen, shop_catalogue):
    assert "No duplicate pictures found" in texts(duplicates(screen))


def test_duplicates_are_not_looked_for_in_an_older_version(judged):
    assert "Duplicates are only shown for the newest version" in texts(duplicates(judged, version="4"))

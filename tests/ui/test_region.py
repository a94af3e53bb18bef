"""The part of the photo that counts, on the page Find similar."""

from __future__ import annotations

import pytest
from PIL import Image

from app.components.search import state
from tests.fixtures.endpoint import encoded, picture
from tests.ui.conftest import assert_calm, grid, press, sent_to, texts
from tests.ui.test_recommend import upload


def pair():
    """A photo of two products: checks on the left, a blob on the right."""
    both = Image.new("L", (32, 16))
    both.paste(picture("checks", 3))
    both.paste(picture("blob", 5), (16, 0))
    return encoded(both)


@pytest.fixture
def asked(screen, shop_endpoint):
    """The page with an answer about a photo of two products."""
    return upload(screen.open(k="4"), pair())


def ids(test, position=0):
    return [card["id"] for card in grid(test, position)]


def test_a_chosen_part_is_asked_about_and_the_whole_photo_again_without_it(asked):
    whole = ids(asked)
    assert sent_to(asked, "region")["region"] is None
    asked.query_params[state.REGION] = "0,0,0.5,1"
    test = asked.run()
    assert_calm(test)
    assert ids(test)[0] == "c017"
    assert sent_to(test, "region")["region"] == [0, 0, 0.5, 1]
    test.query_params[state.REGION] = "0.5,0,1,1"
    assert ids(test.run())[0] == "b015"
    del test.query_params[state.REGION]
    assert ids(test.run()) == whole


def test_both_answers_are_shown_side_by_side(asked):
    whole = ids(asked)
    asked.query_params[state.REGION] = "0,0,0.5,1"
    test = asked.run()
    part = ids(test)
    test.toggle(key="compare").set_value(True).run()
    assert_calm(test)
    assert (ids(test, 0), ids(test, 1)) == (part, whole)
    assert "**Chosen part**" in texts(test)
    assert "**Whole photo**" in texts(test)


def test_a_link_names_the_part_and_the_comparison(screen, shop_endpoint):
    test = screen.open(product="b017", k="3", region="0.1,0,1,0.9", compare="true")
    assert_calm(test)
    assert sent_to(test, "region")["region"] == [0.1, 0, 1, 0.9]
    assert len(grid(test, 0)) == len(grid(test, 1)) == 3


@pytest.mark.parametrize("region", ["all of it", "0,0,2,2", "0.9,0,0.1,1", "nan,0,1,1"])
def test_a_link_that_names_no_part_is_about_the_whole_photo(screen, shop_endpoint, region):
    test = screen.open(product="b017", k="3", region=region)
    assert_calm(test)
    assert ids(test)[0] == "b017"


def test_the_part_with_the_product_is_offered_and_never_forced(screen, shop_endpoint):
    test = upload(screen.open(k="3"), encoded(picture("blob", 5).resize((64, 64))))
    assert_calm(test)
    assert state.REGION not in test.query_params
    test = press(test, "Crop to the product")
    assert_calm(test)
    left, top, right, bottom = sent_to(test, "region")["region"]
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    assert "Crop to the product" not in [button.label for button in test.button]


def test_a_photo_without_anything_on_it_has_nothing_to_offer(screen, shop_endpoint):
    test = upload(screen.open(), encoded(Image.new("L", (60, 80), 128)))
    assert_calm(test)
    assert "Crop to the product" not in [button.label for button in test.button]


def test_a_part_of_a_few_pixels_is_a_sentence(screen, shop_endpoint):
    test = screen.open(product="b017", region="0,0,0.1,0.1")
    assert "The chosen part of the picture is only 2 x 2 pixels." in test.error[0].value


def test_another_question_is_about_all_of_it(asked):
    asked.query_params[state.REGION] = "0,0,0.5,1"
    test = upload(asked.run(), encoded(picture("checks", 3)))
    assert state.REGION not in test.query_params
    test.query_params[state.REGION] = "0,0,0.5,1"
    assert state.REGION not in press(test.run(), "Start again").query_params


def test_an_answer_about_a_part_is_not_offered_for_approval(asked):
    assert "Approve this answer" in [button.label for button in asked.button]
    asked.query_params[state.REGION] = "0,0,0.5,1"
    assert "Approve this answer" not in [button.label for button in asked.run().button]


def test_a_photo_that_cannot_be_read_is_not_shown(screen, shop_endpoint):
    test = upload(screen.open(), b"no picture")
    assert sent_to(test, "src")["src"] == ""
    assert "not a PNG" in test.error[0].value

"""The story: three acts and an end, for one visit only, and nothing that the shop has is changed by it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace

import pytest

from app.components.story import bar, state
from app.services import common, story
from backend.evaluation.report import load_report
from backend.merchandising.draft import Draft, Drafts
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.recommend import Recommender
from backend.retrieval.rules.rule import Rule
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.endpoint import encoded, http_to, load_projection, picture, served, shop_rows
from tests.ui.conftest import assert_calm, grid, press, sent_to, texts, write_catalogue
from tests.ui.test_shop_words import assert_plain

PHOTO = encoded(picture("checks", 3))


def opened(screen):
    """The story with the answer of act one."""
    test = screen.open("story").file_uploader[0].upload("photo.png", PHOTO, "image/png").run()
    assert_calm(test)
    return test


def turned(test, act, **visit):
    """The same window in another act, after what the visitor did."""
    test.query_params["act"] = str(act)
    for name, value in visit.items():
        setattr(test.session_state["note_story_visit"], name, value)
    test.run()
    assert_plain(test)
    return test


def ids(test, position=0):
    return [card["id"] for card in grid(test, position)]


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "tokens-used" not in path.name)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_three_acts_and_an_end_change_nothing_of_the_shops(screen, shop_endpoint, shop_model):
    store = RuleStore(screen.settings.rules_dir, "shop")
    store.publish([Rule("first", "pin", products=("b003",), slot=2)], base=0, by="Ada")
    drafts = Drafts(store)
    drafts.save(Draft("Ada", store.newest(), (Rule("mine", "block", products=("b004",)),)))
    before = contents(screen.settings.home)
    test = opened(screen)
    found = ids(test)
    assert (len(found), found[0], found[1]) == (story.SHOWN, "c017", "b003")
    assert "The most similar of 60 products" in texts(test)
    test = turned(test, state.TRUST)
    assert "### Very close" in texts(test)
    assert "Not measured yet" in texts(test)
    assert [card["title"] for card in grid(test)] == ["A car", "A mountain lake", "A house"]
    turned(test, state.TRUST, strange="car")
    assert "Nothing close" in texts(test) or "This one it did not refuse" in texts(test)
    turned(test, state.CHANGE)
    assert (ids(test), ids(test, 1)) == (found[:1], found[1:])
    turned(test, state.CHANGE, pinned=found[5])
    assert ids(test) == found
    # The published pin keeps its place.
    assert ids(test, 1) == [found[5], "b003", found[0], *found[2:5], *found[6:]]
    assert grid(test, 1)[0]["moved"] == "Pinned"
    assert [card["id"] for card in grid(test) if card["moved"]] == [found[5]]
    figure = story.counting(common.serving()).result(60)
    said = texts(turned(test, state.END)).replace("\\", "")
    assert f"# {figure.number} of {figure.of}" in said
    assert "sold-out products have an in-stock twin within 15 % of the price" in said
    assert "Counted in the catalogue shop, version 4" in texts(test)
    assert contents(screen.settings.home) == before


def test_the_product_of_an_example_is_not_among_its_own_answer(screen, shop_endpoint, shop_model):
    test = screen.open("story")
    examples = grid(test)
    assert len(examples) == 6
    assert {card["id"][0] for card in examples[:3]} == {"b", "c", "s"}, "all labels first"
    product = common.product("shop", 4, examples[0]["id"])
    turned(test, state.FIND, asked=state.Asked(product.image, product.product_id))
    assert len(ids(test)) == story.SHOWN
    assert product.product_id not in ids(test)
    assert [card["rank"] for card in grid(test)] == list("12345678")


def test_every_visit_begins_anew(screen, shop_endpoint, shop_model):
    test = turned(opened(screen), state.CHANGE, pinned="b003")
    assert test.session_state["note_story_visit"].pinned
    test.switch_page("../pages/rules.py").run()
    test.switch_page("../pages/story.py")
    test.query_params["act"] = "3"  # as the browser's Back has it
    test.run()
    assert "Use a photo of your own" in texts(test)
    assert test.session_state["note_story_visit"] == state.Visit()
    other = screen.open("story", act="3")  # a reload is a new session
    assert "Use a photo of your own" in texts(other)
    again = opened(screen)
    again.query_params.pop("act")  # a click on the page's own link
    assert "Use a photo of your own" in texts(again.run())


def test_acts_without_a_photo_lead_to_act_one(screen, shop_endpoint, shop_model):
    test = turned(screen.open("story"), state.TRUST)
    assert "Choose a photo first" in texts(test)
    assert "Use a photo of your own" in texts(press(test, "Choose a photo"))


def test_a_file_that_is_no_photo_is_a_sentence_and_another_can_be_chosen(screen, shop_endpoint, shop_model):
    test = screen.open("story").file_uploader[0].upload("photo.png", b"this is no picture", "image/png").run()
    assert not test.exception
    assert "This is not a PNG" in test.error[0].value
    assert_calm(press(test, "Another photo"))


def test_an_endpoint_that_goes_away_is_said_and_the_visit_goes_on(screen, shop_endpoint, shop_model):
    test = turned(opened(screen), state.TRUST)
    screen.settings = replace(screen.settings, endpoint_url="http://127.0.0.1:9")
    common.serving.clear()
    common.status_client.clear()
    test.run()
    assert_calm(test)
    assert "is not running" in texts(test)
    screen.settings = replace(screen.settings, endpoint_url=shop_endpoint)
    common.status_client.clear()
    assert "How sure it is" in texts(press(test, "Try again")), "the visit goes on"


def test_the_notes_are_those_of_the_act_in_the_address_and_begin_no_visit(screen):
    test = screen.open("story", notes="1", act="2")
    assert_calm(test)
    assert sent_to(test, "notes") == {
        "act": 2,
        "titles": list(bar.TITLES.values()),
        "notes": [list(bar.NOTES[act]) for act in state.ACTS],
    }
    assert "note_story_visit" not in test.session_state


@pytest.mark.parametrize("wrong", ["", "0", "-3", "99", "two", "٣", "1e9"])
def test_an_act_that_is_none_is_one_that_there_is(screen, wrong):
    test = screen.open("story", notes="1", act=wrong)
    assert sent_to(test, "notes")["act"] in state.ACTS


def test_what_was_measured_is_said_with_its_interval(screen, evaluated_home):
    for part in ("models", "catalogues"):
        shutil.copytree(evaluated_home.home / part, screen.settings.home / part)
    ensure_app_token(screen.settings)
    recommender = Recommender.load(screen.settings.models_dir / "large", embedder_loader=load_projection)
    with http_to(build_app(screen.settings, load=lambda: served(recommender))) as client:
        screen.settings = replace(screen.settings, endpoint_url=str(client.base_url).rstrip("/"))
        test = turned(opened(screen), state.TRUST)
    rate = load_report(evaluated_home.models_dir / "large").model_row.rates["precision_at_1"]
    assert f"{rate.value * 100:.0f} of 100" in texts(test)
    assert f"between {rate.low * 100:.0f} and {rate.high * 100:.0f}" in texts(test)


def test_without_anything_sold_out_all_products_are_counted(screen, shop_endpoint, shop_model):
    in_stock = [{**row, "stock": 3} for row in shop_rows()]
    shutil.rmtree(screen.settings.catalogues_dir / "shop")
    write_catalogue(screen.settings, "shop", in_stock)
    figure = story.counting(common.serving()).result(60)
    assert (figure.of, figure.says) == (60, "products have a twin: a close match that could take their place")
    assert 0 < figure.number <= 60


def test_products_on_another_machine_are_not_counted(screen, shop_endpoint, shop_catalogue):
    assert "on another machine" in texts(turned(screen.open("story"), state.END))


def test_a_pin_moves_one_product_and_beats_a_published_one_only_at_its_place(screen, shop_endpoint, shop_model):
    RuleStore(screen.settings.rules_dir, "shop").publish(
        [Rule("top", "pin", products=("b003",), slot=1)], base=0, by="Ada"
    )
    found = story.answer(PHOTO)
    before = [one.product_id for one in found.neighbours]
    assert before[0] == "b003"
    for name in before:
        after = story.pinned(found, name)
        assert [one.product_id for one in after] == [name, *(one for one in before if one != name)]
        assert [one.rank for one in after] == [*range(1, story.SHOWN + 1)]

"""A link holds the whole question: what is set comes back from the address as it was, whatever text it is."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlencode

import pytest
import streamlit as st
from hypothesis import given, settings
from hypothesis import strategies as hyp
from streamlit.runtime.state.query_params import QueryParams

from app import state
from app.components.search import state as question
from app.services import deploy
from backend.merchandising.rule_store import RuleStore
from backend.registry.golden import golden_queries
from backend.retrieval.filters import FLAG_FILTERS, NUMBER_FILTERS, TEXT_FILTERS, check_filters
from backend.retrieval.rules.rule import Rule
from tests.fixtures.endpoint import encoded, picture
from tests.ui.conftest import assert_calm, grid, grid_data, press, sent_to, texts
from tests.ui.test_recommend import upload

PHOTO = encoded(picture("checks", 3))
HASH = hashlib.sha256(PHOTO).hexdigest()
TEXT = hyp.text(hyp.characters(exclude_categories=["Cs"]), max_size=30)
FILTERS = hyp.fixed_dictionaries(
    {},
    optional={
        **{name: hyp.lists(TEXT, min_size=1, max_size=4, unique=True) for name in TEXT_FILTERS},
        **{name: hyp.floats(allow_nan=False, allow_infinity=False) for name in NUMBER_FILTERS},
        **{name: hyp.booleans() for name in FLAG_FILTERS},
    },
)
HASHES = hyp.text("0123456789abcdef", min_size=64, max_size=64)
WEIGHTS = hyp.dictionaries(HASHES, hyp.sampled_from([0.5, 1.0, 2.0]), max_size=4)


def opened_again(address):
    """The address as the browser hands it back."""
    text = urlencode({name: address.get_all(name) for name in address}, doseq=True)
    again = QueryParams()
    again.populate_from_query_string(text)
    assert {name: again.get_all(name) for name in again} == parse_qs(text, keep_blank_values=True)
    return again


@settings(max_examples=150, deadline=None)
@given(FILTERS, WEIGHTS, hyp.lists(TEXT, max_size=4, unique=True), hyp.sampled_from(["", "off", "0", "7", "12345"]))
def test_a_question_comes_back_from_its_address(filters, photos, less, rules):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(st, "query_params", QueryParams())
        question.filter_by(**filters)
        question.set_photos(state.MORE, photos)
        for product_id in less:
            question.ask_less_like(product_id)
        state.put({state.RULES: rules})
        pinned = urlencode(question.address(model="7"), doseq=True)
        patched.setattr(st, "query_params", opened_again(st.query_params))
        assert question.filters() == (check_filters(filters), [])
        assert (question.photos(state.MORE), question.less_like(), question.rules()) == (photos, less, rules)
        again = QueryParams()
        again.populate_from_query_string(pinned)
        patched.setattr(st, "query_params", again)
        assert (question.filters()[0], question.made_by()) == (check_filters(filters), 7)


@settings(max_examples=150, deadline=None)
@given(hyp.dictionaries(hyp.sampled_from(["filter_price_min", "filter_x", "more", "rules", "model", "region"]), TEXT))
def test_an_address_that_names_nothing_usable_is_no_error(raw):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(st, "query_params", QueryParams())
        state.put(raw)
        found, wrong = question.filters()
        assert set(found) <= {"price_min"}
        assert ("x" in wrong) == bool(raw.get("filter_x"))
        assert question.rules() in {"", "off"} or question.rules().isdigit()
        assert all(len(name) == 64 for name in question.photos(state.MORE))
        question.region(), question.made_by()


@pytest.fixture
def asked(screen, shop_endpoint):
    """The page with an answer about a photo."""
    return upload(screen.open(k="6"), PHOTO)


def ids(test):
    return [card["id"] for card in grid(test)]


def link(test):
    return {name: values[-1] for name, values in parse_qs(sent_to(test, "query")["query"].removeprefix("?")).items()}


def test_a_photo_is_kept_and_its_link_answers_in_another_session(screen, asked):
    assert asked.query_params["photo"] == HASH
    assert (screen.settings.photos_dir / HASH).read_bytes() == PHOTO
    assert {"photo": HASH, "rules": "0", "model": "1"}.items() <= link(asked).items()
    assert "Anyone with the link sees the photo. It is kept until" in texts(asked)
    again = screen.open(k="6", **{name: value for name, value in link(asked).items() if name != "k"})
    assert_calm(again)
    assert ids(again) == ids(asked)


@pytest.mark.parametrize("named", ["0" * 64, "../../app-token", "%00", "A" * 64, HASH[:63]])
def test_a_link_to_a_photo_that_is_not_kept_says_so_and_what_to_do(screen, shop_endpoint, named):
    test = screen.open(photo=named)
    assert_calm(test)
    assert "no longer kept" in test.info[0].value
    assert "Upload it to search again" in test.info[0].value
    assert len(grid(test)) == 12


def test_a_removed_photo_and_one_that_is_too_old_are_no_longer_answered(screen, asked):
    press(asked, "Remove photo")
    assert not (screen.settings.photos_dir / HASH).exists()
    assert "photo" not in asked.query_params
    upload(asked, PHOTO)
    old = (screen.settings.photos_dir / HASH).stat().st_mtime - 31 * 86_400
    os.utime(screen.settings.photos_dir / HASH, (old, old))
    assert "no longer kept" in screen.open(photo=HASH).info[0].value


def test_where_photos_are_not_kept_the_session_answers_and_the_page_says_so(screen, shop_endpoint):
    screen.settings = replace(screen.settings, keep_photos_days=0)
    test = upload(screen.open(k="3"), PHOTO)
    assert_calm(test)
    assert ids(test)[0] == "c017"
    assert "the link works only in this window" in texts(test)
    assert not screen.settings.photos_dir.exists()
    assert "Photos are not stored on the server" in screen.open(photo=HASH).info[0].value


def test_filters_are_in_the_address_and_chips_remove_them(asked):
    asked.multiselect(key="filter_brand").set_value(["Ada", "Bo"])
    asked.slider(key="filter_price").set_value((15.0, 40.0)).run()
    assert_calm(asked)
    assert asked.query_params["filter_brand"] == ["Ada", "Bo"]
    labels = [button.label for button in asked.button if button.key and button.key.startswith("unfilter-")]
    assert labels == ["Brand: Ada", "Brand: Bo", "Price from 15.00", "Price up to 40.00"]
    press(asked, "Brand: Bo")
    press(asked, "Price from 15.00")
    assert asked.query_params["filter_brand"] == "Ada"
    assert "filter_price_min" not in asked.query_params
    assert next(one for one in asked.multiselect if one.label == "Brand").value == ["Ada"]
    assert {card["lines"][1].split(" · ")[0] for card in grid(asked)} == {"Ada"}


def test_a_filter_of_a_link_that_cannot_be_used_is_named(screen, shop_endpoint):
    test = screen.open(product="b017", k="3", filter_price_max="cheap", filter_brand="Ada")
    assert_calm(test)
    assert "Left out, because they cannot be used: price\\_max" in texts(test)
    assert len(grid(test)) == 3


def test_a_link_by_older_rules_shows_that_answer_and_the_way_to_the_newest(screen, shop_endpoint):
    rules = RuleStore(screen.settings.rules_dir, "shop")
    for version, product_id in enumerate(("b003", "s004")):
        rules.publish([Rule("pin", "pin", products=(product_id,), slot=1)], base=version, by="Ada")
    time.sleep(2)  # a running endpoint uses them by then
    first = screen.open(product="c017", k="4", rules="1")
    assert_calm(first)
    assert ids(first)[0] == "b003"
    assert "You are viewing rules of version 1; newest is 2." in first.info[0].value
    assert ids(press(first, "Show newest"))[0] == "s004"
    assert "rules" not in first.query_params
    off = screen.open(product="c017", k="4", rules="off")
    assert ids(off)[0] not in {"b003", "s004"}
    assert "without rules" in off.info[0].value


def test_a_link_from_another_version_of_the_search_says_that_this_one_answers(screen, shop_endpoint):
    test = screen.open(product="c017", k="4", model="7")
    assert_calm(test)
    assert "Made with version 7 of the search. Only version 1 can answer now" in test.info[0].value
    press(test, "Use version 1")
    assert "model" not in test.query_params


def test_further_photos_are_in_the_address_with_how_much_they_count(asked):
    more = next(one for one in asked.file_uploader if "More photos" in one.label)
    more.upload("b.png", encoded(picture("blob", 3)), "image/png").run()
    slider = next(one for one in asked.select_slider if "photo 2" in one.label)
    slider.set_value("More").run()
    assert_calm(asked)
    assert asked.query_params["more"].endswith(":2.0")
    press(asked, "b.png")
    assert "more" not in asked.query_params


def test_thumbs_are_shown_where_they_are_kept(screen, asked):
    assert grid_data(asked)["small"][:2] == ["Similar", "Not similar"]
    answer = asked.session_state["last_answers"][0].answer
    deploy.mark("photo.png", PHOTO, answer, ids(asked)[1], is_similar=True)
    deploy.mark("photo.png", PHOTO, answer, ids(asked)[3], is_similar=False)
    again = screen.open(k="6", photo=HASH)
    assert [card["pressed"] for card in grid(again)] == [[], ["Similar"], [], ["Not similar"], [], []]
    (kept,) = golden_queries(screen.settings.home)
    assert (kept.products, kept.forbidden, kept.k) == ((ids(asked)[1],), (ids(asked)[3],), 6)
    filtered = screen.open(k="6", photo=HASH, filter_brand="Ada")
    assert "Similar" not in grid_data(filtered)["small"]  # an example is asked without filters

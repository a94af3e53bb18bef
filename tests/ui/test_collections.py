"""Collections on screens: begun from a result, ordered, commented, approved, undone, used, and told to the second editor."""

from __future__ import annotations

import pytest

from backend.merchandising.collections.collection import Collection, begun
from backend.merchandising.collections.store import CollectionStore
from backend.merchandising.draft import Drafts
from backend.merchandising.rule_store import RuleStore
from tests.ui.conftest import assert_calm, grid, grid_data, press, texts

PICKS = Collection("picks", "*Picks*", ("b003", "c004", "s001"), (("c004", "for the [window](x)"),), owner="Bo")


@pytest.fixture
def store(screen):
    return CollectionStore(screen.settings.collections_dir, "shop")


@pytest.fixture
def named(screen, shop_endpoint):
    """Opens a page as Ada."""

    def opened(page="collections", **address):
        test = screen.open(page, **address)
        test.session_state["note_person"] = "Ada"
        return test.run()

    return opened


def ids(test):
    return [card["id"] for card in grid(test)]


def test_results_become_a_collection_and_more_results_are_added_to_it(named, store):
    test = named("recommend", product="b017")
    found = ids(test)
    test.session_state["note_collect"] = (found[2],)
    test.run()
    test.text_input(key="collect_name").set_value("Summer").run()
    test.button(key="collect_add").click().run()
    assert_calm(test)
    test.button(key="collect_all").click().run()
    assert test.selectbox(key="collect_into").value == "Summer"
    test.button(key="collect_add").click().run()
    assert_calm(test)
    (one,) = store.read().collections
    assert (one.name, one.owner, one.is_approved) == ("Summer", "Ada", False)
    assert list(one.products) == [found[2], *found[:2], *found[3:]]


def test_a_collection_is_commented_approved_and_undone(named, store):
    store.put(PICKS, base=0, by="Bo")
    store.put(begun("Empty", "Bo"), base=1, by="Bo")
    listed = named()
    assert [(card["title"], card["lines"]) for card in grid(listed)] == [
        ("*Picks*", ["3 products · Bo"]),
        ("Empty", ["0 products · Bo"]),
    ]
    test = named(collection="picks")
    assert_calm(test)
    assert [(card["id"], card["rank"]) for card in grid(test)] == [("b003", "1"), ("c004", "2"), ("s001", "3")]
    assert [card["lines"][0].startswith("“for the [window](x)”") for card in grid(test)] == [False, True, False]
    assert grid_data(test)["small"] == ["Earlier", "Later", "Remove"]
    test.button(key="collection_approve").click().run()
    assert_calm(test)
    assert store.read().get("picks").approved_by == "Ada"
    test.session_state["note_collection_edited"] = (store.newest(), "s001")
    test.run()
    test.text_area(key="comment_text").set_value("mine").run()
    test.number_input(key="comment_place").set_value(1).run()
    test.button(key="comment_save").click().run()
    assert_calm(test)
    one = store.read().get("picks")
    assert (one.products, one.comment_of["s001"], one.is_approved) == (("s001", "b003", "c004"), "mine", False)
    test.button(key="collection_undo").click().run()
    assert_calm(test)
    assert store.read().get("picks").products == PICKS.products
    assert store.read().get("picks").is_approved
    test.button(key="collection_remove").click().run()
    assert_calm(test)
    assert [one.name for one in store.read().collections] == ["Empty"]
    press(test, "Bring back")
    assert store.read().get("picks").is_approved


def test_the_second_of_two_editors_is_told_and_keeps_what_was_typed(named, store):
    store.put(PICKS, base=0, by="Bo")
    test = named(collection="picks")
    test.session_state["note_collection_edited"] = (1, "c004")
    test.run()
    test.text_area(key="comment_text").set_value("mine").run()
    store.put(PICKS.commented("c004", "theirs").moved("s001", 1), base=1, by="Bo")
    test.button(key="comment_save").click().run()
    assert not test.exception
    assert "same part of a collection since version 1\\: \\*Picks\\* \\(by Bo on" in test.error[0].value
    assert test.text_area(key="comment_text").value == "mine"
    assert "Their comment: theirs" in texts(test)
    assert store.read().get("picks").comment_of["c004"] == "theirs"
    test.button(key="comment_mine").click().run()
    assert_calm(test)
    now = store.read().get("picks")
    assert (now.comment_of["c004"], now.products[0]) == ("mine", "s001")


def test_what_is_gone_is_counted_and_a_collection_is_a_question_a_filter_and_pins(named, store, screen):
    store.put(PICKS.added(["lost"]), base=0, by="Bo")
    test = named(collection="picks")
    assert "1 of them no longer in the catalogue" in texts(test)
    assert [card["badges"] for card in grid(test)] == [[], [], [], ["Gone"]]
    test.toggle(key="collection_similar").set_value(True).run()
    assert_calm(test)
    assert "Similar to 3 products together. 1 product of the collection left out." in texts(test)
    assert not set(ids(test)) & set(PICKS.products)
    test.button(key="collection_pin").click().run()
    assert_calm(test)
    rules = Drafts(RuleStore(screen.settings.rules_dir, "shop")).open("Ada").put
    assert [(rule.slot, rule.products) for rule in rules] == [(1, ("b003",)), (2, ("c004",)), (3, ("s001",))]
    within = named("recommend", product="b017", filter_collection="*Picks*")
    assert_calm(within)
    assert set(ids(within)) == set(PICKS.products)
    assert "Collection: \\*Picks\\*" in [button.label for button in within.button]
    lost = named("recommend", product="b017", filter_collection="nobody")
    assert_calm(lost)
    assert "no collection nobody" in texts(lost)

"""Two sets of rules, or two models, side by side on the page Rules, against the real gateway and real bundles."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from app.services import rules
from backend.bundles import bundle
from backend.merchandising.rule_store import RuleStore
from backend.progress import NullProgress
from backend.registry.golden import GoldenQuery, approve
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.rules.rule import Rule
from tests.fixtures.endpoint import ShopSnapshot, encoded, picture, shop_rows, write_projection_bundle
from tests.ui.conftest import assert_calm, grid, texts
from tests.ui.test_recommend import upload


@pytest.fixture
def compared(screen, shop_endpoint):
    """Opens the view as Ada, whose draft pins a product."""
    store = RuleStore(screen.settings.rules_dir, "shop")
    store.publish([Rule("live", "pin", products=("s004",), slot=2)], base=0, by="Bo")
    time.sleep(2)  # a running endpoint uses them by then
    rules.put("shop", "Ada", Rule("mine", "pin", products=("b003",), slot=1))

    def opened():
        test = screen.open("rules")
        test.session_state["rules_view"] = "Side by side"
        test.session_state["note_person"] = "Ada"
        return test.run()

    return opened


def sides(test, number=0):
    return [[(card["id"], card["moved"]) for card in grid(test, 2 * number + at)] for at in (0, 1)]


def test_published_rules_and_a_draft_are_compared_for_chosen_products(compared):
    test = compared()
    assert_calm(test)
    assert [one.value for one in test.selectbox if one.key.startswith("side_")] == ["1", "draft:Ada"]
    test.multiselect(key="side_products").set_value(["c017", "b001"]).run()
    assert_calm(test)
    left, right = sides(test)
    assert (left[1][0], right[0], right[1][0]) == ("s004", ("b003", "Only here"), "s004")
    assert right[2][1] == "Moved from 1 to 3"
    assert left[0][1] == "Moves to 3"
    assert "**2 of 2 answers differ, in " in texts(test)
    test.selectbox(key="side_1_0").set_value("1").run()
    assert "**0 of 2 answers differ, in 0 of 16 places.**" in texts(test)
    assert {moved for side in sides(test) for _, moved in side} == {""}


def test_kinds_approved_examples_and_last_searches_are_compared(screen, compared):
    photo = encoded(picture("checks", 3))
    approve(screen.settings.home, GoldenQuery("An approved one", "shop", photo, ("c017",), (), 5))
    upload(screen.open(k="5", filter_brand="Ada"), encoded(picture("blob", 3)))
    test = compared()
    test.segmented_control(key="side_way_0").set_value("A kind").run()
    assert_calm(test)
    assert "of 12 answers differ" in texts(test)
    test.segmented_control(key="side_way_0").set_value("Approved examples").run()
    assert "An approved one" in texts(test)
    time.sleep(6)  # the log is written every five seconds
    test.segmented_control(key="side_way_0").set_value("Last searches").run()
    assert_calm(test)
    left, _ = sides(test)
    assert len(left) > 3
    assert {card["lines"][1].split(" · ")[0] for card in grid(test)} == {"Ada"}


def test_two_models_are_compared_without_a_network_also_before_one_is_deployed(screen, compared, shop_model):
    folder = screen.settings.models_dir / "another"
    build_gallery(ShopSnapshot(shop_rows()), write_projection_bundle(folder, seed=9), folder, progress=NullProgress())
    bundle.write_manifest(folder, replace(bundle.read_manifest(folder), name="another"))
    test = compared()
    test.segmented_control(key="side_what").set_value("Versions of the search").run()
    test.multiselect(key="side_products").set_value(["c017"]).run()
    assert_calm(test)
    left, right = sides(test)
    assert len(left) == len(right) == 8
    assert "c017" not in {name for name, _ in (*left, *right)}
    assert "**1 of 1 answer differs, in " in texts(test)
    assert "Unpublished" in str([one.options for one in test.selectbox if one.key.startswith("side_")])

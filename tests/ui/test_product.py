"""The page of one product: what it is, what is near it, which rules touch it, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.components.product.facts import shop_address
from backend.errors import EndpointUnreachable
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.rules.rule import Rule, Scope, conditions
from tests.fixtures.endpoint import encoded, picture
from tests.ui.conftest import add_version, assert_calm, grid, sent_to, shop_row, texts

OTHER = encoded(picture("checks", 77))


@pytest.fixture
def changed(screen, shop_endpoint):
    """The shop at version 6: b001 became dearer, then its picture another one; c003 was withdrawn, s001 is gone."""
    lost = shop_row("c003", withdrawn_at=datetime(2026, 11, 23, tzinfo=UTC))
    add_version(screen.settings, "shop", shop_row("b001", price=99.0, colour=None), lost, gone=("s001",))
    add_version(screen.settings, "shop", shop_row("b001", price=99.0, colour=None, image=OTHER))
    return screen


def opened(changed, product):
    test = changed.open("product", product=product, catalogue="shop").run()
    assert_calm(test)
    return test


def test_a_product_is_shown_with_its_neighbours_its_rules_and_what_became_of_it(changed):
    store = RuleStore(changed.settings.rules_dir, "shop")
    rules = (
        Rule("named", "pin", Scope("product", ("c001",)), ("b001",), slot=2),
        Rule("label", "block", Scope("label", (shop_row("b001")["label"],)), ("gone",)),
        Rule("dear", "bury", where=conditions({"price_min": 98.0}), strength=1.0),
        Rule("cheap", "bury", Scope("product", ("c001",)), where=conditions({"price_max": 0.0}), strength=1.0),
        Rule("all", "block", products=("s002",)),
    )
    store.publish(rules, base=0, by="Bo")
    test = opened(changed, "b001")
    said = texts(test).replace("\\", "")
    assert "99.00" in said
    assert "Price: 99.00" not in said.split("First seen")[0].split("Version 5")[0]
    assert "New picture" in said
    assert f"Price: {shop_row('b001')['price']:.2f} → 99.00" in said
    links = [one.proto.label.replace("\\", "") for one in test.get("page_link")]
    assert [name for name in links if name.startswith(("Pin", "Bury", "Block"))] == [
        "Pin b001 at place 2 in answers for c001",
        f"Block gone in answers about the label {shop_row('b001')['label']}",
        "Bury products with price from 98 by 1 in every answer",
        "Block s002 in every answer",
    ]
    near = [card["id"] for card in sent_to(test, "cards")["cards"]] if not grid(test)[0]["rank"] else []
    ranked = near or [card["id"] for card in grid(test)]
    assert len(ranked) == 12
    assert "b001" not in ranked


def test_what_is_withdrawn_or_gone_says_so_and_since_when(changed):
    assert "withdrawn since version 5" in texts(opened(changed, "c003"))
    gone = texts(opened(changed, "s001"))
    assert "no longer in the catalogue since version 5" in gone
    assert "as it was in version 4" in gone
    assert "has no product nothing" in texts(opened(changed, "nothing"))


def test_without_the_endpoint_all_else_is_there(changed, monkeypatch):
    from app.services import common

    def unreachable():
        raise EndpointUnreachable("Nobody.")

    monkeypatch.setattr(common, "serving", unreachable)
    said = texts(opened(changed, "b001"))
    assert "New picture" in said
    assert "No rule has to do with this product." in said


@settings(deadline=None)
@given(st.text(max_size=12), st.sampled_from(["http://", "https://", "javascript:", "data:", "//", "ftp://", ""]))
def test_only_addresses_of_the_web_are_opened(rest, scheme):
    found = shop_address(scheme + rest)
    assert found == "" or found.startswith(("http://", "https://"))


def test_an_address_in_the_shop_is_a_link():
    assert shop_address(" https://shop.example/a?b=1#c ") == "https://shop.example/a?b=1#c"
    assert (shop_address("javascript:alert(1)"), shop_address("https:"), shop_address(None)) == ("", "", "")

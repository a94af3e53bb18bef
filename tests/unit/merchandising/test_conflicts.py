"""What contradicts what, each as a sentence that names the rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.merchandising.conflicts import conflicts
from backend.merchandising.known_products import KnownProducts
from backend.retrieval.gallery.gallery_rows import SCHEMA
from backend.retrieval.rules.rule import Rule, Scope, conditions
from tests.support.some_rules import rule_sets
from tests.support.stored_catalogues import picture_rows, store

NOW = datetime(2026, 11, 28, tzinfo=UTC)
NEVER, FOREVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
KINDS = ("pinned_twice", "pinned_and_blocked")
FOR_A, DRESSES, ACME = Scope("product", ("A",)), Scope("label", ("dress",)), Scope("brand", ("Acme",))


@pytest.fixture(scope="module")
def known():
    rows = [
        {"product_id": "A", "label": "dress", "brand": "Acme", "stock": 0},
        {"product_id": "B", "label": "dress", "brand": "Best", "stock": 3},
        {"product_id": "C", "label": "hat", "availability": "out of stock"},
    ]
    filled = [{name: row.get(name, "" if name == "split" else None) for name in SCHEMA.names} for row in rows]
    return KnownProducts("shop", pa.Table.from_pylist(filled, pa.schema(field.with_nullable(True) for field in SCHEMA)))


def pin(name, product, slot=1, scope=FOR_A, action="pin", **more):
    return Rule(name, action, scope, (product,), slot=slot, **more)


def found(*rules, **about):
    return [(one.kind, one.rules) for one in conflicts(rules, now=NOW, **about)]


def falls(name, seed, *others, **more):
    return Rule(name, "fall-back", Scope("product", (seed,)), others, **more)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([pin("x", "B"), pin("y", "C")], [("place", ("x", "y"))]),
        ([pin("x", "B"), pin("y", "C", 2)], []),
        ([pin("x", "B"), pin("y", "C", scope=Scope("product", ("B",)))], []),
        ([pin("x", "B"), pin("y", "C", scope=Scope())], [("place", ("x", "y"))]),
        ([pin("x", "B", ends="2026-12-01T00:00"), pin("y", "C", starts="2026-12-01T00:00")], []),
        ([pin("x", "B", ends="2026-12-01T00:01"), pin("y", "C", starts="2026-12-01T00:00")], [("place", ("x", "y"))]),
        ([pin("x", "B", 3, action="soft pin"), pin("y", "C", 3)], []),
        ([pin("x", "B", action="soft pin"), pin("y", "C")], [("place", ("x", "y"))]),
        ([pin("x", "B"), pin("y", "B", 4)], [("pinned_twice", ("x", "y"))]),
        ([pin("x", "B"), pin("y", "B")], [("duplicate", ("x", "y"))]),
        ([pin("x", "B"), Rule("y", "block", products=("B",))], [("pinned_and_blocked", ("x", "y"))]),
        ([falls("x", "A", "B"), falls("y", "B", "C"), falls("z", "C", "A")], [("circle", ("x", "y", "z"))]),
        ([falls("x", "A", "B"), falls("y", "B", "C")], []),
        ([falls("x", "A", "A")], [("circle", ("x",))]),
        ([falls("x", "A", "B", ends="2026-12-01T00:00"), falls("y", "B", "A", starts="2026-12-01T00:00")], []),
        ([Rule("x", "block", products=("B",), ends="2026-11-28T00:00")], [("ended", ("x",))]),
        ([pin("x", "B", 21)], [("behind", ("x",))]),
        ([Rule("x", "block", Scope("picture", ("0" * 64,), 0.1), ("B",))], [("no_picture", ("x",))]),
    ],
)
def test_what_contradicts_is_found_and_nothing_else(rules, expected):
    assert found(*rules, k=20, pictures=frozenset()) == expected
    assert found(*reversed(rules), k=20, pictures=frozenset()) == expected


def test_boosts_and_buries_of_the_same_thing_are_found():
    where = conditions({"brand": "Acme"})
    boost, bury = (Rule(a, a, where=where, strength=1.0) for a in ("boost", "bury"))
    assert found(boost, bury) == [("boost_and_bury", ("boost", "bury"))]
    assert found(boost, Rule("x", "bury", where=conditions({"brand": "Best"}), strength=1.0)) == []


def test_with_the_products_known_more_is_found(known):
    assert found(pin("x", "B", scope=DRESSES), pin("y", "C", scope=FOR_A)) == []
    assert found(pin("x", "B", scope=DRESSES), pin("y", "C", scope=FOR_A), known=known) == [("place", ("x", "y"))]
    assert found(pin("x", "B", scope=DRESSES), pin("y", "C", scope=ACME), known=known) == [("place", ("x", "y"))]
    assert found(pin("x", "B", scope=Scope("label", ("hat",))), pin("y", "C", scope=ACME), known=known) == []
    sold_out = Rule("z", "block", where=conditions({"sold_out": True}))
    assert found(pin("x", "A", scope=DRESSES), sold_out, known=known) == [("pinned_and_blocked", ("x", "z"))]
    assert found(pin("x", "B", scope=DRESSES), sold_out, known=known) == []
    assert known.matching(conditions({"sold_out": True})) == {"A", "C"}


def test_products_of_a_catalogue_are_known_by_what_rules_speak_of(tmp_path):
    rows = [{**row, "brand": brand, "stock": 0} for row, brand in zip(picture_rows(["hat", "bag"]), "XY", strict=True)]
    rows[1]["withdrawn_at"] = NOW
    known = KnownProducts.of(store(tmp_path, rows))
    assert (known.catalogue, known.ids, known.values["label"]) == ("stored", {"p0000"}, {"hat"})
    assert known.matching(conditions({"sold_out": True, "brand": "X"})) == {"p0000"}
    assert set(known.meeting("product", "p0000")) == {("label", "hat"), ("brand", "X")}


def test_what_is_gone_is_said_and_counted(known):
    rules = [
        Rule("a", "block", Scope("product", ("Z1",)), ("A", "Z2", "Z3", "Z4")),
        Rule("b", "block", Scope("brand", ("Nobody",)), ("A",)),
        Rule("c", "block", where=conditions({"price_min": 5})),
    ]
    said = [one.sentence for one in conflicts(rules, now=NOW, known=known)]
    assert sorted(said) == [
        "a names 4 products that shop does not have: Z1, Z2, Z3 and 1 more.",
        "b is for the brand Nobody, which no product of shop has.",
        "c is about products with price from 5, and shop has none.",
    ]


def test_a_thousand_pins_on_one_place_are_named_each_once():
    rules = [pin(f"r{number:03}", f"P{number}", scope=Scope()) for number in range(200)]
    assert len(found(*rules)) == 199


@pytest.mark.slow
@settings(max_examples=50)
@given(rule_sets())
def test_every_conflict_is_a_sentence_that_names_its_rules(rules):
    for one in conflicts(rules.rules, now=NOW, k=10):
        assert one.sentence.endswith(".")
        assert all(name in one.sentence for name in one.rules[:3])


FEW = st.builds(
    lambda action, scope, product, slot, span: Rule(
        "x", action, scope, (product,), slot=slot if action == "pin" else None, starts=span[0], ends=span[1]
    ),
    st.sampled_from(["pin", "pin", "block"]),
    st.sampled_from([Scope(), FOR_A, Scope("product", ("A", "B")), Scope("nearest", ("B",)), DRESSES, ACME]),
    st.sampled_from("PQ"),
    st.integers(1, 3),
    st.sampled_from(
        [("", ""), ("2026-12-01T00:00", ""), ("", "2026-12-01T00:00"), ("2026-12-01T00:00", "2027-01-01T00:00")]
    ),
)


def meet(one, other):
    """Whether two rules touch the same answers at the same time, with nothing known of the products."""
    scopes = [("asked" if rule.scope.kind in {"product", "nearest"} else rule.scope.kind) for rule in (one, other)]
    shared = scopes[0] == scopes[1] and set(one.scope.values) & set(other.scope.values)
    spans = [[edge or open_ for edge, open_ in zip(rule.times, (NEVER, FOREVER), strict=True)] for rule in (one, other)]
    at_once = spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]
    return at_once and bool("all" in scopes or shared or one.scope == other.scope)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(FEW, min_size=2, max_size=8))
def test_of_any_two_that_contradict_each_other_one_is_named(drawn):
    rules = [replace(rule, id=f"r{number}") for number, rule in enumerate(drawn)]
    named = {kind: {name for one, ids in found(*rules) if one == kind for name in ids} for kind in KINDS}
    for one, other in combinations(rules, 2):
        same = one.products == other.products and meet(one, other)
        if same and one.action == other.action == "pin" and one.slot != other.slot:
            assert {one.id, other.id} & named["pinned_twice"]
        if same and one.action != other.action:
            assert {one.id, other.id} & named["pinned_and_blocked"]
    for kind, first, second in ((kind, *ids) for kind, ids in found(*rules) if kind in KINDS):
        assert meet(rules[int(first[1:])], rules[int(second[1:])]), kind

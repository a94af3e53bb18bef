"""A rule from anywhere is either one that can be written and read again as it is, or a sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import RetrievalError
from backend.retrieval.rules.rule import ACTIONS, SCOPES, Rule, Scope, conditions
from backend.retrieval.rules.rule_set import RuleSet, as_plain, from_plain
from tests.support.some_rules import rules

HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.sampled_from(
        ["a\x00b", "\ud800", "x" * 501, 10**400, "2026-02-30T00:00", "0001-01-01T00:00", "9999-12-31T23:59"]
    ),
)
ANYTHING = st.recursive(
    HOSTILE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
NEARLY = st.fixed_dictionaries(
    {"id": st.just("r1") | ANYTHING, "action": st.sampled_from(ACTIONS) | ANYTHING},
    optional={
        "scope": ANYTHING
        | st.fixed_dictionaries(
            {"kind": st.sampled_from(SCOPES) | ANYTHING},
            optional={"values": ANYTHING | st.just(["A"]), "radius": HOSTILE, "more": HOSTILE},
        ),
        "products": st.just(["A"]) | ANYTHING,
        "where": ANYTHING | st.dictionaries(st.sampled_from(["label", "price_min", "in_stock", "sold_out"]), ANYTHING),
        "slot": st.just(1) | HOSTILE,
        "strength": st.just(1) | HOSTILE,
        "crosses": HOSTILE,
        "reason": HOSTILE,
        "owner": HOSTILE,
        "starts": st.just("2026-12-01T09:00") | HOSTILE,
        "ends": HOSTILE,
        "zone": st.sampled_from(["Europe/Berlin", "", "../etc", "Europe", "\x00", "Etc/GMT-14"]) | HOSTILE,
        "priority": HOSTILE,
    },
)


def read(raw):
    try:
        return from_plain(raw)
    except RetrievalError as error:
        return error


@settings(max_examples=60)
@given(NEARLY | ANYTHING)
def test_anything_is_a_rule_that_stays_the_same_or_a_sentence(raw):
    rule = read(raw)
    if isinstance(rule, RetrievalError):
        assert rule.message.encode()
        assert rule.next_step
        return
    text = json.dumps(as_plain(rule), allow_nan=False)
    again = from_plain(json.loads(text))
    assert again == rule
    assert json.dumps(as_plain(again), allow_nan=False) == text


@settings(max_examples=30)
@given(rules())
def test_every_rule_can_be_written_and_read_again(rule):
    assert from_plain(json.loads(json.dumps(as_plain(rule)))) == rule


@pytest.mark.parametrize(
    "given_wrong",
    [
        {"slot": True},
        {"slot": 1.0},
        {"priority": True},
        {"priority": 10**30},
        {"strength": float("nan")},
        {"crosses": 1},
        {"zone": "Mars/Olympus"},
        {"zone": "x" * 100_000},
        {"starts": "2026-12-24T10:00", "ends": "2026-12-01T10:00"},
        {"starts": "0001-01-01T00:00", "zone": "Etc/GMT-14"},
        {"starts": "２０２６-12-24T10:00"},
        {"starts": "2026-12-24"},
        {"owner": "a\nb"},
        {"reason": "a\x00b"},
        {"products": ["A\ud800"]},
        {"products": "A"},
        {"scope": {"kind": "product", "values": ["A", "A"]}},
        {"scope": {"kind": "picture", "values": ["0" * 64], "radius": float("nan")}},
        {"scope": {"kind": "all", "radius": 0.1}},
        {"where": {"price_min": 10**400}, "products": []},
        {"where": {"label": ["A\x00"]}, "products": []},
        {"colour": "red"},
    ],
)
def test_a_value_that_cannot_be_is_a_sentence(given_wrong):
    whole = {"id": "r1", "action": "pin", "products": ["A"], "slot": 1}
    assert from_plain(whole) == Rule("r1", "pin", products=("A",), slot=1)
    with pytest.raises(RetrievalError) as refused:
        from_plain({**whole, **given_wrong})
    assert refused.value.code in {"bad_rule", "retrieval_error"}


def test_equal_rules_have_equal_digests_whoever_wrote_their_numbers():
    one, other = (Rule("r", "boost", where=conditions({"brand": "Acme"}), strength=number) for number in (1, 1.0))
    near = [Rule("r", "block", Scope("picture", ("0" * 64,), radius), ("A",)) for radius in (1, 1.0)]
    assert RuleSet.of([one]).digest == RuleSet.of([other]).digest
    assert RuleSet.of(near[:1]).digest == RuleSet.of(near[1:]).digest


def test_times_are_those_of_their_zone():
    rule = Rule("r", "block", products=("A",), starts="2026-07-01T09:00", ends="2026-12-01T09:00", zone="Europe/Berlin")
    assert rule.times == (datetime(2026, 7, 1, 7, tzinfo=UTC), datetime(2026, 12, 1, 8, tzinfo=UTC))
    assert rule.holds_at(datetime(2026, 7, 1, 7, tzinfo=UTC))
    assert not rule.holds_at(datetime(2026, 12, 1, 8, tzinfo=UTC))

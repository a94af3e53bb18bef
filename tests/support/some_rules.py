"""Rules as people could make them, for properties over many of them."""

from __future__ import annotations

from hypothesis import strategies as st

from backend.retrieval.rules.rule import PINS, SHIFTS, Rule, Scope, conditions
from backend.retrieval.rules.rule_set import RuleSet

# Texts that spreadsheets run, that files take for something else, or that look like nothing.
ODD = ["=1+1", "-5", "@x", "'quoted", "00123", "1e3", "null", "yes", "~", "2026-12-01", "12:30:00", "a|b", "a,b", "a;b"]
IDS = st.sampled_from([*"ABCDEFGH", *ODD])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20)
VALUES = IDS | TEXTS.filter(bool)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,12}", fullmatch=True)
TIMES = st.sampled_from(["", "2026-11-01T00:00", "2026-12-01T09:30", "2027-03-28T02:30"])
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])
SCOPES = st.one_of(
    st.just(Scope()),
    st.builds(
        Scope,
        st.sampled_from(["product", "nearest", "label", "category", "brand"]),
        st.lists(VALUES, min_size=1, max_size=3, unique=True).map(tuple),
    ),
    st.builds(
        Scope,
        st.just("picture"),
        st.integers(0, 2**256 - 1).map(lambda number: (f"{number:064x}",)),
        st.floats(0.001, 1),
    ),
)
WHERE = st.dictionaries(
    st.sampled_from(["label", "brand", "category"]), st.lists(VALUES, min_size=1, max_size=2), max_size=2
)
CONDITIONS = st.builds(
    lambda texts, price, sold_out: conditions({**texts, **price, **sold_out}),
    WHERE,
    st.dictionaries(st.sampled_from(["price_min", "price_max"]), st.floats(0, 1e6), max_size=1),
    st.dictionaries(st.just("sold_out"), st.booleans(), max_size=1),
).filter(bool)


@st.composite
def rules(draw, ids=NAMES, actions=("pin", "soft pin", "boost", "bury", "block", "fall-back")):
    """Draw one rule."""
    action = draw(st.sampled_from(actions))
    most = 1 if action in PINS else 3
    products = tuple(draw(st.lists(VALUES, min_size=1, max_size=most, unique=True)))
    where = draw(CONDITIONS) if action in {*SHIFTS, "block"} and draw(st.booleans()) else ()
    starts, ends = sorted([draw(TIMES), draw(TIMES)])
    return Rule(
        draw(ids),
        action,
        draw(SCOPES),
        () if where else products,
        where,
        slot=draw(st.integers(1, 200)) if action in PINS else None,
        strength=draw(st.floats(0.001, 3)) if action in SHIFTS else None,
        crosses=action in SHIFTS and draw(st.booleans()),
        reason=draw(TEXTS),
        owner=draw(TEXTS),
        starts=starts if starts != ends else "",
        ends=ends,
        zone=draw(ZONES),
        priority=draw(st.integers(-1000, 1000)),
    )


def rule_sets(max_size=6, **kinds):
    """Draw a set of rules."""
    return st.lists(rules(**kinds), max_size=max_size, unique_by=lambda rule: rule.id).map(RuleSet.of)

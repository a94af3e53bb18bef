"""Rules as files: YAML loses nothing, CSV says what it does not hold, and no file is anything but rules or a sentence."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import CatalogueError, ChangedMeanwhile, RetrievalError
from backend.merchandising.rule_files.csv_file import as_csv, from_csv
from backend.merchandising.rule_files.plan import apply, plan
from backend.merchandising.rule_files.yaml_file import as_yaml, from_yaml
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.rules.rule import Rule, Scope
from backend.retrieval.rules.rule_set import RuleSet
from tests.support.some_rules import rule_sets

SEED = Scope("product", ("S",))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@settings(max_examples=15)
@given(rule_sets())
def test_yaml_gives_every_rule_back(rules):
    text = as_yaml(rules)
    back, version = from_yaml(text.encode())
    assert (tuple(back), version) == (rules.rules, rules.version)
    assert as_yaml(RuleSet.of(back)) == text


@settings(max_examples=5)
@given(rule_sets(max_size=4, actions=("boost", "block", "bury")))
def test_yaml_stored_and_exported_is_the_same_yaml(place, rules):
    store = RuleStore(place / f"home-{rules.digest[:8]}", "shop")
    published = store.publish(from_yaml(as_yaml(rules).encode())[0], base=store.newest(), by="Ann")
    again = from_yaml(as_yaml(store.read()).encode())
    assert again == (list(rules.rules), published.version)
    assert as_yaml(store.read()).partition("\n")[2] == as_yaml(rules).partition("\n")[2]


def test_yaml_as_people_write_it_keeps_ids_as_they_are_written():
    text = b"""
    # comments are for people
    rules:
      - {id: one, action: pin, scope: {kind: product, values: [00123]}, products: [on], slot: 2, starts: 2026-12-01T09:00}
      - id: two
        action: boost
        where: {price_min: 10, in_stock: yes, label: [null, "1e3"]}
        strength: 1.5
        crosses: true
    """
    (one, two), version = from_yaml(text)
    assert version is None
    assert (one.scope.values, one.products, one.slot, one.starts) == (("00123",), ("on",), 2, "2026-12-01T09:00")
    assert dict(two.where) == {"price_min": 10.0, "in_stock": True, "label": ("null", "1e3")}
    assert (two.strength, two.crosses) == (1.5, True)


def test_the_files_in_the_guide_are_read(place, repository):
    guide = (repository / "docs" / "guide" / "rules.md").read_text("utf-8")
    rules, version = from_yaml(re.search(r"```yaml\n(.+?)```", guide, re.DOTALL)[1].encode())
    assert ([rule.id for rule in rules], version) == (["advent-dress", "fewer-sold-out"], 7)
    text = re.search(r"```\n(seed,.+?)```", guide, re.DOTALL)[1]
    made, _ = from_csv(written(place, text), [])
    assert sorted((rule.scope.values[0], rule.slot or 0, rule.products) for rule in made) == [
        *(("A1", 0, ("D4",)), ("A1", 1, ("B2",)), ("A1", 2, ("C3",)), ("A2", 1, ("B2",)), ("A2", 3, ("C3",))),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"rules",
        b"rules: x",
        b"rules: []\nmore: 1",
        b"rules: []\nrules: []",
        b"version: latest\nrules: []",
        b"--- {rules: []}\n--- {rules: []}",
        b"rules: [&a [x, x], *a]",
        b"rules: [!!python/object/apply:os.system ['true']]",
        b"rules: [" * 5_000,
        b"rules: " + b"{a: " * 100_000,
        b"rules: [1, {}, []]",
        b"? [a]\n: b",
        b"rules:\n\t- x",
        b"\xff\xfe\x00",
        b"rules: [{id: a, action: pin, products: [A], slot: 1.5}]",
        b"rules: [{id: a, action: pin, products: [A], slot: '99999999999'}]",
        b"rules: [{id: a, action: boost, products: [A], strength: .nan}]",
        b"rules: [{id: a, action: boost, products: [A], strength: nan}]",
        b"rules: [{id: a, action: block, products: A}]",
        b'rules: [{id: a, action: block, products: ["A\\0"]}]',
        b"rules: [{id: a, action: block, products: [A]}, {id: a, action: block, products: [B]}]",
        b"rules: [{id: a, action: block, products: [A], starts: 2026-12-24T00:00, ends: 2026-12-01T00:00}]",
        b"rules: [{id: a, action: block, products: [A], <<: {reason: x}}]",
    ],
)
def test_a_yaml_that_holds_no_rules_is_a_sentence(text):
    with pytest.raises(RetrievalError) as refused:
        from_yaml(text)
    assert (refused.value.code, bool(refused.value.next_step)) == ("bad_rule", True)


@settings(max_examples=40)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"rules: [{text}]".encode()))
def test_any_bytes_are_rules_or_a_sentence(data):
    with suppress(RetrievalError):
        assert isinstance(from_yaml(data)[0], list)


def written(place, text, name="rules.csv"):
    (place / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return place / name


@pytest.mark.slow
@settings(max_examples=100)
@given(rule_sets(actions=("pin", "block")))
def test_a_csv_read_again_changes_nothing(place, rules):
    text, notes = as_csv(rules.rules)
    back, _ = from_csv(written(place, text), rules.rules)
    assert tuple(back) == rules.rules
    elsewhere, _ = from_csv(written(place, text), [])
    assert as_csv(elsewhere)[0] == text
    held = sum(rule.id not in str(notes) for rule in rules.rules)
    assert held <= len(rules.rules)


def test_a_csv_has_places_bars_commas_and_guards():
    rules = [
        Rule("a", "pin", SEED, ("B",), slot=1, reason="new"),
        Rule("b", "pin", SEED, ("C,D",), slot=3),
        Rule("c", "block", SEED, ("=1+1",)),
        Rule("d", "block", Scope("product", ("T",)), ("a,b",)),
        Rule("e", "boost", products=("X",), strength=1.0),
        Rule("f", "pin", SEED, ("Z",), slot=9, ends="2026-12-01T00:00"),
    ]
    text, notes = as_csv(rules)
    assert text.splitlines() == ["seed,pinned,blocked", 'S,"B||C,D",\'=1+1', 'T,,"a,b|"']
    assert notes[0].startswith("2 rules are not in the CSV")
    assert notes[0].endswith("always in force: e, f.")
    assert notes[1] == "1 rule has a reason or an owner that the CSV does not contain: a."


def test_a_csv_takes_the_place_of_what_it_holds_and_of_nothing_else(place):
    kept = Rule("boost", "boost", products=("X",), strength=1.0)
    old = [Rule("p1", "pin", SEED, ("B",), slot=1, reason="new"), Rule("bl", "block", SEED, ("C", "D")), kept]
    rules, notes = from_csv(written(place, "Seed;Pinned;Blocked;Note\r\nS;B|E;D,F;hello\r\n"), old)
    made = {rule.id: rule for rule in rules}
    assert made.pop("boost") == kept
    assert made.pop("p1") == old[0]
    assert made.pop("bl").products == ("D",)
    assert sorted((rule.action, rule.products, rule.slot) for rule in made.values()) == [
        ("block", ("F",), None),
        ("pin", ("E",), 2),
    ]
    assert notes == ["1 column of rules.csv was not read: Note."]
    assert from_csv(written(place, "seed,pinned,blocked\n"), old)[0] == [kept]


@pytest.mark.parametrize(
    "data",
    [
        codecs.BOM_UTF8 + "seed,pinned,blocked\nMö,A|B,\n".encode(),
        "seed;pinned;blocked\r\nMö;A,B;\r\n".encode("cp1252"),
        "seed\tpinned\tblocked\rMö\tA|B\t\r".encode("cp1252"),
        codecs.BOM_UTF16_LE + "seed,pinned,blocked\nMö,A|B,\n".encode("utf-16-le"),
    ],
)
def test_a_csv_from_elsewhere_is_read(place, data):
    rules, _ = from_csv(written(place, data), [])
    assert sorted((rule.scope.values, rule.slot, rule.products) for rule in rules) == [
        (("Mö",), 1, ("A",)),
        (("Mö",), 2, ("B",)),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "no column for seeds"),
        ("seed,note\nS,2\n", "no column for seeds"),
        ("seed,pinned\n,A\n", "Row 2 of rules.csv has no seed"),
        ("seed,pinned\nS,A\nS,B\n", "Row 3 of rules.csv has the seed 'S' again"),
        ("seed,pinned\nS,A,B,C\n", "Row 2 of rules.csv: It has 4 values"),
        ("seed,pinned\nS," + "A|" * 201 + "Z\n", "no valid place"),
        ("seed,pinned\nS," + "A" * 501 + "\n", "must name products"),
    ],
)
def test_a_csv_that_cannot_be_used_is_a_sentence(place, data, message):
    with pytest.raises((RetrievalError, CatalogueError), match=message):
        from_csv(written(place, data), [])


def test_a_plan_says_what_a_file_changes_and_keeps_what_others_did(place):
    store = RuleStore(place / "planned", "shop")
    a, b, c = (Rule(name, "block", products=(name,)) for name in "abc")
    store.publish([a, b], base=0, by="Ann")
    exported = as_yaml(store.read())
    store.publish([a, b, c], base=1, by="Bob")
    other = Rule("a", "block", products=("A2",))
    text = as_yaml(RuleSet.of([other], version=1))
    found = plan(written(place, text, "rules.yaml"), store, None)
    assert found.difference.counts == {"added": 0, "changed": 1, "removed": 1}
    assert not plan(written(place, exported, "rules.yaml"), store, None).difference
    assert apply(found, store, by="Ann").rules == (other, c)
    with_two = plan(written(place, as_yaml(RuleSet.of([b], version=1)), "rules.yaml"), store, None)
    assert (with_two.torn, with_two.is_refused) == (("a",), True)
    with pytest.raises(ChangedMeanwhile):
        apply(with_two, store, by="Ann")

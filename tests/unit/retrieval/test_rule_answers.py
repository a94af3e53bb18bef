"""Whatever the rules and the question: what must never appear does not, and every promise about places holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.retrieval import arrange
from backend.retrieval.arrange import Shown
from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.rules import answering, compiled, order
from backend.retrieval.rules.compiled import CompiledRules
from backend.retrieval.rules.rule import MAX_STRENGTH, Rule, Scope
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import Wishes
from tests.support import rule_checks
from tests.support.rule_checks import Question, answered, asked_of, broken, cases, small_shop


@pytest.fixture(scope="module")
def ruled_shop(tmp_path_factory):
    return small_shop(tmp_path_factory.mktemp("ruled") / "bundle")


def hold(shop, seed, *, sets, questions):
    for rules, ready, question in cases(shop, seed, sets=sets, questions=questions):
        failed = broken(shop, rules, question, answered(shop, question, ready))
        assert not failed, (failed, rules, question)


def test_every_promise_holds(ruled_shop):
    hold(ruled_shop, 1, sets=20, questions=10)


def test_every_promise_holds_where_the_reserve_is_smaller_than_the_shop(ruled_shop, monkeypatch):
    """Regression: where blocks took more than half of the reserve, the answer was taken for one that no rule touches."""
    monkeypatch.setattr(arrange, "_CANDIDATES", 14)
    monkeypatch.setattr(arrange, "_CANDIDATES_EACH", 2)
    hold(ruled_shop, 6, sets=60, questions=10)


@pytest.mark.slow
def test_every_promise_holds_over_many_sets_of_rules(ruled_shop):
    """``python -m tests.benchmarks.rules`` does it for 100,000."""
    hold(ruled_shop, 2, sets=200, questions=20)


@pytest.mark.parametrize("sets", [25, pytest.param(80, marks=pytest.mark.slow)])
def test_the_order_of_the_rules_and_the_other_pins_do_not_matter(ruled_shop, sets):
    rng = np.random.default_rng(3)
    for rules, ready, question in cases(ruled_shop, 3, sets=sets, questions=4):
        shown = answered(ruled_shop, question, ready)
        shuffled = [rules[at] for at in rng.permutation(len(rules))]
        assert answered(ruled_shop, question, ruled_shop.compiled(shuffled)) == shown
        hard = [rule for rule in rules if rule.action == "pin"]
        slots = {rule.slot for rule in hard}
        if shown is None or len(hard) < 2 or len(slots) < len(hard) or question.wishes.sort != "similarity":
            continue
        fewer = answered(ruled_shop, question, ruled_shop.compiled([rule for rule in rules if rule is not hard[0]]))
        where = {rule: place for place, one in enumerate(shown, 1) for rule in one.rules}
        is_full = len(shown) == question.k and fewer is not None and len(fewer) == question.k
        twice = len({rule.products for rule in hard}) < len(hard)
        for rule in hard[1:] if is_full and not twice else ():
            if rule.id in where:
                assert [place for place, one in enumerate(fewer, 1) if rule.id in one.rules] == [where[rule.id]]


# Faults as people make them: each must be found by the promises above.
def _sliding(shown, at, k):
    pinned = [at[slot].position for slot in sorted(at)]
    first = min(at, default=1) - 1
    others = [one for one in shown if one not in pinned]
    return [*others[:first], *pinned, *others[first:]][:k]


def _by_file(pins):
    """Whoever comes last wins, as in a dictionary that is filled in the order of a file."""
    return {pin.slot: pin for pin in sorted(pins, key=lambda pin: pin.rule)}


def _fall_backs_first(candidates, effects, **more):
    moved = original_ordered(candidates, effects, **more)
    first = [order.Placed(at, (rule,)) for at, rule in effects.fall_backs[:1]]
    return [*first, *(one for one in moved if one.position not in {two.position for two in first})][: more["k"]]


def _beside_its_group(self, asked, positions, first, last):
    others = positions[~np.isin(positions, first)]
    return [*map(Shown, first), *(one for one in _distinct(self, asked, others, (), last) if one.position not in first)]


original_ordered = order.ordered
PLANTED = {
    "a pin slides when another is gone": (order, "_filled", _sliding),
    "the last of the file wins": (order, "settled", _by_file),
    "a boost crosses the match line": (order, "_held", lambda scores, alike, matches, line: scores),
    "fall-backs come first": (answering, "ordered", _fall_backs_first),
    "pins leak past filters and blocks": (
        CompiledRules,
        "effects",
        lambda self, buckets, candidates, allowed: _effects(self, buckets, candidates, None),
    ),
    "blocks of a scope are forgotten": (CompiledRules, "allowed", lambda self, buckets, allowed: allowed),
    "what is not known counts as sold out": (
        Gallery,
        "sold_out",
        property(lambda self: ~(self._numbers("stock") > 0)),
    ),
    "a pinned variant stands beside its group": (answering.RuledAnswers, "_distinct", _beside_its_group),
    "every label is in scope": (CompiledRules, "touching", lambda self, context: list(self._buckets.values())),
    "rules for a product are forgotten": (
        CompiledRules,
        "touching",
        lambda self, context: _touching(self, replace(context, products=())),
    ),
    "a soft pin is taken for a boost": (
        compiled,
        "Pin",
        lambda rule, place, slot, is_soft, rank: order.Pin(rule, place, slot + 4 * is_soft, is_soft, rank),
    ),
    "rules hold in an order by price, too": (answering.RuledAnswers, "shown", lambda self, asked, rules: _shown(
        self, replace(asked, wishes=replace(asked.wishes, sort="similarity")), rules
    )),
}  # fmt: skip
_effects, _touching, _shown = CompiledRules.effects, CompiledRules.touching, answering.RuledAnswers.shown
_distinct = answering.RuledAnswers._distinct


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(ruled_shop, monkeypatch, fault):
    owner, name, wrong = PLANTED[fault]
    monkeypatch.setattr(owner, name, wrong)
    if owner is order and name == "settled":
        monkeypatch.setattr(answering, "settled", wrong)
    found = (
        broken(ruled_shop, rules, question, answered(ruled_shop, question, ready))
        for rules, ready, question in cases(ruled_shop, 4, sets=400, questions=5)
    )
    assert any(found)


# ------------------------------------------------------------------------------------------ one at a time


def places(shop, rules, question):
    shown = answered(shop, question, shop.compiled(rules))
    return [] if shown is None else [shop.rows[one.position]["product_id"] for one in shown]


def near(shop, at, k=6, **more):
    return Question(shop.vectors[at], more.pop("filters", {}), k, Wishes(collapse="none", **more))


def test_without_a_rule_that_touches_it_nothing_is_changed(ruled_shop):
    question = near(ruled_shop, 5)
    assert answered(ruled_shop, question, ruled_shop.compiled([])) is None
    elsewhere = Rule("a", "block", Scope("label", ("none such",)), products=("b002",))
    late = Rule("b", "pin", products=("b002",), slot=1, starts="2027-01-01T00:00")
    assert answered(ruled_shop, question, ruled_shop.compiled([elsewhere, late])) is None


def test_rules_for_an_answer_are_named_also_where_they_move_nothing(ruled_shop):
    own = ruled_shop.rows[5]
    rules = [
        Rule("label", "block", Scope("label", (own["label"],)), products=("gone",)),
        Rule("other", "block", Scope("label", ("none such",)), products=("gone",)),
        Rule("photo", "block", Scope("picture", (f"{5:04x}" + "0" * 60,), 0.05), products=("gone",)),
        Rule("all", "bury", products=("gone",), strength=1.0),
        Rule("late", "block", products=("gone",), starts="2027-01-01T00:00"),
    ]
    asked = asked_of(ruled_shop, near(ruled_shop, 5))
    found = ruled_shop.answers.answered(asked, ruled_shop.compiled(rules))
    assert (found.shown, sorted(found.touching)) == (None, ["label", "photo"])
    assert ruled_shop.answers.answered(asked, None) == (None, ())


def test_shifts_are_cut_and_mean_the_same_at_every_scale():
    near_ones = [order.Candidate(at, 0.9 - at / 50) for at in range(12)]
    of = [order.Shift("a", 2.5), order.Shift("b", 2.5), order.Shift("c", MAX_STRENGTH)]
    acts = np.zeros((12, 3), dtype=bool)
    acts[11, :2] = acts[10, 2] = True
    moved = order.Shifts({at: at for at in range(12)}, of, acts)
    scores = order.shifted(near_ones, moved, None)
    unit = np.std([one.similarity for one in near_ones])
    assert scores[11] - near_ones[11].similarity == pytest.approx(MAX_STRENGTH * unit)
    placed = [one.position for one in order.ordered(near_ones, order.Effects(moved), k=12)]
    tight = [one._replace(similarity=0.5 + one.similarity / 100) for one in near_ones]
    assert [one.position for one in order.ordered(tight, order.Effects(moved), k=12)] == placed
    assert placed.index(10) < 10


def test_a_fall_back_that_may_not_be_shown_is_followed_and_a_circle_ends(ruled_shop):
    rows = ruled_shop.rows
    first, second, third = (row["product_id"] for row in rows[:3])
    rules = [
        Rule("all", "fall-back", products=(first,)),
        Rule("x", "fall-back", Scope("product", (first,)), products=(second,)),
        Rule("y", "fall-back", Scope("product", (second,)), products=(first, third)),
        Rule("z", "block", products=(first, second)),
    ]
    question = near(ruled_shop, 36, k=36, match_only=True)
    found = places(ruled_shop, rules, question)
    matches = {
        rows[at]["product_id"] for at in np.flatnonzero(ruled_shop.vectors @ question.vector >= rule_checks.LINE)
    }
    assert third not in matches
    assert 0 < len(matches) < 20
    assert (found[-1], {*found}) == (third, {*matches, third})


def test_the_checks_of_this_file_know_a_good_answer_from_a_bad_one(ruled_shop):
    rules = [Rule("a", "block", products=(ruled_shop.rows[5]["product_id"],))]
    question = near(ruled_shop, 5)
    assert rule_checks.broken(ruled_shop, rules, question, None)
    assert not broken(ruled_shop, rules, question, answered(ruled_shop, question, ruled_shop.compiled(rules)))


def test_the_set_says_what_is_not_in_the_gallery_and_when_it_changes(ruled_shop):
    rules = [
        Rule("a", "pin", products=("gone",), slot=1),
        Rule(
            "b",
            "pin",
            products=(ruled_shop.rows[0]["product_id"],),
            slot=2,
            ends="2026-12-24T18:00",
            zone="Europe/Berlin",
        ),
    ]
    ready = CompiledRules(RuleSet.of(rules, version=3), ruled_shop.recommender.gallery, None, now=rule_checks.NOW)
    assert (ready.version, ready.unknown, str(ready.until)) == (3, (("a", "gone"),), "2026-12-24 17:00:00+00:00")

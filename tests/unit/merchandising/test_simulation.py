"""Rules tried on questions: what is counted is what the answers say, one by one."""

from __future__ import annotations

import json

import pytest

from backend.errors import Cancelled, RetrievalError
from backend.merchandising.questions.simulation import Trial, simulate
from backend.progress import NullProgress
from backend.retrieval.rules.compiled import CompiledRules
from backend.retrieval.rules.rule import Rule, conditions
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import Wishes
from tests.fixtures.endpoint import encoded, picture

KEPT = Rule("kept", "boost", where=conditions({"brand": ["Cy"]}), strength=1.0)
GONE = Rule("gone", "pin", products=("s010",), slot=1)


@pytest.fixture(scope="module")
def photos():
    return [encoded(picture(("stripes", "checks", "blob")[at % 3], at)) for at in range(30)]


@pytest.fixture(scope="module")
def trials(projection_recommender, photos):
    answers = [projection_recommender.find([photo], k=6) for photo in photos]
    kinds = ["approved"] * 5 + ["logged"] * 25
    return [
        Trial(str(at), kind, one.embedded, 6, {}, Wishes())
        for at, (kind, one) in enumerate(zip(kinds, answers, strict=True))
    ]


def simulated(recommender, trials, now, then, progress=None):
    def make(rules):
        return CompiledRules(rules, recommender.gallery, None)

    return simulate(trials, recommender, RuleSet.of(now), RuleSet.of(then), make, progress or NullProgress())


def answers(recommender, photos, rules):
    compiled = CompiledRules(RuleSet.of(rules), recommender.gallery, None)
    return [recommender.find([photo], k=6, rules=compiled).neighbours for photo in photos]


def test_the_figures_are_those_of_the_answers(projection_recommender, trials, photos):
    popular = answers(projection_recommender, photos, [])[2][0].product_id
    then = [KEPT, Rule("new", "pin", products=("b003",), slot=2), Rule("out", "block", products=(popular,))]
    found = simulated(projection_recommender, trials, [GONE, KEPT], then).as_dict()
    was, will = (answers(projection_recommender, photos, rules) for rules in ([GONE, KEPT], then))
    pairs = [([n.product_id for n in a], [n.product_id for n in b]) for a, b in zip(was, will, strict=True)]
    assert (found["questions"], found["approved"], found["logged"]) == (30, 5, 25)
    assert found["answers_changed"] == sum(a != b for a, b in pairs) == 30
    assert found["places_changed"] == sum(x != y for a, b in pairs for x, y in zip(a, b, strict=True))
    lost = [sum(n.similarity for n in a) / 6 - sum(n.similarity for n in b) / 6 for a, b in zip(was, will, strict=True)]
    assert found["similarity_given_away"] == pytest.approx(sum(lost) / 30)
    old, new = ({one for pair in pairs for one in pair[side]} for side in (0, 1))
    assert (set(found["vanishing"]), set(found["appearing"])) == (old - new, new - old)
    assert popular in found["vanishing"]
    assert "b003" not in old or "b003" not in found["appearing"]
    rules = {one["id"]: one for one in found["rules"]}
    assert {name: rules[name]["change"] for name in rules} == {
        "gone": "removed",
        "kept": "",
        "new": "added",
        "out": "added",
    }
    assert rules["gone"]["answers"] == sum(any("gone" in n.rules for n in a) for a in was) == 30
    assert rules["new"]["answers"] == sum(any("new" in n.rules for n in b) for b in will)
    pins = [n for b in will for n in b if "new" in n.rules]
    better = sum(n.rank_before is not None and n.rank_before <= n.rank for n in pins)
    assert (rules["new"]["pin_better"], rules["new"]["pin_worse"]) == (better, len(pins) - better)
    plain = answers(projection_recommender, photos, [])
    shown_before = [
        popular in {n.product_id for n in a} and popular in {n.product_id for n in p}
        for a, p in zip(was, plain, strict=True)
    ]
    assert rules["out"]["answers"] == sum(shown_before) > 0
    assert len(found["examples"]) == 20
    changed = [one["places_changed"] for one in found["examples"]]
    assert changed == sorted(changed, reverse=True)
    first = found["examples"][0]
    assert (first["before"], first["after"]) == pairs[int(first["question"])]
    assert found["summary"][0] == f"30 of 30 answers change, in {found['places_changed']} of 180 places."
    assert json.loads(json.dumps(found)) == found


def test_the_same_rules_change_nothing(projection_recommender, trials):
    found = simulated(projection_recommender, trials, [KEPT, GONE], [GONE, KEPT]).as_dict()
    assert (found["answers_changed"], found["vanishing"], found["examples"]) == (0, [], [])
    assert found["summary"][0] == "0 of 30 answers change, in 0 of 180 places."


def test_questions_about_what_is_gone_are_left_out_and_none_at_all_are_refused(projection_recommender, trials):
    gone = Trial("gone", "logged", trials[0].embedded, 6, {}, Wishes(like=("not-here",)))
    found = simulated(projection_recommender, [gone, trials[1]], [], [])
    assert (found.unanswerable, found.questions.total()) == (1, 1)
    with pytest.raises(RetrievalError, match="no question"):
        simulated(projection_recommender, [], [], [])


def test_it_can_be_stopped(projection_recommender, trials):
    class Stopped(NullProgress):
        def check_cancelled(self):
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        simulated(projection_recommender, trials, [], [], Stopped())

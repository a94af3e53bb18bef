"""A question answered by its embedding is answered as it was with its pictures, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.errors import RetrievalError
from backend.retrieval.asked_again import Embedded, answer_again
from backend.retrieval.rules.compiled import CompiledRules
from backend.retrieval.rules.rule import Rule, Scope, conditions
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import Wishes
from tests.fixtures.endpoint import encoded, picture

RULES = [
    Rule("pin", "pin", products=("b003",), slot=2),
    Rule("up", "boost", where=conditions({"brand": ["Bo"]}), strength=1.5),
    Rule("out", "block", Scope("label", ("checks",)), ("c004",)),
    Rule("rest", "fall-back", products=("s001",)),
]
QUESTIONS = {
    "plain": (1, 0, {}, Wishes(collapse="none")),
    "usual": (1, 0, {}, Wishes()),
    "filtered": (1, 0, {"brand": ("Ada", "Bo"), "price_max": 40.0}, Wishes()),
    "several": (3, 0, {}, Wishes(weights=(1.0, 2.0, 0.5))),
    "unlike": (1, 2, {}, Wishes(collapse="duplicates")),
    "named": (0, 0, {}, Wishes(like=("b004", "c005"), unlike=("s003",))),
    "named and shown": (1, 0, {}, Wishes(like=("b004",), diversity=0.5)),
    "by price": (1, 0, {}, Wishes(sort="price_desc", match_only=True)),
}


def pictures(count, first):
    return [encoded(picture(("stripes", "checks", "blob")[at % 3], at)) for at in range(first, first + count)]


@pytest.mark.parametrize("has_rules", [False, True])
@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answer_is_the_same_without_the_pictures(projection_recommender, name, has_rules):
    liked, unliked, filters, wishes = QUESTIONS[name]
    rules = CompiledRules(RuleSet.of(RULES), projection_recommender.gallery, None) if has_rules else None
    for first in range(2):
        answer = projection_recommender.find(
            pictures(liked, first), unlike=pictures(unliked, 7), k=8, filters=filters, wishes=wishes, rules=rules
        )
        assert answer.embedded.liked.shape == (liked, 12)
        again = answer_again(projection_recommender, answer.embedded, k=8, filters=filters, wishes=wishes, rules=rules)
        assert again == answer.neighbours
        assert again or name == "by price"


def test_nothing_is_no_question(projection_recommender):
    none = np.empty((0, 12), dtype=np.float32)
    with pytest.raises(RetrievalError, match="no picture"):
        answer_again(projection_recommender, Embedded(none, none), k=3)
    one = projection_recommender.find(pictures(1, 0), k=3)
    assert replace(one, embedded=None) == one, "what the network made of it is no part of what is compared"

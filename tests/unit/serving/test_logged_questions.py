"""Questions to the running endpoint stand in the log, and each is answered again as it was, whatever the rules became."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.errors import Cancelled
from backend.merchandising.collections.collection import Collection
from backend.merchandising.collections.store import CollectionStore
from backend.merchandising.questions.question_store import QuestionStore
from backend.merchandising.questions.verifying import DRAFT_RULES, OTHER_GALLERY, RULES_GONE, verify
from backend.merchandising.rule_store import RuleStore
from backend.progress import NullProgress
from backend.retrieval.rules.rule import Rule, Scope, conditions
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import encoded, http_to, picture, served
from tests.support.waiting import until

IN_TIME = 5.0
QUERIES = (
    "k=8",
    "k=3&rules=off",
    "k=5&brand=Ada&brand=Bo",
    "k=8&diversity=0.4",
    "k=6&like=b004&unlike=c003",
    "k=8&sort=price&match_only=true",
    "k=8&collapse=duplicates",
    "k=4&rules=1",
    "k=6&rules=off&collection=picks&collection=picks@1",
)
PHOTOS = 72  # asked about by each set of rules
EACH = PHOTOS + 1  # and one question without any
PICKS = (("b003", "c004"), ("s001", "b003"), ("b003", "b004", "b005"))
SETS = (
    [Rule("pin", "pin", products=("b003",), slot=2)],
    [Rule("up", "boost", where=conditions({"brand": ["Bo"]}), strength=2.0), Rule("out", "block", products=("c004",))],
    [
        Rule("rest", "fall-back", Scope("label", ("blob",)), ("s001",)),
        Rule("pin", "soft pin", products=("s004",), slot=3),
    ],
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory, projection_recommender):
    """Ask some hundred questions while the rules change; returns what was answered."""
    settings = replace(
        settings_for(tmp_path_factory.mktemp("asked") / "home"), endpoint_rate=0.0, keep_questions_photos_days=3
    )
    headers = {"Authorization": f"Bearer {ensure_app_token(settings).reveal()}"}
    rules, rng, answers = RuleStore(settings.rules_dir, "shop"), np.random.default_rng(11), []
    collections = CollectionStore(settings.collections_dir, "shop")
    with http_to(build_app(settings, load=lambda: served(projection_recommender)), headers=headers) as http:
        for version, some in enumerate(SETS, 1):
            rules.publish(some, base=version - 1, by="Ada")
            picks = PICKS[version - 1] + tuple(f"gone-{number}" for number in range(4_000))
            collections.put(Collection("picks", "Picks", picks), base=version - 1, by="Ada")
            until(lambda: http.get("/version").json()["rules"]["version"] == version, IN_TIME)  # noqa: B023
            for number in range(PHOTOS):
                photo = encoded(picture(("stripes", "checks", "blob")[number % 3], int(rng.integers(0, 40))))
                query = f"/v1/recommend?include_images=false&{QUERIES[number % len(QUERIES)]}"
                answers.append(http.post(query, content=photo).json())
            answers.append(http.post("/v1/recommend?include_images=false&k=5&like=b004").json())  # no picture at all
        unknown = http.post("/v1/recommend?k=3&collection=nobody", content=photo)
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "no_such_collection")
        refused = http.post("/v1/recommend?k=0", content=b"no picture")
        assert refused.status_code == 422
    return settings, answers


@pytest.mark.slow
def test_every_answer_is_logged_and_reproduced(asked, projection_recommender):
    settings, answers = asked
    store, rules = QuestionStore(settings.questions_dir, "shop"), RuleStore(settings.rules_dir, "shop")
    rows = store.newest(10_000)
    assert [list(one.product_ids) for one in reversed(rows)] == [
        [each["product_id"] for each in body["neighbours"]] for body in answers
    ]
    # Of each set's questions with a photo, those that are limited to the collection as it was then and at first.
    limited = [at for at in range(len(answers)) if at % EACH < PHOTOS and at % EACH % len(QUERIES) == len(QUERIES) - 1]
    shown = [{each["product_id"] for each in answers[at]["neighbours"]} for at in limited]
    assert shown == [{*PICKS[0], *PICKS[at // EACH]} for at in limited], "all of a collection, and no other product"
    first = rows[-1]
    assert (first.caller, first.model_version, first.generation, first.rules_version) == ("app", 1, 1, 1)
    assert first.milliseconds == answers[0]["timings_ms"]["total"]
    assert {path.name for path in (store.folder / "photos").iterdir()} == {
        one.pictures[0] for one in rows if one.pictures
    }
    found = verify(rows, projection_recommender, rules, NullProgress())
    assert (found.asked, found.equal, found.identical, found.different) == (len(answers),) * 3 + ([],)
    assert len({one.product_ids for one in rows}) > 50, "the questions are not all the same"


@pytest.mark.slow
def test_what_cannot_be_asked_again_is_counted_and_what_differs_is_shown(asked, projection_recommender):
    settings, _ = asked
    rows = QuestionStore(settings.questions_dir, "shop").newest(8)
    rules = RuleStore(settings.rules_dir, "shop")
    ruled = next(row for row in rows if row.rules_version == 3 and row.asked_wishes.rules == "on")
    wrong = [
        replace(ruled, generation=9),
        replace(ruled, wishes='{"rules": "draft:Ada"}'),
        replace(ruled, rules_version=99),
        replace(ruled, rules_digest="0"),
        replace(ruled, product_ids=("x",)),
        replace(ruled, similarities=(0.5, *ruled.similarities[1:])),
    ]
    found = verify(wrong, projection_recommender, rules, NullProgress())
    assert (found.asked, found.equal, found.identical) == (2, 1, 0)
    assert found.left_out == {OTHER_GALLERY: 1, DRAFT_RULES: 1, RULES_GONE: 2}
    assert found.different == [
        {
            "question": ruled.question,
            "time": ruled.time.isoformat(),
            "before": ["x"],
            "now": list(ruled.product_ids),
        }
    ]

    class Stopped(NullProgress):
        def check_cancelled(self):
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        verify(rows, projection_recommender, rules, Stopped())


def test_switched_off_nothing_is_logged(settings, projection_recommender):
    settings = replace(settings, keep_questions_days=0)
    headers = {"Authorization": f"Bearer {ensure_app_token(settings).reveal()}"}
    with http_to(build_app(settings, load=lambda: served(projection_recommender)), headers=headers) as http:
        assert http.post("/v1/recommend?k=3", content=encoded(picture("blob", 2))).status_code == 200
        assert "twinset_questions_logged 0.0" in http.get("/metrics").text
    assert not settings.questions_dir.exists()

"""Rules in the running endpoint: taken up while it answers, named in every answer, and reproduced by their version."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from dataclasses import replace

import pytest

from backend.merchandising.draft import Drafts
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.rules.rule import Rule, Scope, conditions
from backend.retrieval.wishes import Wishes
from backend.serving.client import EndpointClient
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.endpoint import encoded, http_to, picture, served
from tests.support.waiting import until

PHOTO = encoded(picture("blob", 2))
IN_TIME = 2.0  # seconds from a publication to the first answer by it


@pytest.fixture
def store(settings):
    return RuleStore(settings.rules_dir, "shop")


@pytest.fixture
def http(settings, projection_recommender):
    headers = {"Authorization": f"Bearer {ensure_app_token(settings).reveal()}"}
    app = build_app(replace(settings, endpoint_rate=0.0), load=lambda: served(projection_recommender))
    with http_to(app, headers=headers) as client:
        yield client


def asked(http, query="", photo=PHOTO):
    response = http.post(
        f"/v1/recommend?include_images=false&{query if 'k=' in query else f'k=8&{query}'}", content=photo
    )
    assert response.status_code == 200, response.text
    return response.json()


def ids(body):
    return [one["product_id"] for one in body["neighbours"]]


def publish(store, rules, note=""):
    return store.publish(rules, base=store.newest(), by="Ada", note=note)


def taken_up(http, version):
    """Wait until the endpoint answers by a version, and return the answer."""
    return until(lambda: (body := asked(http))["rules"]["version"] == version and body, IN_TIME)


def test_a_pin_is_simulated_published_taken_up_and_undone(http, store, settings):
    plain = asked(http)
    assert (plain["rules"]["version"], asked(http, "rules=off")["rules"]) == (0, None)
    last = ids(plain)[-1]
    pin = Rule("pin-1", "pin", products=(last,), slot=1, reason="a new arrival")
    drafts = Drafts(store)
    drafts.save(drafts.open("Ada").of([pin], store.read()))
    tried = asked(http, "rules=draft:Ada")
    assert ids(tried)[0] == last
    assert ids(asked(http)) == ids(plain), "a draft changes nobody's answers"
    drafts.publish(drafts.open("Ada"), note="try it")
    first = taken_up(http, 1)
    assert ids(first) == [last, *ids(plain)[:-1]]
    assert [(one["rank"], one["rank_before"], one["rules"]) for one in first["neighbours"][:2]] == [
        (1, 8, ["pin-1"]),
        (2, 1, []),
    ]
    store.restore(0, by="Ada")
    again = taken_up(http, 2)
    assert again["neighbours"] == plain["neighbours"]
    assert asked(http, "rules=1")["neighbours"] == first["neighbours"]
    assert http.post("/v1/recommend?rules=7", content=PHOTO).json()["error"]["code"] == "no_such_rules"


def test_while_rules_are_published_no_answer_fails_or_is_mixed(http, store):
    plain = ids(asked(http))
    sets = {0: plain}
    for version, block in enumerate(plain[:4], 1):
        sets[version] = [one for one in ids(asked(http, "k=9")) if one != block][:8]
    stop, answers, failures = threading.Event(), [], []

    def ask():
        while not stop.is_set():
            try:
                body = asked(http)
                answers.append((body["rules"]["version"], tuple(ids(body))))
            except Exception as error:  # noqa: BLE001 - counted below
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version, block in enumerate(plain[:4], 1):
        publish(store, [Rule("out", "block", products=(block,))])
        until(lambda: any(one[0] == version for one in answers), IN_TIME)  # noqa: B023
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {version for version, _ in answers} >= {1, 2, 3, 4}
    assert all(list(found) == sets[version] for version, found in answers)


def test_rules_that_cannot_be_read_leave_those_before_in_force_and_are_told(http, store):
    blocked = ids(asked(http))[0]
    lost = Rule("lost", "pin", Scope("picture", ("0" * 64,), 0.1), products=(blocked,), slot=1)
    publish(store, [Rule("out", "block", products=(blocked, "not-here")), lost])
    assert blocked not in ids(taken_up(http, 1))
    told = http.get("/version").json()["rules"]
    assert (told["version"], told["problem"], told["unknown_products"]) == (1, "", ["0" * 64, "not-here"])
    log = store.table / "_delta_log"
    (log / f"{2:020d}.json").write_text("{broken")
    problem = until(lambda: http.get("/version").json()["rules"]["problem"], IN_TIME)
    assert problem
    assert blocked not in ids(asked(http))
    (log / f"{2:020d}.json").unlink()
    until(lambda: http.get("/version").json()["rules"]["problem"] == "", IN_TIME)


def test_rules_hold_at_their_time_and_a_product_may_be_the_question(http, store):
    seed = "b010"
    rules = [
        Rule("noel", "pin", products=("c001",), slot=1, starts="2030-12-24T00:00", ends="2030-12-27T00:00"),
        Rule(
            "seed", "boost", Scope("product", (seed,)), where=conditions({"brand": ["Ada"]}), strength=3, crosses=True
        ),
    ]
    publish(store, rules)
    taken_up(http, 1)
    assert ids(asked(http, "rules_at=2030-12-25T10:00Z"))[0] == "c001"
    assert ids(asked(http))[0] != "c001"
    about = asked(http, f"like={seed}", photo=b"")
    assert seed not in ids(about)
    assert {one["brand"] for one in about["neighbours"][:3]} == {"Ada"}
    assert about["neighbours"][0]["rules"] == ["seed"]
    assert about["seen"]
    for wrong in ("rules=x", "rules_at=2030-12-25T10:00", "sort=size", "match_only=perhaps"):
        assert http.post(f"/v1/recommend?{wrong}", content=PHOTO).status_code == 422


def test_by_price_no_rule_moves_anything_and_the_client_says_which_rules(settings, http, store):
    publish(store, [Rule("p", "pin", products=("c001",), slot=1)])
    taken_up(http, 1)
    client = EndpointClient(str(http.base_url), ensure_app_token(settings), timeout_s=30)
    try:
        cheap = client.recommend(PHOTO, k=8, wishes=Wishes(sort="price"))
        prices = [one.price for one in cheap.neighbours if one.price is not None]
        assert prices == sorted(prices)
        assert "c001" not in {one.product_id for one in cheap.neighbours}
        pinned, off = (client.recommend(PHOTO, k=8, wishes=Wishes(rules=rules)) for rules in ("1", "off"))
        assert (pinned.neighbours[0].product_id, pinned.neighbours[0].rules, pinned.rules.version) == (
            "c001",
            ("p",),
            1,
        )
        assert (off.rules, [one.rank_before for one in off.neighbours]) == (None, list(range(1, 9)))
    finally:
        client.close()


def test_a_model_that_is_swapped_out_takes_its_rules_along(settings, store, projection_recommender):
    """Regression: the rules that were asked for kept every model that was ever served."""
    swapped_in = []

    def load():
        loaded = served(copy.copy(projection_recommender))
        swapped_in.append(weakref.ref(loaded.recommender))
        return loaded

    publish(store, [Rule("p", "pin", products=("c001",), slot=1)])
    headers = {"Authorization": f"Bearer {ensure_app_token(settings).reveal()}"}
    with http_to(build_app(settings, load=load), headers=headers) as client:
        for wanted in ("on", "1", "off"):
            first = ids(asked(client, f"rules={wanted}"))[0]
            assert (first == "c001") == (wanted != "off")
            assert client.post("/v1/reload").status_code == 200
        gc.collect()
        assert [one() is None for one in swapped_in] == [True, True, True, False]

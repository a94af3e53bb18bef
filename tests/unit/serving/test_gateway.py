"""The gateway's own routes and its guard, through the real application; MLflow's protocol is in integration."""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import threading
from contextlib import closing
from contextvars import Context
from dataclasses import replace
from functools import cache

import httpx
import numpy as np
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families as metric_families

from backend import __version__
from backend.access.edges import account
from backend.access.logs import REQUEST_HEADER, About, new_request
from backend.catalogue.fields import NAMES
from backend.errors import EndpointRejected, RegistryError
from backend.imaging import pixels
from backend.registry.fetching import ModelVersion
from backend.retrieval import recommend
from backend.retrieval.recommend import NOTHING_FITS
from backend.retrieval.wishes import Wishes
from backend.serving import gateway
from backend.serving.client import EndpointClient
from backend.serving.gateway import NEEDS, build_app
from backend.serving.tokens import ensure_app_token
from backend.serving.wire.routes import OPEN
from backend.settings import SecretStr
from tests.fixtures.colours import SHARE, coloured
from tests.fixtures.endpoint import Served, encoded, http_to, picture, served

GUARD, TRANSPORT = "backend.serving.guard", "backend.serving.transport"
PHOTO = encoded(picture("blob", 2))


@pytest.fixture
def token(settings):
    return ensure_app_token(settings).reveal()


@pytest.fixture
def headers(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def app(settings, projection_recommender):
    return build_app(replace(settings, max_upload_mb=1), load=lambda: served(projection_recommender))


@pytest.fixture
def http(app, headers):
    with http_to(app, headers=headers) as client:
        yield client


@pytest.fixture
def stranger(app):
    with http_to(app) as client:
        yield client


def error_of(response):
    error = response.json()["error"]
    assert error.keys() == {"code", "message", "next_step", "request_id"}
    assert error["message"]
    assert "Traceback" not in response.text
    return response.status_code, error["code"]


# --------------------------------------------------------------------------------------------- who may ask


def test_only_ping_is_open(app, stranger):
    paths = {route.path for route in app.routes}
    assert paths == NEEDS.keys() | OPEN, "a route must name the scope it needs, or be listed as open"
    assert {"/ping"} == OPEN
    assert not NEEDS.keys() & OPEN
    for path in [*paths, "/", "/docs", "/openapi.json", "/redoc", "/ping/", "/PING", "//ping"]:
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            status = stranger.request(method, path).status_code
            assert (status == 401) == (path != "/ping"), f"{method} {path} answered {status}"
    assert stranger.get("/ping").text == "\n"


def test_a_refusal_is_always_the_same(stranger, token):
    wrong = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {token[:-1]}"},
        {"Authorization": f"Bearer {token}x"},
        {"Authorization": f"Bearer {token} {token}"},
        {"Authorization": token},
        {"Authorization": f"Basic {token}"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"Authorization": f"Bearer {'x' * 10_000}"},
        [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer wrong")],
    ]
    stranger.headers[REQUEST_HEADER] = "same-4711"
    answers = [stranger.get("/health", headers=headers) for headers in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert error_of(answers[0]) == (401, "endpoint_denied")
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert stranger.get("/health", headers={"Authorization": f"bearer {token}"}).status_code == 200


def test_a_request_has_one_id_in_the_logs_of_both_sides_in_the_header_and_in_the_error(http, stranger, token, caplog):
    caplog.set_level("INFO")
    caplog.handler.addFilter(About())
    asked = Context().run(_asked_as, "story-4711", str(http.base_url), token)
    assert (asked.code, asked.status) == ("empty", 422)
    about = {one.name: (one.request, one.person) for one in caplog.records if one.name in {GUARD, TRANSPORT}}
    assert about == {GUARD: ("story-4711", account()), TRANSPORT: ("story-4711", "")}
    for given, is_taken in [("till-4711", True), ("short"[:3], False), ("a b c d e f", False), ("x" * 65, False)]:
        answer = stranger.get("/health", headers={REQUEST_HEADER: given})
        found = answer.headers[REQUEST_HEADER]
        assert (found == given) is is_taken
        assert answer.json()["error"]["request_id"] == found
    misdirected = stranger.get("/ping", headers={"Host": "rebound.example"})
    assert misdirected.headers[REQUEST_HEADER] == misdirected.json()["error"]["request_id"]
    ids = {stranger.get("/ping").headers[REQUEST_HEADER] for _ in range(9)}
    assert len(ids) == 9


def _asked_as(request, address, token):
    """Ask with an empty picture in a request of the app, and return how it was refused."""
    new_request(request)
    with closing(EndpointClient(address, SecretStr(token))) as client, pytest.raises(EndpointRejected) as refused:
        client.recommend(b"", k=1)
    return refused.value


def test_a_token_in_the_address_is_no_token(stranger, token):
    assert stranger.get(f"/health?token={token}&access_token={token}").status_code == 401


def test_the_token_of_the_settings_is_accepted_beside_the_stored_ones(settings, projection_recommender, token):
    chosen = replace(settings, endpoint_token=SecretStr("made-by-the-operator"))
    with http_to(build_app(chosen, load=lambda: served(projection_recommender))) as client:
        for text, status in (("made-by-the-operator", 200), (token, 200), ("made-by-nobody", 401)):
            assert client.get("/health", headers={"Authorization": f"Bearer {text}"}).status_code == status


def test_a_revoked_token_is_refused_at_once(http, settings):
    from backend.serving.tokens import token_store

    assert http.get("/health").status_code == 200
    token_store(settings).revoke("app")
    assert http.get("/health").status_code == 401


def test_a_token_does_what_its_scope_covers_and_nothing_more(settings, app, stranger):
    from backend.serving.tokens import SCOPES, token_store

    for scope in SCOPES:
        token = token_store(settings).issue(scope, scope=scope).reveal()
        for path, needed in NEEDS.items():
            method = "GET" if needed == "watch" else "POST"
            response = stranger.request(method, path, content=PHOTO, headers={"Authorization": f"Bearer {token}"})
            covered = SCOPES.index(scope) >= SCOPES.index(needed)
            assert (response.status_code != 403) == covered, f"{scope} at {path}: {response.status_code}"
            if not covered:
                assert error_of(response) == (403, "out_of_scope")
    nowhere = stranger.get(
        "/made-up", headers={"Authorization": f"Bearer {token_store(settings).issue('x', scope='ask').reveal()}"}
    )
    assert nowhere.status_code == 403


def test_a_token_whose_time_is_over_is_refused(settings, stranger):
    from backend.serving.tokens import token_store

    token = token_store(settings).issue("guest", days=1e-9).reveal()
    assert stranger.get("/health", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_the_last_use_of_a_token_is_noted(settings, http):
    from backend.serving.tokens import token_store

    assert token_store(settings).last_used() == {}
    http.get("/health")
    assert token_store(settings).last_used().keys() == {"app"}


def test_an_answer_does_not_wait_for_a_note_that_cannot_be_made(settings, http, caplog):
    (settings.home / "tokens-used.json").write_text("damaged")
    assert http.get("/health").status_code == 200
    assert "last use of the token app was not recorded" in caplog.text


def test_a_token_that_asks_too_often_is_told_when_to_come_back(settings, projection_recommender, headers):
    slow = replace(settings, endpoint_rate=0.5)
    with http_to(build_app(slow, load=lambda: served(projection_recommender)), headers=headers) as client:
        answers = [client.get("/health") for _ in range(3)]
        assert answers[0].status_code == 200
        assert error_of(answers[-1]) == (429, "too_fast")
        assert answers[-1].headers["retry-after"] == "2"
        assert client.get("/ping").status_code == 200


def test_an_answer_that_takes_too_long_is_given_up_and_the_next_is_answered(settings, projection_recommender, headers):
    hanging, may_end = threading.Event(), threading.Event()

    class Slow:
        manifest, gallery, size = projection_recommender.manifest, projection_recommender.gallery, 60

        def find(self, images, **options):
            if not hanging.is_set():
                hanging.set()
                assert may_end.wait(20)
            return projection_recommender.find(images, **options)

    hurried = replace(settings, endpoint_answer_s=0.2)
    loaded = Served(ModelVersion("twinset", 1, "champion", "run", "m"), Slow())
    with http_to(build_app(hurried, load=lambda: loaded), headers=headers) as client:
        assert error_of(client.post("/v1/recommend?k=1", content=PHOTO)) == (504, "timeout")
        may_end.set()
        assert client.post("/v1/recommend?k=1", content=PHOTO).status_code == 200


def test_an_answer_under_way_is_finished_when_the_server_is_told_to_end(settings, projection_recommender, headers):
    asked, may_end = threading.Event(), threading.Event()

    class Slow:
        manifest, gallery, size = projection_recommender.manifest, projection_recommender.gallery, 60

        def find(self, images, **options):
            asked.set()
            assert may_end.wait(20)
            return projection_recommender.find(images, **options)

    loaded = Served(ModelVersion("twinset", 1, "champion", "run", "m"), Slow())
    answers = []

    def ask(address):
        answers.append(
            httpx.post(f"{address}/v1/recommend?k=1", content=PHOTO, headers=headers, timeout=30).status_code
        )

    def let_go_once_it_ends(port):
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except OSError:
                may_end.set()  # it takes no new connection: it has begun to end
                return

    with http_to(build_app(settings, load=lambda: loaded)) as client:
        asking = threading.Thread(target=ask, args=(str(client.base_url).rstrip("/"),))
        watching = threading.Thread(target=let_go_once_it_ends, args=(client.base_url.port,))
        asking.start()
        assert asked.wait(20)
        watching.start()
    asking.join(20)
    watching.join(20)
    assert answers == [200]


def test_health_says_how_it_answers(http):
    assert http.get("/health").json()["answers"] == {
        "requests": 0,
        "errors": 0,
        "recent": 0,
        "p50_ms": None,
        "p95_ms": None,
    }
    for content in (PHOTO, PHOTO, b"?"):
        http.post("/v1/recommend?k=1", content=content)
    answers = http.get("/health").json()["answers"]
    assert (answers["requests"], answers["errors"], answers["recent"]) == (3, 1, 2)
    assert 0 < answers["p50_ms"] <= answers["p95_ms"]


# ------------------------------------------------------------------------------------------- right answers


def test_a_picture_is_answered_with_everything_a_screen_shows(http, projection_recommender):
    response = http.post("/v1/recommend?k=3", content=PHOTO)
    assert response.status_code == 200
    body = response.json()
    (expected,) = projection_recommender.recommend([PHOTO], k=3)
    assert [n["product_id"] for n in body["neighbours"]] == [n.product_id for n in expected.neighbours]
    for got, neighbour in zip(body["neighbours"], expected.neighbours, strict=True):
        image = base64.b64decode(got.pop("image"))
        assert image == projection_recommender.gallery.thumbnail(neighbour.position)
        assert (got.pop("hidden"), got.pop("rules")) == ([], [])
        assert got == {name: getattr(neighbour, name) for name in got}
    assert body["neighbours"][0].keys() == {
        *("rank", "product_id", "label", "distance", "similarity", "closeness", "probability", "is_match"),
        *NAMES,
        *("picture", "picture_sha256", "pictures", "rank_before"),
    }
    assert body["match"] is True  # though the model was not evaluated, and so is not calibrated
    assert {n["probability"] for n in body["neighbours"]} == {None}
    assert base64.b64decode(body["seen"]) == expected.seen_png
    assert body["model"] == {"name": "twinset", "version": 1, "alias": "champion", "bundle": "projection"}
    assert (body["catalogue"], body["gallery_size"]) == ({"name": "shop", "version": 4}, 60)
    assert body["timings_ms"].keys() == {"decode", "embed", "search", "total"}
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "media_type", [None, "image/png", "application/octet-stream", "application/x-www-form-urlencoded"]
)
def test_a_raw_picture_may_come_under_any_name(http, media_type):
    headers = {"Content-Type": media_type} if media_type else {}
    assert http.post("/v1/recommend?k=2", content=PHOTO, headers=headers).status_code == 200


def test_a_form_with_one_picture_is_answered_as_the_picture(http):
    from_form = http.post("/v1/recommend?k=2", files={"photo": ("p.png", PHOTO, "image/png")}, data={"note": "x"})
    assert from_form.json()["neighbours"] == http.post("/v1/recommend?k=2", content=PHOTO).json()["neighbours"]


def test_a_form_without_a_picture_or_with_too_many_is_refused(http):
    one = [("a", ("a.png", PHOTO))]
    assert error_of(http.post("/v1/recommend", files=[("unlike", ("a.png", PHOTO))])) == (422, "bad_form")
    assert error_of(http.post("/v1/recommend", files=one * 9)) == (422, "bad_form")
    assert error_of(http.post("/v1/recommend", files=one * 10)) == (400, "bad_form")
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert error_of(http.post("/v1/recommend", content=b"no form at all", headers=broken))[0] in {400, 422}
    no_boundary = {"Content-Type": "multipart/form-data"}
    assert error_of(http.post("/v1/recommend", content=b"no form at all", headers=no_boundary))[0] in {400, 422}


def test_several_pictures_make_one_question(http, projection_recommender):
    other, away = (encoded(picture(kind, 5)) for kind in ("stripes", "blob"))
    files = [("image", ("a", PHOTO)), ("image", ("b", other)), ("unlike", ("c", away))]
    url = "/v1/recommend?k=4&weight=3&weight=1&unlike=b017&diversity=0.4&collapse=variants"
    body = http.post(url, files=files).json()
    wishes = Wishes((3.0, 1.0), unlike=("b017",), diversity=0.4, collapse="variants")
    expected = projection_recommender.find([PHOTO, other], unlike=[away], k=4, wishes=wishes)
    assert [n["product_id"] for n in body["neighbours"]] == [n.product_id for n in expected.neighbours]
    assert [tuple(n["hidden"]) for n in body["neighbours"]] == [n.hidden for n in expected.neighbours]
    assert [base64.b64decode(png) for png in body["seen_others"]] == list(expected.seen_others)


def test_a_region_is_answered_as_the_picture_of_it(http):
    pair = Image.new("L", (32, 16))
    pair.paste(picture("checks", 3))
    pair.paste(picture("blob", 5), (16, 0))
    both = encoded(pair)
    for region, kind, number in (("0,0,0.5,1", "checks", 3), ("0.5,0,1,1", "blob", 5)):
        expected = http.post("/v1/recommend?k=5", content=encoded(picture(kind, number))).json()
        body = http.post(f"/v1/recommend?k=5&region={region}", content=both).json()
        assert (body["neighbours"], body["seen"]) == (expected["neighbours"], expected["seen"])
        several = http.post(f"/v1/recommend?region={region}&weight=9&weight=1", files=[("a", both), ("b", PHOTO)])
        assert several.json()["seen"] == expected["seen"]
        asked = {"inputs": [base64.b64encode(both).decode()] * 2, "params": {"k": 1, "region": region}}
        rows = http.post("/invocations", json=asked).json()["predictions"]
        assert {row["product_id"] for row in rows} == {expected["neighbours"][0]["product_id"]}


def test_a_region_is_suggested_where_it_is_asked_for(http):
    photo = encoded(picture("blob", 5).resize((64, 64)))
    plain = http.post("/v1/recommend?k=1", content=photo).json()
    asked = http.post("/v1/recommend?k=1&suggest_region=true", content=photo).json()
    assert plain["suggested_region"] is None
    assert asked["neighbours"] == plain["neighbours"]
    region = ",".join(map(str, asked["suggested_region"]))
    cropped = http.post(f"/v1/recommend?k=1&suggest_region=true&region={region}", content=photo).json()
    assert cropped["suggested_region"] is None
    even = encoded(Image.new("L", (40, 40), 90))
    assert http.post("/v1/recommend?suggest_region=true", content=even).json()["suggested_region"] is None
    assert error_of(http.post("/v1/recommend?suggest_region=perhaps", content=photo)) == (422, "bad_parameter")


@pytest.mark.parametrize("region", ["0,0,1", "0,0,0,1", "0,0,1,1.5", "nan,0,1,1", "left"])
def test_a_region_that_is_none_is_refused_with_a_sentence(http, region):
    assert error_of(http.post(f"/v1/recommend?region={region}", content=PHOTO)) == (422, "bad_region")
    asked = {"inputs": [base64.b64encode(PHOTO).decode()], "params": {"region": region}}
    assert error_of(http.post("/invocations", json=asked)) == (422, "bad_region")


def test_a_region_of_a_few_pixels_is_too_small(http):
    assert error_of(http.post("/v1/recommend?region=0,0,0.1,0.1", content=PHOTO)) == (422, "too_small")


def test_colour_is_weighed_by_both_routes_and_named_where_it_can_be(http, settings, headers, shop_in_colours):
    photo = coloured("checks", 3, "red")
    asked = {"inputs": [base64.b64encode(photo).decode()], "params": {"k": 8, "colour_weight": "1"}}
    with http_to(build_app(settings, load=lambda: served(shop_in_colours)), headers=headers) as colours:
        assert colours.get("/version").json()["colour_weight"] == SHARE
        found = colours.post("/v1/recommend?k=8&colour_weight=1", content=photo).json()["neighbours"]
        assert {neighbour["colour"] for neighbour in found} == {"red"}
        rows = colours.post("/invocations", json=asked).json()["predictions"]
        assert [row["product_id"] for row in rows] == [neighbour["product_id"] for neighbour in found]
        wrong = {**asked, "params": {"colour_weight": 1}}
        assert error_of(colours.post("/invocations", json=wrong)) == (422, "bad_params")
    assert http.get("/version").json()["colour_weight"] is None
    refused = http.post("/v1/recommend?colour_weight=1", content=PHOTO)
    assert (refused.status_code, "cannot weigh colour" in refused.json()["error"]["message"]) == (422, True)


@pytest.mark.parametrize(
    "query",
    [
        "weight=0",
        "weight=two",
        "diversity=1.5",
        "collapse=all",
        "colour_weight=2",
        "unlike=nobody",
        "diversity=0.1&diversity=0.2",
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused_with_a_sentence(http, query):
    response = http.post(f"/v1/recommend?{query}", content=PHOTO)
    assert response.status_code == 422
    assert response.json()["error"]["next_step"]


def test_filters_and_images_are_as_asked(http):
    body = http.post("/v1/recommend?k=9&brand=Bo&label=checks&include_images=false", content=PHOTO).json()
    assert {(n["brand"], n["label"], n["image"]) for n in body["neighbours"]} == {("Bo", "checks", None)}
    body = http.post("/v1/recommend?brand=Nobody", content=PHOTO).json()
    assert (body["neighbours"], body["notes"]) == ([], [NOTHING_FITS])


def test_health_and_version_say_what_answers(http):
    assert http.get("/health").json()["status"] == "ok"
    version = http.get("/version").json()
    assert version["model"] == {"name": "twinset", "version": 1, "alias": "champion", "bundle": "projection"}
    assert (version["catalogue"], version["gallery_size"]) == ({"name": "shop", "version": 4}, 60)
    assert (version["libraries"]["numpy"], version["libraries"]["twinset"]) == (np.__version__, __version__)


def test_metrics_count_what_was_answered(http):
    http.post("/v1/recommend?k=2", content=PHOTO)
    http.post("/v1/recommend?k=2", content=b"?")
    http.get("/made-up/address")
    text = http.get("/metrics").text
    told = {(s.name, *sorted(s.labels.values())): s.value for f in metric_families(text) for s in f.samples}
    assert told["twinset_requests_total", "/v1/recommend", "200", "POST"] == 1
    assert told["twinset_errors_total", "/v1/recommend", "415"] == 1
    assert told["twinset_requests_total", "404", "GET", "other"] == 1
    assert told["twinset_request_seconds_bucket", "+Inf", "/v1/recommend"] == 2
    assert told["twinset_request_seconds_count", "/v1/recommend"] == 2
    assert told["twinset_gallery_items",] == 60
    assert told["twinset_model_info", "1", "champion", "projection", "twinset"] == 1
    assert "made-up" not in text
    for line in text.strip().splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+-]+', line), line


# --------------------------------------------------------------------------------------------- wrong input


@cache
def difficult_pictures():
    grey = picture("blob", 2, side=64)
    deep = np.asarray(grey, dtype=np.uint16) * 257
    animated = [picture("blob", n, side=64) for n in range(3)]
    exif = Image.Exif()
    exif[0x0112] = 6
    see_through = grey.convert("RGBA")
    see_through.putalpha(90)
    return {
        "nothing": (b"", 422, "empty"),
        "text": (b"certainly no picture", 415, "not_an_image"),
        "bitmap": (encoded(grey, "BMP"), 415, "not_an_image"),
        "gif": (encoded(grey, "GIF"), 200, ""),
        "truncated png": (encoded(grey)[:-200], 422, "damaged"),
        "truncated jpeg": (encoded(grey, "JPEG")[:-200], 422, "damaged"),
        "bomb": (encoded(Image.new("1", (8_000, 6_000))), 413, "too_many_pixels"),
        "1x1": (encoded(Image.new("L", (1, 1))), 422, "too_small"),
        "cmyk": (encoded(grey.convert("CMYK"), "JPEG"), 200, ""),
        "16 bit": (encoded(Image.fromarray(deep)), 200, ""),
        "alpha": (encoded(see_through), 200, "Its transparent areas were filled with white."),
        "turned": (
            encoded(grey.convert("RGB"), "JPEG", exif=exif),
            200,
            "It was rotated upright according to its camera data.",
        ),
        "animated": (
            encoded(animated[0], "WEBP", save_all=True, append_images=animated[1:]),
            200,
            "It has 3 frames; the first one was used.",
        ),
    }


@pytest.mark.parametrize("name", difficult_pictures())
def test_a_difficult_picture_is_refused_with_a_code_or_answered_with_a_note(http, name):
    data, status, says = difficult_pictures()[name]
    before = http.post("/v1/recommend?k=5", content=PHOTO).json()["neighbours"]
    response = http.post("/v1/recommend?k=5", content=data)
    if status == 200:
        assert response.status_code == 200
        assert len(response.json()["neighbours"]) == 5
        assert not says or says in response.json()["notes"]
    else:
        assert error_of(response) == (status, says)
    assert http.post("/v1/recommend?k=5", content=PHOTO).json()["neighbours"] == before


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("k=0", "bad_k"),
        ("k=201", "bad_k"),
        ("k=x", "bad_k"),
        ("size=M", "unknown_parameter"),
        ("price_min=x", "retrieval_error"),
    ],
)
def test_a_wrong_parameter_is_refused_with_a_code(http, query, code):
    assert error_of(http.post(f"/v1/recommend?{query}", content=PHOTO)) == (422, code)


def test_a_body_beyond_the_limit_is_refused_by_its_length_and_while_it_streams(http):
    assert error_of(http.post("/v1/recommend", content=b"x" * 1_000_001)) == (413, "too_large")

    sent = []

    def endless():
        for _ in range(200):
            sent.append(1)
            yield b"x" * 100_000

    assert error_of(http.post("/v1/recommend", content=endless())) == (413, "too_large")
    assert http.post("/v1/recommend?k=1", content=PHOTO).status_code == 200


def test_wrong_addresses_and_methods_are_typed(http):
    assert error_of(http.get("/nowhere")) == (404, "not_found")
    assert error_of(http.get("/v1/recommend")) == (405, "bad_method")
    assert http.get("/v1/recommend").headers["allow"] == "POST"


def test_no_redirect_goes_where_a_caller_says(http):
    for path in ("/health/", "/v1/recommend/", "/v1/reload/?x=1", "/ping/"):
        for method in ("GET", "POST"):
            evil = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
            for more, refused in (({}, (404, "not_found")), ({"Host": "evil.example"}, (421, "unknown_host"))):
                response = http.request(method, path, headers=evil | more)
                assert error_of(response) == refused
                assert "location" not in response.headers
                assert "evil.example" not in str(response.headers) + response.text


def test_what_a_header_says_of_the_address_is_not_believed(http, caplog):
    caplog.set_level(logging.INFO)
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        http.get("/health", headers={name: "203.0.113.7"})
    assert "203.0.113.7" not in caplog.text
    assert caplog.text.count("127.0.0.1 app GET /health 200") == 3


def test_a_request_in_mlflows_protocol_is_read_beside_the_event_loop(http, monkeypatch):
    readers = []
    real = gateway.read_invocation

    def noting(body, **options):
        readers.append(threading.current_thread().name)
        return real(body, **options)

    monkeypatch.setattr(gateway, "read_invocation", noting)
    response = http.post("/invocations", content=b"[" * 900_000, headers={"Content-Type": "application/json"})
    assert error_of(response) == (400, "bad_json")
    assert readers == ["AnyIO worker thread"]


def test_an_error_nobody_expected_is_an_incident_in_the_log_and_a_number_in_the_answer(settings, headers, caplog):
    class Broken:
        def find(self, *_, **__):
            raise ZeroDivisionError("the secret recipe")

    broken = Served(ModelVersion("twinset", 1, "champion", "run", "m"), Broken())
    with http_to(build_app(settings, load=lambda: broken), headers=headers) as client:
        response = client.post("/v1/recommend?k=1&rules=off", content=PHOTO)
    assert error_of(response) == (500, "internal_error")
    assert "secret recipe" not in response.text
    number = re.search(r"incident (\w+)", response.json()["error"]["message"]).group(1)
    assert f"incident {number}" in caplog.text
    assert "secret recipe" in caplog.text


def test_a_request_that_memory_does_not_suffice_for_is_refused_and_the_next_one_is_answered(http, monkeypatch):
    """Regression: a strip of 8.7 kB asked for 14 GB, and was answered with an incident."""
    real = recommend.embed_queries

    def hungry(*_):
        monkeypatch.setattr(recommend, "embed_queries", real)
        return np.empty(2**50, np.float64)  # 9 petabytes: no machine has them

    monkeypatch.setattr(recommend, "embed_queries", hungry)
    assert error_of(http.post("/v1/recommend?k=1", content=PHOTO)) == (503, "out_of_memory")
    assert http.post("/v1/recommend?k=1", content=PHOTO).status_code == 200


def test_our_own_troubles_are_not_the_callers_to_read(http, settings):
    (settings.home / "tokens.json").write_text("damaged")
    response = http.get("/health")
    assert error_of(response) == (500, "internal_error")
    assert str(settings.home) not in response.text


def test_the_log_holds_neither_tokens_nor_queries(http, token, caplog):
    caplog.set_level(logging.DEBUG)
    http.post("/v1/recommend?k=1&brand=Confidential", content=PHOTO)
    http.get(f"/made-up/{token}")
    http.get("/health", headers={"Authorization": "Bearer wrong-guess"})
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("backend"))
    assert "127.0.0.1 app POST /v1/recommend 200" in ours
    assert "127.0.0.1 app GET other 404" in ours
    assert "127.0.0.1 - GET /health 401" in ours
    for secret in (token, "Confidential", "wrong-guess"):
        assert secret not in ours


# -------------------------------------------------------------------------------------------------- reload


class Registry:
    """Stands where the alias stands: tests move it."""

    def __init__(self, content=None):
        self.content = content

    def __call__(self):
        if not isinstance(self.content, Exception):
            return self.content
        raise self.content


NOT_YET = RegistryError("No version has the alias yet.", next_step="Deploy a model.")


def test_without_a_model_it_starts_and_says_so_until_there_is_one(settings, headers, projection_recommender):
    registry = Registry(NOT_YET)
    with http_to(build_app(settings, load=registry), headers=headers) as client:
        for method, path in (("GET", "/health"), ("GET", "/version"), ("POST", "/v1/recommend")):
            response = client.request(method, path, content=PHOTO if method == "POST" else None)
            assert error_of(response) == (503, "no_model")
            assert "No version has the alias yet." in response.json()["error"]["message"]
        assert client.get("/ping").status_code == 200
        assert "twinset_model_loaded 0" in client.get("/metrics").text
        assert error_of(client.post("/v1/reload")) == (409, "registry_error")

        registry.content = served(projection_recommender, version=7)
        assert client.post("/v1/reload").json()["model"]["version"] == 7
        assert client.post("/v1/recommend?k=1", content=PHOTO).json()["model"]["version"] == 7


def test_a_failed_reload_changes_nothing(settings, headers, projection_recommender):
    registry = Registry(served(projection_recommender, version=1))
    with http_to(build_app(settings, load=registry), headers=headers) as client:
        before = client.post("/v1/recommend?k=5", content=PHOTO).json()
        registry.content = RegistryError("The store is gone.")
        response = client.post("/v1/reload")
        assert error_of(response) == (409, "registry_error")
        after = client.post("/v1/recommend?k=5", content=PHOTO).json()
        assert {**before, "timings_ms": 0} == {**after, "timings_ms": 0}


def test_while_a_reload_runs_the_old_version_answers(settings, headers, projection_recommender):
    loading, may_finish = threading.Event(), threading.Event()
    versions = iter([1, 2])

    def load():
        version = next(versions)
        if version == 2:
            loading.set()
            assert may_finish.wait(20)
        return served(projection_recommender, version=version)

    with http_to(build_app(settings, load=load), headers=headers) as client:
        answers = []
        reload = threading.Thread(target=lambda: answers.append(client.post("/v1/reload").json()))
        reload.start()
        assert loading.wait(20)
        assert client.post("/v1/recommend?k=1", content=PHOTO).json()["model"]["version"] == 1
        may_finish.set()
        reload.join(20)
        assert answers[0]["model"]["version"] == 2
        assert client.post("/v1/recommend?k=1", content=PHOTO).json()["model"]["version"] == 2


def test_a_thumbnail_is_shown_as_it_is_stored(http):
    body = http.post("/v1/recommend?k=1", content=PHOTO).json()
    assert pixels.verify(base64.b64decode(body["neighbours"][0]["image"])).format == "PNG"
    assert json.dumps(body)

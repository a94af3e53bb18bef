"""What strangers may send before anybody looks at a token: not too much, not for too long, and nobody else suffers."""

from __future__ import annotations

import json
import select
import socket
import threading
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from backend.serving import caller, connection, guard, server
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token, token_store
from backend.serving.turns import Turns
from tests.fixtures.endpoint import encoded, http_to, picture, served

PHOTO = encoded(picture("blob", 2))
QUESTION = b"POST /v1/recommend?k=1&include_images=false HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def http(settings, projection_recommender):
    headers = {"Authorization": f"Bearer {ensure_app_token(settings).reveal()}"}
    with http_to(build_app(settings, load=lambda: served(projection_recommender)), headers=headers) as client:
        yield client


@pytest.fixture
def hurried(monkeypatch):
    """A server that waits as long for a header as a test may take."""
    monkeypatch.setattr(connection, "WITHIN_S", 0.3)


@pytest.fixture(autouse=True)
def curt(monkeypatch):
    """A server that closes soon after a refusal."""
    monkeypatch.setattr(connection, "_TO_READ_S", 0.05)


@contextmanager
def raw(http, *sent):
    """A connection of our own."""
    with socket.create_connection((http.base_url.host, http.base_url.port), timeout=30) as one:
        for data in sent:
            one.sendall(data)
        yield one


def until_closed(one):
    """Everything that still comes; returns only if the server closes."""
    got = b""
    try:
        while data := one.recv(65_536):
            got += data
    except ConnectionResetError:
        pass
    return got


def keep_sending(one):
    while True:
        one.sendall(b"a" * 10_000)


def refusal(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert b"cache-control: no-store" in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def bearer(settings, name, scope="ask"):
    return f"Authorization: Bearer {token_store(settings).issue(name, scope=scope).reveal()}\r\n".encode()


def is_answered(http):
    return http.post("/v1/recommend?k=1", content=PHOTO).status_code == 200


# ---------------------------------------------------------------------------------------------------- bytes


def test_a_header_of_the_largest_size_is_read_and_a_larger_one_is_refused(http):
    frame = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: %b\r\n\r\n"
    fits = frame % (b"a" * (connection.HEADER_BYTES - len(frame) + 2))
    assert len(fits) == connection.HEADER_BYTES
    with raw(http, fits) as one:
        assert until_closed(one).startswith(b"HTTP/1.1 200")
    for too_large in (fits.replace(b"X: ", b"X: a"), fits.replace(b"/ping HTTP", b"/ping?" + b"b" * 99 + b" HTTP")):
        with raw(http, too_large) as one:
            assert refusal(until_closed(one)) == (431, "header_too_large")


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /",
        b"",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\nGET /ping HTTP/1.1\r\nX: ",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    ],
    ids=["value", "address", "name", "second request", "trailer", "chunk extension"],
)
def test_megabytes_of_one_line_are_not_taken(http, begun):
    with raw(http, begun) as one, pytest.raises(OSError, match=r"reset|pipe"):
        one.sendall(b"a" * 40_000_000)
    assert is_answered(http)


def test_what_comes_after_a_body_is_no_part_of_the_header(http, settings):
    """A token in a trailer is none, and a trailer without end ends the connection."""
    token = bearer(settings, "till")
    head = QUESTION + b"Transfer-Encoding: chunked\r\nConnection: close\r\n"
    body = b"\r\n%x\r\n%b\r\n0\r\n" % (len(PHOTO), PHOTO)
    with raw(http, head + body + token + b"\r\n") as one:
        assert until_closed(one).startswith(b"HTTP/1.1 401")
    with raw(http, head + token + body + b"X: y\r\n\r\n") as one:
        assert until_closed(one).startswith(b"HTTP/1.1 200")
    with raw(http, head + token + body + b"X: " + b"a" * 200_000) as one:
        assert refusal(until_closed(one)) == (431, "header_too_large")


def test_a_body_in_one_piece_with_its_header_is_none_of_it(http, settings):
    token = bearer(settings, "till")
    large = encoded(picture("blob", 2, side=400), compress_level=0)
    assert len(large) > connection.HEADER_BYTES
    head = QUESTION + token + b"Content-Length: %d\r\n\r\n" % len(large)
    with raw(http, (head + large) * 2 + b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") as one:
        assert until_closed(one).count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 99]
)
def test_what_is_not_http_is_refused_as_everything_is(http, data):
    with raw(http, data) as one:
        assert refusal(until_closed(one)) == (400, "bad_request")


def test_a_web_socket_is_nothing_but_a_question_without_a_token(http):
    upgrade = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: QQ==\r\n\r\n"
    )
    with raw(http, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + upgrade) as one:
        assert one.recv(400).startswith(b"HTTP/1.1 401")


# ----------------------------------------------------------------------------------------------------- time


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("begun", "says"),
    [
        pytest.param(b"", None, marks=pytest.mark.slow),
        pytest.param(b"\r\n\r\n", None, marks=pytest.mark.slow),
        (b"GET /ping HTTP/1.1\r\nHost: localhost\r\n", (408, "slow_request")),
        pytest.param(b"G", (408, "slow_request"), marks=pytest.mark.slow),
    ],
    ids=["silent", "blank lines", "half a header", "a letter"],
)
def test_a_connection_that_asks_nothing_is_closed(http, begun, says):
    with raw(http, begun) as one:
        answer = until_closed(one)
    assert (refusal(answer) if answer else None) == says


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_a_header_that_comes_drop_by_drop_is_closed(http):
    with raw(http, b"GET /ping HTTP/1.1\r\n") as one:
        one.settimeout(0.02)
        answer = b""
        while not answer:
            one.sendall(b"X: y\r\n")
            try:
                answer = one.recv(400)
            except TimeoutError:
                continue
    assert refusal(answer) == (408, "slow_request")


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("after", [b"", b"\r\n", b"GET /ping HTTP/1.1\r\nX"], ids=["nothing", "blank", "half a header"])
def test_after_an_answer_the_next_header_has_as_long(http, after):
    with raw(http, b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2 + after) as one:
        assert until_closed(one).count(b"HTTP/1.1 200") == 2


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_the_rest_of_a_body_that_nobody_needs_is_not_waited_for(http):
    """The answer does not wait for it, and the connection is closed if it goes on and on."""
    with raw(http, b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\na") as one:
        assert one.recv(4000).startswith(b"HTTP/1.1 401")
        with pytest.raises(OSError, match=r"reset|pipe"):
            keep_sending(one)


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_an_answer_that_nobody_takes_is_thrown_away(monkeypatch):
    lost = threading.Event()

    class Watched(connection.Connection):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            lost.set()

    async def large(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"50000000")]})
        await send({"type": "http.response.body", "body": bytes(50_000_000)})

    monkeypatch.setattr(server, "Connection", Watched)
    with http_to(large) as client, raw(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") as one:
        assert one.recv(10)
        assert lost.wait(60)  # and no byte more was read


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_an_answer_that_takes_longer_than_a_header_may_is_given(http, settings, monkeypatch):
    monkeypatch.setattr(caller, "BODY_TIMEOUT_S", 20.0)
    with raw(http, QUESTION + bearer(settings, "till") + b"Content-Length: %d\r\n\r\n" % len(PHOTO)) as one:
        one.settimeout(0.7)  # more than a header has
        with pytest.raises(TimeoutError):
            one.recv(1)
        one.settimeout(30)
        one.sendall(PHOTO)
        assert one.recv(4000).startswith(b"HTTP/1.1 200")


def test_a_body_that_stops_half_way_is_answered(http, settings, monkeypatch):
    monkeypatch.setattr(caller, "BODY_TIMEOUT_S", 0.2)
    with raw(http, QUESTION + bearer(settings, "till") + b"Content-Length: 1000\r\n\r\na") as one:
        assert b'"slow_request"' in one.recv(4000)


# ---------------------------------------------------------------------------------------------------- slots


def test_no_body_is_read_where_none_is_needed(http, settings):
    watch = bearer(settings, "watch", "watch")
    heads = [b"GET /health", b"GET /version", b"GET /metrics", b"GET /nowhere", b"POST /v1/recommend", b"GET /ping"]
    with ExitStack() as held:
        for head in heads * 3 + heads[:1] * 70:
            data = head + b" HTTP/1.1\r\nHost: localhost\r\n" + watch + b"Content-Length: 1000\r\n\r\na"
            answer = held.enter_context(raw(http, data)).recv(400)
            assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 403"))
        assert is_answered(http)


def test_unfinished_bodies_of_one_token_take_nothing_from_another(http, settings, monkeypatch):
    ours = bearer(settings, "greedy")
    unfinished = QUESTION + ours + b"Content-Length: 1000\r\n\r\na"
    whole = QUESTION + ours + b"Content-Length: %d\r\n\r\n" % len(PHOTO) + PHOTO
    with ExitStack() as held:
        for _ in range(guard.SEATS + 6):
            held.enter_context(raw(http, unfinished))
        assert all(is_answered(http) for _ in range(10))
        waiting = held.enter_context(raw(http, whole))
        waiting.settimeout(0.3)
        with pytest.raises(TimeoutError):
            waiting.recv(1)  # it waits behind its own
        assert http.get("/health").status_code == 200
    with raw(http, whole) as one:
        assert one.recv(4000).startswith(b"HTTP/1.1 200")


def is_kept_waiting(one):
    one.settimeout(0.3)
    try:
        return not one.recv(1)
    except TimeoutError:
        return True


def test_large_bodies_of_one_token_are_few_at_once_and_keep_no_small_one_waiting(http, settings):
    ours = bearer(settings, "camera")
    large = QUESTION + ours + b"Content-Length: %d\r\n\r\na" % (caller.LARGE_BYTES + 1)
    small = QUESTION + ours + b"Content-Length: %d\r\n\r\n" % len(PHOTO) + PHOTO
    chunked = QUESTION + ours + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(PHOTO), PHOTO)
    with ExitStack() as held:
        for _ in range(guard.LARGE_SEATS):
            held.enter_context(raw(http, large))
        with raw(http, small) as one:
            assert one.recv(4000).startswith(b"HTTP/1.1 200")
        # It may be large; until the server has taken up all large ones, it still finds room.
        assert any(is_kept_waiting(held.enter_context(raw(http, chunked))) for _ in range(50))
    with raw(http, chunked) as one:
        assert one.recv(4000).startswith(b"HTTP/1.1 200")


def test_who_waits_too_long_for_a_turn_is_told_to_come_back(settings, projection_recommender, monkeypatch):
    monkeypatch.setattr(guard, "Turns", partial(Turns, patience_s=0.2))
    monkeypatch.setattr(guard, "SEATS", 1)
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as http, ExitStack() as held:
        unfinished = QUESTION + bearer(settings, "till") + b"Content-Length: 1000\r\n\r\na"
        both = [held.enter_context(raw(http, unfinished)) for _ in range(2)]
        (waited,), _, _ = select.select(both, [], [], 30)  # either may have come first
        answer = waited.recv(4000)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"busy"' in answer
        assert b"retry-after: 1" in answer.lower()
        assert http.get("/ping").status_code == 200

"""A question is asked again where that helps and harms nothing; the local token stays on this machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.errors import EndpointUnreachable
from backend.serving.client import token_for
from backend.serving.clients import client_of
from backend.serving.scoring_client import ScoringClient, is_scoring_url
from backend.serving.server import _bound
from backend.serving.transport import Transport, is_loopback
from backend.settings import SecretStr
from tests.support.scripted_server import scripted


def asked(url, *, retries, again=True, token="secret"):
    waited = []
    transport = Transport(url, SecretStr(token), timeout_s=10, retries=retries, sleep=waited.append)
    try:
        return transport.ask("GET", "/", again=again).status_code, waited
    finally:
        transport.close()


BUSY, GOOD = (503, {"Retry-After": "1"}, b"{}"), (200, {}, b"{}")


@pytest.mark.parametrize(
    ("answers", "status", "waited"),
    [
        ([GOOD], 200, []),
        ([BUSY, GOOD], 200, [1.0]),
        ([(429, {"Retry-After": "3"}, b""), (502, {}, b""), GOOD], 200, [3.0, 0.4]),
        ([BUSY], 503, [1.0, 1.0]),
        ([(429, {"Retry-After": "3600"}, b"")], 429, []),
        ([(503, {}, b'{"error": {"code": "no_model"}}'), GOOD], 503, []),
        ([(500, {}, b""), GOOD], 500, []),
        ([(422, {}, b""), GOOD], 422, []),
    ],
)
def test_a_busy_server_is_asked_again_and_a_refusal_is_not(answers, status, waited):
    with scripted(*answers) as (url, seen):
        assert asked(url, retries=2) == (status, waited)
        assert len(seen) == len(waited) + 1


def test_what_has_consequences_is_asked_once():
    with scripted(BUSY, GOOD) as (url, seen):
        assert asked(url, retries=5, again=False) == (503, [])
        assert len(seen) == 1


def test_nobody_there_is_asked_again_and_then_given_up():
    listener = _bound("127.0.0.1", 0)
    waited = []
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    transport = Transport(url, SecretStr("x"), timeout_s=1, retries=2, sleep=waited.append)
    with pytest.raises(EndpointUnreachable, match="Cannot reach"):
        transport.ask("GET", "/")
    assert waited == [0.2, 0.4]
    transport.close()
    listener.close()


def test_the_token_travels_in_its_header_only_and_an_empty_one_not_at_all():
    with scripted(GOOD) as (url, seen):
        asked(url, retries=0)
        asked(url, retries=0, token="")
    assert seen[0]["Authorization"] == "Bearer secret"
    assert "Authorization" not in seen[1]


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8601", True),
        ("http://localhost:1", True),
        ("http://[::1]:8601", True),
        ("https://shop.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://10.0.0.7:8601", False),
    ],
)
def test_the_local_token_is_not_sent_to_other_machines(settings, url, here):
    assert is_loopback(url) == here
    assert bool(token_for(replace(settings, endpoint_url=url))) == here
    own = replace(settings, endpoint_url=url, endpoint_token=SecretStr("made-for-that-server"))
    assert token_for(own).reveal() == "made-for-that-server"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:5000/invocations", "127.0.0.1:5000"),
        ("https://adb-1.example/serving-endpoints/shop/invocations", "shop"),
        ("https://host/invocations/", "host"),
    ],
)
def test_a_scoring_url_is_told_by_its_end(settings, url, name):
    assert is_scoring_url(url)
    client = client_of(replace(settings, endpoint_url=url), timeout_s=1)
    assert isinstance(client, ScoringClient)
    assert client.version()["model"]["name"] == name
    client.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8601", "https://host/invocations/more", "https://invocations"])
def test_any_other_address_is_a_twinset_endpoint(settings, url):
    client = client_of(replace(settings, endpoint_url=url), timeout_s=1)
    assert not isinstance(client, ScoringClient)
    client.close()

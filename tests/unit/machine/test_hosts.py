"""No server answers to a name that is not its own, nor does the app answer to pages of others."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import SettingsError
from backend.machine.hosts import LOOPBACK_NAMES, added_hosts, endpoint_hosts, is_known, local_hosts
from backend.serving.doors import BrowserDoor
from backend.serving.gateway import build_app
from backend.serving.tokens import token_store
from tests.fixtures.endpoint import http_to, served

OWN = [
    "localhost",
    "localhost:8501",
    "LocalHost:1",
    "localhost.",
    "localhost.:80",
    "127.0.0.1:8601",
    "[::1]",
    "[::1]:9",
]
FOREIGN = [
    *("evil.example", "evil.example:8501", "localhost.evil.example", "evil.localhost", "127.0.0.1.nip.example", ""),
    *("localhost:evil", "localhost@evil.example", "evil.example#localhost", "localhost/", "[::1", "::1", "[::1]x"),
    *("localhost..", "192.168.1.7", "0.0.0.0", "[::]", "localhost:123456", "local host", "localhost,evil.example"),
]


@pytest.mark.parametrize("host", OWN)
def test_own_names_are_known(host):
    assert is_known(host, LOOPBACK_NAMES)


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_names_are_not(host):
    assert not is_known(host, LOOPBACK_NAMES)


@given(st.from_regex(r"[a-z0-9.-]{1,30}(:[0-9]{1,5})?", fullmatch=True))
def test_only_names_of_the_list_are_known(host):
    name = host.partition(":")[0].removesuffix(".")
    assert is_known(host, LOOPBACK_NAMES) == (name in LOOPBACK_NAMES)


def test_an_open_endpoint_is_known_by_its_name_and_by_its_number_and_a_local_one_is_not(settings):
    opened = replace(settings, host="0.0.0.0")
    assert socket.gethostname().lower() in endpoint_hosts(opened)
    assert endpoint_hosts(settings) == LOOPBACK_NAMES
    assert is_known("192.168.1.7:8601", endpoint_hosts(opened), addresses=True)
    assert is_known("[fe80::1]:8601", endpoint_hosts(opened), addresses=True)
    assert not is_known("evil.example", endpoint_hosts(opened), addresses=True)


def test_names_of_a_proxy_are_added_by_the_setting(settings):
    proxied = replace(settings, allowed_hosts=" Twinset.example , shop.local")
    assert added_hosts(proxied) == {"twinset.example", "shop.local"}
    assert local_hosts(proxied) == LOOPBACK_NAMES | {"twinset.example", "shop.local"}


@pytest.mark.parametrize("wrong", ["*", "*.example", "https://twinset.example", "twinset.example:80", "a b"])
def test_what_is_no_name_is_no_setting(settings, wrong):
    with pytest.raises(SettingsError, match="is not a host name"):
        added_hosts(replace(settings, allowed_hosts=f"good.example,{wrong}"))


def test_the_endpoint_gives_a_rebound_name_nothing_not_even_with_a_token(settings, projection_recommender):
    token = token_store(settings).issue("till").reveal()
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as http:
        for path in ("/ping", "/health", "/metrics", "/nothing"):
            own = {"Authorization": f"Bearer {token}"}
            refused = http.get(path, headers={**own, "Host": f"evil.example:{http.base_url.port}"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (421, "unknown_host")
            assert "evil" not in refused.text
            assert http.get(path, headers=own).status_code == (404 if path == "/nothing" else 200)


def asked(door, kind="http", **headers):
    """What a door sends, asked once."""
    sent = []
    named = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def receive():
        return {"type": f"{kind}.connect"}

    async def send(message):
        sent.append(message)

    asyncio.run(door({"type": kind, "headers": named, "path": "/", "method": "GET"}, receive, send))
    return sent


async def reached(scope, _receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": b"the app"})


@pytest.mark.parametrize(
    ("host", "origin", "admitted"),
    [
        ("localhost:8501", "http://localhost:8501", True),
        ("localhost:9999", "http://localhost:9999", True),  # through a tunnel
        ("twinset.example", "https://twinset.example", True),
        ("127.0.0.1:8501", "https://twinset.example", True),  # a proxy that names itself inside
        ("localhost:8501", "http://localhost:3000", False),  # another program's page on this machine
        ("localhost:8501", "http://evil.example", False),
        ("localhost:8501", "http://evil.example:8501", False),
        ("localhost:8501", "null", False),
        ("evil.example:8501", "http://evil.example:8501", False),  # the rebound name itself
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_only_its_own_pages_reach_the_app(kind, host, origin, admitted):
    proxies = frozenset({"twinset.example"})
    door = BrowserDoor(reached, hosts=LOOPBACK_NAMES | proxies, origins=proxies)
    first = asked(door, kind, host=host, origin=origin)[0]
    if kind == "websocket":
        assert first["type"] == ("websocket.accept" if admitted else "websocket.close")
        return
    assert first["status"] == (200 if admitted else 421)
    assert (b"content-security-policy", b"frame-ancestors 'none'") in first["headers"]
    assert (b"x-frame-options", b"DENY") in first["headers"]


def test_a_request_without_a_host_or_with_two_is_nobodys():
    door = BrowserDoor(reached, hosts=LOOPBACK_NAMES, origins=frozenset())
    assert asked(door)[0]["status"] == 421
    two = {"type": "http", "path": "/", "headers": [(b"host", b"localhost"), (b"host", b"evil.example")]}
    assert not door.admits(two)

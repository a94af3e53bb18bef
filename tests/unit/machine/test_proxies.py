"""What a header says about a caller counts only where a named proxy wrote it."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import SettingsError
from backend.machine.proxies import BelowPath, NamedProxies, named_proxies
from backend.serving.gateway import build_app
from backend.serving.tokens import token_store
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import http_to, served

FORWARDED = ["for", "host", "proto", "prefix", "port", "server"]
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
WORDS = st.one_of(
    ADDRESSES,
    st.sampled_from(["10.0.0.7", "10.0.1.9", "::ffff:10.0.0.7", "shop.example", "https", "wss", "", "::1%\x1b[2J"]),
    st.text(st.characters(max_codepoint=255), max_size=20),
)
CHAINS = st.lists(st.lists(WORDS, max_size=4).map(",".join), max_size=3)
PROXIES = tuple(map(ipaddress.ip_network, ("10.0.0.7", "10.0.1.0/24", "fd00::/64")))


def passed(middleware, **scope):
    """The scope that is handed on."""
    found = []

    async def reached(handed, _receive, _send):
        found.append(handed)

    given_scope = {"type": "http", "headers": [], "scheme": "http", "path": "/", **scope}
    asyncio.run(middleware(reached)(given_scope, None, None))
    return found[0]


def behind(client, headers=(), proxies=PROXIES, kind="http"):
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "client": client and (client, 5), "headers": encoded}
    return passed(lambda app: NamedProxies(app, proxies=proxies), **scope), {**scope, "scheme": "http", "path": "/"}


@given(
    client=st.one_of(st.none(), ADDRESSES, st.just("testclient")),
    headers=st.lists(st.tuples(st.sampled_from([f"x-forwarded-{one}" for one in FORWARDED]), WORDS), max_size=4),
)
def test_headers_from_elsewhere_change_nothing(client, headers):
    if client in {"10.0.0.7", "::ffff:10.0.0.7"} or (client or "").startswith("10.0.1."):
        return
    found, as_sent = behind(client, headers)
    assert found == as_sent
    assert behind("10.0.0.7", headers, proxies=())[0]["client"] == ("10.0.0.7", 5)


@given(chains=CHAINS)
def test_the_caller_is_the_last_address_that_is_no_proxy_and_always_an_address(chains):
    found, _ = behind("10.0.0.7", [("x-forwarded-for", one) for one in chains])
    address = found["client"][0]
    said = [plain(one.strip()) for one in ",".join(chains).split(",")]
    last = next((at for at in range(len(said) - 1, -1, -1) if not is_proxy(said[at])), -1)
    assert address == (said[last] if last >= 0 and said[last] else "10.0.0.7")


def plain(text):
    """An address as it is written when it is the only one of its kind; empty for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return "" if "%" in text else str(getattr(address, "ipv4_mapped", None) or address)


def is_proxy(address):
    return bool(address) and any(ipaddress.ip_address(address) in network for network in PROXIES)


@pytest.mark.parametrize(
    ("chain", "caller"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first is what the caller sent
        ("203.0.113.9, 10.0.1.9,10.0.0.7", "203.0.113.9"),  # through two proxies
        ("2001:db8::9", "2001:db8::9"),
        ("203.0.113.9, nobody", "10.0.0.7"),
        ("10.0.1.9", "10.0.0.7"),
        ("fe80::1%eth0", "10.0.0.7"),
        ("", "10.0.0.7"),
    ],
)
def test_which_address_of_a_chain_is_the_callers(chain, caller):
    assert behind("10.0.0.7", [("x-forwarded-for", chain)])[0]["client"][0] == caller
    assert behind("::ffff:10.0.0.7", [("x-forwarded-for", chain)])[0]["client"][0].endswith(caller)


def test_host_and_scheme_are_those_that_the_caller_asked():
    said = [("host", "inside:8501"), ("x-forwarded-host", "shop.example"), ("x-forwarded-proto", "https"), ("a", "b")]
    found, _ = behind("10.0.1.200", said, kind="websocket")
    assert found["scheme"] == "wss"
    assert found["headers"].count((b"host", b"shop.example")) == 1
    assert (b"a", b"b") in found["headers"]
    assert [name for name, _ in found["headers"]].count(b"host") == 1
    twice, _ = behind("10.0.1.200", [*said, ("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http")])
    assert (b"host", b"inside:8501") in twice["headers"]
    assert twice["scheme"] == "http"


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0.1/8", "0.0.0.0/0", "::/0", "*", "10.0.0.1 10.0.0.2"])
def test_what_names_no_proxies_is_no_setting(settings, wrong):
    with pytest.raises(SettingsError, match="TWINSET_PROXIES"):
        named_proxies(replace(settings, proxies=f"10.0.0.7, {wrong}"))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/api/ping", "/ping"),
        ("/ping", "/ping"),
        ("/api/", "/"),
        ("/apis/ping", "/apis/ping"),
        ("/api", "/api"),
        ("/api/api/ping", "/api/ping"),
    ],
)
def test_a_path_is_cut_off_once_and_whole(asked, found):
    handed = passed(lambda app: BelowPath(app, path="/api"), path=asked, raw_path=asked.encode())
    assert (handed["path"], handed["raw_path"]) == (found, found.encode())


def test_an_endpoint_below_a_path_slows_and_logs_callers_and_not_their_proxy(tmp_path, projection_recommender, caplog):
    caplog.set_level("INFO", logger="backend.serving.guard")
    settings = replace(
        settings_for(tmp_path), endpoint_path="/shop/api", proxies="127.0.0.1", allowed_hosts="shop.example"
    )
    token = token_store(settings).issue("till").reveal()
    forwarded = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9", "X-Forwarded-Host": "shop.example"}
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as http:
        own = {"Authorization": f"Bearer {token}", **forwarded}
        document = http.get("/shop/api/openapi.json", headers=own)
        assert document.json()["servers"] == [{"url": "/shop/api"}]
        assert http.get("/ping").status_code == 200
        assert http.get("/shop/api/metrics", headers={**own, "Authorization": "Bearer x"}).status_code == 401
        assert http.get("/shop/api/ping", headers={**own, "X-Forwarded-Host": "evil.example"}).status_code == 421
        assert http.get("/shop/api/shop/api/ping", headers=own).status_code == 404
        assert json.loads(http.get("/version", headers=own).content)["catalogue"]
    lines = [record.getMessage() for record in caplog.records if record.name == "backend.serving.guard"]
    assert [line.split()[0] for line in lines].count("203.0.113.9") == len(lines) - 1
    assert any(line.startswith("203.0.113.9 till GET /openapi.json 200") for line in lines)

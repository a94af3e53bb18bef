"""No address leads inside, in whatever spelling; and no spelling of a host gets past the list."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.catalogue.fetch.address import parse, shown
from backend.catalogue.fetch.gate import Gate, Hosts, Network, hosts_of, is_public
from backend.errors import ImageRejected, SettingsError

INSIDE = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.168.0.0/16", "198.18.0.0/15", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128"),
    *("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
]
FEW = settings(max_examples=40, deadline=None)


@st.composite
def inside(draw):
    network = ipaddress.ip_network(draw(st.sampled_from(INSIDE)))
    return network[draw(st.integers(0, network.num_addresses - 1))]


def spellings(found):
    """The ways in which an address is written that some resolver, browser or library takes for it."""
    if isinstance(found, ipaddress.IPv6Address):
        return [f"[{found}]", f"[{found.exploded}]", f"[{str(found).upper()}]"]
    number, parts = int(found), found.packed
    return [
        *(str(found), f"{found}.", str(number), hex(number), oct(number).replace("0o", "0")),
        *(".".join(f"{part:#x}" for part in parts), ".".join(f"0{part:o}" for part in parts)),
        *(f"{parts[0]}.{int.from_bytes(parts[1:])}", f"{parts[0]}.{parts[1]}.{int.from_bytes(parts[2:])}"),
        *(f"[::ffff:{found}]", f"[::{found}]", f"[64:ff9b::{found}]", f"[2002:{parts[:2].hex()}:{parts[2:].hex()}::1]"),
        *(
            str(found).replace(".", "。"),
            "".join(chr(ord(mark) + 0xFEE0) if mark.isdigit() else mark for mark in str(found)),
        ),
    ]


class Everything(Hosts):
    """Names no host as one that may not be asked: only the addresses count."""

    def allow(self, host):
        return True


def passed(text, answers=()):
    return Gate(Everything(frozenset({"x"})), Network(lambda *_: list(answers), None)).passed(parse(text))


@FEW
@given(inside())
@example(ipaddress.ip_address("169.254.169.254"))
@example(ipaddress.ip_address("64:ff9b::a9fe:a9fe"))
def test_no_spelling_of_an_inner_address_passes(found):
    assert not is_public(str(found))
    for host in spellings(found):
        with pytest.raises(ImageRejected) as refused:
            passed(f"http://{host}/1.jpg", [str(found)])
        assert refused.value.code in {"not_public", "bad_host", "no_host"}


@FEW
@given(inside(), st.lists(st.sampled_from(["93.184.216.34", "2606:2800:220:1::1"]), max_size=3), st.randoms())
def test_one_inner_answer_of_several_is_enough(found, others, random):
    answers = [*others, str(found)]
    random.shuffle(answers)
    with pytest.raises(ImageRejected, match="not on the open network"):
        passed("https://cdn.example/1.jpg", answers)


def test_public_answers_pass_and_are_asked_for_once():
    asked = []
    network = Network(lambda host, port: asked.append((host, port)) or ["93.184.216.34", "2606:2800:220:1::1"], None)
    gate = Gate(Hosts(frozenset({"cdn.example"})), network)
    for _ in range(3):
        assert gate.passed(parse("https://cdn.example/1.jpg")) == ("93.184.216.34", "2606:2800:220:1::1")
    assert asked == [("cdn.example", 443)]


def test_a_host_that_is_not_found_is_said():
    def resolve(*_):
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(ImageRejected, match=r"cdn\.example cannot be found"):
        Gate(Hosts(frozenset({"cdn.example"})), Network(resolve, None)).passed(parse("https://cdn.example/1.jpg"))


@pytest.mark.parametrize(
    ("host", "setting", "may"),
    [
        ("cdn.shop.example", "cdn.shop.example", True),
        ("CDN.Shop.example.", "cdn.shop.example", True),
        ("cdn.shop.example", "*.shop.example", True),
        ("a.b.shop.example", "other.example, *.shop.example", True),
        ("shop.example", "*.shop.example", False),
        ("evilshop.example", "*.shop.example", False),
        ("shop.example.evil.example", "*.shop.example", False),
        ("möwe.example", "xn--mwe-sna.example", True),
        ("cdn.shop.example", "", False),
    ],
)
def test_a_host_is_allowed_by_name_or_by_suffix(host, setting, may):
    assert hosts_of(setting).allow(parse(f"https://{host}/").host) is may


def test_confirmed_hosts_count_only_where_the_setting_turns_fetching_on():
    assert hosts_of("own.example", ["cdn.example"]).allow("cdn.example")
    assert not hosts_of("own.example", ["cdn.example"]).is_own("cdn.example")
    assert not hosts_of("", ["cdn.example"]).allow("cdn.example")


@pytest.mark.parametrize("setting", ["https://cdn.example", "*", "*.", "a_b/c", "2130706433", "user@cdn.example"])
def test_a_setting_that_names_no_host_is_refused(setting):
    with pytest.raises(SettingsError, match="no host"):
        hosts_of(setting)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (" https://A.example/x.jpg#part ", "https://a.example/x.jpg"),
        ("http://a.example:80/x", "http://a.example/x"),
        ("https://a.example:8443", "https://a.example:8443/"),
        ("//a.example/x.jpg", "https://a.example/x.jpg"),
        ("https://a.example/ä b%20c%.jpg?q=ö&r=1 2", "https://a.example/%C3%A4%20b%20c%25.jpg?q=%C3%B6&r=1%202"),
        ("https://straße.example/x", "https://strasse.example/x"),
        ("https://[2606:2800:0220:1::1]/x", "https://[2606:2800:220:1::1]/x"),
    ],
)
def test_an_address_has_one_spelling(text, url):
    assert parse(text).url == url
    assert parse(url).url == url


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("https://a.example\\@b.example/x", "bad_address"),
        ("https://a.example/\r\nHost: b", "bad_address"),
        ("https://a@b.example/x", "password"),
        ("https://a.example%2eb.example/x", "bad_host"),
        ("https://a..example/x", "bad_host"),
        ("https:///x", "bad_host"),
        ("https://[fe80::1%25eth0]/x", "bad_host"),
        ("https://a.example:99999/x", "bad_address"),
        ("https://1.2.3/x", "bad_host"),
        ("ftp://a.example/x", "bad_scheme"),
        ("javascript:alert(1)", "bad_scheme"),
        ("img/1.jpg", "bad_scheme"),
        ("https://a.example/" + "x" * 5000, "bad_address"),
    ],
)
def test_what_is_no_address_is_refused(text, code):
    with pytest.raises(ImageRejected) as refused:
        parse(text)
    assert refused.value.code == code


@FEW
@given(st.text(max_size=40))
def test_whatever_a_table_says_is_an_address_or_refused(text):
    for candidate in (text, f"https://{text}", f"https://a.example/{text}"):
        try:
            found = parse(candidate)
        except ImageRejected:
            continue
        assert parse(found.url) == found
        assert found.url.isascii()
        assert " " not in found.url


@FEW
@given(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.from_regex(r"[A-Z0-9]{6,12}", fullmatch=True))
def test_a_password_is_never_shown(user, secret):
    assert secret not in shown(f"https://{user}:{secret}@a.example/x?q=1")
    assert secret not in shown(f"//{user}:{secret}@a.example")

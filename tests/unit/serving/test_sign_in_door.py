"""The door of the sign-in: whatever is behind it, without a session there is nothing but the way in."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from backend.access.asking import asking
from backend.access.person import Person, Role
from backend.access.sign_ins import SignIns
from backend.machine.hosts import LOOPBACK_NAMES
from backend.serving.doors import BrowserDoor
from backend.serving.sign_in.door import SignInDoor
from backend.serving.sign_in.entrance import Entrance
from backend.serving.sign_in.ways import OPEN

HTML = {"accept": "text/html"}
ROUTES = [
    *("/", "/recommend", "/media/a.png", "/component/grid/index.html", "/_stcore/bidi-components/grid/main.js"),
    *("/exports/shop", "/_stcore/host-config", "/_stcore/metrics", "/_stcore/agent/interact", "/app/static/a"),
    *("/static/js/index.js", "/favicon.png", "/manifest.json", "/_stcore/script-health-check"),
    "/_stcore/upload_file/session/file",
]


async def app(scope, receive, send):
    """Whatever is behind the door: it says so, or echoes."""
    if scope["type"] == "http":
        headers = {"set-cookie": "own=1; Path=/", "x-asks": asking().person.way}
        await PlainTextResponse("inside", headers=headers)(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


class Behind(httpx.BaseTransport):
    """Asks an ASGI application, without a server."""

    def __init__(self, door):
        self.door = door

    def handle_request(self, request):
        return asyncio.run(self._answer(request))

    async def _answer(self, request):
        found = await httpx.ASGITransport(self.door).handle_async_request(request)
        return httpx.Response(found.status_code, headers=found.headers, content=await found.aread())


def client(door):
    return httpx.Client(transport=Behind(door), base_url="http://localhost")


def socket(door, cookies, *steps, path="/_stcore/stream", **headers):
    """What a web socket is sent, while it sends bytes and meanwhile other things happen."""
    sent, waiting = [], iter(["connect", *steps])
    named = {"host": "localhost", **headers, "cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}

    async def receive():
        for step in waiting:
            if step == "connect":
                return {"type": "websocket.connect"}
            if isinstance(step, bytes):
                return {"type": "websocket.receive", "bytes": step}
            step()
        return {"type": "websocket.disconnect"}

    async def send(message):
        sent.append(message.get("bytes", message["type"]))

    lines = [(name.encode(), value.encode()) for name, value in named.items()]
    asyncio.run(door({"type": "websocket", "path": path, "headers": lines, "query_string": b""}, receive, send))
    return sent


REFUSED = ["websocket.close"]


class House:
    """A door with everything that it needs, a clock and a list of people."""

    def __init__(self, folder, *, root="", behind=app, **more):
        self.now = datetime(2026, 11, 28, 9, tzinfo=UTC)
        self.file = folder / "sign-ins.json"
        self.signed = SignIns(self.file, now=lambda: self.now)
        self.people = {"ada": Role.ADMIN, "bo": None}
        self.written = []
        self.entrance = Entrance(
            *(self.signed, self, self.person, "twinset-1", 8.0, root, b"farewell"),
            **more,
        )
        self.door = SignInDoor(behind, entrance=self.entrance)
        self.http = client(self.door)

    def person(self, entry, address):
        known = entry.name in self.people
        return Person(entry.name, self.people[entry.name], "app", address) if known else None

    def write(self, person, action, about, result):
        self.written.append((person.name, action, result))

    def sign_in(self, name="ada"):
        return self.http.get("/sign-in", params={"key": self.signed.issue(name, "").reveal()})

    def socket(self, *steps, **more):
        return socket(self.door, dict(self.http.cookies), *steps, **more)

    def opened(self):
        return self.http.get("/recommend").text == "inside"


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.mark.parametrize("root", ["", "/shop"])
def test_without_a_session_no_route_answers_and_with_one_every_route_does(tmp_path, root):
    house = House(tmp_path, root=root)
    asked = [("GET", route) for route in ROUTES]
    asked += [(method, ROUTES[-1]) for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")]
    for method, route in asked:
        refused = house.http.request(method, root + route)
        assert (refused.status_code, "inside" in refused.text) == (401, False)
    assert house.http.get(f"{root}/_stcore/health").headers["x-asks"] == "command"  # as this process says
    assert house.socket(b"click", path=f"{root}/_stcore/stream") == REFUSED
    key = house.signed.issue("ada", "").reveal()
    assert house.http.get(f"{root}/sign-in", params={"key": key}).headers["location"] == f"{root}/"
    assert {house.http.get(root + route).text for route in ROUTES} == {"inside"}
    assert house.http.get(f"{root}/exports/shop").headers["x-asks"] == "app"
    assert house.socket(b"click", path=f"{root}/_stcore/stream") == ["websocket.accept", b"click"]


@hypothesis_settings(max_examples=60)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=12))
def test_no_path_but_those_of_the_list_is_open(tmp_path_factory, tail):
    """Neither a longer one, nor one with an upper case letter, a dot or a slash more."""
    house = House(tmp_path_factory.mktemp("home"))
    for path in OPEN:
        for tried in {f"/{tail}{path}", f"{path}{tail}", f"{path}/{tail}", path.upper(), f"/{tail}"} - OPEN:
            scope = {"type": "http", "path": tried, "method": "GET", "headers": [], "query_string": b""}
            assert house.door.is_open(scope) is False


def test_an_address_opens_once_and_leaves_no_secret_behind(house):
    key = house.signed.issue("ada", "").reveal()
    assert (
        house.http.head("/sign-in", params={"key": key}).status_code == 401
    )  # whoever looks for a preview uses nothing
    first = house.http.get("/sign-in", params={"key": key})
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert (first.headers["referrer-policy"], first.headers["cache-control"]) == ("no-referrer", "no-store")
    cookie = first.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/", "max-age=28800"))
    assert key not in str(first.headers)
    assert house.opened()
    house.http.cookies.clear()
    second = house.http.get("/sign-in", params={"key": key})
    assert (second.status_code, house.opened()) == (403, False)
    assert "has been used, or has expired" in second.text
    assert "python -m backend sign-in" in second.text


def test_a_session_ends_by_time_by_signing_out_and_by_removal(house):
    house.sign_in()
    house.now += timedelta(hours=7.9)
    assert house.opened()
    house.now += timedelta(hours=0.2)
    assert not house.opened()
    house.sign_in()
    copied = {"cookie": f"twinset-1={house.http.cookies['twinset-1']}"}
    house.http.get("/auth/logout")
    assert "twinset-1" not in house.http.cookies
    assert house.http.get("/", headers=copied).status_code == 401
    house.sign_in()
    copied = {"cookie": f"twinset-1={house.http.cookies['twinset-1']}"}
    house.sign_in()  # as somebody else, perhaps
    assert house.http.get("/", headers=copied).status_code == 401
    assert house.opened()
    assert house.written[-3:] == [("ada", f"app.sign_{way}", "done") for way in ("out", "in", "in")]
    late = house.signed.issue("ada", "").reveal()
    del house.people["ada"]
    assert not house.opened()
    refused = house.http.get("/sign-in", params={"key": late})
    assert (refused.status_code, house.opened()) == (403, False)
    assert "no longer have access" in refused.text


def test_an_open_page_is_left_at_the_first_click_after_its_session(house):
    house.sign_in()
    sent = house.socket(b"one", house.people.clear, b"two", b"three")
    assert sent == ["websocket.accept", b"one", b"farewell", "websocket.close"]


def test_who_has_no_role_sees_whom_to_ask_and_nothing_else(house):
    house.sign_in("bo")
    page = house.http.get("/", headers=HTML)
    assert page.status_code == 403
    assert "signed in as bo" in page.text
    assert {house.http.get(route).status_code for route in ROUTES} == {403}
    assert house.socket(b"click") == REFUSED
    house.people["bo"] = Role.VIEWER
    assert house.opened()


def test_an_altered_cookie_is_no_session(house):
    house.sign_in()
    secret = house.http.cookies["twinset-1"]
    house.http.cookies.clear()
    hashes = re.findall(r"[0-9a-f]{64}", house.file.read_text())
    assert hashes
    for wrong in ("", secret[:-1], secret + "A", secret.swapcase(), "é", "0" * 64, *hashes):
        answer = house.http.get("/", headers={"cookie": f"twinset-1={wrong}".encode("latin-1")})
        assert answer.status_code == 401
    assert house.http.get("/", headers={"cookie": f"twinset-1={secret}"}).text == "inside"


def test_the_page_that_was_opened_before_the_sign_in_is_opened_after_it(house):
    house.http.get("/rules?catalogue=shop&view=live", headers=HTML)
    assert house.sign_in().headers["location"] == "/rules?catalogue=shop&view=live"
    assert house.sign_in().headers["location"] == "/"  # once


@pytest.mark.parametrize(
    "link", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\r\nb: c", "/é"]
)
def test_a_link_elsewhere_is_not_followed(house, link):
    house.http.cookies.set("twinset-1-link", link.replace("\r", "%0D").replace("\n", "%0A").replace("é", "%C3%A9"))
    assert house.sign_in().headers["location"] == "/"


def test_with_a_session_a_foreign_name_page_or_socket_gets_nothing_and_cookies_stay_behind_tls(house):
    door = BrowserDoor(SignInDoor(app, entrance=house.entrance), hosts=LOOPBACK_NAMES, origins=frozenset())
    http = client(door)
    house.sign_in()
    mine = {"cookie": f"twinset-1={house.http.cookies['twinset-1']}"}
    assert http.get("/", headers=mine).text == "inside"
    for other in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}):
        assert http.get("/", headers=mine | other).status_code == 421
        assert socket(door, dict(house.http.cookies), b"click", **other) == REFUSED
    answers = [http.get("/", headers=mine), http.get("/", headers=HTML), http.get("/sign-in")]
    assert {answer.headers["x-frame-options"] for answer in answers} == {"DENY"}
    for scheme, secure in (("http", False), ("https", True)):
        key = house.signed.issue("ada", "").reveal()
        answer = http.get(f"{scheme}://localhost/sign-in", params={"key": key})
        assert all(("; Secure" in one) is secure for one in answer.headers.get_list("set-cookie"))

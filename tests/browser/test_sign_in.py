"""The one-time address in a real browser, on the whole app: what opens once, what nothing opens, and what strangers get."""

from __future__ import annotations

import shutil
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from backend.access.edges import new_address
from backend.access.people import People
from backend.access.way_in import session_cookie
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.browser.conftest import NARROW
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import http_to, served
from tests.support.browsing import app_running, free_port
from tests.support.pages import answers, assert_fits, expect_pictures, upload
from tests.support.pictures import encoded
from tests.ui.conftest import write_catalogue

pytestmark = pytest.mark.browser
HEALTH = "/_stcore/health"


@pytest.fixture(scope="module")
def house(tmp_path_factory, projection_bundle, projection_recommender):
    """The app over the shop of the endpoint fixtures, with sign-in, as settings that name its port."""
    settings = replace(settings_for(tmp_path_factory.mktemp("signing") / "home"), sign_in="address")
    write_catalogue(settings, "shop")
    shutil.copytree(projection_bundle, settings.models_dir / projection_bundle.name)
    ensure_app_token(settings)
    settings.exports_dir.mkdir(parents=True)
    (settings.exports_dir / "shop.csv").write_text("product_id\n1\n")
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as client:
        settings = replace(settings, endpoint_url=str(client.base_url).rstrip("/"), app_port=free_port())
        with app_running(settings):
            yield settings


@pytest.fixture(scope="module")
def address(house):
    return f"http://127.0.0.1:{house.app_port}"


def sign_out(page):
    return page.get_by_role("button", name="Sign out")


def heading(page, text):
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def signed_in(page, house):
    page.goto(new_address(house))
    expect(sign_out(page)).to_be_visible()


def test_it_opens_once_leads_to_the_page_that_was_wanted_and_ends_with_signing_out(page, browser, house, address):
    page.goto(f"{address}/collections?catalogue=shop")
    heading(page, "Sign in to Twinset")
    link = new_address(house)
    page.goto(link)
    expect(sign_out(page)).to_be_visible()
    assert urlsplit(page.url).path == "/collections"
    secret = link.partition("key=")[2]
    assert secret not in page.evaluate("JSON.stringify([document.referrer, location.href, document.cookie])")
    expect(page.get_by_test_id("stSidebar").get_by_text("admin")).to_be_visible()
    other = browser.new_context(viewport=NARROW)
    second = other.new_page()
    second.goto(link)
    heading(second, "This address does not work")
    assert_fits(second)
    second.goto(address)
    heading(second, "Sign in to Twinset")
    other.close()
    sign_out(page).click()
    heading(page, "Sign in to Twinset")
    assert session_cookie(house) not in {cookie["name"] for cookie in page.context.cookies()}


def test_whatever_a_page_loads_is_loaded_with_a_session_only(page, house, address):
    """Every request of a real visit, photo and answer included, once more without the cookie."""
    asked = {}
    page.on("response", lambda answer: asked.setdefault(answer.url, (answer.request.method, answer.status)))
    page.goto(new_address(house))
    with page.expect_response(lambda answer: "/media/" in answer.url):
        upload(page, {"name": "mine.png", "mimeType": "image/png", "buffer": encoded()})
    expect_pictures(answers(page).locator("img"))
    paths = {
        url.partition(address)[2].partition("?")[0]: found for url, found in asked.items() if url.startswith(address)
    }
    for kind in ("/static/", "/media/", "/_stcore/upload_file/", "/_stcore/host-config"):
        assert any(path.startswith(kind) for path in paths), kind
    assert {status for path, (_, status) in paths.items() if path != "/sign-in"} <= {200, 204, 304}
    more = (
        "/exports/shop",
        "/deploy",
        "/component/a/index.html",
        "/_stcore/bidi-components/a",
        "/_stcore/agent/interact",
    )
    paths |= dict.fromkeys(more, ("GET", 0))
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    with httpx.Client(base_url=address, trust_env=False) as http:
        for path, (method, _) in paths.items():
            refused = http.request(method, path)
            assert refused.status_code == (200 if path == HEALTH else 401), path
            assert path == HEALTH or len(refused.content) < 3000
        http.cookies.update(cookies)
        assert http.get("/exports/shop").text == "product_id\n1\n"
    assert "catalogue.download_corrected" in (house.home / "audit" / "waiting.jsonl").read_text()
    opened = {"origin": address, "additional_headers": {"Cookie": f"{session_cookie(house)}=forged"}}
    with pytest.raises(InvalidStatus, match="403"), connect(f"ws{address[4:]}/_stcore/stream", **opened):
        pytest.fail("a forged cookie was let in")


def test_who_loses_every_role_or_is_removed_leaves_at_the_next_click(page, house):
    people = People(house.home)
    people.set("bo", "merchandiser", seen=people.listed().version)
    unused = new_address(house, "bo")
    page.goto(new_address(house, "bo"))
    expect(page.get_by_test_id("stSidebar")).to_contain_text("bo · merchandiser")
    people.set("bo", "none", seen=people.listed().version)
    page.get_by_role("link", name="Collections").click()
    heading(page, "Ask for access")
    people.remove("bo", seen=people.listed().version)
    page.reload()
    heading(page, "Sign in to Twinset")
    page.goto(unused)
    heading(page, "This address does not work")


STRANGE = """
<iframe id=frame src="ADDRESS/"></iframe><script>
const told = [];
const tell = (what, got) => told.push([what, got]);
const socket = new Promise(done => {
  const line = new WebSocket("ws" + "ADDRESS".slice(4) + "/_stcore/stream", ["streamlit"]);
  line.onopen = () => { tell("socket", true); done() };
  line.onerror = () => { tell("socket", false); done() };
});
const read = fetch("ADDRESS/_stcore/host-config", {credentials: "include"})
  .then(answer => answer.text()).then(text => tell("read", text), () => tell("read", false));
const loaded = new Promise(done => { const it = new Image(); it.src = "ADDRESS/favicon.png"; it.onload = it.onerror = () => {
  tell("picture", it.naturalWidth > 0); done() } });
window.told = Promise.all([socket, read, loaded]).then(() => told);
</script>
"""


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_a_page_of_another_site_reads_frames_and_opens_nothing(page, house, address, is_signed_in):
    if is_signed_in:
        signed_in(page, house)
    page.route(
        "http://strange.example/",
        lambda route: route.fulfill(body=STRANGE.replace("ADDRESS", address), content_type="text/html"),
    )
    page.goto("http://strange.example/")
    assert dict(page.evaluate("window.told")) == {"socket": False, "read": False, "picture": False}
    assert page.frames[1].url.startswith("chrome-error:")
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(address)}
    assert (session_cookie(house) in cookies) is is_signed_in
    line = "; ".join(f"{name}={value}" for name, value in cookies.items())
    with httpx.Client(base_url=address, trust_env=False) as http:  # a name that was made to mean this machine
        rebound = f"strange.example:{house.app_port}"
        for path in ("/", "/_stcore/health", "/_stcore/host-config", "/exports/shop"):
            assert http.get(path, headers={"Host": rebound, "Cookie": line}).status_code == 421
    foreign = {"origin": "http://strange.example", "additional_headers": {"Cookie": line}}
    with pytest.raises(InvalidStatus, match="403"), connect(f"ws{address[4:]}/_stcore/stream", **foreign):
        pytest.fail("a foreign page was let in")

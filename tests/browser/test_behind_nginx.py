"""App and endpoint on two hosts, each with a home of its own, below a path of a proxy that speaks TLS: a real nginx."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import requests
from playwright.sync_api import expect
from requests.adapters import HTTPAdapter

from app.components.story import bar
from backend.access.sign_ins import sign_ins
from backend.access.way_in import KEY, SIGN_IN_PATH
from backend.files.secret import SecretStr
from backend.flow.current.export import export_path
from backend.serving.gateway import build_app
from backend.serving.tokens import token_store
from tests.browser.conftest import WIDE
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import encoded, http_to, picture, served
from tests.support.browsing import app_running
from tests.support.nginx import NAME, Nginx, nginx, nginx_path
from tests.support.pages import PATIENCE_MS, answers, expect_in_address, expect_pictures, ids, upload
from tests.support.waiting import until
from tests.ui.conftest import write_catalogue

if TYPE_CHECKING:
    from backend.settings import Settings

pytestmark = pytest.mark.browser
APP, API = "/twinset", "/twinset-api"  # as in deploy/nginx.conf.template
ENDPOINT_HOST = "127.0.0.2"


@dataclass
class Shop:
    """What runs: the proxy, where the endpoint is behind it, its token, and the app's settings."""

    proxy: Nginx
    endpoint: str
    token: str
    app: Settings


@pytest.fixture(scope="module")
def behind(tmp_path_factory, projection_bundle, projection_recommender):
    """The shop of the endpoint fixtures behind nginx."""
    if nginx_path() is None:
        assert not os.environ.get("CI"), "CI needs nginx"
        pytest.skip("there is no nginx; install the package `nginx-light`")
    known = {"allowed_hosts": NAME, "proxies": "127.0.0.1"}
    there = replace(
        settings_for(tmp_path_factory.mktemp("there") / "home"), host=ENDPOINT_HOST, endpoint_path=API, **known
    )
    tokens = {name: token_store(there).issue(name).reveal() for name in ("app", "till")}
    here = replace(
        settings_for(tmp_path_factory.mktemp("here") / "home"),
        app_path=APP,
        app_url=f"https://{NAME}{APP}",
        sign_in="address",
        **known,
    )
    write_catalogue(here, "shop")
    shutil.copytree(projection_bundle, here.models_dir / projection_bundle.name)
    with ExitStack() as stack:
        endpoint = stack.enter_context(
            http_to(build_app(there, load=lambda: served(projection_recommender)), host=ENDPOINT_HOST)
        )
        url = str(endpoint.base_url).rstrip("/")
        here = replace(here, endpoint_url=f"{url}{API}", endpoint_token=SecretStr(tokens["app"]))
        at, _ = stack.enter_context(app_running(here))
        proxy = stack.enter_context(nginx(at.removeprefix("http://"), url.removeprefix("http://")))
        yield Shop(proxy, url, tokens["till"], here)


@pytest.fixture
def page(browser):
    """A tab of a browser that takes the shop's certificate."""
    context = browser.new_context(viewport=WIDE, ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def test_the_app_below_a_path_answers_takes_photos_gives_files_and_comes_back(page, behind):
    page.goto(f"{behind.proxy.url}{APP}")
    assert page.url.startswith(f"{behind.proxy.url}{APP}/")
    page.get_by_text("Sign in").first.wait_for()
    key = sign_ins(behind.app).issue("ada", "admin").reveal()
    page.goto(f"{behind.proxy.url}{APP}{SIGN_IN_PATH}?{KEY}={key}")
    page.locator("ol.grid > li").first.wait_for()
    upload(page, {"name": "a.png", "mimeType": "image/png", "buffer": encoded(picture("checks", 3))})
    assert ids(answers(page))[0] == "c017"
    expect_pictures(answers(page).locator("img"))
    expect_in_address(page, "photo=")
    with page.expect_download() as started:
        page.get_by_role("button", name="CSV").click()
    assert b"c017" in started.value.path().read_bytes()

    page.evaluate("window.isSamePage = true")
    with page.expect_websocket():
        behind.proxy.stop()
        behind.proxy.start()
    page.get_by_text("Show figures").click()
    expect_in_address(page, "figures=true")
    expect(answers(page).locator(".percent").first).to_be_visible()
    assert page.evaluate("window.isSamePage")

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{behind.proxy.url}{APP}/?")
    page.goto(link)
    assert ids(answers(page))[0] == "c017"

    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Story").click()
    page.locator(".st-key-story_examples ol.grid > li").first.wait_for()
    assert page.url.startswith(f"{behind.proxy.url}{APP}/story")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Notes").click()
    expect(opened.value.get_by_text(bar.NOTES[1][0])).to_be_visible()

    kept = export_path(behind.app, "shop")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("product_id\nc017\n")
    fetched = "path => fetch(path).then(async answer => [answer.status, await answer.text()])"
    assert page.evaluate(fetched, f"{APP}/exports/shop") == [200, "product_id\nc017\n"]
    assert page.evaluate(fetched, "/exports/shop")[0] == 404


def asked_from(address, url, **options):
    """What is answered to a caller with this address of this machine."""
    with requests.Session() as session:
        session.trust_env = False
        adapter = HTTPAdapter()
        adapter.init_poolmanager(1, 1, source_address=(address, 0))
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session.get(url, timeout=60, **options)


def test_both_know_who_calls_whatever_they_claim(behind, caplog):
    caplog.set_level("INFO", logger="backend.serving.guard")
    at = f"https://127.0.0.1:{behind.proxy.port}{API}"
    claimed = {"X-Forwarded-For": "6.6.6.6", "Authorization": f"Bearer {behind.token}", "Host": NAME}
    document = asked_from("127.0.0.3", f"{at}/openapi.json", headers=claimed, verify=str(behind.proxy.certificate))
    assert document.json()["servers"] == [{"url": API}]
    direct = {**claimed, "Host": ENDPOINT_HOST}
    assert asked_from("127.0.0.4", f"{behind.endpoint}/openapi.json", headers=direct).status_code == 200
    # A request is logged once it was answered.
    logged = until(
        lambda: [line for line in caplog.messages if " till GET /openapi.json 200 " in line][1:] and caplog.messages
    )
    assert {line.split()[0] for line in logged if " till " in line} == {"127.0.0.3", "127.0.0.4"}
    forged = f"https://127.0.0.1:{behind.proxy.port}{APP}{SIGN_IN_PATH}?{KEY}=forged"
    asked_from("127.0.0.3", forged, headers=claimed, verify=str(behind.proxy.certificate))
    until(lambda: "127.0.0.3: a sign-in was refused" in (behind.app.logs_dir / "app.log").read_text())
    unknown = {**claimed, "Host": "evil.example"}
    assert (
        asked_from("127.0.0.3", f"{at}/openapi.json", headers=unknown, verify=str(behind.proxy.certificate)).status_code
        == 421
    )
    foreign = asked_from(
        "127.0.0.3",
        f"https://127.0.0.1:{behind.proxy.port}{APP}/",
        headers=unknown,
        verify=str(behind.proxy.certificate),
    )
    assert foreign.status_code == 421

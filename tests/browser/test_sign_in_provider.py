"""OpenID Connect against a provider on loopback: sign-in, expiry, signing out, and everything that is not a sign-in."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from playwright.sync_api import expect
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from backend.access.sign_ins import SIGN_INS_FILE
from backend.access.way_in import session_cookie
from backend.files.secret import SecretStr
from tests.fixtures.base import settings_for
from tests.support.browsing import app_running, free_port

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the provider still uses what Authlib will drop
    from oidc_provider_mock import run_server_in_thread
    from oidc_provider_mock._app import OpenIDCode

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
PEOPLE = {
    "ada": {"email": "ada@shop.example", "email_verified": True, "groups": ["everyone", "shop-team"]},
    "bo": {"email": "bo@shop.example", "email_verified": True, "groups": ["everyone"]},
    "eve": {"email": "ada@shop.example", "email_verified": False, "groups": ["admins"]},
    "nameless": {"groups": ["admins"]},
    "elsewhere": {"email": "ada@shop.example", "email_verified": True, "aud": ["another"], "azp": "twinset"},
}


@pytest.fixture(scope="module")
def provider():
    """The address of a provider that knows some people."""
    with run_server_in_thread() as server:
        found = f"http://localhost:{server.server_port}"
        for name, claims in PEOPLE.items():
            httpx.put(f"{found}/users/{name}", json=claims).raise_for_status()
        yield found


@pytest.fixture(scope="module")
def house(tmp_path_factory, provider):
    """The app that this provider signs in to, as its settings."""
    settings = replace(
        settings_for(tmp_path_factory.mktemp("provided") / "home"),
        sign_in="",
        app_port=free_port(),
        oidc_metadata_url=f"{provider}/.well-known/openid-configuration",
        oidc_client_id="twinset",
        oidc_client_secret=SecretStr("pa55-4711"),
        oidc_role_claim="groups",
        oidc_roles="shop-team=merchandiser, admins=admin",
    )
    with app_running(settings):
        yield settings
    logs = "".join(path.read_text() for path in settings.logs_dir.iterdir())
    assert "pa55-4711" not in logs
    assert "Traceback" not in logs.replace("OAuth token exchange failed", "").partition("Traceback")[0]


@pytest.fixture
def http(house):
    """A browser of its own, as far as a protocol needs one."""
    with httpx.Client(base_url=f"http://127.0.0.1:{house.app_port}", trust_env=False) as client:
        yield client


def wanted(http):
    """Where the app leads for a sign-in at the provider."""
    return http.get(http.get("/sign-in").headers["location"]).headers["location"]


def back(http, who="ada", **form):
    """Where the provider leads back to."""
    return httpx.post(wanted(http), data=form or {"sub": who}).headers["location"]


def is_in(http):
    return http.get("/_stcore/host-config").status_code == 200


def test_name_and_role_come_from_the_provider_and_signing_out_ends_both_sessions(page, house, provider):
    address = f"http://127.0.0.1:{house.app_port}"
    page.goto(f"{address}/rules?view=live")
    page.get_by_role("link", name="Sign in").click()
    page.locator("input[name=sub]").fill("ada")
    page.get_by_role("button", name="Authorize").click()
    leave = page.get_by_role("button", name="Sign out")
    expect(leave).to_be_visible()
    assert urlsplit(page.url).path == "/rules"
    expect(page.get_by_test_id("stSidebar")).to_contain_text("ada@shop.example · merchandiser")
    copied = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(address)}
    leave.click()
    page.get_by_role("heading", name="End Session").wait_for()
    asked = parse_qs(urlsplit(page.url).query)
    assert page.url.startswith(f"{provider}/oauth2/end_session")
    assert {"id_token_hint", "client_id", "post_logout_redirect_uri"} <= asked.keys()
    page.get_by_role("button", name="End session").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Twinset")
    assert session_cookie(house) in copied
    assert httpx.get(f"{address}/_stcore/host-config", cookies=copied).status_code == 401


def test_a_session_that_is_over_is_left_at_the_next_click(page, house):
    address = f"http://127.0.0.1:{house.app_port}"
    page.goto(f"{address}/sign-in")
    page.locator("input[name=sub]").fill("ada")
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    path = house.home / SIGN_INS_FILE
    kept = json.loads(path.read_text())
    for session in kept["sessions"]:
        session["expires_at"] = datetime.now(UTC).isoformat()
    path.write_text(json.dumps(kept))
    page.get_by_role("link", name="Collections").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Twinset")


def test_a_code_is_good_once_and_for_whoever_asked_for_it(http, house):
    first = back(http)
    assert http.get(first).status_code == 303
    assert is_in(http)
    http.cookies.delete(session_cookie(house))
    assert http.get(first).status_code == 403  # its state has been used
    code = parse_qs(urlsplit(first).query)["code"][0]
    state = parse_qs(urlsplit(wanted(http)).query)["state"][0]
    assert http.get("/oauth2callback", params={"code": code, "state": state}).status_code == 403  # its code has
    assert not is_in(http)
    with httpx.Client(base_url=http.base_url, trust_env=False) as other:
        stolen = back(http, "bo")
        assert other.get(stolen).status_code == 403  # another browser's
        wanted(other)
        assert other.get(stolen).status_code == 403
        assert not is_in(other)


@pytest.mark.parametrize("query", ["state=forged&code=forged", "state=forged", "code=forged", "error=access_denied"])
def test_a_forged_answer_is_no_sign_in(http, query):
    wanted(http)
    refused = http.get(f"/oauth2callback?{query}")
    assert refused.status_code == 403
    assert "Signing in failed" in refused.text
    assert not is_in(http)


@pytest.mark.parametrize("wrong", [{"exp": -600}, {"iss": "http://localhost:1"}, {"key": "another"}])
def test_a_token_that_is_over_or_made_by_others_is_no_sign_in(http, monkeypatch, wrong):
    given = OpenIDCode.get_jwt_config
    if "key" in wrong:
        wrong = {"key": RSAKey.generate_key(2048).as_dict(private=True)}
    monkeypatch.setattr(OpenIDCode, "get_jwt_config", lambda *asked: given(*asked) | wrong)
    assert http.get(back(http)).status_code == 403
    assert not is_in(http)


@pytest.mark.parametrize(
    ("who", "says"),
    [
        ("eve", "ada@shop.example has not been verified"),
        ("nameless", "did not send your name"),
        ("elsewhere", "made for another app"),
    ],
)
def test_a_name_that_cannot_be_relied_on_is_none(http, who, says):
    refused = http.get(back(http, who))
    assert (refused.status_code, is_in(http)) == (403, False)
    assert says in refused.text
    assert "cancelled" in http.get(back(http, action="deny")).text


def test_without_a_role_there_is_one_page(http):
    assert http.get(back(http, "bo")).status_code == 303
    page = http.get("/", headers={"accept": "text/html"})
    assert page.status_code == 403
    assert "signed in as bo@shop.example" in page.text


def test_streamlits_own_cookie_opens_nothing_forged_or_real(http, house):
    claims = json.dumps({**PEOPLE["ada"], "aud": "twinset", "is_logged_in": True, "origin": str(http.base_url)})
    key = (house.home / "cookie-key").read_text()
    for secret in ("guessed", key):
        http.cookies.set("_streamlit_user", create_signed_value(secret, "_streamlit_user", claims).decode())
        assert not is_in(http)
        assert http.get("/oauth2callback").status_code == 302
        assert not is_in(http)

"""The Deploy page in a real browser: every view on a phone, a token made and shown once, a version promoted by a reason."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect

from backend.bundles import bundle
from backend.registry.card import card_of
from backend.registry.golden import GoldenQuery, approve
from backend.registry.ledger import Check, Event, Ledger, RegisteredVersion, write_ledger
from backend.serving.tokens import token_store
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import encoded, picture
from tests.support.browsing import app_running
from tests.support.pages import assert_settled_and_fits

pytestmark = pytest.mark.browser
VIEWS = ("Versions", "Golden queries", "Tokens", "Try it", "From your program")


@pytest.fixture(scope="module")
def home(evaluated_home, tmp_path_factory):
    """A home with two registered versions, one refused, with a golden query and a token."""
    settings = settings_for(tmp_path_factory.mktemp("deploy") / "home")
    shutil.copytree(evaluated_home.home, settings.home)
    cards = {
        name: card_of(settings.models_dir / name, bundle.read_manifest(settings.models_dir / name))
        for name in ("large", "small")
    }
    refused = (Check("metrics", False, "Worse than the champion on 25 products: MAP@R 0.612 against 0.843."),)
    versions = (
        RegisteredVersion(2, "small", ("challenger",), "2026-11-25T12:00:00+00:00", "r", cards["small"], refused),
        RegisteredVersion(1, "large", ("champion",), "2026-11-24T12:00:00+00:00", "r", cards["large"]),
    )
    write_ledger(
        settings.home,
        Ledger("twinset", versions, (Event("2026-11-24T12:00:00+00:00", "promote", "champion", 1, None),)),
    )
    approve(
        settings.home, GoldenQuery("Window display", "wardrobe", encoded(picture("checks", 3)), ("box-01",), (), 10)
    )
    token_store(settings).issue("till")
    return settings


@pytest.fixture(scope="module")
def deployable(home):
    """The app over that home; yields its address."""
    with app_running(home) as (address, _):
        yield address


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_a_phone(phone, deployable, view):
    phone.goto(f"{deployable}/deploy?view={view}")
    phone.get_by_role("tab", name=view, selected=True).wait_for()
    assert_settled_and_fits(phone)


def test_a_token_is_made_and_shown_once(page, deployable, home):
    page.goto(f"{deployable}/deploy?view=Tokens")
    page.get_by_label("Name", exact=True).fill("web-shop")
    page.get_by_role("button", name="Create a token").click()
    page.get_by_text("it is not shown again").wait_for()
    token = page.get_by_test_id("stCode").inner_text().strip()
    assert token_store(home).verify(token) == "web-shop"
    page.reload()
    page.get_by_role("button", name="Revoke").wait_for()
    assert token not in page.content()


def test_a_reason_opens_the_gate(page, deployable):
    page.goto(f"{deployable}/deploy?view=Versions&registered=2")
    champion = page.get_by_role("button", name="Make it champion")
    expect(champion).to_be_disabled()
    page.get_by_label("Reason to promote it anyway").fill("The photographer changed.")
    page.get_by_label("Reason to promote it anyway").press("Enter")
    expect(champion).to_be_enabled()

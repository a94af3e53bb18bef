"""The table of substitutes in a real browser: checked by keys on a desk and by buttons on a phone."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pyarrow as pa
import pytest
from playwright.sync_api import expect

from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.merchandising.substitutes.kept import SCHEMA, About, Checks
from backend.registry.card import card_of
from backend.registry.ledger import Ledger, RegisteredVersion, write_ledger
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import shop_rows
from tests.support.browsing import app_running
from tests.support.pages import assert_fits, expect_pictures
from tests.support.waiting import until
from tests.ui.conftest import write_catalogue

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)> =1+1"


@pytest.fixture
def settings(tmp_path, projection_bundle):
    """A home whose catalogue has enough that is sold out for several pages, and one title that is markup."""
    found = settings_for(tmp_path / "home")
    rows = [{**row, "stock": (0, 3, 0, 5)[at // 3 % 4], "price": 20.0} for at, row in enumerate(shop_rows())]
    rows = [{**row, "title": HOSTILE} if not row["stock"] else row for row in rows]
    write_catalogue(found, "shop", rows)
    seeds, others = ([row["product_id"] for row in rows if bool(row["stock"]) is has] for has in (False, True))
    twins = [[others[(at + step) % len(others)] for step in range(3)] for at in range(len(seeds))]
    values = [seeds, twins, [[0.99, 0.95, 0.9]] * len(seeds), [None] * len(seeds)]
    made = pa.table([pa.array(one, field.type) for one, field in zip(values, SCHEMA, strict=True)], schema=SCHEMA)
    about = About("shop", 4, "projection", 1, "2026-11-28T12:00:00+00:00", len(seeds) + 4, {"price": 4})
    Checks(found.substitutes_dir, "shop").save(about, made)
    folder = found.models_dir / projection_bundle.name
    shutil.copytree(projection_bundle, folder)
    manifest = bundle.read_manifest(folder)
    card = replace(card_of(folder, manifest), catalogue=CatalogueRef("shop", 1))
    version = RegisteredVersion(1, manifest.name, ("champion",), "2026-11-28T12:00:00+00:00", "r1", card)
    write_ledger(found.home, Ledger("twinset", (version,)))
    return found


def decided(settings):
    check = Checks(settings.substitutes_dir, "shop").load()
    return [(one.decided, check.rows["twins"][at].as_py().index(one.twin)) for at, one in enumerate(check.current)]


def test_keys_check_the_table_and_a_reload_goes_on(page, settings):
    with app_running(settings) as (address, _):
        page.goto(f"{address}/substitutes")
        rows = page.locator("ol.list > li.row")
        expect(rows.first).to_be_visible()
        expect(page.locator("img[src='x']")).to_have_count(0)
        expect(rows.first.locator(".title").first).to_have_text(HOSTILE)
        expect_pictures(rows.first.locator("img"))
        counter = page.locator(".counter")
        total = len(decided(settings))
        expect(counter).to_have_text(f"0 of {total} checked")
        page.locator("ol.list").focus()
        for key in "ksr":  # the second is swapped, and then rejected
            page.keyboard.press(key)
        page.keyboard.press("u")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("k")
        expect(counter).to_have_text(f"2 of {total} checked")
        expect(rows.nth(1).locator(".caption").last).to_contain_text("Substitute 2 of")
        page.reload()
        expect(counter).to_have_text(f"2 of {total} checked")
        until(lambda: decided(settings)[:3] == [("keep", 0), ("", 1), ("keep", 0)])
        expect(page.locator("li[aria-current]")).to_have_attribute("id", "row-1")


def test_fast_keys_lose_nothing_and_go_on_to_the_next_page(page, settings):
    with app_running(settings) as (address, _):
        page.goto(f"{address}/substitutes")
        page.locator("ol.list > li.row").first.wait_for()
        page.locator("ol.list").focus()
        for _ in range(20):
            page.keyboard.press("k")
        expect(page.locator(".page")).to_have_text("Page 2 of 2")
        expect(page.locator(".counter")).to_contain_text("20 of")
        page.keyboard.press("r")
        expect(page.locator(".counter")).to_contain_text("21 of")
        until(lambda: [what for what, _ in decided(settings)][:22] == ["keep"] * 20 + ["reject", ""])


def test_a_decision_that_never_arrived_is_sent_after_a_reload(page, settings):
    is_cut = False

    def through(browser):
        app = browser.connect_to_server()
        browser.on_message(lambda message: None if is_cut else app.send(message))

    page.route_web_socket("**/_stcore/stream", through)
    with app_running(settings) as (address, _):
        page.goto(f"{address}/substitutes")
        page.locator("ol.list > li.row").first.wait_for()
        page.locator("ol.list").focus()
        is_cut = True
        page.keyboard.press("k")
        expect(page.locator(".counter")).to_contain_text("1 of")
        assert decided(settings)[0] == ("", 0)
        is_cut = False
        page.reload()
        expect(page.locator(".counter")).to_contain_text("1 of")
        until(lambda: decided(settings)[0] == ("keep", 0))
        expect(page.locator("li[aria-current]")).to_have_attribute("id", "row-1")


def test_a_phone_has_large_buttons_and_nothing_is_cut(phone, settings):
    with app_running(settings) as (address, _):
        phone.goto(f"{address}/substitutes")
        keep = phone.locator("li.row").first.locator("button.keep")
        expect(keep).to_be_visible()
        assert keep.bounding_box()["height"] >= 44
        keep.tap()
        expect(phone.locator(".counter")).to_contain_text("1 of")
        expect(phone.locator("li.row").first.locator(".state")).to_have_text("Kept")
        assert_fits(phone)

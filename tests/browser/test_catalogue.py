"""The catalogue page in a real browser: every view on a phone, and the whole way from an upload to the products."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from backend.catalogue.snapshot import open_snapshot
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import encoded, picture
from tests.support.browsing import app_running
from tests.support.pages import assert_settled_and_fits, expect_pictures, upload
from tests.ui.conftest import add_version, shop_row, write_catalogue

pytestmark = pytest.mark.browser
VIEWS = ("Products", "Labels", "Quality", "Changes", "History", "Rejected")
SPARK_MS = 180_000  # a job starts a JVM first


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The app over a shop with five versions; the newest changed a picture and withdrew a product."""
    settings = settings_for(tmp_path_factory.mktemp("shop") / "home")
    write_catalogue(settings, "shop")
    withdrawn = shop_row("c003", withdrawn_at=datetime(2026, 11, 23, tzinfo=UTC))
    add_version(settings, "shop", shop_row("b002", image=encoded(picture("checks", 77))), withdrawn)
    with app_running(settings) as (address, _):
        yield address


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_a_phone(phone, shop, view):
    phone.goto(f"{shop}/catalogue?view={view}")
    phone.get_by_role("tab", name=view, selected=True).wait_for()
    assert_settled_and_fits(phone)


def test_a_changed_picture_stands_beside_the_one_before(page, shop):
    page.goto(f"{shop}/catalogue?view=Changes")
    pair = page.locator("ol.grid > li[data-product-id=b002] .side")
    pair.first.wait_for()
    left, right = (pair.nth(position).bounding_box() for position in range(2))
    assert [round(left[name]) for name in ("y", "width")] == [round(right[name]) for name in ("y", "width")]
    assert left["x"] < right["x"]
    expect(pair.locator("figcaption")).to_have_text(["Version 4", "Version 5"])
    expect_pictures(pair.locator("img"))


def test_bytes_that_are_no_picture_are_a_placeholder(page, shop):
    page.goto(f"{shop}/catalogue?view=Rejected")
    expect(page.locator("ol.grid .missing")).to_have_text(["No picture"])


def test_a_link_opens_a_version_and_its_banner_leads_back(page, shop):
    page.goto(f"{shop}/catalogue?catalogue=shop&version=4")
    page.get_by_text("You are viewing version 4 of 5").wait_for()
    page.get_by_role("button", name="Back to the newest version").click()
    page.get_by_text("You are viewing version 4 of 5").wait_for(state="detached")
    expect(page).not_to_have_url(re.compile("version="))


def zipped_shop(*, last: int) -> bytes:
    """A zip of photos in three folders, and one file that is no picture."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for kind in ("stripes", "checks", "blob"):
            for number in range(last):
                archive.writestr(f"{kind}/{number:02d}.png", encoded(picture(kind, number, side=32)))
        archive.writestr("blob/broken.png", b"this is no picture")
    return buffer.getvalue()


@pytest.mark.spark
@pytest.mark.slow
def test_an_upload_is_checked_committed_and_shown(page, tmp_path):
    settings = settings_for(tmp_path / "home")
    with app_running(settings) as (address, _):
        page.goto(f"{address}/catalogue")
        page.get_by_text("There is no catalogue yet").wait_for()
        page.get_by_text("Upload a file").click()
        file = {"name": "My shop.zip", "mimeType": "application/zip", "buffer": zipped_shop(last=12)}
        upload(page, file)
        # 1. The preview, with pictures.
        page.get_by_text("37 products").wait_for()
        page.locator("ol.grid img").first.wait_for()
        page.get_by_role("button", name="Check", exact=True).click()
        # 2. The report, before anything is stored.
        commit = page.get_by_role("button", name="Commit to my-shop")
        commit.wait_for(timeout=SPARK_MS)
        expect(page.get_by_test_id("stMetric").filter(has_text="New").first).to_have_text(re.compile(r"^New\s*36$"))
        page.get_by_text("Not a picture: 1").wait_for()
        assert not (settings.catalogues_dir / "my-shop").exists()
        # 3. The commit, and the products.
        commit.click()
        page.get_by_text("36 products; click one").wait_for(timeout=SPARK_MS)
        expect(page.locator(".st-key-catalogue_grid ol.grid > li")).to_have_count(24)
        page.get_by_role("tab", name="Rejected").click()
        page.get_by_text("blob/broken").first.wait_for()
    assert open_snapshot(settings.catalogues_dir, "my-shop").summary().rows == 36

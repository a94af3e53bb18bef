"""From a zip of photos to the first answer in four clicks, without training and without a word of machine learning.

Nothing is faked: Spark checks and stores, the ready-made network looks at the pictures, the endpoint process answers.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from backend.bundles import bundle
from backend.catalogue.snapshot import open_snapshot
from backend.machine.supervisor import endpoint_service, running
from backend.training.presets import READY_MADE
from tests.browser.test_own_products import COLOURS, JOB_MS, metric, pictures, zipped
from tests.support.browsing import app_running, free_port
from tests.support.pages import answers, assert_settled_and_fits, expect_pictures, upload
from tests.ui.test_shop_words import WORD

pytestmark = [pytest.mark.browser, pytest.mark.spark, pytest.mark.tf, pytest.mark.mlflow, pytest.mark.slow]
MOST_CLICKS, EACH = 4, 10


class Clicks:
    """Presses buttons of a page and counts; looks for banned words whenever the page has come to rest."""

    def __init__(self, page):
        self.page, self.count = page, 0

    def press(self, name):
        self.page.get_by_role("button", name=name).click(timeout=JOB_MS)
        self.count += 1

    def assert_plain(self):
        text = self.page.get_by_test_id("stMain").inner_text()
        assert len(text) > 50
        assert WORD.findall(text) == []


@contextmanager
def twinset(settings):
    """Endpoint and app over an empty home; yields the app's address."""
    settings = replace(settings, endpoint_port=free_port())
    with running(endpoint_service(settings), settings), app_running(settings) as (address, _):
        yield address


def test_a_zip_of_photos_answers_after_four_clicks(page, mlflow_settings):
    files = pictures(EACH)
    files |= {"hat/broken.jpg": files["hat/000.jpg"][:60], "bag/notes.jpg": b"this is no picture"}
    catalogue, clicks = mlflow_settings.catalogues_dir / "my-photos", Clicks(page)
    with twinset(mlflow_settings) as address:
        page.goto(f"{address}/")
        page.get_by_text("There is nothing to search yet").wait_for()
        clicks.assert_plain()
        page.goto(f"{address}/catalogue")
        page.get_by_text("There is no catalogue yet").wait_for()
        upload(page, {"name": "My photos.zip", "mimeType": "application/zip", "buffer": zipped(files)})
        clicks.count += 1  # the file was chosen
        page.get_by_text("42 products").wait_for()
        expect_pictures(page.locator(".st-key-source_preview ol.grid img"))
        clicks.assert_plain()
        clicks.press("Check")
        commit = "Commit to my-photos"
        page.get_by_role("button", name=commit).wait_for(timeout=JOB_MS)
        expect(metric(page, "New")).to_have_text(re.compile(r"^New\s*40$"))
        expect(metric(page, "Rejected")).to_have_text(re.compile(r"^Rejected\s*2$"))
        page.get_by_text("Not a picture: 1").wait_for()
        assert not catalogue.exists()  # it is told before anything is stored
        clicks.assert_plain()
        clicks.press(commit)
        page.get_by_role("button", name="Find similar in this catalogue").wait_for(timeout=JOB_MS)
        page.get_by_text("40 products; click one").wait_for()
        expect(page.locator(".st-key-catalogue_grid ol.grid > li")).to_have_count(24)
        expect_pictures(page.locator(".st-key-catalogue_grid ol.grid img"))
        assert_settled_and_fits(page)
        clicks.assert_plain()
        clicks.press("Find similar in this catalogue")
        page.get_by_text("Preparing to find similar products").wait_for()
        clicks.assert_plain()

        page.get_by_role("heading", name="Find similar", exact=True).wait_for(timeout=JOB_MS)
        first = answers(page).first
        expect(first).to_have_attribute("data-product-id", "bag/000")  # one of the products, asked about by itself
        page.get_by_text("40 products searched").wait_for()
        assert_settled_and_fits(page)
        clicks.assert_plain()
        assert clicks.count <= MOST_CLICKS

        page.goto(f"{address}/catalogue?view=Rejected")
        page.get_by_text("hat/broken").first.wait_for()
        page.get_by_role("link", name="Find similar in this catalogue").click()
        page.get_by_text("Or start from the catalogue").wait_for()
    assert open_snapshot(mlflow_settings.catalogues_dir, "my-photos").summary().rows == 40
    manifest = bundle.verify(mlflow_settings.models_dir / "my-photos-ready-made")
    assert (manifest.config, manifest.classes) == (READY_MADE.as_dict(), tuple(sorted(COLOURS)))

"""Filters over columns of thousands of values in a real browser: nothing is dropped, one types and picks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import (
    ShopSnapshot,
    encoded,
    http_to,
    load_projection,
    picture,
    served,
    shop_rows,
    write_projection_bundle,
)
from tests.support.browsing import app_running
from tests.support.pages import answers, expect_ids, upload
from tests.ui.conftest import write_catalogue

pytestmark = pytest.mark.browser
LABELS, BRANDS = 5_000, 300


def many_rows():
    base = shop_rows()
    return [
        {**base[i % len(base)], "product_id": f"p{i:05d}", "label": f"Kind {i:05d}", "brand": f"Brand {i % BRANDS:03d}"}
        for i in range(LABELS)
    ]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The app over a shop of 5,000 products, each of a kind of its own, and 300 brands."""
    place = tmp_path_factory.mktemp("many")
    settings = settings_for(place / "home")
    write_catalogue(settings, "shop", many_rows())
    ensure_app_token(settings)
    folder = place / "projection"
    build_gallery(ShopSnapshot(many_rows()), write_projection_bundle(folder), folder, progress=NullProgress())
    recommender = Recommender.load(folder, embedder_loader=load_projection)
    with http_to(build_app(settings, load=lambda: served(recommender))) as client:
        settings = replace(settings, endpoint_url=str(client.base_url).rstrip("/"))
        with app_running(settings) as (found, _):
            yield found


def choose(page, title, typed, value):
    page.get_by_role("combobox", name=title).fill(typed)
    page.get_by_role("option", name=value, exact=True).click()


def test_a_value_among_thousands_is_typed_and_picked(page, address):
    page.goto(address)
    page.locator("ol.grid > li").first.wait_for()
    upload(page, {"name": "photo.png", "mimeType": "image/png", "buffer": encoded(picture("checks", 3))})
    expect(answers(page)).to_have_count(12)
    page.get_by_role("button", name="Filters").click()
    choose(page, "Brand", "217", "Brand 217")
    expect(page.locator(".st-key-neighbours .line", has_text="Brand 217")).to_have_count(12)
    choose(page, "Kind", "04117", "Kind 04117")
    expect_ids(answers(page), ["p04117"])

"""What browser tests see of a page. A component paints after the words around it: look at nothing without awaiting it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Locator, Page

PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


def answers(page: Page) -> Locator:
    """Return the neighbours, once they are there and what was shown before is gone."""
    page.get_by_text("Answered in").wait_for()
    page.locator("[data-stale=true]").first.wait_for(state="detached")
    items = page.locator(".st-key-neighbours ol.grid > li")
    items.first.wait_for()
    return items


def ids(items: Locator) -> list[str]:
    """Return which products a grid shows, in order."""
    return list(items.evaluate_all("items => items.map(item => item.dataset.productId)"))


def expect_ids(items: Locator, expected: Sequence[str]) -> None:
    """Wait until a grid shows these products, in order, and no other."""
    expect(items).to_have_count(len(expected))
    for position, product_id in enumerate(expected):
        expect(items.nth(position)).to_have_attribute("data-product-id", product_id)


def expect_pictures(images: Locator) -> None:
    """Wait until every picture is decoded; there is one at least. One that is broken is an error at once."""
    images.first.wait_for()
    images.evaluate_all("images => Promise.all(images.map(image => image.decode()))")


def expect_in_address(page: Page, part: str) -> None:
    """Wait until the address says this."""
    expect(page).to_have_url(re.compile(re.escape(part)))


def upload(page: Page, files: object) -> None:
    """Choose files, as with the page's file dialog."""
    page.locator("input[type=file]").set_input_files(files)


def assert_fits(page: Page) -> None:
    """Nothing sticks out to the right, so that nobody has to scroll sideways."""
    width, visible = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= visible


def assert_settled_and_fits(page: Page) -> None:
    """The page is whole, says of nothing that it went wrong, and fits."""
    page.get_by_test_id("stStatusWidget").wait_for(state="detached")
    assert_fits(page)
    assert page.get_by_test_id("stAlertContentError").count() == 0

"""One headless Chromium for all browser tests, and an app process of its own for every module that asks for one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.browsing import chromium, chromium_path
from tests.support.pages import PATIENCE_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium of the system; without one the tests are skipped at home and fail in CI."""
    if chromium_path() is None:
        assert not os.environ.get("CI"), "CI needs Chromium"
        pytest.skip("there is no Chromium; install the package `chromium`")
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab as on a desk."""
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A tab as on a phone."""
    context = browser.new_context(viewport=NARROW, is_mobile=True, has_touch=True)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()

"""A first look at a file that takes too much, in a real browser: said in words, and ended when the user goes on."""

from __future__ import annotations

import re
import zlib

import psutil
import pytest
from playwright.sync_api import expect

from tests.fixtures.base import settings_for
from tests.support.browsing import app_running
from tests.support.pages import assert_fits, upload
from tests.support.waiting import until
from tests.support.zip_bombs import DEFLATED, Member, write

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The app over an empty home, and its process."""
    with app_running(settings_for(tmp_path_factory.mktemp("look") / "home")) as (address, pid):
        yield address, psutil.Process(pid)


@pytest.fixture
def endless(tmp_path):
    """A small zip with a table that takes minutes to read."""
    text = b"sku,image\n" + b"A1,a.png\n" * 4_000_000
    packer = zlib.compressobj(6, wbits=-15)
    packed = packer.compress(text) + packer.flush()
    member = Member("products.csv", packed, DEFLATED, len(text), zlib.crc32(text))
    return write(tmp_path / "endless.zip", [member])


def looks(process):
    return [child for child in process.children(recursive=True) if "backend.files.limited" in child.cmdline()]


def test_a_look_is_ended_when_another_file_is_chosen(page, app, endless):
    address, process = app
    page.goto(f"{address}/catalogue")
    page.get_by_text("Upload a file", exact=True).click()
    upload(page, endless)
    expect(page.get_by_text(re.compile("Reading the first products \\("))).to_be_visible()
    (look,) = looks(process)
    page.set_viewport_size({"width": 390, "height": 844})
    assert_fits(page)
    page.get_by_role("button", name="Choose another file").click()
    until(lambda: not look.is_running())
    expect(page.get_by_text("Reading the first products")).to_have_count(0)
    assert looks(process) == []


def test_a_look_is_ended_when_the_window_is_closed(page, app, endless):
    address, process = app
    page.goto(f"{address}/catalogue")
    page.get_by_text("Upload a file", exact=True).click()
    upload(page, endless)
    (look,) = until(lambda: looks(process))
    page.close()
    until(lambda: not look.is_running())

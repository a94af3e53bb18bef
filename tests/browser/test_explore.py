"""The Explore page in a real browser: the map is painted, pointed at, clicked, lassoed and linked to."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from backend.retrieval.gallery.gallery import Gallery
from tests.support.browsing import app_running
from tests.support.pages import assert_settled_and_fits, expect_in_address

pytestmark = pytest.mark.browser
VIEWS = ("Map", "Lists", "Outliers", "Overlap", "Hubs", "Near duplicates", "Two models")
# Where on the screen a product stands; the number is that of the point.
PLACE = """number => {
    const root = document.querySelector('.twinset-map'), { plot, x, y } = root.twinset;
    const { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect();
    return [box.left + xaxis._offset + xaxis.d2p(x[number]), box.top + yaxis._offset + yaxis.d2p(y[number])];
}"""


@pytest.fixture(scope="module")
def explored(mapped_template):
    """The app over a model with a map; yields its address."""
    with app_running(mapped_template) as (address, _):
        yield address


@pytest.fixture(scope="module")
def ids(mapped_template):
    return Gallery.load(mapped_template.models_dir / "mine").ids


def painted(page, address, **values):
    query = "&".join(f"{name}={value}" for name, value in {"model": "mine", **values}.items())
    page.goto(f"{address}/explore?{query}")
    page.locator(".twinset-map[data-drawn]").first.wait_for()
    page.get_by_test_id("stStatusWidget").wait_for(state="detached")


def test_every_product_is_painted_and_its_picture_comes_when_it_is_pointed_at(page, explored, ids):
    painted(page, explored)
    root = page.locator(".twinset-map")
    assert root.get_attribute("data-points") == str(len(ids))
    assert page.evaluate("document.querySelector('.twinset-map').twinset.webgl")
    assert root.locator(".card img").get_attribute("src") is None  # no picture before it is asked for
    x, y = page.evaluate(PLACE, 4)
    page.mouse.move(x - 2, y)
    page.mouse.move(x, y)
    root.locator(".card:not([hidden])").wait_for()
    expect(root.locator(".card img")).to_have_attribute("src", re.compile("^data:image/"))


def test_the_toolbar_covers_no_product_and_uploads_nothing(page, phone, explored):
    for tab in (page, phone):
        painted(tab, explored)
        bar = tab.locator(".twinset-map .modebar").bounding_box()
        top = tab.evaluate(
            "(({ plot }) => plot.getBoundingClientRect().top + plot._fullLayout._size.t)"
            "(document.querySelector('.twinset-map').twinset)"
        )
        assert bar["height"] > 0
        assert bar["y"] + bar["height"] <= top
        titles = tab.locator(".modebar-btn").evaluate_all("buttons => buttons.map(one => one.dataset.title)")
        assert titles == ["Zoom", "Pan", "Box Select", "Lasso Select", "Zoom in", "Zoom out"]


def test_a_click_shows_true_neighbours_beside_those_on_the_map(page, explored, ids):
    painted(page, explored)
    x, y = page.evaluate(PLACE, 9)
    page.mouse.move(x - 2, y)
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    page.get_by_text("true neighbours", exact=False).first.wait_for()
    page.wait_for_function("document.querySelector('.twinset-map').twinset.plot.data.some(trace => trace.overlay)")
    expect_in_address(page, "point=")


def test_a_lasso_selects_and_the_same_link_shows_the_same_view(page, explored):
    painted(page, explored)
    box = page.locator(".twinset-map .plot").bounding_box()
    left, top, right, bottom = (
        box["x"] + 8,
        box["y"] + 40,
        box["x"] + box["width"] * 0.5,
        box["y"] + box["height"] - 8,
    )
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 2)):
        page.mouse.move(x, y, steps=6)
    page.mouse.up()
    page.locator("[class*=st-key-explore_selection]").wait_for()
    page.wait_for_function("Number(document.querySelector('.twinset-map').dataset.selected) > 0")
    count = page.locator(".twinset-map").get_attribute("data-selected")
    expect(page.get_by_text(f"{count} products selected")).to_have_count(1)
    expect_in_address(page, "selection=")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.locator(f".twinset-map[data-drawn][data-selected='{count}']").wait_for()
    marked = page.evaluate(
        "document.querySelector('.twinset-map').twinset.plot.data"
        ".reduce((sum, trace) => sum + (trace.selectedpoints || []).length, 0)"
    )
    assert str(marked) == count


def test_the_search_flies_to_a_product_and_the_link_keeps_what_is_in_view(page, explored, ids):
    painted(page, explored)
    page.get_by_placeholder("id, title or label").fill(ids[20])
    page.keyboard.press("Enter")
    expect_in_address(page, "camera=")
    before = page.evaluate("document.querySelector('.twinset-map').twinset.plot._fullLayout.xaxis.range")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.locator(".twinset-map[data-drawn]").wait_for()
    after = page.evaluate("document.querySelector('.twinset-map').twinset.plot._fullLayout.xaxis.range")
    assert after == pytest.approx(before, abs=2e-3)


@pytest.mark.parametrize("size", ["2-D", "3-D"])
def test_it_is_coloured_by_numbers(page, explored, size):
    painted(page, explored, size=size, colour="Distance to the centre of its label")
    shown = page.evaluate("document.querySelector('.twinset-map').twinset.plot.data[0].marker.colorscale.length")
    assert shown == 5


def test_it_turns_to_space(page, explored):
    painted(page, explored, size="3-D")
    assert page.evaluate("document.querySelector('.twinset-map').twinset.plot.data[0].type") == "scatter3d"


def test_two_maps_stand_side_by_side(page, explored):
    page.goto(f"{explored}/explore?model=mine&view=Two+models")
    page.wait_for_function("document.querySelectorAll('.twinset-map[data-drawn]').length === 2")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_a_phone(phone, explored, view):
    phone.goto(f"{explored}/explore?model=mine&view={view.replace(' ', '+')}")
    phone.get_by_role("tab", name=view, selected=True).wait_for()
    assert_settled_and_fits(phone)

"""The evaluate page in a real browser: every view on a phone, and a click on the matrix opens the pairs of that cell."""

from __future__ import annotations

import pytest

from backend.evaluation.answers import load_answers
from backend.evaluation.report import load_report
from tests.support.browsing import app_running
from tests.support.pages import assert_settled_and_fits, expect_ids, expect_pictures

pytestmark = pytest.mark.browser
VIEWS = ("Overview", "Labels", "Mistakes", "Worst", "Changed pictures", "Unseen classes", "Match or not", "Two models")


@pytest.fixture(scope="module")
def judged(evaluated_home):
    """The app over two evaluated models; yields its address."""
    with app_running(evaluated_home) as (address, _):
        yield address


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_a_phone(phone, judged, view):
    phone.goto(f"{judged}/evaluate?model=large&view={view}")
    phone.get_by_role("tab", name=view, selected=True).wait_for()
    assert_settled_and_fits(phone)


def test_a_click_on_a_cell_of_the_matrix_opens_its_pairs(page, judged, evaluated_home):
    folder = evaluated_home.models_dir / "small"
    cells, answers = load_report(folder).confusion, load_answers(folder)
    position = next(at for at, cell in enumerate(cells) if cell.label == cell.nearest == "Disc")
    page.goto(f"{judged}/evaluate?model=small&view=Mistakes")
    marks = page.locator(".js-plotly-plot .scatterlayer path.point")
    marks.nth(len(cells) - 1).wait_for()
    box = marks.nth(position).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect_ids(page.locator("ol.grid > li"), answers.cell("Disc", "Disc"))
    expect_pictures(page.locator("ol.grid img"))

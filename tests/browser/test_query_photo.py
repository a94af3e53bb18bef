"""The photo asked about in a real browser: a part chosen by drag, by keyboard and in numbers; pasted, dropped, taken."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import encoded, http_to, picture, served
from tests.support.browsing import app_running
from tests.support.pages import answers, assert_settled_and_fits, expect_in_address, expect_pictures, ids, upload
from tests.ui.conftest import write_catalogue
from tests.ui.test_region import pair

pytestmark = pytest.mark.browser
CHECKS = encoded(picture("checks", 3))
# What the page is handed, as a browser hands it on: a drop or a paste of one file.
GIVE = """([name, kind, type, data]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    const options = { bubbles: true, cancelable: true, composed: true };
    const event = kind === "paste" ? new ClipboardEvent(kind, { ...options, clipboardData: transfer })
        : new DragEvent(kind, { ...options, dataTransfer: transfer });
    document.querySelector("[data-testid=stMain]").dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory, projection_recommender):
    """The app over the shop of the endpoint fixtures; a photo may have 1 MB."""
    settings = replace(settings_for(tmp_path_factory.mktemp("browsed") / "home"), max_upload_mb=1)
    write_catalogue(settings, "shop")
    ensure_app_token(settings)
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as client:
        settings = replace(settings, endpoint_url=str(client.base_url).rstrip("/"))
        with app_running(settings) as (found, _):
            yield found


def opened(page, address):
    page.goto(address)
    page.locator("ol.grid > li").first.wait_for()
    page.locator(".photo-ways").wait_for(state="attached")
    return page


@pytest.fixture
def asked(page, address):
    """The page with a photo of two products, checks on the left and a blob on the right."""
    upload(opened(page, address), {"name": "two.png", "mimeType": "image/png", "buffer": pair()})
    answers(page)
    expect_pictures(page.locator(".query-photo img"))
    return page


def dragged(page, start, end):
    """Drag over the photo, from one place to another, both as fractions."""
    box = page.locator(".query-photo .stage").bounding_box()
    (x0, y0), (x1, y1) = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
    page.mouse.move(x1, y1)
    page.mouse.up()


def region(page):
    """The part that the address names."""
    return page.evaluate("(new URLSearchParams(location.search).get('region') ?? '').split(',').map(Number)")


def first(page):
    return page.locator(".st-key-neighbours ol.grid > li").first


def give(page, kind, data, name="photo.png", mime="image/png"):
    page.evaluate(GIVE, [name, kind, mime, base64.b64encode(data).decode()])


def test_a_box_is_drawn_moved_and_resized_by_dragging(asked):
    dragged(asked, (0.02, 0.02), (0.49, 0.97))
    expect(first(asked)).to_have_attribute("data-product-id", "c017")
    assert region(asked) == pytest.approx([0.02, 0.02, 0.49, 0.97], abs=0.02)
    dragged(asked, (0.25, 0.5), (0.75, 0.5))  # the box itself
    expect(first(asked)).to_have_attribute("data-product-id", "b015")
    assert region(asked) == pytest.approx([0.52, 0.02, 0.99, 0.97], abs=0.02)
    dragged(asked, (0.52, 0.5), (0.3, 0.5))  # its left edge
    asked.wait_for_function("new URLSearchParams(location.search).get('region').startsWith('0.3')")
    asked.get_by_role("button", name="Whole photo", exact=True).click()
    expect(asked.locator(".query-photo .box")).to_be_hidden()
    asked.wait_for_function("!location.search.includes('region')")


def test_a_box_is_moved_and_resized_by_keys_and_left_by_escape(asked):
    asked.get_by_role("button", name="Choose a part").press("Enter")
    box = asked.get_by_role("group", name="Part of the photo")
    expect(box).to_be_focused()
    expect_in_address(asked, "region=0.1%2C0.1%2C0.9%2C0.9")
    for _ in range(5):
        box.press("ArrowLeft")
    box.press("ArrowUp")
    for _ in range(30):
        box.press("Shift+ArrowLeft")
    expect_in_address(asked, "region=0.05%2C0.09%2C0.55%2C0.89")
    expect(box).to_be_focused()  # the answer takes nothing away
    box.press("Escape")
    expect(box).to_be_hidden()
    expect(asked.get_by_role("button", name="Choose a part")).to_be_visible()
    asked.wait_for_function("!location.search.includes('region')")


def test_edges_are_set_in_labelled_fields(asked):
    asked.get_by_role("button", name="Choose a part").click()
    asked.get_by_text("Edges in numbers").click()
    for name, value in (("Left", "0"), ("Top", "0"), ("Right", "50"), ("Bottom", "100")):
        field = asked.get_by_label(name)
        field.fill(value)
        field.press("Tab")
    expect_in_address(asked, "region=0%2C0%2C0.5%2C1")
    expect(first(asked)).to_have_attribute("data-product-id", "c017")
    right = asked.get_by_label("Right")
    right.fill("-20")
    right.press("Tab")
    expect(right).to_have_value("25")  # eight pixels of 32 are the least


def test_a_link_restores_the_part_and_the_comparison(page, address):
    page.goto(f"{address}/?product=b015&k=3&region=0.25%2C0%2C1%2C0.75&compare=true")
    box = page.locator(".query-photo .box")
    expect(box).to_be_visible()
    expect_pictures(page.locator(".query-photo img"))
    stage, part = page.locator(".query-photo .stage").bounding_box(), box.bounding_box()
    assert part["width"] / stage["width"] == pytest.approx(0.75, abs=0.02)
    assert (part["x"] - stage["x"]) / stage["width"] == pytest.approx(0.25, abs=0.02)
    for key in ("part", "whole"):
        expect(page.locator(f".st-key-neighbours_{key} ol.grid > li")).to_have_count(3)
    expect(page.locator(".st-key-neighbours_whole ol.grid > li").first).to_have_attribute("data-product-id", "b015")
    page.get_by_text("Compare with the whole photo").click()
    answers(page)


def test_both_answers_are_beside_each_other_on_a_phone(phone, address):
    phone.goto(f"{address}/?product=b015&k=3&region=0.25%2C0%2C1%2C0.75&compare=true")
    grids = [phone.locator(f".st-key-neighbours_{key} ol.grid > li").first for key in ("part", "whole")]
    boxes = [grid.bounding_box() for grid in grids]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    titles = [phone.locator("strong", has_text=title) for title in ("Chosen part", "Whole photo")]
    assert titles[0].bounding_box()["y"] == titles[1].bounding_box()["y"]
    assert_settled_and_fits(phone)


def test_a_pasted_photo_is_answered(page, address):
    give(opened(page, address), "paste", CHECKS, "image.png")
    assert ids(answers(page))[0] == "c017"
    page.get_by_text("Pasted photo.png").first.wait_for()


def test_a_photo_is_dropped_anywhere_on_the_page(page, address):
    opened(page, address)
    give(page, "dragenter", CHECKS)
    page.get_by_text("Drop the photo to find similar products").wait_for()
    give(page, "drop", CHECKS)
    expect(page.get_by_text("Drop the photo to find similar products")).to_be_hidden()
    assert ids(answers(page))[0] == "c017"


@pytest.mark.parametrize("way", ["drop", "choose"])
@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("notes.txt", b"x", "notes.txt is not a photo. Choose a PNG, JPEG, WEBP, HEIC, AVIF, GIF or TIFF picture."),
        ("big.png", bytes(1_200_000), "big.png has 2 MB, and a photo may have 1 MB. Save it smaller and try again."),
    ],
    ids=["kind", "size"],
)
def test_what_cannot_be_sent_is_a_sentence_and_the_next_photo_is_answered(page, address, way, name, data, sentence):
    opened(page, address)
    if way == "drop":
        give(page, "drop", data, name, "")
    else:
        upload(page, {"name": name, "mimeType": "", "buffer": data})
    expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()
    assert page.get_by_test_id("stFileChip").count() == 0
    give(page, "drop", CHECKS)
    assert ids(answers(page))[0] == "c017"
    expect(page.get_by_text(sentence)).to_be_hidden()


def test_an_upload_that_fails_is_a_sentence(page, address):
    opened(page, address)
    page.route("**/upload_file/**", lambda route: route.abort())
    upload(page, {"name": "photo.png", "mimeType": "image/png", "buffer": CHECKS})
    sentence = "The photo could not be sent. Check the connection and try again."
    expect(page.locator(".photo-ways .wrong")).to_have_text(sentence)
    assert page.get_by_text("AxiosError").count() == 0


def test_a_phone_takes_a_photo_and_moves_the_box_with_a_finger(phone, address):
    opened(phone, address)
    with phone.expect_file_chooser() as chooser:
        phone.get_by_role("button", name="Take a photo").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(
        {"name": "image.jpg", "mimeType": "image/jpeg", "buffer": encoded(picture("checks", 3), "JPEG")}
    )
    assert ids(answers(phone))[0] == "c017"
    phone.get_by_role("button", name="Choose a part").tap()
    expect(phone.locator(".query-photo .box")).to_be_visible()
    assert_settled_and_fits(phone)


def test_a_desk_is_offered_no_camera(page, address):
    opened(page, address)
    expect(page.get_by_role("button", name="Take a photo")).to_be_hidden()

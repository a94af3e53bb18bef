"""The first page in a real browser: real app process, real gateway, a bundle that needs no TensorFlow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from app.navigation import PAGES
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import encoded, http_to, picture, served
from tests.support.browsing import app_running, free_port
from tests.support.pages import (
    answers,
    assert_fits,
    assert_settled_and_fits,
    expect_ids,
    expect_in_address,
    expect_pictures,
    ids,
    upload,
)
from tests.ui.conftest import write_catalogue

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory, projection_recommender):
    """The app over the shop of the endpoint fixtures."""
    settings = settings_for(tmp_path_factory.mktemp("browsed") / "home")
    write_catalogue(settings, "shop")
    ensure_app_token(settings)
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as client:
        settings = replace(settings, endpoint_url=str(client.base_url).rstrip("/"))
        with app_running(settings) as (found, _):
            yield found


def photo(kind: str, number: int, name: str = "photo.png") -> dict[str, object]:
    return {"name": name, "mimeType": "image/png", "buffer": encoded(picture(kind, number))}


def test_an_uploaded_photo_is_answered_with_pictures_of_neighbours(page, address):
    page.goto(address)
    page.locator("ol.grid > li").first.wait_for()
    upload(page, photo("checks", 3))
    expect(answers(page)).to_have_count(12)
    card = answers(page).first
    expect(card).to_have_attribute("data-product-id", "c017")
    expect_pictures(answers(page).locator("img"))
    expect(card.locator(".rank")).to_have_text("1")
    expect(card.locator(".closeness")).to_have_text("Very close")
    expect(answers(page).locator(".percent")).to_have_count(0)


@pytest.mark.parametrize("tab", ["page", "phone"])
def test_figures_are_behind_a_switch_that_the_link_remembers_and_nothing_is_cut(request, tab, address):
    page = request.getfixturevalue(tab)
    page.goto(f"{address}?product=c017&k=12")
    expect(answers(page).first.locator(".closeness")).to_have_text("Very close")
    assert cut_in(page) == []
    page.get_by_text("Show figures").click()
    detail = answers(page).first.locator(".detail")
    expect(detail).to_have_text("similarity 1.000\ndistance 0.000")
    expect_in_address(page, "figures=true")
    assert cut_in(page) == []
    page.reload()
    expect(detail).to_have_text("similarity 1.000\ndistance 0.000")


def cut_in(page):
    """The cards, and the texts on them, that are larger than the box that cuts them off."""
    return (
        answers(page)
        .locator(".card, .body *")
        .evaluate_all(
            """all => all.filter(one => getComputedStyle(one).overflow === "hidden" && one.innerText
            && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1))
            .map(one => one.innerText)"""
        )
    )


def test_a_click_on_a_card_asks_about_that_item_without_loading_the_page_again(page, address):
    page.goto(address)
    page.locator("ol.grid > li").first.wait_for()
    page.evaluate("window.stillTheSamePage = true")
    page.locator("ol.grid > li button").first.click()
    expect_in_address(page, "product=")
    second = answers(page).nth(1)
    asked = second.get_attribute("data-product-id")
    second.locator("button").first.click()
    expect_in_address(page, f"product={asked}")
    assert page.evaluate("window.stillTheSamePage")


def test_a_bad_file_is_a_sentence_and_the_next_good_one_is_answered(page, address):
    page.goto(address)
    page.locator("ol.grid > li").first.wait_for()
    upload(page, {"name": "photo.png", "mimeType": "image/png", "buffer": b"this is no picture"})
    page.get_by_text("This is not a PNG, JPEG, WEBP, HEIC, AVIF, GIF or TIFF picture.").wait_for()
    assert page.get_by_text("Traceback").count() == 0
    upload(page, photo("blob", 5))
    expect(answers(page).first).to_have_attribute("data-product-id", "b015")


def test_the_list_is_downloaded_as_csv(page, address):
    page.goto(f"{address}/?product=b015&k=3")
    expect(answers(page)).to_have_count(3)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    lines = download.value.path().read_text("utf-8").splitlines()
    assert download.value.suggested_filename == "similar-to-b015.csv"
    assert lines[0].startswith("rank,product_id,label,closeness,similarity,distance")
    assert [line.split(",")[1] for line in lines[1:]] == ids(answers(page))


def test_on_a_phone_two_cards_stand_side_by_side_and_the_menu_is_folded(phone, address):
    phone.goto(f"{address}/?product=b015")
    expect(answers(phone)).to_have_count(12)
    first, second, third, *_ = answers(phone).evaluate_all("cards => cards.map(card => card.getBoundingClientRect().y)")
    assert first == second < third
    menu = phone.get_by_role("link", name="Catalogue").bounding_box()
    assert menu is None or menu["x"] + menu["width"] <= 0
    assert_fits(phone)


def test_a_result_is_pinned_previewed_published_and_the_undo_brings_the_answer_back(page, address):
    page.goto(f"{address}/?product=b015&k=8")
    plain = ids(answers(page))
    pinned = [plain[7], *plain[:7]]
    answers(page).nth(7).get_by_text("More", exact=True).click()
    answers(page).nth(7).get_by_role("button", name="Add rule").click()
    page.get_by_role("textbox", name="Your name").fill("Ada")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Add to my draft").click()
    page.get_by_text("1 change in your draft").wait_for()
    expect_ids(answers(page), plain)  # a draft changes nothing before its preview
    page.get_by_text("Preview", exact=True).click()
    expect(answers(page).first.locator(".moved")).to_have_text("Moved from 8 to 1: pinned")
    expect_ids(answers(page), pinned)
    page.get_by_text("8 of 8 results change").wait_for()
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("button", name="Publish now").click()
    page.get_by_text("Version 1 is published. Answers use it now.").wait_for()
    expect(page.get_by_text("1 change in your draft")).to_have_count(0)
    expect_ids(answers(page), pinned)
    page.get_by_role("link", name="Rules", exact=True).click()
    page.get_by_role("tab", name="History").click()
    page.get_by_role("button", name="Undo version 1").click()
    page.get_by_role("button", name="Undo now").click()
    page.get_by_text("Version 2 is published. Answers use it now.").wait_for()
    page.goto(f"{address}/?product=b015&k=8")
    expect_ids(answers(page), plain)
    expect(page.locator(".moved")).to_have_count(0)


def test_the_page_goes_on_by_itself_once_the_endpoint_is_there(page, tmp_path, projection_recommender):
    settings, port = settings_for(tmp_path / "home"), free_port()
    write_catalogue(settings, "shop")
    ensure_app_token(settings)
    settings = replace(settings, endpoint_url=f"http://127.0.0.1:{port}")
    with app_running(settings) as (address, _):
        page.goto(address)
        page.get_by_text("Your products are loaded").wait_for()
        with http_to(build_app(settings, load=lambda: served(projection_recommender)), port=port):
            page.locator("ol.grid > li").first.wait_for()


@pytest.mark.parametrize("entry", PAGES, ids=lambda entry: entry.name)
def test_every_page_fits_a_phone(phone, address, entry):
    phone.goto(address if entry is PAGES[0] else f"{address}/{entry.name}")
    phone.get_by_role("heading", name=entry.title, exact=True).wait_for()
    assert_settled_and_fits(phone)


def test_the_catalogue_leads_to_the_first_page(page, address):
    page.goto(f"{address}/catalogue")
    page.locator("ol.grid button.card").nth(4).click()
    answers(page)
    expect_in_address(page, "product=")


def test_catalogue_text_with_markup_is_shown_as_text(page, address):
    page.goto(f"{address}/?product=<img src=x onerror=window.harmed=1>")
    page.get_by_text("has no product").wait_for()
    assert page.evaluate("window.harmed") is None

"""Find similar, question by question, against the real gateway."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace

import pytest
from PIL import Image

from app.services import common
from backend.bundles import bundle
from backend.progress import NullProgress
from backend.retrieval.calibration import CALIBRATION, Calibration
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.retrieval.recommendation import NOTHING_SHOWN
from backend.serving.answers import NOTHING_CLOSE
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from backend.settings import SecretStr
from tests.fixtures.endpoint import (
    ShopSnapshot,
    encoded,
    http_to,
    load_projection,
    picture,
    served,
    write_projection_bundle,
)
from tests.ui.conftest import assert_calm, grid, sent_to, texts, write_catalogue
from tests.unit.serving.test_sale_filters import on_sale_rows


def upload(test, data: bytes, name: str = "photo.png"):
    return test.file_uploader[0].upload(name, data, "image/png").run()


@pytest.fixture
def ready(screen, shop_endpoint):
    """The page, before anything was asked."""
    return screen.open()


def test_before_a_question_the_page_offers_one_item_of_every_kind(ready):
    assert_calm(ready)
    cards = grid(ready)
    assert len(cards) == 12
    assert {card["lines"][0].split(" · ")[0] for card in cards} == {"stripes", "checks", "blob"}


def test_the_catalogue_can_be_searched_for_a_question(ready):
    ready.text_input(key="search").set_value("no. 3").run()
    assert [card["title"] for card in grid(ready)] == ["Blob no. 3", "Checks no. 3", "Stripes no. 3"]
    ready.text_input(key="search").set_value("nothing of the kind").run()
    assert "No matching products" in texts(ready)


def test_an_upload_is_answered_with_ranked_neighbours_and_their_figures(ready):
    test = upload(ready, encoded(picture("checks", 3)))
    assert_calm(test)
    assert not any("percent_text" in card or "detail" in card for card in grid(test))
    assert [card["closeness"] for card in grid(test)][:2] == ["Very close", "Close"]
    cards = grid(test.toggle(key="figures").set_value(True).run())
    assert [card["rank"] for card in cards] == [str(rank) for rank in range(1, 13)]
    assert cards[0] == {**cards[0], "id": "c017", "title": "Checks no. 3", "price": "20.00", "percent_text": "100.0%"}
    assert cards[0]["lines"] == ["checks · c017", "Ada · grey"]
    assert cards[0]["detail"] == "similarity 1.000\ndistance 0.000"
    assert cards[0]["src"].startswith("data:image/png;base64,")
    assert "Catalogue shop version 4 · 60 products searched" in texts(test)
    assert "twinset version 1" not in texts(test)  # which model answered is for the page Deploy
    assert sent_to(test, "src")["src"].startswith("data:image/png;base64,")
    assert test.image[0].captions == ["As Twinset saw it"]


def test_nothing_close_stands_above_the_products_and_no_card_claims_a_kind(ready):
    test = upload(ready, encoded(Image.new("L", (60, 80), 128)))
    assert_calm(test)
    assert [warning.value for warning in test.warning] == [NOTHING_CLOSE]
    cards = grid(test)
    assert len(cards) == 12  # the nearest are shown all the same
    assert_no_card_claims_a_likeness(cards)
    assert NOTHING_SHOWN in texts(test).replace("\\", "")
    assert not upload(ready, encoded(picture("checks", 3))).warning


def assert_no_card_claims_a_likeness(cards):
    """Neither a share nor any other figure of how like a product is."""
    assert {card["closeness"] for card in cards} == {"Not close"}
    said = [[line for line in card["lines"] if "similar" in line or "likely" in line] for card in cards]
    assert not any("percent" in card or "detail" in card for card in cards)
    assert not any(said)


def test_a_model_whose_evaluation_calls_nothing_a_match_calls_nothing_a_match_here(
    screen, shop_catalogue, projection_bundle, tmp_path
):
    known = Calibration((0.0, 1.0), (0.1, 0.6), None, 0.9, 40, weights_hash="w")
    folder = shutil.copytree(projection_bundle, tmp_path / "calibrated")
    (folder / CALIBRATION).write_text(known.to_json(), encoding="utf-8")
    bundle.write_manifest(folder, replace(bundle.read_manifest(folder), weights_hash="w"))
    recommender = Recommender.load(folder, embedder_loader=load_projection)
    ensure_app_token(screen.settings)
    with http_to(build_app(screen.settings, load=lambda: served(recommender))) as client:
        screen.settings = replace(screen.settings, endpoint_url=str(client.base_url).rstrip("/"))
        test = upload(screen.open(), encoded(picture("checks", 3)))  # the very picture of a product
    assert_calm(test)
    assert not test.warning  # that the model is never sure enough says nothing about the picture
    assert grid(test)[0]["id"] == "c017"
    assert {card["closeness"] for card in grid(test)} == {"Related", "Not close"}


def test_k_and_filters_reach_the_endpoint(ready):
    test = upload(ready, encoded(picture("checks", 3)))
    test.slider(key="k").set_value(5)
    test.multiselect(key="filter_label").set_value(["blob"])
    test.multiselect(key="filter_brand").set_value(["Ada", "Bo"]).run()
    cards = grid(test)
    assert len(cards) == 5
    assert all(card["lines"][0].startswith("blob") for card in cards)
    assert all(card["lines"][1].split(" · ")[0] in {"Ada", "Bo"} for card in cards)


def test_sale_price_availability_and_currency_limit_what_is_shown(screen, tmp_path):
    """They are offered where the catalogue has them; a product without one of them never passes a filter on it."""
    rows = on_sale_rows()
    write_catalogue(screen.settings, "shop", rows)
    folder = tmp_path / "models" / "sale"
    build_gallery(ShopSnapshot(rows), write_projection_bundle(folder), folder, progress=NullProgress())
    recommender = Recommender.load(folder, embedder_loader=load_projection)
    ensure_app_token(screen.settings)
    with http_to(build_app(screen.settings, load=lambda: served(recommender))) as client:
        screen.settings = replace(screen.settings, endpoint_url=str(client.base_url).rstrip("/"))
        test = upload(screen.open(), encoded(picture("checks", 3)))
        test.slider(key="k").set_value(48)
        assert test.multiselect(key="filter_currency").options == ["EUR", "JPY", "USD"]
        test.multiselect(key="filter_currency").set_value(["EUR", "USD"])
        test.multiselect(key="filter_availability").set_value(["in stock"])
        low, high = test.slider(key="filter_sale_price").value
        assert (low, high) == (0.0, 1e6)
        test.slider(key="filter_sale_price").set_value((low, 500_000.0)).run()
        assert_calm(test)
        expected = {
            row["product_id"]
            for row in rows
            if row["currency"] in {"EUR", "USD"}
            and row["availability"] == "in stock"
            and row["sale_price"] is not None
            and row["sale_price"] < 1e6
        }
        assert expected
        assert {card["id"] for card in grid(test)} == expected
        assert all(card["price"].partition(" (")[0].endswith((" EUR", " USD")) for card in grid(test))


def test_what_was_done_to_a_picture_is_said(ready):
    sideways = picture("checks", 3, side=32).crop((0, 0, 32, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    test = upload(ready, encoded(sideways, "JPEG", exif=exif), "photo.jpg")
    assert "It was rotated upright" in texts(test)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"this is no picture", "This is not a PNG, JPEG, WEBP, HEIC, AVIF, GIF or TIFF picture."),
        (encoded(picture("blob", 1))[:60], "damaged or incomplete"),
        (encoded(Image.new("L", (1, 1))), "only 1 x 1 pixels"),
        (encoded(Image.new("L", (9000, 9000))), "at most 16 million are allowed"),
    ],
    ids=["text", "truncated", "tiny", "bomb"],
)
def test_a_bad_picture_is_a_sentence_and_the_next_good_one_is_answered(ready, data, sentence):
    test = upload(ready, data)
    assert not test.exception
    assert sentence in test.error[0].value
    assert_calm(upload(test, encoded(picture("checks", 3))))
    assert grid(test)[0]["id"] == "c017"


def test_a_link_names_the_question(screen, shop_endpoint):
    test = screen.open(product="b017", k="3")
    assert_calm(test)
    assert [card["rank"] for card in grid(test)] == ["1", "2", "3"]
    assert grid(test)[0]["id"] == "b017"


def test_a_link_to_a_product_that_is_gone_says_so_and_offers_others(screen, shop_endpoint):
    test = screen.open(product="gone")
    assert "has no product gone" in test.error[0].value
    assert len(grid(test)) == 12


def test_an_upload_replaces_the_item_of_the_link_and_start_again_forgets_both(screen, shop_endpoint):
    test = upload(screen.open(product="b017"), encoded(picture("checks", 3)))
    assert "product" not in test.query_params
    assert grid(test)[0]["id"] == "c017"
    next(button for button in test.button if button.label == "Start again").click().run()
    assert "Or start from the catalogue" in texts(test)


def test_the_list_can_be_had_as_csv(ready):
    test = upload(ready, encoded(picture("checks", 3)))
    assert test.download_button[0].label == "CSV"


def test_csv_holds_every_neighbour_and_no_formula(projection_recommender):
    from app.components.search.answer_view import as_csv
    from backend.serving.answers import Answer, AnswerNeighbour

    found = {"rank": 1, "product_id": "a1", "label": "blob", "distance": 0.25, "similarity": 0.75, "image": b""}
    one = AnswerNeighbour(**found, title="=1+1", brand='B "o", Ltd', colour="grey", price=9.5, stock=3)
    answer = Answer((one, replace(one, rank=2, title="Plain")), b"", (), "m", 1, "b", "shop", 4, 60, {})
    rows = list(csv.DictReader(io.StringIO(as_csv(answer))))
    assert [row["title"] for row in rows] == ["'=1+1", "Plain"]
    assert rows[0]["brand"] == 'B "o", Ltd'
    assert (rows[0]["rank"], rows[0]["similarity"], rows[0]["price"], rows[0]["category"]) == ("1", "0.75", "9.5", "")


def test_the_same_question_is_asked_once(ready, shop_endpoint):
    test = upload(ready, encoded(picture("checks", 3)))
    first = next(caption.value for caption in test.caption if "Answered in" in caption.value)
    test.run()
    assert first in [caption.value for caption in test.caption]


def test_an_endpoint_without_a_usable_model_is_a_plain_sentence_here_and_a_reason_on_the_deploy_page(
    screen, shop_catalogue, shop_model, projection_bundle, tmp_path
):
    folder = shutil.copytree(projection_bundle, tmp_path / "shop-four")
    (folder / bundle.WEIGHTS).write_bytes(b"other bytes")

    def damaged():
        return served(Recommender.load(folder, embedder_loader=load_projection))

    ensure_app_token(screen.settings)
    with http_to(build_app(screen.settings, load=damaged)) as client:
        screen.settings = replace(screen.settings, endpoint_url=str(client.base_url))
        test = screen.open()
        deploy = screen.open("deploy")
    assert_calm(test)
    (told,) = [info.value for info in test.info]
    assert told.startswith("Similar products cannot be found at the moment.")
    assert "ask your Twinset administrator" in told
    assert [link.label for link in test.page_link] == ["See why on Deploy"]
    assert "of shop-four is damaged: expected" in deploy.info[0].value.replace("\\", "")
    assert "`python -m backend deploy`" in deploy.info[0].value


def test_a_wrong_token_is_said_where_it_can_be_mended(screen, shop_endpoint):
    screen.settings = replace(screen.settings, endpoint_token=SecretStr("x" * 40))
    assert "Similar products cannot be found at the moment" in texts(screen.open())
    deploy = texts(screen.open("deploy"))
    assert "does not accept the token" in deploy
    assert "x" * 40 not in deploy


def test_an_endpoint_that_fails_in_the_middle_of_a_question_is_a_plain_sentence(screen, shop_endpoint):
    test = screen.open(product="b017")
    screen.settings = replace(screen.settings, endpoint_token=SecretStr("x" * 40))
    common.endpoint.clear()
    test.slider(key="k").set_value(5).run()
    assert [error.value.partition("\n")[0] for error in test.error] == [
        "Similar products cannot be found at the moment."
    ]


def test_where_nobody_answers_the_workbench_tells_how_to_start_and_the_shop_is_told_no_command(
    screen, shop_catalogue, shop_model
):
    test = screen.open()
    assert_calm(test)
    assert "Ask your Twinset administrator to start it" in test.info[0].value
    assert "`" not in texts(test)
    assert "`make run`" in screen.open("deploy").info[0].value


def test_text_of_the_catalogue_is_sent_as_data_not_as_markup(ready):
    component = next(one.proto for one in ready.get("bidi_component") if "cards" in json.loads(one.proto.json))
    assert component.html_content == '<ol class="grid"></ol>'
    assert "innerHTML" not in component.js_content
    assert json.loads(component.json)["action"] == "Find similar"


def test_of_very_many_values_the_frequent_ones_are_listed_and_the_rare_ones_are_typed(
    screen, shop_endpoint, monkeypatch
):
    monkeypatch.setattr(common, "FACET_VALUES", 2)
    common.facets.clear()
    test = screen.open(product="b015")
    labels = test.multiselect(key="filter_label")
    assert labels.options == ["blob", "checks"]
    assert "1 rarer values are not listed" in labels.help

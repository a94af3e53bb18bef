"""Refining an answer, and how far it is behind the catalogue, on the page Find similar."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.flow.requests import FidelityRequest
from backend.retrieval.fidelity import ArmReport, FidelityReport
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.colours import coloured
from tests.fixtures.endpoint import encoded, http_to, picture, served
from tests.ui.conftest import add_version, assert_calm, finished, grid, grid_data, press, shop_row, texts
from tests.ui.test_recommend import upload


@pytest.fixture
def asked(screen, shop_endpoint):
    """The page with an answer."""
    return upload(screen.open(k="6"), encoded(picture("checks", 3)))


def ids(test):
    return [card["id"] for card in grid(test)]


def test_less_like_a_product_takes_it_out_and_can_be_taken_back(screen, shop_endpoint):
    plain = ids(screen.open(product="c017", k="6"))
    test = screen.open(product="c017", k="6", less=plain[1])
    assert_calm(test)
    assert plain[1] not in ids(test)
    assert len(ids(test)) == 6
    assert "Less like" in texts(test)
    test = press(test, plain[1])
    assert ids(test) == plain
    assert "less" not in test.query_params


def test_another_question_forgets_what_the_last_one_was_to_be_less_like(screen, shop_endpoint):
    test = upload(screen.open(product="c017", k="6", less="c016"), encoded(picture("blob", 3)))
    assert "less" not in test.query_params
    assert "Less like" not in texts(test)


def test_variety_and_duplicates_reach_the_endpoint(asked):
    plain = ids(asked)
    asked.slider(key="variety").set_value(80).run()
    assert_calm(asked)
    assert ids(asked)[0] == plain[0]
    assert ids(asked) != plain
    asked.toggle(key="hide_duplicates").set_value(True)
    asked.toggle(key="hide_variants").set_value(True).run()
    assert_calm(asked)
    assert len(ids(asked)) == 6


def test_more_photos_make_one_question_and_their_weights_count(asked):
    plain = ids(asked)
    more = next(uploader for uploader in asked.file_uploader if "More photos" in uploader.label)
    more.upload("b.png", encoded(picture("blob", 3)), "image/png").run()
    assert_calm(asked)
    both = ids(asked)
    assert both != plain
    assert [image.captions for image in asked.image][-1] == ["Of photo 2"]
    asked.toggle(key="figures").set_value(True).run()
    before = {card["id"]: card["detail"] for card in grid(asked)}
    next(slider for slider in asked.select_slider if "photo 2" in slider.label).set_value("More").run()
    assert_calm(asked)
    assert {card["id"]: card["detail"] for card in grid(asked)} != before


def test_a_photo_to_stay_away_from_that_is_none_is_said(asked):
    unwanted = next(uploader for uploader in asked.file_uploader if "do not want" in uploader.label)
    unwanted.upload("b.png", b"no picture", "image/png").run()
    assert not asked.exception
    assert "Picture 2 of 2" in asked.error[0].value


def test_cards_offer_less_like_this(asked):
    assert "Less like this" in grid_data(asked)["small"]


def test_an_answer_of_the_newest_version_is_up_to_date(asked):
    assert "Up to date" in texts(asked)
    assert "Refresh" not in [button.label for button in asked.button]


def test_an_answer_says_how_far_it_is_behind_and_can_be_brought_up_to_date(screen, shop_endpoint, shop_model):
    add_version(screen.settings, "shop", shop_row("c013", price=1.0))
    add_version(screen.settings, "shop", shop_row("b013", title="Anew"), gone=("b014",))
    test = screen.open(product="c017")
    assert "2 versions, 3 products behind" in texts(test)
    test = press(test, "Refresh")
    (job,) = screen.runner.list(kind="refresh")
    assert job.request["model"] == "projection"


def report(model, **changes):
    index = model.index
    arms = (ArmReport("exact", 1.0, 0.5, 0.7, True), ArmReport("approximate", 0.9966, 0.08, 0.1, False))
    values = {
        "model": model.name,
        "kind": index.kind,
        "k": 10,
        "queries": 1_000,
        "size": index.size,
        "fidelity": 1.0,
        "p50_ms": 0.5,
        "p95_ms": 0.7,
        "arms": arms,
        "catalogue": index.catalogue.name,
        "catalogue_version": index.catalogue.version,
        "generation": 1,
        "measured_at": "2026-11-25T10:00:00+00:00",
    }
    return FidelityReport(**{**values, **changes})


def test_what_was_measured_of_an_index_is_found_while_it_is_that_index(screen, shop_catalogue, shop_model):
    from app.services import retrieval

    assert retrieval.fidelity(shop_model) is None
    old = report(shop_model, generation=2)
    finished(screen, FidelityRequest(shop_model.name), old.as_dict())
    assert retrieval.fidelity(shop_model) is None
    now = report(shop_model)
    finished(screen, FidelityRequest(shop_model.name), now.as_dict())
    assert retrieval.fidelity(shop_model) == now


def test_the_deploy_page_shows_it_and_measures_again(screen, shop_endpoint, shop_model):
    test = screen.open("deploy")
    assert_calm(test)
    assert "Not measured yet" in texts(test)
    finished(screen, FidelityRequest(shop_model.name), report(shop_model).as_dict())
    test = screen.open("deploy")
    assert_calm(test)
    assert "1,000 queries on 60 products" in texts(test)
    test = press(test, "Measure the search")
    assert screen.runner.list(kind="fidelity")[0].request["model"] == shop_model.name


def balance(test):
    return [slider for slider in test.select_slider if "more about colour" in slider.label]


def test_a_model_without_colours_has_no_control_for_them(asked):
    assert balance(asked) == []


@pytest.fixture
def colour_endpoint(screen, shop_catalogue, shop_in_colours):
    """The real gateway over the shop in colours."""
    ensure_app_token(screen.settings)
    with http_to(build_app(screen.settings, load=lambda: served(shop_in_colours))) as client:
        screen.settings = replace(screen.settings, endpoint_url=str(client.base_url).rstrip("/"))
        yield


def test_more_about_colour_or_about_shape_is_chosen_on_the_page_and_kept_in_its_link(screen, colour_endpoint):
    test = upload(screen.open(k="6"), coloured("checks", 3, "red"))
    usual = ids(test)
    assert balance(test)[0].value == "Usual"
    chosen = {}
    for choice in ("Colour only", "Shape only"):
        balance(test)[0].set_value(choice).run()
        assert_calm(test)
        chosen[choice] = ids(test)
    assert {*chosen["Colour only"]} != {*chosen["Shape only"]}
    balance(test)[0].set_value("Usual").run()
    assert ids(test) == usual
    linked = upload(screen.open(k="6", balance="Colour only"), coloured("checks", 3, "red"))
    assert balance(linked)[0].value == "Colour only"
    assert ids(linked) == chosen["Colour only"]

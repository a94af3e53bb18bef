"""From a catalogue to its first answer: one button, asked about once where it replaces what is searched, then the page that answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app import state
from app.components.catalogue import find_similar
from backend.bundles.bundle import CatalogueRef
from backend.flow.requests import ReadyMadeRequest
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.registry.card import card_of
from backend.registry.ledger import Ledger, RegisteredVersion, write_ledger
from tests.ui.conftest import assert_calm, finished, press, shop_row, texts, write_catalogue
from tests.ui.test_shop_words import assert_plain

RESULT = {"catalogue": "shop", "products": 60, "left_out": 1, "calibrated": False, "product": "b017", "seconds": 30.0}


def answering(screen, model, catalogue):
    """A champion whose answers come from this catalogue."""
    card = replace(card_of(screen.settings.models_dir / model.name, model), catalogue=CatalogueRef(catalogue, 1))
    version = RegisteredVersion(1, model.name, ("champion",), "2026-11-24T12:00:00+00:00", "r1", card)
    write_ledger(screen.settings.home, Ledger("twinset", (version,)))


def offered(test):
    return find_similar.TITLE in [button.label for button in test.button]


def test_one_click_starts_it_for_the_catalogue_that_is_shown(screen, shop_catalogue):
    write_catalogue(screen.settings, "other", [shop_row("b001"), shop_row("b002")])
    test = screen.open("catalogue", catalogue="shop")
    assert_plain(test)
    press(test, find_similar.TITLE)
    (job,) = screen.runner.list()
    assert (job.kind, job.request) == (
        "ready_made",
        {"catalogue": "shop", "version": None, "name": "", "index_kind": "", "replace_catalogue": False},
    )
    assert_calm(test)


def test_another_catalogue_that_is_searched_is_replaced_after_one_question(screen, shop_catalogue, shop_model):
    answering(screen, shop_model, "clothing")
    test = screen.open("catalogue")
    press(test, find_similar.TITLE)
    assert "This replaces the clothing catalogue by shop. Publish?" in texts(test)
    assert_plain(test)
    assert screen.runner.list() == []
    press(test, "Publish")
    (job,) = screen.runner.list()
    assert job.request["replace_catalogue"]


def test_a_catalogue_that_answers_has_a_link_instead(screen, shop_catalogue, shop_model):
    assert offered(screen.open("catalogue"))
    answering(screen, shop_model, "shop")
    test = screen.open("catalogue")
    assert not offered(test)
    assert find_similar.TITLE in [link.proto.label for link in test.get("page_link")]


def test_whoever_waited_is_taken_to_the_first_answer(screen, shop_endpoint):
    test = screen.open("catalogue")
    press(test, find_similar.TITLE)
    (job,) = screen.runner.list()
    screen.runner.cancel(job.id)
    screen.runner.wait(job.id, 30)
    finished(screen, ReadyMadeRequest("shop", name="again"), RESULT)
    test.run()
    assert test.title[0].value == "Find similar"
    assert test.query_params[state.PRODUCT] == "b017"
    # Whoever did not wait sees what came of it, with the way there.
    other = screen.open("catalogue")
    assert "60 products of shop can be found by a photo now." in texts(other)
    assert_plain(other)


def test_what_failed_says_why_and_can_be_tried_again(screen, shop_catalogue):
    store = JobStore(screen.settings.jobs_db, logs_dir=screen.settings.logs_dir)
    job, _ = store.add("ready_made", {"catalogue": "shop"})
    store.start(job.id, pid=1)
    why = "No picture of shop can be read."
    store.finish(job.id, JobState.FAILED, error=why, next_step="See on the Catalogue page, under Rejected, why.")
    test = screen.open("catalogue")
    assert_plain(test)
    assert any(why in error.value for error in test.error)
    assert {"Try again", find_similar.TITLE} <= {button.label for button in test.button}


@pytest.mark.parametrize("has_products", [True, False])
def test_find_similar_points_the_way_while_there_is_no_answer(screen, has_products):
    if has_products:
        write_catalogue(screen.settings, "shop")
    test = screen.open()
    assert_plain(test)
    assert [link.proto.page for link in test.get("page_link")] == ["catalogue"]
    assert ("One click on the Catalogue page" in texts(test)) is has_products

"""Every page, empty, typical, with an expected failure and with an unexpected one."""

from __future__ import annotations

import logging

import pytest

from app.navigation import FOLDER, PAGES
from app.services import common
from backend.errors import EnvironmentUnready
from tests.ui.conftest import assert_calm, texts

NAMES = [page.name for page in PAGES]
# What a page asks for first; breaking it is the worst that can happen to the page.
DOOR = {
    "recommend": "serving",
    "rules": "catalogues",
    "substitutes": "catalogues",
    "collections": "catalogues",
    "product": "catalogues",
    "story": "serving",
    "catalogue": "catalogues",
    "train": "catalogues",
    "tune": "catalogues",
    "evaluate": "models",
    "explore": "models",
    "deploy": "models",
    "jobs": "jobs",
    "system": "machine_checks",
}
EMPTY = {
    "recommend": "Welcome to Twinset",
    "rules": "There is no catalogue yet",
    "substitutes": "First make it possible to find similar products",
    "collections": "There is no catalogue yet",
    "product": "There is no catalogue yet",
    "story": "Welcome to Twinset",
    "catalogue": "There is no catalogue yet",
    "train": "There is no catalogue to train on yet",
    "tune": "There is no catalogue to train on yet",
    "evaluate": "There is no model yet",
    "explore": "There is no model yet",
    "deploy": "There is no model yet",
    "jobs": "Nothing has run yet",
    "system": "Versions, settings and addresses",
}
TYPICAL = {
    "recommend": "Or start from the catalogue",
    "rules": "There are no rules yet",
    "substitutes": "First make it possible to find similar products",
    "collections": "There is no collection yet",
    "product": "Enter a product id",
    "story": "Use a photo of your own, or click one of the examples",
    "catalogue": "60 products; click one",
    "train": "Version 4 of shop",
    "tune": "All trials train on version 4 of shop, the newest",
    "evaluate": "Precision@1 91.2%",
    "explore": "A first look by principal components",
    "deploy": "Products searched 60",
    "jobs": "Loading products",
    "system": "**Java**",
}


def test_the_menu_lists_every_page_once_in_the_order_of_the_flow():
    assert sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("*.py"))
    shop = ["recommend", "rules", "substitutes", "collections", "product", "story"]
    operations = ["jobs", "system"]
    assert [*shop, "catalogue", "train", "tune", "evaluate", "explore", "deploy", *operations] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_home_is_met_with_a_friendly_page(screen, name):
    test = screen.open(name)
    assert_calm(test)
    assert EMPTY[name] in texts(test)
    assert test.title[0].value == next(page.title for page in PAGES if page.name == name)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_what_there_is(screen, shop_endpoint, shop_model, name):
    if name == "jobs":
        screen.runner.wait(screen.runner.submit(work("succeed")).id, 60)
    test = screen.open(name)
    assert_calm(test)
    assert TYPICAL[name] in texts(test)


@pytest.mark.parametrize("name", NAMES)
def test_an_expected_failure_is_a_sentence_with_a_next_step(screen, shop_catalogue, shop_model, monkeypatch, name):
    def fail(*_args, **_options):
        raise EnvironmentUnready("The *shelf* is empty.", next_step="Fill it with `make shelf`.")

    monkeypatch.setattr(common, DOOR[name], fail)
    test = screen.open(name)
    assert not test.exception
    is_for_shop = next(page.is_for_shop for page in PAGES if page.name == name)
    step = "Ask your Twinset administrator." if is_for_shop else "Fill it with `make shelf`."
    assert [error.value for error in test.error] == [f"The \\*shelf\\* is empty.\n\n{step}"]


@pytest.mark.parametrize("name", NAMES)
def test_an_unexpected_failure_is_a_number_on_the_page_and_a_trace_in_the_log(screen, monkeypatch, caplog, name):
    def fail(*_args, **_options):
        raise RuntimeError("the secret inner reason")

    monkeypatch.setattr(common, DOOR[name], fail)
    with caplog.at_level(logging.ERROR, logger="app.notices"):
        test = screen.open(name)
    assert not test.exception
    assert len(test.error) == 1
    assert "the secret inner reason" not in texts(test)
    (record,) = (record for record in caplog.records if record.name == "app.notices")
    assert record.getMessage().removeprefix("Incident ") in test.error[0].value
    assert "the secret inner reason" in str(record.exc_info)


def test_a_damaged_job_store_is_said_as_such(screen):
    screen.settings.jobs_db.write_bytes(b"no database at all" * 100)
    test = screen.open("jobs")
    screen.settings.jobs_db.unlink()
    assert not test.exception
    assert "is damaged" in test.error[0].value


def test_a_damaged_catalogue_is_said_as_such(screen, shop_catalogue):
    log = screen.settings.catalogues_dir / "shop" / "products" / "_delta_log"
    for path in log.glob("*.json"):
        path.write_text("not a log", encoding="utf-8")
    test = screen.open("catalogue")
    assert not test.exception
    assert "cannot be read" in test.error[0].value


def work(name: str):
    from backend.flow.requests import IngestRequest

    return IngestRequest(catalogue=name)

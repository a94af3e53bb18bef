"""Substitutes on screens: from a selection to what is kept, as files and pins; and the readiness below."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app import words
from app.components.substitutes import table, wording
from app.services import substitutes as service
from backend.bundles import bundle
from backend.flow.kinds import run_request
from backend.flow.requests import ReadinessRequest, SubstitutesRequest
from backend.merchandising.draft import Drafts
from backend.merchandising.rule_store import RuleStore
from backend.merchandising.substitutes.kept import Decision
from backend.progress import NullProgress
from backend.retrieval.calibration import CALIBRATION, Calibration
from tests.fixtures.endpoint import shop_rows
from tests.ui.conftest import add_version, assert_calm, press, sent_to, texts, write_catalogue
from tests.ui.test_first_answer import answering
from tests.ui.test_shop_words import assert_plain


def stocked():
    """The shop, where of each kind every fourth product is sold out and every fourth does not say."""
    return [{**row, "stock": (0, 3, None, 5)[at // 3 % 4]} for at, row in enumerate(shop_rows())]


def calibrate(folder):
    """Have products that look alike be matches from a low similarity on."""
    manifest = bundle.read_manifest(folder)
    found = Calibration((0.0, 1.0), (0.6, 0.99), 0.5, 0.9, 10, manifest.weights_hash)
    (folder / CALIBRATION).write_text(found.to_json())
    files = {**manifest.files, CALIBRATION: bundle.sha256_of(folder / CALIBRATION)}
    bundle.write_manifest(folder, replace(manifest, files=files))


@pytest.fixture
def selling(screen, shop_model):
    """A catalogue that is searched; returns the name of its model."""
    calibrate(screen.settings.models_dir / shop_model.name)
    write_catalogue(screen.settings, "shop", stocked())
    answering(screen, shop_model, "shop")
    return shop_model.name


def find(screen, model, **more):
    return run_request(SubstitutesRequest(model=model, **more), screen.settings, NullProgress())


def test_without_answers_and_without_stock_it_says_what_to_do_first(screen, shop_model):
    test = screen.open("substitutes")
    assert "First make it possible to find similar products" in texts(test)
    write_catalogue(screen.settings, "shop", [{**row, "stock": None} for row in shop_rows()])
    answering(screen, shop_model, "shop")
    test = screen.open("substitutes")
    assert_plain(test)
    assert "No product states its stock" in texts(test)
    assert "Measure readiness" not in [button.label for button in test.button]


def test_where_nothing_is_sold_out_there_is_nothing_to_start(screen, shop_model):
    write_catalogue(screen.settings, "shop", [{**row, "stock": 3} for row in shop_rows()])
    answering(screen, shop_model, "shop")
    test = screen.open("substitutes")
    assert "No product is sold out" in texts(test)
    assert next(button for button in test.button if button.label == "Find substitutes").disabled


def test_they_are_found_by_a_click_within_the_limits(screen, selling):
    test = screen.open("substitutes")
    assert_plain(test)
    test.number_input(key="substitutes_least").set_value(85).run()
    press(test, "Find substitutes")
    (job,) = screen.runner.list()
    assert job.kind == "substitutes"
    assert {name: job.request[name] for name in ("selection", "price", "at_least", "same", "unknown", "k")} == {
        "selection": "sold out",
        "price": 15.0,
        "at_least": 85.0,
        "same": [],
        "unknown": False,
        "k": 5,
    }
    assert_calm(test)


def test_what_is_decided_goes_on_after_a_reload_and_leaves_as_pins(screen, selling):
    result = find(screen, selling, price=None)
    sold_out = service.stock("shop").sold_out
    assert result["selected"] == sold_out == result["with_twin"] + sum(result["reasons"].values())
    test = screen.open("substitutes")
    assert_plain(test)
    assert words.plain(f"without a substitute: {wording.WITHOUT['none in stock']}.") in texts(test)
    data = sent_to(test, "elsewhere")
    assert data["total"] == result["with_twin"]
    assert len(data["rows"]) == min(table.ROWS, data["total"])
    at, first = next((at, row) for at, row in enumerate(data["rows"]) if len(row["twins"]) > 1)
    assert [side["src"][:10] for side in (first["product"], first["twins"][0])] == ["data:image"] * 2
    service.decide("shop", [Decision(first["id"], "keep", first["twins"][1]["id"])])
    shown = sent_to(screen.open("substitutes"), "elsewhere")["rows"][at]
    assert (shown["decided"], shown["twin"]) == ("keep", first["twins"][1]["id"])
    assert first["id"].encode() in service.file_of("shop", "csv", unchecked=False)
    test = screen.open("substitutes")
    test.session_state["note_person"] = "Ada"
    press(test.run(), "Pin the kept ones")
    assert "1 pin is in your draft" in texts(test)
    (rule,) = Drafts(RuleStore(screen.settings.rules_dir, "shop")).open("Ada").put
    assert (rule.scope.values, rule.products) == ((first["id"],), (first["twins"][1]["id"],))


def test_readiness_is_shown_by_category_with_the_twins_that_were_lost(screen, selling):
    before = stocked()
    sold = [{**row, "stock": 0} for row in before if row["label"] == "checks"]
    add_version(screen.settings, "shop", *sold)
    request = ReadinessRequest(model=selling, since="2020-01-01", price=None)
    found = run_request(request, screen.settings, NullProgress())
    assert found["lost"]
    assert found["whole"]["products"] == len(before)
    test = screen.open("substitutes")
    assert_plain(test)
    said = texts(test)
    assert words.plain(found["sentence"]) in said
    labels = [expander.label for expander in test.expander]
    assert any(f"{len(found['lost'])} products whose last twin sold out since" in label for label in labels)

"""Changes between versions, the history, restoring and tidying, on real Delta tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.components.jobs.result import sentences
from app.services import common
from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.errors import EndpointUnreachable
from backend.flow.requests import IngestRequest
from tests.fixtures.endpoint import encoded, picture
from tests.ui.conftest import add_version, assert_calm, finished, grid, press, shop_row, texts

# pyarrow 14 makes pandas' tables with times by a name that pandas 2.2 calls private.
pytestmark = pytest.mark.filterwarnings("ignore:DatetimeTZBlock is deprecated:DeprecationWarning")
FROM, TO = "changes_from-shop-5", "changes_to-shop-5"
OTHER = encoded(picture("checks", 77))


@pytest.fixture
def moved(screen, shop_catalogue):
    """The shop at version 5: two products changed, one was withdrawn, one is gone."""
    changed = (shop_row("b001", price=99.0, colour=None), shop_row("b002", image=OTHER))
    lost = shop_row("c003", withdrawn_at=datetime(2026, 11, 23, tzinfo=UTC))
    add_version(screen.settings, "shop", *changed, lost, gone=("s001",), job="0123456789ab")
    return screen


def cards(test) -> dict[str, dict]:
    return {card["id"]: card for card in grid(test)}


# ------------------------------------------------------------------------------------------------- changes


def test_changes_are_shown_with_what_differs_in_words(moved):
    test = moved.open("catalogue", view="Changes")
    assert_calm(test)
    found = cards(test)
    assert {name: card["badges"] for name, card in found.items()} == {
        "b001": ["Changed"],
        "b002": ["Changed"],
        "c003": ["Withdrawn"],
        "s001": ["Gone"],
    }
    assert found["b001"]["lines"] == ["b001", "Colour: grey → none", f"Price: {shop_row('b001')['price']:.2f} → 99.00"]
    assert found["b002"]["lines"] == ["b002", "New picture"]


def test_a_changed_picture_is_shown_before_and_after(moved):
    found = cards(moved.open("catalogue", view="Changes"))
    before, after = found["b002"]["pair"]
    assert (before["caption"], after["caption"]) == ("Version 4", "Version 5")
    assert before["src"] != after["src"]
    assert found["b001"]["pair"] == []


def test_changes_are_filtered_by_kind(moved):
    test = moved.open("catalogue", view="Changes")
    (kinds,) = test.pills
    assert kinds.options == ["Changed · 2", "Withdrawn · 1", "Gone · 1"]
    kinds.select("gone").run()
    assert list(cards(test)) == ["s001"]


def test_versions_that_are_equal_say_that_nothing_changed(moved):
    test = moved.open("catalogue", view="Changes")
    test.selectbox(key=TO).select(4)
    test.selectbox(key=FROM).select(2).run()
    assert_calm(test)
    assert "Nothing changed between version 2 and version 4" in texts(test)
    test.selectbox(key=FROM).select(5).run()
    assert "Choose the older version first" in texts(test)


def test_a_single_version_has_no_changes_yet(screen, shop_catalogue, monkeypatch):
    from app.services import catalogue

    monkeypatch.setattr(catalogue, "readable_versions", lambda _name: [4])
    assert "only one version so far" in texts(screen.open("catalogue", view="Changes"))


def test_changes_since_a_model_was_built(moved, shop_model):
    index = replace(shop_model.index, catalogue=CatalogueRef("shop", 3))
    folder = moved.settings.models_dir / shop_model.name
    bundle.write_manifest(folder, replace(shop_model, catalogue=CatalogueRef("shop", 2), index=index))
    test = moved.open("catalogue", view="Changes")
    since = test.selectbox(key="changes_since")
    assert since.options == [
        f"Learned as {shop_model.name} (version 2)",
        f"Last update of {shop_model.name} (version 3)",
    ]
    since.select_index(0).run()
    assert_calm(test)
    assert (test.selectbox(key=FROM).value, test.selectbox(key=TO).value) == (2, 5)
    assert "s001" in cards(test)


def test_changes_since_what_the_endpoint_serves(moved, shop_endpoint):
    options = moved.open("catalogue", view="Changes").selectbox(key="changes_since").options
    assert options == ["Products searched now (version 4)"]


def test_an_endpoint_that_does_not_answer_is_not_offered(moved, monkeypatch):
    def fail():
        raise EndpointUnreachable("Nobody answers.", next_step="Start it.")

    monkeypatch.setattr(common, "serving", fail)
    test = moved.open("catalogue", view="Changes")
    assert_calm(test)
    assert "changes_since" not in [box.key for box in test.selectbox]


# ------------------------------------------------------------------------------------------------- history


def tick(test, version: int):
    """Tick a version in the table of versions."""
    table = test.dataframe[0]
    row = list(table.value["Version"]).index(version)
    test.session_state[table.key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return test.run()


def test_the_history_says_what_made_every_version(moved, shop_model):
    table = moved.open("catalogue", view="History").dataframe[0].value
    assert list(table["Version"]) == [5, 4, 3, 2, 1]
    newest, before = table.iloc[0], table.iloc[1]
    assert (newest["What"], newest["Source"], newest["Products"], newest["Job"]) == (
        "Loaded",
        "autumn.zip",
        59,
        "0123456789ab",
    )
    assert (newest["New"], newest["Changed"], newest["Gone"]) == (0, 3, 1)
    assert (newest["Used by"], before["Used by"]) == ("", shop_model.name)


def test_a_ticked_version_is_opened(moved):
    test = tick(moved.open("catalogue", view="History"), 2)
    press(test, "Open this version")
    assert_calm(test)
    assert "You are viewing version 2 of 5" in texts(test)
    assert grid(test)


def test_the_newest_version_is_not_restored_and_links_to_its_job(moved):
    test = tick(moved.open("catalogue", view="History"), 5)
    assert_calm(test)
    assert next(found for found in test.button if found.label == "Restore this version").disabled
    assert [link.label for link in test.page_link] == ["Its job"]


def test_a_restore_shows_what_it_would_undo_and_asks_first(moved):
    test = tick(moved.open("catalogue", view="History"), 4)
    press(test, "Restore this version")
    assert_calm(test)
    assert [heading.value for heading in test.subheader] == ["Restore version 4?"]
    assert "would happen to 4 products" in texts(test)
    found = cards(test)
    assert {name: card["badges"][0] for name, card in found.items()} == {
        "b001": "Changed",
        "b002": "Changed",
        "c003": "Back on sale",
        "s001": "New",
    }
    assert not moved.runner.list()
    press(test, "Cancel")
    assert not test.subheader


def test_a_confirmed_restore_is_a_job(moved):
    test = tick(moved.open("catalogue", view="History"), 4)
    press(test, "Restore this version")
    test.button(key="restore_now").click().run()
    (job,) = moved.runner.list()
    assert (job.kind, job.request) == ("restore", {"catalogue": "shop", "version": 4})
    assert not test.subheader


def test_tidying_is_a_job_and_says_what_stays(screen, shop_catalogue):
    test = screen.open("catalogue", view="History")
    assert "versions that Twinset has learned from are always kept" in texts(test)
    test.checkbox(key="tidy_vacuum").set_value(True)
    test.number_input(key="tidy_days").set_value(7)
    press(test, "Tidy up")
    (job,) = screen.runner.list()
    assert (job.kind, job.request) == (
        "tidy",
        {"catalogue": "shop", "compact": True, "vacuum": True, "keep_days": 7.0},
    )


def test_tidying_nothing_is_no_job(screen, shop_catalogue):
    test = screen.open("catalogue", view="History")
    test.checkbox(key="tidy_compact").set_value(False)
    press(test, "Tidy up")
    assert "Select at least one option" in texts(test)
    assert not screen.runner.list()


# ------------------------------------------------------------------------------------------------- rejected


def test_rejected_rows_are_shown_with_reason_and_picture_or_a_placeholder(screen, shop_catalogue):
    test = screen.open("catalogue", view="Rejected")
    assert_calm(test)
    damaged, twice = grid(test)
    assert (damaged["title"], damaged["lines"], damaged["src"]) == ("x1", ["It is damaged.", "blob · shop"], "")
    assert (twice["title"], twice["lines"]) == ("x2", ["Its id is taken.", "shop"])
    assert twice["src"].startswith("data:image/")


def test_rejected_rows_are_filtered_by_reason(screen, shop_catalogue):
    test = screen.open("catalogue", view="Rejected")
    (why,) = test.pills
    assert why.options == ["Damaged picture · 1", "Duplicate id · 1"]
    why.select("duplicate_id").run()
    assert [card["id"] for card in grid(test)] == ["x2"]


def test_rejected_rows_can_be_downloaded_and_the_page_says_how_to_mend_them(screen, shop_catalogue):
    import io
    import zipfile

    from app.services import catalogue

    test = screen.open("catalogue", view="Rejected")
    assert "quarantine.csv" in texts(test)
    assert [button.label for button in test.get("download_button")] == ["Download all rejected rows"]
    with zipfile.ZipFile(io.BytesIO(catalogue.quarantine_zip("shop", 4))) as archive:
        assert len(archive.namelist()) == 3


def test_a_catalogue_without_rejected_rows_says_so(screen, shop_catalogue):
    folder = screen.settings.catalogues_dir / "shop" / "products" / "_delta_log"
    for path in folder.glob("*.json"):
        path.write_text(path.read_text().replace('\\"quarantine_version\\": 1', '\\"quarantine_version\\": 0'))
    assert "No rows were rejected" in texts(screen.open("catalogue", view="Rejected"))


# ------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize(
    ("kind", "result", "told"),
    [
        ("quality", {"catalogue": "shop", "measured": 60}, ["60 pictures were measured."]),
        ("quality", {"catalogue": "shop", "measured": 0}, ["All pictures of shop were already measured."]),
        (
            "splits",
            {"catalogue": "shop", "version": 6, "leaks": 1, "moved": 2},
            ["2 products were given another use: 1 group has a single use now, in version 6."],
        ),
        (
            "splits",
            {"catalogue": "shop", "version": 6, "moved": 9, "by_split": {}},
            ["9 products were given another use, in version 6."],
        ),
        (
            "splits",
            {"catalogue": "shop", "version": 5, "moved": 0, "leaks": 0},
            ["All products of shop already have the right use."],
        ),
        (
            "restore",
            {"catalogue": "shop", "restored": 4, "version": 6},
            ["shop was restored to version 4; this is now version 6."],
        ),
        ("tidy", {"catalogue": "shop", "files_before": 9, "files_after": 2}, ["9 files of shop were combined into 2."]),
        (
            "tidy",
            {"catalogue": "shop", "files_removed": 3, "bytes_freed": 2_000_000, "oldest_readable": 4},
            ["3 old files were removed, 2 MB freed. The oldest version of shop that can be opened is 4."],
        ),
        (
            "tidy",
            {"catalogue": "shop", "files_removed": 0, "bytes_freed": 0, "oldest_readable": 1},
            ["There were no old files to remove. The oldest version of shop that can be opened is 1."],
        ),
        ("train", {"model": "m"}, []),
        ("catalogue", {"argument": ""}, []),
    ],
)
def test_what_a_job_brought_is_said_in_sentences(kind, result, told):
    assert sentences(kind, result) == told


def test_a_check_in_the_list_of_jobs_is_called_one(screen):
    finished(screen, IngestRequest(check_only=True), {"argument": ""})
    test = screen.open("jobs")
    assert list(test.dataframe[0].value["Job"]) == ["Checking products"]

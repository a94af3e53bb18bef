"""The catalogue page on a real Delta table: its figures, its products, its versions, its labels and splits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.services import catalogue
from tests.ui.conftest import add_version, assert_calm, grid, press, shop_row, texts, write_catalogue

# pyarrow 14 makes pandas' tables with times by a name that pandas 2.2 calls private.
pytestmark = pytest.mark.filterwarnings("ignore:DatetimeTZBlock is deprecated:DeprecationWarning")
GONE_AT = datetime(2026, 11, 23, tzinfo=UTC)


def figures(test) -> dict[str, str]:
    return {metric.label: metric.value for metric in test.metric}


def test_counts_and_splits_are_shown(screen, shop_catalogue):
    test = screen.open("catalogue")
    assert figures(test) == {"Products": "60", "Labels": "3", "Learning": "54", "Final check": "6", "Rejected": "2"}
    assert test.selectbox(key="version").options == ["Newest", "3", "2", "1"]


def test_products_come_in_pages(screen, shop_catalogue):
    test = screen.open("catalogue")
    first = [card["id"] for card in grid(test)]
    assert len(first) == 24
    test.pagination[0].set_value(3).run()
    last = [card["id"] for card in grid(test)]
    assert len(last) == 12
    assert not set(first) & set(last)


def test_filters_narrow_the_pictures_and_start_at_the_first_page(screen, shop_catalogue):
    test = screen.open("catalogue")
    test.pagination[0].set_value(3).run()
    test.selectbox(key="browse_label").select("blob").run()
    assert {card["lines"][0].split(" · ")[0] for card in grid(test)} == {"blob"}
    assert "20 products" in texts(test)
    test.selectbox(key="browse_split").select("test").run()
    assert "2 products" in texts(test)
    test.text_input(key="browse_search").set_value("no such thing").run()
    assert "No matching products" in texts(test)


def test_withdrawn_products_are_counted_marked_and_found(screen, shop_catalogue):
    assert not screen.open("catalogue").toggle
    add_version(screen.settings, "shop", *(shop_row(name, withdrawn_at=GONE_AT) for name in ("b001", "s002")))
    catalogue.look_again()
    test = screen.open("catalogue")
    assert figures(test)["Withdrawn"] == "2"
    assert {card["id"]: card["badges"] for card in grid(test)}["b001"] == ["Withdrawn"]
    test.toggle(key="browse_withdrawn").set_value(True).run()
    assert [card["id"] for card in grid(test)] == ["b001", "s002"]
    test.selectbox(key="browse_label").select("blob").run()
    assert [card["id"] for card in grid(test)] == ["b001"]


def test_a_product_without_a_label_says_so(screen, shop_catalogue):
    add_version(screen.settings, "shop", shop_row("b001", label="", title=None, split="gallery-only"))
    test = screen.open("catalogue")
    assert figures(test)["Labels"] == "3"
    assert figures(test)["Answers only"] == "1"
    assert (grid(test)[0]["title"], grid(test)[0]["lines"][0]) == ("B001", "b001")
    assert test.selectbox(key="browse_label").options[0] == "No label"
    test.selectbox(key="browse_label").select("").run()
    assert [card["id"] for card in grid(test)] == ["b001"]
    assert_calm(screen.open("catalogue", view="Labels"))


def test_a_link_names_the_catalogue(screen, shop_catalogue):
    write_catalogue(screen.settings, "another")
    assert screen.open("catalogue").selectbox(key="catalogue").value == "another"
    assert screen.open("catalogue", catalogue="shop").selectbox(key="catalogue").value == "shop"


# ------------------------------------------------------------------------------------------------- versions


def test_an_older_version_is_shown_as_it_was_and_leads_back_to_the_newest(screen, shop_catalogue):
    add_version(screen.settings, "shop", gone=("b001",))
    test = screen.open("catalogue", version="4")
    assert_calm(test)
    assert figures(test)["Products"] == "60"
    assert "You are viewing version 4 of 5" in texts(test)
    press(test, "Back to the newest version")
    assert figures(test)["Products"] == "59"
    assert "You are viewing version" not in texts(test)


def test_whoever_looks_at_the_newest_goes_on_to_the_next(screen, shop_catalogue):
    test = screen.open("catalogue")
    add_version(screen.settings, "shop", gone=("b001",))
    catalogue.look_again()  # as is done every few seconds, and when a job ends
    assert figures(test.run())["Products"] == "59"
    assert "Version 5 (" in texts(test)


def test_another_catalogue_starts_at_its_newest_version(screen, shop_catalogue):
    write_catalogue(screen.settings, "another")
    test = screen.open("catalogue", catalogue="shop", version="2")
    test.selectbox(key="catalogue").select("another").run()
    assert test.selectbox(key="version").value == 0


def test_the_catalogue_that_changed_last_is_shown_first(screen, shop_catalogue):
    for name in ("another", "zebra", "between"):
        write_catalogue(screen.settings, name)
    assert screen.open("catalogue").selectbox(key="catalogue").value == "between"
    assert screen.open("train").selectbox(key="catalogue").value == "between"


def test_a_load_that_ends_turns_to_its_catalogue_at_its_newest_version(screen, shop_catalogue):
    test = screen.open("catalogue", catalogue="shop", version="2")
    write_catalogue(screen.settings, "another")
    test.session_state["note_loaded"] = "another"  # as is noted when the job is seen to end
    test.run()
    assert (test.selectbox(key="catalogue").value, test.selectbox(key="version").value) == ("another", 0)
    test.selectbox(key="catalogue").select("shop").run()
    assert test.selectbox(key="catalogue").value == "shop"


def test_a_version_that_is_not_there_is_said_to_be_none(screen, shop_catalogue):
    test = screen.open("catalogue", catalogue="shop", version="9")
    assert "Version 9 of shop does not exist" in test.warning[0].value
    assert figures(test)["Products"] == "60"
    assert not screen.open("catalogue", catalogue="shop", version="4").warning


def test_a_version_whose_files_are_gone_cannot_be_chosen(screen, shop_catalogue):
    from deltalake import DeltaTable

    folder = screen.settings.catalogues_dir / "shop" / "products"
    for uri in DeltaTable(folder, version=2).file_uris():
        (folder / uri.rpartition("/")[2]).unlink()
    test = screen.open("catalogue")
    assert test.selectbox(key="version").options == ["Newest", "3", "1"]
    history = screen.open("catalogue", view="History").dataframe[0].value
    assert dict(zip(history["Version"], history["Can be opened"], strict=True))[2] == "No, files removed"


# ------------------------------------------------------------------------------------------------- labels


def test_labels_are_drawn(screen, shop_catalogue):
    labels = screen.open("catalogue", view="Labels")
    assert_calm(labels)
    assert len(labels.get("plotly_chart")) == 1


def test_splits_are_drawn_anew_by_a_job(screen, shop_catalogue):
    test = screen.open("catalogue", view="Labels")
    test.number_input(key="redraw_test").set_value(0.3)
    test.number_input(key="redraw_seed").set_value(5)
    test.multiselect(key="redraw_unseen").set_value(["blob"])
    press(test, "Reassign product uses")
    (job,) = screen.runner.list()
    assert job.kind == "splits"
    expected = {"catalogue": "shop", "action": "redraw", "test_share": 0.3, "seed": 5, "unseen": ["blob"]}
    assert expected.items() <= job.request.items()


def test_splits_are_not_drawn_on_an_older_version(screen, shop_catalogue):
    test = screen.open("catalogue", view="Labels", version="2")
    assert "Product uses can only be changed in the newest version" in texts(test)
    assert not [found for found in test.button if found.label == "Reassign product uses"]

"""Named lists and selections survive the way to disk and back, and refuse what they cannot hold."""

from __future__ import annotations

import json

import pytest

from backend.errors import ProjectionError
from backend.projection import lists
from backend.projection.lists import ListedProduct, SavedList


def saved(name="Odd ones", **changes):
    products = (ListedProduct("p1", "bag"), ListedProduct("=p2", "coat"), ListedProduct("p3"))
    fields = {"kind": "suspects", "model": "m", "catalogue": "shop", "catalogue_version": 3, "products": products}
    return SavedList(name, **{**fields, **changes})


def test_a_list_comes_back_as_it_was(tmp_path):
    kept = lists.save_list(tmp_path, saved())
    assert lists.load_list(tmp_path, "Odd ones") == kept
    assert kept.created_at
    assert kept.labels == ("bag", "coat")
    assert lists.saved_lists(tmp_path) == [kept]
    lists.delete_list(tmp_path, "Odd ones")
    assert lists.saved_lists(tmp_path) == []


def test_csv_and_json_hold_the_products(tmp_path):
    found = saved()
    assert found.to_csv().splitlines() == ["product_id,label", "p1,bag", "'=p2,coat", "p3,"]
    assert [product["product_id"] for product in json.loads(found.to_json())["products"]] == ["p1", "=p2", "p3"]


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b", "x" * 61])
def test_names_that_are_no_file_names_are_refused(tmp_path, name):
    with pytest.raises(ProjectionError, match="is not a valid"):
        lists.save_list(tmp_path, saved(name))
    with pytest.raises(ProjectionError, match="There is no list"):
        lists.load_list(tmp_path, name)


def test_an_empty_list_is_refused(tmp_path):
    with pytest.raises(ProjectionError, match="no products"):
        lists.save_list(tmp_path, saved(products=()))


def test_a_foreign_file_is_passed_over_and_said_when_asked_for(tmp_path):
    (tmp_path / "strange.json").write_text("[]", encoding="utf-8")
    assert lists.saved_lists(tmp_path) == []
    with pytest.raises(ProjectionError, match="cannot be read"):
        lists.load_list(tmp_path, "strange")


def test_the_same_products_have_the_same_short_id(tmp_path):
    first, second = lists.keep_selection(tmp_path, ["b", "a"]), lists.keep_selection(tmp_path, ["a", "b", "a"])
    assert first == second
    assert lists.selection(tmp_path, first) == ("a", "b")
    with pytest.raises(ProjectionError, match="no longer stored"):
        lists.selection(tmp_path, "../../etc/pw")


def test_the_oldest_selections_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(lists, "KEPT_SELECTIONS", 3)
    kept = [lists.keep_selection(tmp_path, [str(number)]) for number in range(6)]
    assert len(list((tmp_path / lists.SELECTIONS).glob("*.json"))) == 3
    assert lists.selection(tmp_path, kept[-1]) == ("5",)

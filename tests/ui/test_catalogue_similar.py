"""The list of similar products for the shop, on the Catalogue page: made by a click, and how it stands."""

from __future__ import annotations

import pyarrow as pa

from app.components.catalogue import similar
from app.services.shop import similar as service
from backend.merchandising.similar.making import table_of
from backend.merchandising.similar.table import SAYS, replace_rows
from tests.ui.conftest import assert_calm, press, texts
from tests.ui.test_first_answer import answering
from tests.ui.test_shop_words import assert_plain


def write_list(settings, *, model_version):
    rows = [["b001", "b002"], [1, 1], ["b002", "b003"], [0.9, 0.8], [1, 1], [None, None]]
    columns = [pa.array(values, field.type) for values, field in zip(rows, SAYS, strict=True)]
    with_ = {
        "model": "m",
        "model_version": model_version,
        "index_generation": 1,
        "catalogue_version": 3,
        "rules_version": 0,
    }
    note = {**with_, "at": "2026-11-28T12:00:00+00:00", "products": 2, "k": 1}
    table = table_of(settings.similar_dir, "shop")
    replace_rows(table, pa.table(columns, schema=SAYS), None, found_with=with_, note=note)


def test_it_is_made_by_a_click_where_the_catalogue_answers(screen, shop_catalogue, shop_model):
    test = screen.open("catalogue")
    assert "First make it possible to find similar products" in texts(test)
    assert "Make the list" not in [button.label for button in test.button]
    answering(screen, shop_model, "shop")
    test = screen.open("catalogue")
    assert similar.TITLE in [expander.label for expander in test.expander]
    press(test, "Make the list")
    (job,) = screen.runner.list()
    assert (job.kind, job.request) == ("similar", {"model": "", "alias": "champion", "k": 12, "again": False})
    assert_calm(test)


def test_it_says_whether_it_is_up_to_date_and_can_be_downloaded(screen, shop_catalogue, shop_model):
    answering(screen, shop_model, "shop")
    write_list(screen.settings, model_version=1)
    test = screen.open("catalogue")
    assert_plain(test)
    assert "2 products, up to 1 similar ones each" in texts(test)
    assert "Up to date" in texts(test)
    assert b"b001,b002" in service.file_of("shop", "wide")
    write_list(screen.settings, model_version=7)
    assert "Not up to date" in texts(screen.open("catalogue"))

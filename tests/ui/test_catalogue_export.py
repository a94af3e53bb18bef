"""A merchandiser has her own table back, corrected: prepared as a job, told what was done, and sent from the disk."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from app import __main__ as server
from app.services.export import EXPORTS
from app.words import plain
from backend.catalogue.sources.mended import CHANGES
from backend.errors import IllegalTransition
from backend.flow.kinds import run_request
from backend.flow.requests import CommitRequest, IngestRequest, from_json
from backend.progress import NullProgress
from tests.fixtures.endpoint import http_to
from tests.support.shop_exports import SHOPIFY_HEADER, WOO_HEADER, table
from tests.ui.conftest import assert_calm, finished, press, texts

COATS = [
    {"Handle": f"c{at}", "Title": "Coat &amp; co", "Variant SKU": f"C-{at}", "Variant Inventory Qty": "-2"}
    for at in range(7)
]


@pytest.fixture
def loaded(screen, shop_catalogue, tmp_path):
    """Have the catalogue loaded from a table, through a check that somebody decided on, or at once."""

    def load(name, data, *, title, check="", is_stored=True):
        path = screen.settings.uploads_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        request = IngestRequest("csv", shop_catalogue.name, path=str(path), check_only=bool(check))
        result = {"catalogue": shop_catalogue.name, "staged": check, "reading": {"rows": 7, "title": title}}
        finished(screen, request, result)
        if check and is_stored:
            finished(screen, CommitRequest(check), {"catalogue": shop_catalogue.name})
        return path

    return load


def carried_out(screen, test):
    """Do what the page asked for."""
    job = screen.runner.list()[0]
    with suppress(IllegalTransition):  # a worker of tests knows no such job, and may have failed by now
        screen.runner.cancel(job.id)
    request = from_json(job.kind, job.request)
    finished(screen, request, run_request(request, screen.settings, NullProgress()))
    return test.run()


def links(test):
    return [link.proto.url for link in test.get("link_button") if link.proto.url.startswith(EXPORTS)]


def get(screen, path):
    route = Route(f"{EXPORTS}/{{catalogue}}", partial(server.corrected, screen.settings))
    with http_to(Starlette(routes=[route])) as client:
        return client.get(path)


def test_a_table_is_given_back_in_its_own_layout_with_what_was_changed(screen, loaded):
    loaded("products_export.csv", table(SHOPIFY_HEADER, *COATS), title="Shopify export", check="a1")
    test = screen.open("catalogue")
    assert_calm(test)
    assert plain("Shopify export: products_export.csv") in texts(test)
    assert links(test) == []
    press(test, "Prepare the download")
    assert screen.runner.list()[0].kind == "export"
    test = carried_out(screen, test)
    assert_calm(test)
    assert "7 rows, 14 cells corrected in 7 rows." in texts(test)
    assert "7 rows cannot be corrected here and would not be loaded" in texts(test)
    (address,) = links(test)
    answer = get(screen, address)
    assert answer.headers["content-disposition"] == 'attachment; filename="shop-corrected.csv"'
    assert answer.headers["cache-control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert list(rows[0]) == [*SHOPIFY_HEADER.split(","), CHANGES]
    assert {(row["Title"], row["Variant Inventory Qty"]) for row in rows} == {("Coat & co", "")}


def test_of_several_tables_the_last_one_is_offered_first(screen, loaded):
    loaded("woo.csv", table(WOO_HEADER, {"SKU": "A", "Name": "Mug", "Type": "simple"}), title="WooCommerce export")
    loaded("shopify.csv", table(SHOPIFY_HEADER, *COATS), title="Shopify export", check="b2")
    loaded("only-checked.csv", b"id,image\n1,a.png\n", title="", check="c3", is_stored=False)
    test = screen.open("catalogue")
    (box,) = (box for box in test.selectbox if box.label == "Table")
    assert box.options == ["Shopify export: shopify.csv", "WooCommerce export: woo.csv"]
    box.select_index(1).run()
    press(test, "Prepare the download")
    assert Path(screen.runner.list()[0].request["path"]).name == "woo.csv"
    test = carried_out(screen, test)
    assert "1 row, and nothing had to be corrected" in texts(test)


def test_without_a_table_the_page_says_what_to_do(screen, loaded):
    loaded("gone.csv", table(SHOPIFY_HEADER, *COATS), title="Shopify export").unlink()
    test = screen.open("catalogue")
    assert_calm(test)
    assert "Load your table again; then you can download it corrected." in texts(test)
    assert "Prepare the download" not in [button.label for button in test.button]


@pytest.mark.parametrize("path", ["shop", "..", "%2e%2e%2fjobs", "no%00name", ".hidden"])
def test_what_was_not_prepared_cannot_be_had(screen, path):
    screen.settings.home.mkdir(parents=True, exist_ok=True)
    (screen.settings.home / "jobs.csv").write_text("secret")
    answer = get(screen, f"{EXPORTS}/{path}")
    assert answer.status_code == 404
    assert "secret" not in answer.text

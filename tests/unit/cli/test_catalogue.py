"""Looking at a source from the command line: which table, what is amiss, and what would be done about it."""

from __future__ import annotations

import json

import pytest

from backend.catalogue.fetch.records import Fetched, records_of, store_of
from backend.catalogue.fetch.shared import PLACEHOLDER_FROM, SharedPictures
from backend.cli import main
from backend.settings import load_settings
from tests.support.pictures import put


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder as data sets are downloaded: two tables beside pictures that are called as their products."""
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "home"))
    put(tmp_path / "shop", "images/1.jpg", "images/2.jpg", "images/3.jpg")
    (tmp_path / "shop" / "styles.csv").write_text("id,articleType,price\n1,Bag,cheap\n2,bag,NULL\n3,Hat,ab 9 €\n")
    (tmp_path / "shop" / "images.csv").write_text("filename,link\n1.jpg,x\n")
    return tmp_path / "shop"


def answer(capfd, *words):
    status = main.main(["catalogue", *words, "--json"])
    return status, json.loads(capfd.readouterr().out.strip().splitlines()[-1])


def test_of_two_tables_the_command_asks_for_one(shop, capfd):
    status, said = answer(capfd, "preview", "--path", str(shop))
    assert status == 1
    assert said["error"]["message"] == "shop contains 2 tables: images.csv and styles.csv."
    assert "--table images.csv" in said["error"]["next_step"]


def test_a_preview_says_what_will_be_emptied_and_what_stays_apart(shop, capfd):
    status, said = answer(capfd, "preview", "--path", str(shop), "--table", "styles.csv")
    assert status == 0
    assert said["mapping"] == {"product_id": "id", "image": "id", "label": "articleType", "price": "price"}
    assert said["notes"][-4:] == [
        "One product is loaded without a price: “cheap” is not a price.",
        "Bag and bag differ only in case or spaces, and stay separate labels.",
        "No product would be set aside for the final check, because no label has two products to draw from.",
        "No product would be set aside for the progress check, because no label has two products to draw from.",
    ]
    status, said = answer(capfd, "preview", "--path", str(shop), "--table", "none")
    assert (said["total"], said["columns"]) == (3, [])


def test_rows_of_a_check_that_is_gone_are_a_sentence(shop, capfd):
    status, said = answer(capfd, "rejected", "shop", "--staged", "0123abcd")
    assert (status, said["error"]["next_step"]) == (1, "Check the source again, then commit.")


def test_a_table_is_given_back_with_what_was_changed(capfd, tmp_path):
    (tmp_path / "shop.csv").write_text("sku,name,stock,image\nA,Cap &amp; Co,1.5,a.png\n", encoding="utf-8")
    status, said = answer(capfd, "export", "--path", str(tmp_path / "shop.csv"), "--output", str(tmp_path / "out.csv"))
    assert (status, said["rows"], said["changed"], said["left_out"]) == (0, 1, 1, 1)
    assert (tmp_path / "out.csv").read_text("utf-8-sig").splitlines()[1].startswith("A,Cap & Co,,a.png,stock: ")
    status, said = answer(capfd, "export", "--source", "sample", "--output", str(tmp_path / "none.csv"))
    assert (status, said["error"]["message"]) == (2, "A built-in source needs no correction.")


def test_a_placeholder_is_accepted_by_its_hash_and_that_is_taken_back(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "home"))
    store = store_of(load_settings())
    sha256, records = store.put(b"a picture"), records_of(store)
    addresses = [f"https://a.test/{number}.jpg" for number in range(PLACEHOLDER_FROM)]
    records.add(Fetched(address, sha256=sha256) for address in addresses)
    records.want("feed", (("a.test", address, address) for address in addresses))
    shared = SharedPictures(store)
    assert [one.sha256 for one in shared.find("feed")] == [sha256]
    status, said = answer(capfd, "fetch", "--accept-placeholder", sha256)
    assert (status, said["accepted"], shared.real([sha256])) == (0, [sha256], {sha256})
    status, said = answer(capfd, "fetch", "--refuse-placeholder", sha256)
    assert (status, said["refused"], shared.real([sha256])) == (0, [sha256], set())
    status, said = answer(capfd, "fetch", "--accept-placeholder", "0" * 64)
    assert (status, said["error"]["next_step"]) == (1, "Copy its hash from the result of a fetch.")

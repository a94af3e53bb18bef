"""What changed between two versions, netted by product, on tables that another writer made."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from datetime import UTC, datetime

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from backend.catalogue.delta.delta_log import rows_of
from backend.catalogue.items import PRODUCTS
from backend.catalogue.schemas import PICTURED_SCHEMA
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.upkeep import change_rows
from backend.catalogue.upkeep.changes import CHANGE_KINDS, changes_between, changes_towards
from backend.errors import CatalogueError, CatalogueNotFound

FEED = {"delta.enableChangeDataFeed": "true"}
NONE = dict.fromkeys(CHANGE_KINDS, 0)


def rows(ids, *, picture="red", **columns):
    """Products with these ids; a picture that tells id and colour."""
    images = [f"{name} {picture}".encode() for name in ids]
    values = {
        "product_id": list(ids),
        "image": images,
        "image_sha256": [hashlib.sha256(image).hexdigest() for image in images],
        "label": ["Bag"] * len(images),
        "split": ["train"] * len(images),
        "price": [9.5] * len(images),
        "ingested_at": [datetime.now(UTC)] * len(images),
    }
    values |= {name: [value] * len(images) for name, value in columns.items()}
    return pa.table({f.name: pa.array(values.get(f.name, [None] * len(images)), f.type) for f in PICTURED_SCHEMA})


class Shop:
    """A catalogue ``shop`` that is changed step by step; every step returns its version.

    Updates and deletes are committed by hand: what deltalake writes then, pyarrow of our version does not read.
    """

    def __init__(self, catalogues, configuration=FEED):
        self.catalogues = catalogues
        self.path = catalogues / "shop" / PRODUCTS
        self.has_feed = bool(configuration)
        deltalake.write_deltalake(self.path, rows([]), configuration=configuration)

    @property
    def table(self):
        return deltalake.DeltaTable(self.path)

    def insert(self, ids, **columns):
        deltalake.write_deltalake(self.path, rows(ids, **columns), mode="append")
        return self.table.version()

    def overwrite(self, ids, **columns):
        deltalake.write_deltalake(self.path, rows(ids, **columns), mode="overwrite")
        return self.table.version()

    def delete(self, name):
        return self._replace(name, None)

    def update(self, name, **columns):
        return self._replace(name, columns)

    def withdraw(self, name):
        return self.update(name, withdrawn_at=datetime.now(UTC))

    def resume(self, name):
        return self.update(name, withdrawn_at=None)

    def repaint(self, name, picture):
        image = f"{name} {picture}".encode()
        return self.update(name, image=image, image_sha256=hashlib.sha256(image).hexdigest())

    def _replace(self, name, columns):
        """Commit all rows anew in one file, with the one change in the feed."""
        held = rows_of(self.table, PICTURED_SCHEMA)
        table = held.table(PICTURED_SCHEMA.names)
        is_other = pc.not_equal(table["product_id"], name)
        (before,) = table.filter(pc.invert(is_other)).to_pylist()
        after = [] if columns is None else [before | columns]
        feed = [before | {"_change_type": "delete" if columns is None else "update_preimage"}]
        feed += [row | {"_change_type": "update_postimage"} for row in after]
        version = self.table.version() + 1
        kept = pa.concat_tables([table.filter(is_other), pa.Table.from_pylist(after, PICTURED_SCHEMA)])
        add = {**self._write(f"{version}.parquet", kept), "stats": json.dumps({"numRecords": len(kept)})}
        gone = {"deletionTimestamp": int(time.time() * 1000), "dataChange": True}
        actions = [{"add": add}, *({"remove": {"path": path.name, **gone}} for path in held.files)]
        if self.has_feed:
            told = pa.Table.from_pylist(feed, PICTURED_SCHEMA.append(pa.field("_change_type", pa.string())))
            actions.append({"cdc": {**self._write(f"_change_data/{version}.parquet", told), "dataChange": False}})
        commit = {"commitInfo": {"timestamp": int(time.time() * 1000), "operation": "UPDATE"}}
        lines = [json.dumps(action) for action in (commit, *actions)]
        (self.path / "_delta_log" / f"{version:020d}.json").write_text("\n".join(lines))
        return version

    def _write(self, name, table):
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table, path)
        size = path.stat().st_size
        return {"path": name, "partitionValues": {}, "size": size, "modificationTime": 1, "dataChange": True}


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path / "catalogues")


@pytest.fixture(params=["feed", "compared"])
def between(request, shop, monkeypatch):
    """The changes, once from the feed however long it is, and once by comparing; makes sure which of the two it was."""
    used = []
    from_feed, compared = change_rows._feed_rows, change_rows._rows_apart
    if request.param == "compared":
        monkeypatch.setattr(change_rows, "_feed_is_usable", lambda *_: False)
    monkeypatch.setattr(change_rows, "_feed_rows", lambda *a: used.append("feed") or from_feed(*a[:3], 10**6))
    monkeypatch.setattr(change_rows, "_rows_apart", lambda *a: used.append("compared") or compared(*a))
    yield lambda one, other: changes_between(shop.catalogues, "shop", one, other)
    assert {*used} <= {request.param}


def told(changes):
    return {change.product_id: (change.kind, change.changed_columns) for change in changes.page(limit=1000)}


def test_every_kind_of_change_is_told_with_its_columns(shop, between):
    first = shop.insert(["a", "b", "c", "d", "e", "f"])
    first = shop.withdraw("e")
    shop.insert(["n"])
    shop.update("a", price=12.0, title="A bag")
    shop.repaint("b", "blue")
    shop.delete("c")
    shop.withdraw("d")
    last = shop.resume("e")
    changes = between(first, last)
    assert told(changes) == {
        "a": ("changed", ("title", "price")),
        "b": ("changed", ("image",)),
        "c": ("gone", ()),
        "d": ("withdrawn", ()),
        "e": ("returned", ()),
        "n": ("new", ()),
    }
    assert (changes.catalogue, changes.from_version, changes.to_version, changes.total) == ("shop", first, last, 6)
    assert changes.counts == {"new": 1, "changed": 2, "withdrawn": 1, "returned": 1, "gone": 1}
    assert changes.by_column == {"image": 1, "title": 1, "price": 1}
    assert changes.as_dict() == {
        "catalogue": "shop",
        "from_version": first,
        "to_version": last,
        "counts": changes.counts,
        "by_column": changes.by_column,
        "total": 6,
    }


def test_pictures_come_before_and_after(shop, between):
    first = shop.insert(["a", "b", "c"])
    shop.repaint("a", "blue")
    shop.delete("b")
    last = shop.insert(["d"], picture="green")
    repainted, gone, new = between(first, last).page()
    assert (repainted.before.image, repainted.after.image) == (b"a red", b"a blue")
    assert (repainted.before.price, repainted.after.price) == (9.5, 9.5)
    assert (gone.before.image, gone.after) == (b"b red", None)
    assert (new.before, new.after.image) == (None, b"d green")


def test_a_page_is_of_one_kind_and_in_order(shop, between):
    first = shop.insert(["a"])
    shop.insert([f"n{i:02d}" for i in range(30)])
    changes = between(first, shop.delete("a"))
    assert [c.product_id for c in changes.page("new", offset=24, limit=24)] == [f"n{i:02d}" for i in range(24, 30)]
    assert [c.product_id for c in changes.page("gone")] == ["a"]
    assert changes.page("withdrawn") == []
    assert changes.page(offset=99) == []
    assert [c.product_id for c in changes.page(limit=2)] == ["a", "n00"]


def test_what_came_and_went_or_changed_and_changed_back_did_not_change(shop, between):
    first = shop.insert(["a", "b", "c"])
    shop.insert(["x"])
    shop.delete("x")
    shop.update("a", price=1.0)
    shop.update("a", price=9.5)
    shop.delete("b")
    shop.insert(["b"])
    shop.withdraw("c")
    changes = between(first, shop.resume("c"))
    assert (changes.total, changes.counts, changes.page()) == (0, NONE, [])


def test_a_product_that_came_in_several_steps_is_new_as_it_is_now(shop, between):
    first = shop.insert(["a"])
    shop.insert(["x"])
    shop.delete("x")
    shop.insert(["x"], price=3.0)
    (change,) = between(first, shop.update("x", price=4.0)).page()
    assert (change.kind, change.before, change.after.price) == ("new", None, 4.0)


def test_an_overwrite_and_a_restore_change_what_is_different(shop, between):
    first = shop.insert(["a", "b", "c"])
    second = shop.overwrite(["b", "c", "d"])
    assert told(between(first, second)) == {"a": ("gone", ()), "d": ("new", ())}
    third = shop.overwrite(["b", "c", "d"], price=5.0)
    assert told(between(second, third)) == dict.fromkeys("bcd", ("changed", ("price",)))
    shop.table.restore(first)
    assert between(first, third + 1).total == 0
    assert told(between(second, third + 1)) == {"a": ("new", ()), "d": ("gone", ())}


def test_a_new_time_and_source_alone_are_no_change(shop, between):
    first = shop.insert(["a", "b"])
    assert between(first, shop.overwrite(["a", "b"], source="elsewhere")).total == 0


def test_nothing_and_something_are_different_and_nothing_is_nothing(shop, between):
    first = shop.insert(["a", "b", "c"], brand=None)
    shop.update("a", brand="Norrland")
    last = shop.update("b", title="B")
    assert told(between(first, last)) == {"a": ("changed", ("brand",)), "b": ("changed", ("title",))}


def test_a_withdrawn_product_may_have_changed_too_and_be_gone_later(shop, between):
    first = shop.insert(["a", "b"])
    shop.update("a", price=1.0)
    shop.withdraw("a")
    second = shop.withdraw("b")
    assert told(between(first, second)) == {"a": ("withdrawn", ("price",)), "b": ("withdrawn", ())}
    assert told(between(second, shop.delete("b"))) == {"b": ("gone", ())}


def test_one_version_has_no_changes(shop, between):
    first = shop.insert(["a"])
    assert between(first, first).total == 0


def test_the_way_back_is_told_backwards(shop):
    first = shop.insert(["a", "b", "c"])
    shop.repaint("a", "blue")
    shop.delete("b")
    shop.withdraw("c")
    last = shop.insert(["d"])
    changes = changes_towards(shop.catalogues, "shop", last, first)
    assert (changes.from_version, changes.to_version) == (last, first)
    assert told(changes) == {
        "a": ("changed", ("image",)),
        "b": ("new", ()),
        "c": ("returned", ()),
        "d": ("gone", ()),
    }
    assert (changes.page()[0].before.image, changes.page()[0].after.image) == (b"a blue", b"a red")


def test_compaction_changes_nothing_and_does_not_hide_what_does(shop, between):
    first = shop.insert(["a", "b"])
    shop.insert(["c"])
    shop.table.optimize.compact()
    changes = between(first, shop.update("a", price=1.0))
    assert told(changes) == {"a": ("changed", ("price",)), "c": ("new", ())}


@pytest.mark.parametrize("steps", [10, pytest.param(25, marks=pytest.mark.slow)])
def test_random_histories_net_to_the_difference_of_their_ends(shop, between, steps):
    rng = np.random.default_rng(5)
    names = [f"p{i}" for i in range(12)]
    first = shop.insert(names[:8])
    here = set(names[:8])
    for _ in range(steps):
        name = str(rng.choice(names))
        if name not in here:
            shop.insert([name], price=float(rng.integers(3)))
            here.add(name)
        elif rng.random() < 0.3:
            shop.delete(name)
            here.remove(name)
        else:
            shop.update(name, price=float(rng.integers(3)))
    last = shop.table.version()
    for one, other in [(first, last), *(sorted(rng.integers(first, last, 2).tolist()) for _ in range(8))]:
        before, after = (
            dict(zip(*open_snapshot(shop.catalogues, "shop", v).columns(["product_id", "price"]), strict=True))
            for v in (one, other)
        )
        found = {change.product_id: change.kind for change in between(one, other).page(limit=100)}
        expected = {}
        for name in {*before, *after}:
            if before.get(name) != after.get(name):
                expected[name.as_py()] = "new" if name not in before else "gone" if name not in after else "changed"
        assert found == expected


# ------------------------------------------------------------------------------------- where the feed does not reach


def test_without_a_feed_the_versions_are_compared(tmp_path):
    shop = Shop(tmp_path, configuration={})
    first = shop.insert(["a", "b"])
    last = shop.update("a", price=1.0)
    assert told(changes_between(tmp_path, "shop", first, last)) == {"a": ("changed", ("price",))}


def test_a_feed_that_began_later_is_not_trusted_for_what_was_before(tmp_path):
    shop = Shop(tmp_path, configuration={})
    first = shop.insert(["a", "b"])
    shop.update("a", price=1.0)
    shop.table.alter.set_table_properties(FEED)
    shop.has_feed = True
    last = shop.update("b", price=2.0)
    assert told(changes_between(tmp_path, "shop", first, last)) == dict.fromkeys("ab", ("changed", ("price",)))


def test_a_feed_whose_files_are_gone_is_made_up_for_by_comparing(shop):
    first = shop.insert(["a", "b"])
    last = shop.update("a", price=1.0)
    shutil.rmtree(shop.path / "_change_data")
    assert told(changes_between(shop.catalogues, "shop", first, last)) == {"a": ("changed", ("price",))}


def test_a_feed_longer_than_both_versions_is_not_read_to_its_end(shop, monkeypatch):
    first = shop.insert([f"p{i}" for i in range(20)])
    for price in range(5):
        last = shop.overwrite([f"p{i}" for i in range(20)], price=float(price))
    read = []
    real = change_rows._feed_batches
    monkeypatch.setattr(change_rows, "_feed_batches", lambda *a: (read.append(len(b)) or b for b in real(*a)))
    assert changes_between(shop.catalogues, "shop", first, last).total == 20
    assert 40 < sum(read) < 200


def test_files_that_both_versions_share_are_not_compared(shop, monkeypatch):
    first = shop.insert(["a", "b"])
    last = shop.insert(["c"])
    monkeypatch.setattr(change_rows, "_feed_is_usable", lambda *_: False)
    before, after = change_rows.rows_between(shop.path.parent, first, last)
    assert (before.num_rows, after["product_id"].to_pylist()) == (0, ["c"])


def test_a_column_that_came_later_was_null_before(tmp_path):
    path = tmp_path / "shop" / PRODUCTS
    deltalake.write_deltalake(path, rows([]).drop_columns(["withdrawn_at"]), configuration=FEED)
    deltalake.write_deltalake(path, rows(["a", "b"]).drop_columns(["withdrawn_at"]), mode="append")
    deltalake.write_deltalake(path, rows(["c"]), mode="append", schema_mode="merge")
    late = rows(["a", "b", "c"], withdrawn_at=datetime.now(UTC))
    deltalake.write_deltalake(path, late, mode="overwrite")
    assert told(changes_between(tmp_path, "shop", 1, 3)) == {
        "a": ("withdrawn", ()),
        "b": ("withdrawn", ()),
        "c": ("new", ()),
    }
    assert told(changes_towards(tmp_path, "shop", 3, 1))["a"] == ("returned", ())


# ------------------------------------------------------------------------------------------------- refusals


def test_the_older_version_comes_first(shop):
    shop.insert(["a"])
    with pytest.raises(CatalogueError, match="Version 2 is newer than version 1"):
        changes_between(shop.catalogues, "shop", 2, 1)


@pytest.mark.parametrize("versions", [(0, 1), (1, 9), (-1, 1)])
def test_a_version_that_is_none_is_answered_with_those_there_are(shop, versions):
    shop.insert(["a"])
    shop.insert(["b"])
    with pytest.raises(CatalogueNotFound, match="no version") as caught:
        changes_between(shop.catalogues, "shop", *versions)
    assert "1 to 2" in caught.value.next_step


def test_an_absent_catalogue_is_said_to_be_absent(shop):
    for name in ("elsewhere", "shop"):  # the latter holds no load yet
        with pytest.raises(CatalogueNotFound, match=f"no catalogue {name}"):
            changes_between(shop.catalogues, name, 1, 2)
    with pytest.raises(CatalogueError, match="is not a valid"):
        changes_between(shop.catalogues, "../shop", 1, 2)


def test_a_version_whose_files_were_removed_is_answered_with_the_oldest_that_is_left(shop):
    first = shop.insert(["a", "b"])
    second = shop.overwrite(["c"])
    third = shop.insert(["d"])
    changes = changes_between(shop.catalogues, "shop", first, third)
    for path in (shop.path / add for add in deltalake.DeltaTable(shop.path, version=first).file_uris()):
        path.unlink()
    with pytest.raises(CatalogueNotFound, match=f"Version {first} .* can no longer be read") as caught:
        changes_between(shop.catalogues, "shop", first, third)
    assert f"oldest readable version is {second}" in caught.value.next_step
    with pytest.raises(CatalogueNotFound, match="can no longer be read"):
        changes.page("gone")
    assert told(changes_between(shop.catalogues, "shop", second, third)) == {"d": ("new", ())}


def test_a_damaged_file_of_the_feed_is_an_error_of_ours(shop):
    first = shop.insert(["a", "b"])
    last = shop.update("a", price=1.0)
    for path in (shop.path / "_change_data").rglob("*.parquet"):
        path.write_bytes(b"no parquet")
    with pytest.raises(CatalogueError, match="cannot be read"):
        changes_between(shop.catalogues, "shop", first, last)

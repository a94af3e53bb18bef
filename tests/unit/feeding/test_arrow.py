"""From a real Delta table to decoded pixels."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import numpy as np
import pytest

from backend.errors import Cancelled, StorageFull
from backend.feeding.arrow import decode_split
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from tests.fixtures.models import Listener, store_catalogue
from tests.support.pictures import all_decoded

SPEC = PixelSpec(24, 24, 3, "light")


def test_every_picture_of_the_split_is_decoded_by_the_pixel_contract(small_snapshot, small_products, tmp_path):
    table = decode_split(small_snapshot, "train", SPEC, tmp_path / "pixels", progress=NullProgress())
    expected = sorted((p for p in small_products if p.split == "train"), key=lambda p: p.product_id)
    assert table.product_ids.tolist() == [p.product_id for p in expected]
    assert table.labels.tolist() == [p.label for p in expected]
    np.testing.assert_array_equal(table.pixels, all_decoded([p.image for p in expected], SPEC))
    assert isinstance(table.pixels, np.memmap)  # on disk, not in memory


def test_the_order_in_which_rows_are_stored_changes_nothing(small_snapshot, small_products, tmp_path):
    turned = store_catalogue(tmp_path, small_products[::-1])
    one = decode_split(small_snapshot, "train", SPEC, tmp_path / "one", progress=NullProgress())
    other = decode_split(turned, "train", SPEC, tmp_path / "other", progress=NullProgress())
    assert one.product_ids.tolist() == other.product_ids.tolist()
    np.testing.assert_array_equal(one.pixels, other.pixels)


def test_an_unreadable_picture_is_left_out_and_named(small_products, tmp_path):
    bad = replace(small_products[3], image=b"no picture")
    snapshot = store_catalogue(tmp_path, [*small_products[:3], bad, *small_products[4:]])
    table = decode_split(snapshot, "train", SPEC, tmp_path / "pixels", progress=NullProgress())
    assert table.unreadable == (bad.product_id,)
    assert len(table) == len(table.pixels) == len(table.labels) == 29
    assert bad.product_id not in table.product_ids
    readable = sorted(
        (p for p in small_products if p.split == "train" and p.product_id != bad.product_id),
        key=lambda p: p.product_id,
    )
    np.testing.assert_array_equal(table.pixels, all_decoded([p.image for p in readable], SPEC))


def test_a_split_without_products_is_empty(small_snapshot, tmp_path):
    table = decode_split(small_snapshot, "gallery-only", SPEC, tmp_path / "pixels", progress=NullProgress())
    assert len(table) == 0
    assert table.pixels.shape == (0, 24, 24, 3)


def test_it_reports_pictures_and_can_be_cancelled(small_snapshot, tmp_path):
    heard = Listener()
    decode_split(small_snapshot, "train", SPEC, tmp_path / "pixels", progress=heard)
    assert heard.reports[-1] == (30, 30, "pictures", "decoding the train split")

    class Impatient(Listener):
        def check_cancelled(self):
            raise Cancelled("The user asked to stop.")

    with pytest.raises(Cancelled):
        decode_split(small_snapshot, "train", SPEC, tmp_path / "more", progress=Impatient())


def test_a_full_disk_is_told_before_anything_is_decoded(small_snapshot, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    heard = Listener()
    with pytest.raises(StorageFull, match="disk is full"):
        decode_split(small_snapshot, "train", SPEC, tmp_path / "pixels", progress=heard)
    assert heard.reports == []

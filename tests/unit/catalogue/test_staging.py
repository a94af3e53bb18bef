"""Checked loads wait for their commit, and nothing that is forgotten stays for ever."""

from __future__ import annotations

import os
import time

import pyarrow as pa
import pytest

from backend.catalogue.loading import leftovers
from backend.catalogue.loading.leftovers import sweep
from backend.catalogue.loading.pictures import FACT_SCHEMA
from backend.catalogue.loading.staging import StagedLoad, discard, new_staging, staged
from backend.errors import CatalogueNotFound
from backend.files import scratch
from backend.files.locking import locked

ROWS = pa.table(
    {
        "product_id": ["a", "b", "c"],
        **{field.name: pa.nulls(3, field.type) for field in FACT_SCHEMA},
        "file": ["part-1.parquet", None, "rejected-part-1.parquet"],
        "reason": pa.array([None, None, "damaged: It ends too early."], pa.string()),
    }
)


def save(settings):
    with new_staging(settings) as folder:
        StagedLoad(folder, ROWS, {"catalogue": "shop"}).save()
    return folder


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_saved_load_waits_and_comes_back_as_it_was(settings):
    folder = save(settings)
    with staged(settings, folder.name) as load:
        assert load.meta == {"catalogue": "shop"}
        assert load.rows.equals(ROWS)
        assert load.files == [str(folder / "part-1.parquet")]
        assert load.rejected_files == [str(folder / "rejected-part-1.parquet")]
    discard(settings, folder.name)
    with pytest.raises(CatalogueNotFound, match="no checked load"), staged(settings, folder.name):
        pass


def test_a_load_that_was_not_saved_leaves_nothing_whatever_ended_it(settings):
    with pytest.raises(ZeroDivisionError), new_staging(settings):
        raise ZeroDivisionError
    assert list(settings.staging_dir.iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "../models", "a/b", "unknown"])
def test_a_name_cannot_lead_out_of_the_folder(settings, name):
    discard(settings, name)
    with pytest.raises(CatalogueNotFound), staged(settings, name):
        pass


def test_what_killed_processes_left_goes_and_what_is_in_use_stays(settings):
    left, used = settings.staging_dir / "left", settings.staging_dir / "used"
    for folder in (left, used):
        folder.mkdir(parents=True)
        (folder / scratch.LOCK).touch()
    with locked(used / scratch.LOCK):
        sweep(settings)
    assert (left.exists(), used.exists()) == (False, True)


def test_a_saved_load_is_kept_for_a_day_and_an_upload_for_a_week(settings):
    fresh, old = save(settings), save(settings)
    age(old, leftovers.KEPT_S + 5)
    new, forgotten = settings.uploads_dir / "new", settings.uploads_dir / "forgotten"
    for folder in (new, forgotten):
        folder.mkdir(parents=True)
    age(forgotten, leftovers.UPLOADS_KEPT_S + 5)
    sweep(settings)
    assert (fresh.exists(), old.exists(), new.exists(), forgotten.exists()) == (True, False, True, False)


def test_a_check_of_an_earlier_version_has_to_be_made_again(settings):
    with new_staging(settings) as folder:
        StagedLoad(folder, ROWS.select(["product_id", "file", "reason"]), {"catalogue": "shop"}).save()
    with pytest.raises(CatalogueNotFound, match="no checked load"), staged(settings, folder.name):
        pass

"""The history as screens show it: plain words, counts, who uses a version, and whether it can still be read."""

from __future__ import annotations

import pytest

from backend.catalogue.delta.log_replay import _commit
from backend.catalogue.items import PRODUCTS
from backend.catalogue.upkeep.history import catalogue_states, history, readable_versions, require_readable
from backend.errors import CatalogueNotFound
from tests.support.delta_logs import add, commit, remove, write_log

COUNTS = {"new": 3, "changed": 2, "unchanged": 95, "gone": 1}


@pytest.fixture
def shop(tmp_path):
    """A catalogue whose versions 1 and 3 are readable; file a.parquet of version 2 is gone."""
    folder = tmp_path / "shop"
    note = {"load": "x", "job": "j7", "action": "ingest", "source": "photos", "quarantine_version": 1, **COUNTS}
    write_log(
        folder / PRODUCTS,
        commit(operation="CREATE TABLE", at_s=1_790_000_000),
        commit(add("b.parquet", 100), at_s=1_790_000_060, note=note),
        commit(add("a.parquet", 7), operation="MERGE", at_s=1_790_000_120.7),
        commit(remove("a.parquet"), operation="RESTORE", note={"action": "restore", "restored": 1, "job": "j9"}),
    )
    (folder / PRODUCTS / "b.parquet").touch()
    return folder


def test_a_version_tells_when_how_who_and_what(shop):
    newest, merged, loaded, created = history(shop, used_by={1: ["bags", "shoes"], 9: ["gone"]})
    assert (loaded.version, loaded.committed_at, loaded.operation) == (1, "2026-09-21T14:14:20+00:00", "WRITE")
    assert (loaded.action, loaded.job, loaded.source, loaded.rows) == ("Loaded", "j7", "photos", 100)
    assert {name: getattr(loaded, name) for name in COUNTS} == COUNTS
    assert (loaded.used_by, newest.used_by) == (("bags", "shoes"), ())
    assert (newest.action, newest.job, newest.rows, newest.new) == ("Restored version 1", "j9", 100, None)
    assert (merged.action, merged.job, merged.source, merged.rows) == ("Merged", "", "", 107)
    assert (created.version, created.action, created.rows) == (0, "Created", 0)
    assert [entry.is_readable for entry in (newest, merged, loaded, created)] == [True, False, True, True]
    assert loaded.as_dict()["used_by"] == ["bags", "shoes"]


def test_the_history_comes_in_pages(shop):
    assert [entry.version for entry in history(shop, limit=2)] == [3, 2]
    assert [entry.version for entry in history(shop, limit=2, before=2)] == [1, 0]
    assert history(shop, before=0) == history(shop, limit=0) == []


@pytest.mark.parametrize(
    ("operation", "note", "info", "action"),
    [
        ("WRITE", {"load": "x"}, {}, "Loaded"),  # as the first loads noted it
        ("WRITE", None, {}, "Written"),
        ("MERGE", {"action": "ingest"}, {}, "Loaded"),
        ("MERGE", {"action": "splits"}, {}, "Uses changed"),
        ("OPTIMIZE", {"action": "compact"}, {}, "Compacted"),
        ("REORG", None, {}, "Compacted"),
        ("MERGE", {"action": "brand-new thing"}, {}, "Brand new thing"),
        ("RESTORE", None, {"operationParameters": {"version": 4}}, "Restored version 4"),
        ("RESTORE", None, {"operationParameters": {"timestamp": 4}}, "Restored an older version"),
        ("SET TBLPROPERTIES", None, {}, "Settings of the table changed"),
        ("ADD CONSTRAINT", None, {}, "Rules of the table changed"),
        ("STREAMING UPDATE", None, {}, "Streaming update"),
        ("WRITE", "not JSON", {}, "Written"),
        ("WRITE", '["no object"]', {}, "Written"),
        ("", None, {}, "Changed"),
    ],
)
def test_what_was_done_is_said_in_plain_words(tmp_path, operation, note, info, action):
    write_log(tmp_path / PRODUCTS, commit(), commit(operation=operation, note=note, **info))
    assert history(tmp_path)[0].action == action


def test_only_whole_versions_are_readable(shop):
    assert readable_versions(shop) == [1, 3]
    assert [state.version for state in catalogue_states(shop)] == [0, 1, 2, 3]
    require_readable(shop, 1, 3)
    with pytest.raises(CatalogueNotFound, match=r"Version 2 .* shop can no longer be read") as caught:
        require_readable(shop, 1, 2)
    assert "oldest readable version is 1" in caught.value.next_step
    for version in (0, 4):
        with pytest.raises(CatalogueNotFound, match=f"no version {version}") as caught:
            require_readable(shop, version)
        assert "1 to 3" in caught.value.next_step


def test_where_nothing_can_be_read_the_next_step_is_another_load(shop):
    (shop / PRODUCTS / "b.parquet").unlink()
    with pytest.raises(CatalogueNotFound) as caught:
        require_readable(shop, 3)
    assert caught.value.next_step == "Load the catalogue again."


def test_a_catalogue_that_holds_no_load_has_no_history(tmp_path):
    write_log(tmp_path / "begun" / PRODUCTS, commit(operation="CREATE TABLE"))
    for name in ("begun", "absent"):
        with pytest.raises(CatalogueNotFound, match=f"no catalogue {name}"):
            history(tmp_path / name)


def test_two_hundred_versions_are_listed_and_each_commit_is_read_once(tmp_path):
    table = tmp_path / PRODUCTS
    files = [add(f"{number}.parquet", 4096) for number in range(50)]
    write_log(table, commit(), commit(*files))
    write_log(table, *(commit(add(f"c{n}.parquet", 1), remove(f"{n % 50}.parquet")) for n in range(200)), first=2)
    _commit.cache_clear()
    assert len(history(tmp_path, limit=200)) == 200
    read = _commit.cache_info().misses
    assert len(history(tmp_path, limit=200)) == 200
    assert _commit.cache_info().misses == read

"""Executors fetch into the one store, are no more at a host than it has places, and a second run sends nothing."""

from __future__ import annotations

import json
import threading
import zlib

import pytest

from backend.catalogue.fetch.gate import Hosts
from backend.catalogue.fetch.on_spark import Executing, fetch_on_spark
from backend.catalogue.fetch.records import Fetched, Which, records_of
from backend.catalogue.fetch.store import PictureStore
from backend.progress import NullProgress
from tests.support.picture_host import HOST, network_to, picture, picture_host

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def test_a_table_is_fetched_by_partition(spark, tmp_path):
    store = PictureStore(tmp_path / "fetched")
    records = records_of(store)
    addresses = [f"http://{HOST}/ok.jpg?{number}" for number in range(60)] + [f"http://{HOST}/404.jpg"]
    records.want("feed", ((HOST, address, address) for address in addresses))
    at_once, most, lock = [0], [0], threading.Lock()

    def counted(asked):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        asked.say(200, picture(seed=zlib.crc32(asked.path.encode()) % 5000), ETag='"1"')
        with lock:
            at_once[0] -= 1

    with picture_host() as host:
        executing = Executing(Hosts(frozenset({HOST})), store, 1_000_000, 4, network_to(host.port))
        known = host.more
        known["/ok.jpg"] = counted
        tally = fetch_on_spark(spark, executing, records, "feed", Which(0.0), NullProgress())
        assert (tally.fetched, tally.failed) == (60, {"not_found": 1})
        assert 1 <= most[0] <= 4
        assert set(host.asked.values()) == {1}
        del known["/ok.jpg"]
    assert records.counts("feed") == {"": 60, "not_found": 1}
    assert all(store.read(records.get(address).sha256) for address in addresses[:60])
    assert list((store.folder / "notes").iterdir()) == []


def test_what_a_killed_driver_did_not_take_over_is_taken_over_by_the_next(spark, tmp_path):
    store = PictureStore(tmp_path / "fetched")
    records = records_of(store)
    address = f"http://{HOST}/ok.jpg"
    records.want("feed", [(HOST, address, "p1")])
    line = json.dumps({"address": address, "sha256": store.put(picture()), "kind": "JPEG", "fetched_at": 5.0})
    (store.folder / "notes").mkdir()
    (store.folder / "notes" / "left.jsonl").write_text(f'{line}\n{{"address": "torn')
    executing = Executing(Hosts(frozenset({HOST})), store, 1_000_000, 4, network_to(1))
    assert fetch_on_spark(spark, executing, records, "feed", Which(0.0), NullProgress()).asked == 0
    assert records.get(address) == Fetched(**json.loads(line))

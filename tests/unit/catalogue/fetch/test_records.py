"""The list of what was fetched: files of the version before open, and keep what was found."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from backend.catalogue.fetch.layout import DATABASE, LAYOUT
from backend.catalogue.fetch.records import Fetched, records_of
from backend.catalogue.fetch.shared import SharedPictures
from backend.catalogue.fetch.slot import Slot, take_over
from backend.catalogue.fetch.store import PictureStore, hash_of


def test_a_list_of_the_first_version_is_brought_to_this_one(tmp_path):
    store = PictureStore(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection, connection:
        for statement in LAYOUT.schema:
            connection.execute(statement)
        row = "'https://a.test/{0}', '', 200, '', '', '{0}', 'PNG', 9, 1, '', 5.0, {1}"
        connection.execute(f"INSERT INTO fetched VALUES ({row.format('aa', 1)})")
        connection.execute(f"INSERT INTO fetched VALUES ({row.format('bb', 0)})")
        connection.execute("PRAGMA user_version = 1")
    look = records_of(store).lookup()
    assert (look("https://a.test/aa").is_placeholder, look("https://a.test/bb").is_placeholder) == (True, False)
    assert records_of(store).get("https://a.test/aa") == Fetched(
        "https://a.test/aa", status=200, sha256="aa", kind="PNG", n_bytes=9, attempts=1, fetched_at=5.0
    )
    SharedPictures(store).say(["aa"], is_real=True)
    assert not look("https://a.test/aa").is_placeholder


def test_only_the_line_of_a_dead_thread_whose_picture_is_there_is_taken_over(tmp_path):
    store = PictureStore(tmp_path)
    records, notes = records_of(store), tmp_path / "notes"
    living = Slot(store)
    living.write(Fetched("https://a.test/1", sha256=store.put(b"one"), n_bytes=3, fetched_at=5.0))
    take_over(records, store)
    assert records.get("https://a.test/1") is None
    (line,) = notes.iterdir()
    text = line.read_text()
    living.close()
    notes.joinpath("a.arrived").write_text(text)
    notes.joinpath("b.arrived").write_text(text[:-9])
    notes.joinpath("c.arrived").write_text(text.replace(hash_of(b"one"), hash_of(b"two")).replace("/1", "/2"))
    take_over(records, store)
    assert records.get("https://a.test/1").n_bytes == 3
    assert records.get("https://a.test/2") is None, "its picture was not stored yet"
    assert list(notes.iterdir()) == []
    newer = Fetched("https://a.test/1", reason="gone: ", fetched_at=6.0)
    records.add([newer])
    notes.joinpath("d.arrived").write_text(text)
    take_over(records, store)
    assert records.get("https://a.test/1") == newer

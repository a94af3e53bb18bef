"""The log of questions: written by whole files, read back as it was, shortened by days, whole after every kill and full disk."""

from __future__ import annotations

import errno
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from backend.catalogue.delta import commit_files
from backend.errors import CatalogueError
from backend.merchandising.kept_pictures import KeptPictures
from backend.merchandising.questions import question_log, question_store
from backend.merchandising.questions.question import COLUMNS, wishes_as_json, wishes_from
from backend.merchandising.questions.question_log import QuestionLog
from backend.merchandising.questions.question_store import QuestionStore
from backend.merchandising.questions.report import report
from backend.retrieval.wishes import Wishes
from tests.support.logged_rows import NOON, row
from tests.support.waiting import until


def plain(question):
    values = {item.name: getattr(question, item.name) for item in fields(question)}
    return values | {"embedding": values["embedding"].tobytes()}


@pytest.fixture
def store(settings):
    return QuestionStore(settings.questions_dir, "shop")


def test_rows_come_back_as_they_were_newest_first(store):
    assert (store.newest(5), len(store), store.is_there) == ([], 0, False)
    rows = [row(number) for number in range(7)]
    store.append(rows[:3])
    store.append(rows[3:])
    assert [plain(one) for one in store.newest(100)] == [plain(one) for one in reversed(rows)]
    assert [one.question for one in store.newest(2)] == [rows[6].question, rows[5].question]
    assert [one.question for one in store.newest(1, only=pc.field("time") < rows[2].time)] == [rows[1].question]
    store.append([row(1, NOON - timedelta(days=1)), row(9)])  # of an endpoint that was slower
    assert [one.question for one in store.newest(2)] == [row(9).question, rows[6].question]
    assert tuple(field.name for field in DeltaTable(store.table).schema().fields) == COLUMNS
    assert rows[0].embedded.liked.shape == (1, 12)
    assert (rows[0].asked_filters, rows[0].asked_wishes.like) == ({"brand": ("Ada",)}, ("b001",))


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(),
        Wishes((1.0, 2.5), ("a",), ("b", "c"), 0.3, "variants", 0.0, rules="draft:Ada"),
        Wishes(sort="price", match_only=True, rules="7", rules_at=NOON),
    ],
)
def test_wishes_come_back_as_they_were(wishes):
    assert wishes_from(wishes_as_json(wishes)) == wishes


def test_old_rows_go_by_whole_files_and_leave_the_disk_after_an_hour(store, monkeypatch):
    store.append([row(1, NOON - timedelta(days=30))])
    store.append([row(2), row(3, NOON - timedelta(days=30))])  # a file goes with its newest row
    assert store.tidy(20, now=NOON + timedelta(hours=2)) == 1
    assert sorted(one.question for one in store.newest(9)) == [row(2).question, row(3).question]
    assert len(list(store.table.glob("*.parquet"))) == 2, "a reader may still have it open"
    monkeypatch.setattr(question_store, "_GRACE_S", 0.0)
    assert store.tidy(0, now=datetime.now(UTC) + timedelta(minutes=1)) == 2
    assert (store.newest(9), len(store), list(store.table.glob("*.parquet"))) == ([], 0, [])


def test_small_files_are_brought_together_by_day_without_losing_a_row(store, monkeypatch):
    monkeypatch.setattr(question_store, "_SMALL_FILES", 4)
    rows = [row(number, NOON + timedelta(days=number // 5)) for number in range(8)]
    for one in rows:
        store.append([one])
    store.tidy(3_000)
    assert [plain(one) for one in store.newest(100)] == [plain(one) for one in reversed(rows)]
    assert len(DeltaTable(store.table).file_uris()) == 1 + 3, "five of one day became one; the three of the next stay"


def test_what_a_killed_writer_left_is_no_part_of_the_log_and_goes(store, monkeypatch):
    store.append([row(1)])
    monkeypatch.setattr(QuestionStore, "_commit", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.append([row(2)])
    monkeypatch.undo()
    assert [one.question for one in store.newest(9)] == [row(1).question]
    store.append([row(3)])
    assert len(list(store.table.glob("*.parquet"))) == 3
    store.tidy(10_000, now=datetime.now(UTC) + timedelta(hours=2))
    assert len(list(store.table.glob("*.parquet"))) == 2
    assert len(store) == 2


def test_the_log_stays_readable_over_checkpoints(store, monkeypatch):
    monkeypatch.setattr(commit_files, "_CHECKPOINT_EVERY", 3)
    for number in range(7):
        store.append([row(number)])
    assert list((store.table / "_delta_log").glob("*.checkpoint.parquet"))
    assert len(store.newest(100)) == len(store) == 7


def test_whoever_adds_never_waits_and_all_is_written_at_the_end(settings):
    log = QuestionLog(settings.questions_dir, days=10_000, photo_days=1)
    with log.writing():
        for number in range(question_log.MOST_IN_A_BATCH + 3):
            log.add("shop", row(number), [b"photo"])
        log.add("other", row(1))
        until(lambda: log.counts.written, 10)  # a full batch is written at once
    assert log.counts == (question_log.MOST_IN_A_BATCH + 4, 0)
    shop = QuestionStore(settings.questions_dir, "shop")
    assert (len(shop), len(QuestionStore(settings.questions_dir, "other"))) == (question_log.MOST_IN_A_BATCH + 3, 1)
    assert [path.read_bytes() for path in (shop.folder / "photos").iterdir()] == [b"photo"]


def test_what_does_not_fit_or_cannot_be_written_is_dropped_and_counted(settings, monkeypatch):
    monkeypatch.setattr(question_log, "MOST_WAITING", 3)
    monkeypatch.setattr(question_log, "MOST_PHOTO_BYTES", 4)
    log = QuestionLog(settings.questions_dir, days=10_000, photo_days=1)
    for number in range(5):
        log.add("shop", row(number), [b"abc"])
    assert log.counts == (0, 2)
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, "No space left on device")
        patch.setattr(commit_files, "write_atomically", lambda *_: (_ for _ in ()).throw(full))
        log.flush()
        log.add("shop", row(8))
        patch.setattr(QuestionStore, "append", lambda *_: (_ for _ in ()).throw(RuntimeError("of a library")))
        log.flush()
    assert log.counts == (0, 6)
    log.add("shop", row(9))
    log.flush()
    assert log.counts == (1, 6)
    store = QuestionStore(settings.questions_dir, "shop")
    assert [one.question for one in store.newest(9)] == [row(9).question]
    assert len(list((store.folder / "photos").iterdir())) == 1, "more photos than may wait are not kept"


def test_no_days_log_nothing_and_remove_what_there_is(settings, store):
    store.append([row(1)])
    log = QuestionLog(settings.questions_dir, days=0, photo_days=5)
    assert not log.is_on
    with log.writing():
        until(lambda: not len(store), 10)


def test_photos_go_after_their_days(tmp_path):
    photos = KeptPictures(tmp_path)
    photos.keep(b"one")
    photos.keep(b"one")
    now = datetime.now(UTC).timestamp()
    assert (photos.tidy(1, now=now), photos.tidy(1, now=now + 2 * 86_400)) == (0, 1)


def test_a_damaged_log_is_told(store):
    store.append([row(1)])
    next(store.table.glob("*.parquet")).write_bytes(b"no table")
    with pytest.raises(CatalogueError):
        store.newest(1)
    assert replace(row(1), k=3).k == 3


def test_the_report_counts_questions_and_what_nothing_was_close_to(settings, store):
    assert report(settings.questions_dir, settings.catalogues_dir, "shop")["questions"] == 0
    store.append([replace(row(number), has_match=(True, False, None, False)[number]) for number in range(4)])
    told = report(settings.questions_dir, settings.catalogues_dir, "shop")
    assert (told["questions"], told["pictures"], told["nothing_close"], told["nothing_close_share"]) == (4, 4, 2, 2 / 3)
    assert told["most_shown"][0] == {"product_id": "b001", "answers": 4}
    assert (told["callers"], told["median_ms"], told["never_shown"]) == ({"app": 4}, 3.5, [])

"""What was done is written down once, in order, and nobody can change it unnoticed, whoever is killed when."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from backend.access.asking import Asking, asked_by
from backend.access.audit import LONGEST, START, journal, row_of
from backend.access.person import Person, Role
from backend.catalogue.delta import delta_log
from backend.catalogue.delta.commit_files import commit_files, write_file
from backend.catalogue.delta.log_replay import DataFile
from backend.errors import AccessDenied, CatalogueError, StorageFull
from backend.jobs import audit_table
from backend.jobs.audit_table import Wanted
from backend.jobs.backup import archive
from backend.jobs.backup.home_check import check_home
from backend.jobs.tidying import clear_left
from backend.progress import NullProgress
from tests.fixtures.base import settings_for
from tests.support.disks import disk_of

ANN = Person("ann@shop.example", Role.ADMIN, "app", "10.0.0.7")
BEN = Person("ben", None, "endpoint")


def write(settings, *numbers, person=ANN):
    for number in numbers:
        journal(settings).write(person, f"rules.{'publish' if number % 2 else 'save'}", f"version={number}", "done")


def all_rows(settings, **wanted):
    return audit_table.page(settings, Wanted(**wanted), 1_000_000).rows


def told(settings, **wanted):
    return [row.about for row in all_rows(settings, **wanted)]


@pytest.fixture
def kept(settings):
    """Four rows in the table, in two commits, and two that wait."""
    write(settings, 1, 2)
    assert audit_table.fold(settings) == 2
    write(settings, 3, 4)
    audit_table.fold(settings)
    write(settings, 5)
    write(settings, 6, person=BEN)
    return settings


def test_rows_are_found_wherever_they_are(kept):
    found = all_rows(kept)
    assert [row.number for row in found] == [6, 5, 4, 3, 2, 1]
    assert (found[0].person, found[0].role, found[0].way, found[0].address) == ("ben", "", "endpoint", "")
    assert (found[1].person, found[1].role, found[1].address) == ("ann@shop.example", "admin", "10.0.0.7")
    assert audit_table.check(kept).newest == journal(kept).newest() == found[0].link
    assert delta_log.open_table(kept.audit_dir / "table").metadata().configuration["delta.appendOnly"] == "true"
    assert audit_table.fold(kept) == 2
    assert audit_table.fold(kept) == 0
    assert all_rows(kept) == found
    assert audit_table.check(kept).problems == []


def test_rows_are_filtered_and_come_in_pages(kept):
    rows = all_rows(kept)
    assert told(kept, person="ben") == ["version=6"]
    assert told(kept, action="rules.save") == ["version=6", "version=4", "version=2"]
    assert len(told(kept, action="rules")) == 6
    assert told(kept, action="Publish", person="ANN@") == ["version=5", "version=3", "version=1"]
    assert told(kept, action="labels") == told(kept, result="refused") == []
    assert told(kept, since=rows[2].at, until=rows[0].at) == ["version=5", "version=4"]
    for offset in range(7):
        for limit in (1, 2, 3, 9):
            found = audit_table.page(kept, Wanted(), limit, offset=offset)
            assert (found.rows, found.total) == (rows[offset : offset + limit], 6)
    assert audit_table.page(kept, Wanted(action="rules.save"), 1, offset=1).rows == [rows[2]]
    journal(kept).write(BEN, "rules.publish", "", "refused")
    journal(kept).write(BEN, "rules.publish", "version=8", "changed_meanwhile")
    assert told(kept, result="failed") == ["version=8"]
    assert told(kept, result="refused", person="ben") == [""]


def test_an_export_is_for_people_or_programs_and_nothing_in_it_is_run(kept):
    journal(kept).write(ANN, "rules.save", "=HYPERLINK(1)", "done")
    text = audit_table.export(kept, Wanted(), "csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["number"]) for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert rows[-1]["about"] == "'=HYPERLINK(1)"
    lines = audit_table.export(kept, Wanted(person="ben"), "jsonl").splitlines()
    assert [row_of(json.loads(line)) for line in lines] == all_rows(kept, person="ben")


def test_only_an_administrator_reads_it_and_an_export_is_itself_written_down(kept):
    def asks(role):
        return asked_by(Asking(replace(ANN, role=role), journal(kept)))

    with asks(Role.ENGINEER):
        for refused in (lambda: all_rows(kept), lambda: audit_table.export(kept, Wanted(), "csv")):
            with pytest.raises(AccessDenied, match="needs the role admin"):
                refused()
    with asks(Role.ADMIN):
        audit_table.export(kept, Wanted(person="ben"), "csv")
    found = [(row.role, row.action, row.about, row.result) for row in all_rows(kept)[:3]]
    assert found == [
        ("admin", "audit.export", "format=csv person=ben", "done"),
        ("engineer", "audit.export", "format=csv", "refused"),
        ("engineer", "audit.read", "", "refused"),
    ]


def test_an_audit_that_is_not_there_is_empty(settings):
    assert all_rows(settings) == []
    assert audit_table.fold(settings) == 0
    checked = audit_table.check(settings)
    assert (checked.rows, checked.newest, checked.problems) == (0, START, [])


@given(
    st.lists(st.tuples(st.text(max_size=1_200), st.text(max_size=30), st.booleans()), min_size=1, max_size=6),
)
@tried(max_examples=20)
def test_any_text_comes_back_and_the_chain_holds(tmp_path_factory, actions):
    settings = settings_for(tmp_path_factory.mktemp("texts"))
    for about, name, folds in actions:
        journal(settings).write(Person(name, Role.VIEWER, "job"), "rules.save", about, "done")
        if folds:
            audit_table.fold(settings)
    found = all_rows(settings)[::-1]
    assert [(row.about, row.person) for row in found] == [(a[: LONGEST["about"]], name) for a, name, _ in actions]
    assert audit_table.check(settings).problems == []
    assert all(row_of(json.loads(json.dumps(row.as_dict()))) == row for row in found)


def test_text_that_cannot_be_stored_is_replaced(settings):
    journal(settings).write(replace(ANN, name="\ud800"), "x.y", "\ud800=1", "done")
    audit_table.fold(settings)
    assert (all_rows(settings)[0].person, told(settings)) == ("?", ["?=1"])


def test_a_home_clears_itself_of_what_waits_once_it_is_much(settings, monkeypatch):
    write(settings, 1)
    clear_left(settings)
    assert len(journal(settings).rows()) == 1
    monkeypatch.setattr("backend.access.audit._DUE_BYTES", 100)
    clear_left(settings)
    assert journal(settings).rows() == []
    assert told(settings) == ["version=1"]


# ------------------------------------------------------------------------------------------- whoever is killed when


def test_a_kill_between_commit_and_emptying_leaves_no_row_twice(settings, monkeypatch):
    write(settings, 1, 2)
    waiting = journal(settings).waiting
    before = waiting.read_bytes()
    audit_table.fold(settings)
    write(settings, 3)
    audit_table.fold(settings)
    waiting.write_bytes(before)  # as a backup has it, too, that took the file before and the table after
    assert told(settings) == ["version=3", "version=2", "version=1"]
    write(settings, 4)
    assert audit_table.fold(settings) == 1
    assert [row.number for row in all_rows(settings)] == [4, 3, 2, 1]
    assert audit_table.check(settings).problems == []


def test_half_a_line_of_a_killed_writer_is_not_a_row(kept):
    with journal(kept).waiting.open("ab") as stream:
        stream.write(b'{"number": 7, "at"')
    assert len(all_rows(kept)) == 6
    write(kept, 7)
    assert told(kept)[0] == "version=7"
    assert audit_table.check(kept).problems == []


def test_a_file_that_a_killed_fold_left_is_replaced(kept):
    table = kept.audit_dir / "table"
    (table / f"rows-{(delta_log.newest_version(table) or 0) + 1:020d}.parquet").write_bytes(b"half")
    assert audit_table.fold(kept) == 2
    assert len(all_rows(kept)) == 6


def test_threads_share_it(settings):
    threads = [Thread(target=write, args=(settings, *range(start, start + 10))) for start in (10, 20, 30)]
    for one in threads:
        one.start()
    audit_table.fold(settings)
    for one in threads:
        one.join()
    assert sorted(told(settings)) == sorted(f"version={number}" for number in range(10, 40))
    assert audit_table.check(settings).problems == []


def test_a_full_disk_is_said_and_leaves_the_chain_whole(settings, tmp_path):
    with disk_of(tmp_path / "disk", "100k") as place:
        full = replace(settings, home=place)
        write(full, 1)
        filler = place / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * 200_000)
        with pytest.raises(StorageFull, match="audit cannot be written"):
            [write(full, number) for number in range(2, 40)]
        count = len(all_rows(full))
        filler.unlink()
        write(full, 99)
        assert told(full)[0] == "version=99"
        assert len(all_rows(full)) == count + 1
        assert audit_table.check(full).problems == []


def test_a_backup_has_it_and_a_check_of_the_home_follows_it(kept, tmp_path):
    archive.back_up(kept.home, tmp_path / "backup.tar", NullProgress())
    restored = settings_for(tmp_path / "restored")
    archive.restore(tmp_path / "backup.tar", restored.home, NullProgress())
    assert all_rows(restored) == all_rows(kept)
    assert (report := check_home(restored, NullProgress())).problems == {}
    assert report.checked["audits"] == 1
    write(restored, 7)
    assert [row.number for row in all_rows(restored)][:2] == [7, 6]
    forged(restored, lambda lines: lines[::-1])
    assert "Row 7 follows row 4" in check_home(restored, NullProgress()).problems["audit"]


# ------------------------------------------------------------------------------------------- whoever changes it


def forged(settings, change):
    """Change the lines that wait."""
    waiting = journal(settings).waiting
    head, *lines = waiting.read_text().splitlines(keepends=True)
    waiting.write_text("".join([head, *change(lines)]))


def rewritten(settings, change):
    """Change the rows of the table's first file, as somebody would who knows Delta but not our chain."""
    table = settings.audit_dir / "table"
    file = audit_table._files(table)[0]
    rows = audit_table._from_arrow(audit_table.StoredRows([file], schema=audit_table.SCHEMA).table(audit_table.COLUMNS))
    other = write_file(table / "other.parquet", audit_table._as_arrow(change(rows)))
    commit_files(table, [other], [DataFile(file.name, identity={"path": file.name})], note={})
    (table / "other.parquet").rename(file)  # and covers the traces
    log = table / "_delta_log" / f"{delta_log.newest_version(table):020d}.json"
    log.unlink()
    size = file.stat().st_size
    first = table / "_delta_log" / f"{1:020d}.json"
    entries = [json.loads(line) for line in first.read_text().splitlines()]
    first.write_text("".join(json.dumps(_resized(one, size)) + "\n" for one in entries))


def _resized(entry, size):
    return {"add": {**entry["add"], "size": size}} if "add" in entry else entry


def rehashed(row):
    return row.chained("0" * 64)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [replace(rows[0], about="version=9"), rows[1]], "Row 1, or the one before"),
        (lambda rows: [rows[0], replace(rows[1], person="eve")], "Row 2, or"),
        (lambda rows: [rehashed(replace(rows[0], about="version=9")), rows[1]], "Row 2, or"),
        (lambda rows: rows[1:], "Row 2 follows row 0"),
        (lambda rows: rows[:1], "Row 3 follows row 1"),
        (lambda rows: rows[::-1], "Row 2 follows row 0"),
        (lambda rows: [*rows, rows[1]], "Row 2 follows row 2"),
        (lambda rows: [rows[0], replace(rows[1], number=1), rows[1]], "Row 1 follows row 1"),
        (lambda rows: [replace(rows[0], at=rows[0].at + timedelta(microseconds=1)), rows[1]], "Row 1, or"),
    ],
)
def test_a_changed_table_is_found(kept, change, said):
    rewritten(kept, change)
    assert said in audit_table.check(kept).problems[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:1], "The rows after 5 are missing: 6 were written."),
        (lambda lines: [], "The rows after 4 are missing: 6 were written."),
        (lambda lines: lines[1:], "Row 6 follows row 4."),
        (lambda lines: lines[::-1], "Row 6 follows row 4."),
        (lambda lines: [lines[0], lines[0], lines[1]], "Row 5 follows row 5."),
        (lambda lines: [lines[0].replace("ann", "eve"), lines[1]], "Row 5, or the one before it"),
        (lambda lines: [lines[0], lines[1][:-30] + "\n"], "was changed and cannot be read"),
    ],
)
def test_a_changed_file_of_those_that_wait_is_found_and_new_rows_still_come(kept, change, said):
    forged(kept, change)
    assert said in audit_table.check(kept).problems[0]
    write(kept, 7)
    assert journal(kept).newest().number == 7
    assert (
        said.split(":")[0] in audit_table.check(kept).problems[0]
        or "follows row" in audit_table.check(kept).problems[0]
    )


def test_a_forged_last_row_is_found(kept):
    last = journal(kept).rows()[-1]
    before = journal(kept).rows()[-2]
    mine = replace(last, about="version=0").chained(before.hash)
    forged(kept, lambda lines: [lines[0], json.dumps(mine.as_dict()) + "\n"])
    assert audit_table.check(kept).problems == ["Row 6 is not the one that was written last."]


def test_whoever_kept_the_newest_hash_finds_a_chain_that_was_made_anew(kept):
    known = audit_table.check(kept).newest
    write(kept, 7)
    assert audit_table.check(kept, known).problems == []
    shutil.rmtree(kept.audit_dir)
    write(kept, 1, 2, 3, 4, 5, 6, 7)
    assert audit_table.check(kept).problems == []
    assert "There is no row 6 with the hash" in audit_table.check(kept, known).problems[0]


def test_a_removed_file_of_the_table_is_found(kept):
    audit_table._files(kept.audit_dir / "table")[0].unlink()
    assert "cannot be read" in audit_table.check(kept).problems[0]
    with pytest.raises(CatalogueError):
        all_rows(kept)


# ------------------------------------------------------------------------------------------- many at once

_WRITER = """
import sys
from pathlib import Path
from pathlib import Path
from threading import Thread
from backend.access.asking import Asking, asked_by
from backend.access.audit import Audit
from backend.access.person import Person, Role
audit, process, times = Audit(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
def write(thread):
    for number in range(times):
        audit.write(Person(f"{process}-{thread}", Role.ENGINEER, "job"), "labels.change", f"number={number}", "done")
        sys.stdout.write(f"{process}-{thread} {number}\\n")
        sys.stdout.flush()
threads = [Thread(target=write, args=(number,)) for number in range(4)]
[one.start() for one in threads]
[one.join() for one in threads]
"""
_MOVER = """
import sys, time
from pathlib import Path
from backend.access.asking import Asking, asked_by
from backend.access.audit import journal
from backend.jobs import audit_table
from tests.fixtures.base import settings_for
settings = settings_for(Path(sys.argv[1]))
while True:
    audit_table.fold(settings) if journal(settings).is_due else time.sleep(0.005)
"""


@pytest.mark.slow
def test_ten_thousand_actions_of_several_processes_some_of_them_killed(settings, tmp_path, repository):
    """Five processes write with four threads each, two of them are killed; those that fill the table are killed again and again."""
    times, outputs, killed = 850, [tmp_path / str(number) for number in range(5)], 0

    def begun(code, *arguments, output=os.devnull):
        with Path(output).open("w") as stream:
            return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=repository, stdout=stream)

    start = time.perf_counter()
    writers = [begun(_WRITER, settings.audit_dir, at, times, output=out) for at, out in enumerate(outputs)]
    mover = begun(_MOVER, settings.home)
    while any(one.poll() is None for one in writers[2:]):
        if killed < 5 and journal(settings).newest().number > 1_700 * (killed + 1):
            for one in (mover, *writers[killed : killed + (killed < 2)]):
                one.kill()
                one.wait()
            killed, mover = killed + 1, begun(_MOVER, settings.home)
        time.sleep(0.01)
    for one in (*writers, mover):
        one.kill()
        one.wait()
    found, took = all_rows(settings), time.perf_counter() - start
    print(f"{len(found):,} rows in {took:.1f} s")
    assert killed == 5
    assert len(found) >= 10_000
    assert [row.number for row in found] == list(range(len(found), 0, -1))
    assert audit_table.check(settings).problems == []
    written = [(row.person, int(row.about.removeprefix("number="))) for row in found]
    assert len(written) == len(set(written))
    returned = {(line.split()[0], int(line.split()[1])) for out in outputs for line in out.read_text().split("\n")[:-1]}
    assert returned <= set(written)
    assert len(written) - len(returned) <= 2 * 4  # one a thread of those who were killed

"""A backup is the home as it was at one moment, whatever goes on; damaged or foreign files are refused."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
from contextlib import closing
from threading import Event, Thread

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st

from backend.cli.main import main
from backend.errors import Cancelled, FileUnusable, SettingsError
from backend.files.home import HOME_FORMAT, mark_format
from backend.files.storage import write_atomically
from backend.jobs.backup import archive
from backend.jobs.backup.home_check import check_home
from backend.jobs.store import JobStore
from backend.merchandising.rule_store import RuleStore
from backend.progress import NullProgress
from backend.retrieval.rules.rule import Rule
from backend.settings import load_settings
from tests.fixtures.base import settings_for

WRITES = 200


def content(home):
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A small home with some of everything, and its backup."""
    home = tmp_path_factory.mktemp("backed") / "home"
    store = RuleStore(home / "rules", "shop")
    for number in range(3):
        store.publish([Rule("a", "block", products=(f"P{number}",))], base=number, by="Ann")
    JobStore(home / "jobs.db").add("tidy", {})
    for name, data in {
        "lists/mine.json": b"{}",
        "models/m/odd name ü.bin": b"x" * 5000,
        "cache/big": b"1",
        "app-token": b"t",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(data)
    backup = home.with_name("backup.tar")
    about = archive.back_up(home, backup, NullProgress())
    return home, backup, about


def test_what_is_restored_is_what_was_there(kept, tmp_path):
    home, backup, about = kept
    restored = tmp_path / "other" / "home"
    assert archive.restore(backup, restored, NullProgress()) == about == archive.check(backup, NullProgress())
    found, before = content(restored), content(home)
    assert about.files == len(found)
    left_out = {name for name in before.keys() - found.keys() if not name.endswith(("-wal", "-shm", ".lock"))}
    assert left_out == {"cache/big"}
    assert {name for name in found if found[name] != before[name]} <= {"jobs.db"}
    assert [job.kind for job in JobStore(restored / "jobs.db").list()] == ["tidy"]
    assert backup.stat().st_mode & 0o077 == 0
    with pytest.raises(FileUnusable, match="not empty"):
        archive.restore(backup, restored, NullProgress())
    with pytest.raises(FileUnusable, match="exists already"):
        archive.back_up(home, backup, NullProgress())
    assert not [path for path in home.iterdir() if path.name.startswith(".backup")]


@pytest.mark.slow
def test_a_backup_during_two_hundred_writes_is_one_moment_of_each_part(tmp_path):
    home = tmp_path / "home"
    store, jobs, pair = RuleStore(home / "rules", "shop"), JobStore(home / "jobs.db"), home / "lists" / "pair"
    pair.mkdir(parents=True)
    begun, reached = Event(), 20

    def write():
        for number in range(WRITES):
            store.publish([Rule("a", "block", products=(f"P{number}",))], base=number, by="Ann", note=str(number))
            jobs.add("tidy", {"number": number})
            for name in ("first", "second"):
                write_atomically(pair / name, str(number).encode(), lasting=False)
            if number == reached:
                begun.set()

    writer = Thread(target=write)
    writer.start()
    begun.wait(30)
    taken = [tmp_path / f"{number}.tar" for number in range(3)]
    for backup in taken:
        archive.back_up(home, backup, NullProgress())
    writer.join()
    versions = []
    for backup in taken:
        restored = backup.with_suffix("")
        archive.restore(backup, restored, NullProgress())
        again = RuleStore(restored / "rules", "shop")
        versions.append(again.newest())
        for version in (1, again.newest() // 2, again.newest()):
            assert again.read(version) == store.read(version)
        known = [job.request["number"] for job in JobStore(restored / "jobs.db").list(WRITES)]
        assert known == sorted(range(len(known)), reverse=True)
        first, second = (int((restored / "lists" / "pair" / name).read_bytes()) for name in ("first", "second"))
        assert first - second in {0, 1}
        assert check_home(settings_for(restored), NullProgress()).problems == {}
    assert versions == sorted(versions)
    assert versions[0] < WRITES  # it was made meanwhile
    assert store.newest() == WRITES


@tried(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), cut=st.booleans(), value=st.integers(1, 255))
def test_a_damaged_backup_is_refused_or_the_damage_is_in_no_file(kept, tmp_path_factory, at, cut, value):
    _, backup, _ = kept
    data = bytearray(backup.read_bytes())
    place = int(at * len(data))
    if cut:
        del data[place:]
    else:
        data[place] ^= value
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "b.tar").write_bytes(data)
    try:
        archive.restore(folder / "b.tar", folder / "home", NullProgress())
    except FileUnusable:
        assert [path.name for path in folder.iterdir()] == ["b.tar"]
    else:
        archive.restore(backup, folder / "whole", NullProgress())
        assert content(folder / "home") == content(folder / "whole")


def tar_of(path, members, listed=None, **about):
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        if listed is not None:
            head = {"home": 1, "twinset": "1", "made": "now", "files": 1, "bytes": 1, "format": 1} | about
            data = "".join(f"{json.dumps(one)}\n" for one in (head, *listed)).encode()
            member = tarfile.TarInfo(archive.LIST)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("members", "listed", "about"),
    [
        ([("../out", b"x")], [], {}),
        ([("/etc/out", b"x")], [], {}),
        ([("a", b"x")], None, {}),
        ([("a", b"x")], [], {}),
        ([("a", b"x"), ("a", b"y")], [["a", 1, hashlib.sha256(b"x").hexdigest()]], {}),
        ([], [["a", 1, "0"]], {}),
        ([], [], {"format": archive.FORMAT + 1}),
        ([], [], {"home": HOME_FORMAT + 1}),
        ([], [], {"unknown": 1}),
    ],
)
def test_a_foreign_or_newer_file_is_refused(tmp_path, members, listed, about):
    file = tar_of(tmp_path / "b.tar", members, listed, **about)
    with pytest.raises(FileUnusable):
        archive.restore(file, tmp_path / "home", NullProgress())
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]


def test_a_cancelled_backup_leaves_nothing(kept, tmp_path):
    class Stopped(NullProgress):
        def check_cancelled(self):
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        archive.back_up(kept[0], tmp_path / "b.tar", Stopped())
    assert list(tmp_path.iterdir()) == []


def test_a_home_is_looked_over(kept, tmp_path):
    home = tmp_path / "home"
    archive.restore(kept[1], home, NullProgress())
    settings = settings_for(home)
    assert check_home(settings, NullProgress()).problems == {}
    next((home / "rules" / "shop" / "table").glob("*.parquet")).write_bytes(b"PAR1")
    with (home / "jobs.db").open("r+b") as stream:
        stream.write(b"no database here")
    report = check_home(settings, NullProgress())
    assert report.checked == {"tables": 1, "databases": 1}
    assert set(report.problems) <= {"rules/shop/table", "jobs.db"}
    assert "jobs.db" in report.problems


def test_a_home_of_a_newer_version_is_refused(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    environ = {"HOME": str(tmp_path), "TWINSET_HOME": str(home)}
    mark_format(home, "9.0.0")
    load_settings(environ, dotenv=tmp_path / "none")
    (tmp_path / "backend.zip").write_bytes(b"PK")  # what a worker on a cluster runs, and where it has no home
    load_settings({**environ, "TWINSET_HOME": str(tmp_path / "backend.zip" / ".twinset")}, dotenv=tmp_path / "none")
    for text, said in [(f'{{"format": {HOME_FORMAT + 1}}}', "newer Twinset"), ("[", "damaged")]:
        (home / "home.json").write_text(text)
        with pytest.raises(SettingsError, match=said):
            load_settings(environ, dotenv=tmp_path / "none")


@pytest.mark.mlflow
def test_an_old_home_is_upgraded_and_the_backup_is_the_way_back(home_before_rooms, monkeypatch, capsys, tmp_path):
    home = home_before_rooms.home
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        before = sorted(database.execute("SELECT name, version FROM model_versions").fetchall())
    monkeypatch.setenv("TWINSET_HOME", str(home))
    backup = tmp_path / "before.tar"
    assert main(["home", "upgrade", "--backup", str(backup), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["before"], told["after"], told["backup"]) == (1, HOME_FORMAT, str(backup))
    assert main(["home", "check", "--json"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "back"))
    assert main(["home", "restore", str(backup)]) == 0
    with closing(sqlite3.connect(tmp_path / "back" / "mlflow.db")) as database:
        assert sorted(database.execute("SELECT name, version FROM model_versions").fetchall()) == before
    assert not (tmp_path / "back" / "home.json").exists()

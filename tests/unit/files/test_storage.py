"""Disks that refuse, and homes that nobody else may read."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backend.errors import CatalogueError, FileUnusable, StorageFailed, StorageFull
from backend.files.storage import disk_error, disk_watched, private, system_error, write_atomically, write_export
from backend.jobs.store import JobStore
from backend.training.checkpoints import Checkpoints
from tests.support.disks import disk_of, read_only

TOO_LARGE = 200_000


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.ENOSPC, "No space"), StorageFull, "full"),
        (OSError(errno.EDQUOT, "Quota"), StorageFull, "quota"),
        (OSError(errno.EROFS, "Read-only"), StorageFailed, "read-only"),
        (OSError(errno.EFBIG, "Too large"), StorageFailed, "limit on file size"),
        (OSError(errno.EIO, "Broken"), StorageFailed, "has failed"),
        (RuntimeError("java.io.IOException: No space left on device"), StorageFull, "full"),
        (RuntimeError("External error: Read-only file system (os error 30)"), StorageFailed, "read-only"),
        (sqlite3.OperationalError("database or disk is full"), StorageFull, "full"),
        (sqlite3.OperationalError("attempt to write a readonly database"), StorageFailed, "read-only"),
        (sqlite3.OperationalError("disk I/O error"), StorageFailed, "has failed"),
    ],
)
def test_what_a_disk_refuses_is_seen_through_causes(error, kind, said):
    outer = RuntimeError("write failed")
    outer.__cause__ = error
    found = disk_error(outer, "train again", so="; nothing is lost")
    assert type(found) is kind
    assert said in found.message
    assert found.message.endswith("; nothing is lost.")
    assert found.next_step.endswith(" and train again.")


def test_other_errors_are_no_disks():
    for error in (OSError(errno.EACCES, "denied"), ValueError("No space"), CatalogueError("No space left on device")):
        assert disk_error(error, "retry") is None
    assert isinstance(system_error(PermissionError(errno.EACCES, "Permission denied", "/x"), "retry"), FileUnusable)
    assert system_error(ValueError("no"), "retry") is None


def limited(code, *arguments, limit=TOO_LARGE):
    """Run code in a process whose files may have that many bytes and no more; with less, a disk tells the same as full."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_file_that_may_not_become_so_large_leaves_the_old_one_whole(tmp_path):
    path = tmp_path / "kept.json"
    path.write_bytes(b"old")
    code = (
        "import sys; from pathlib import Path\nfrom backend.errors import StorageFailed\n"
        "from backend.files.storage import disk_watched, write_atomically\n"
        "try:\n    with disk_watched('retry'):\n        write_atomically(Path(sys.argv[1]), b'x' * 300_000)\n"
        "except StorageFailed as error:\n    print(error)"
    )
    assert "limit on file size is exceeded" in limited(code, path)
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["kept.json"]


@pytest.mark.parametrize("door", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file_whole(tmp_path, monkeypatch, door):
    def fails(*_arguments):
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "kept.json").write_bytes(b"old")
    monkeypatch.setattr(*{"fsync": (os, "fsync", fails), "replace": (Path, "replace", fails)}[door])
    with pytest.raises(StorageFailed, match="has failed"), disk_watched("retry"):
        write_atomically(tmp_path / "kept.json", b"new")
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("kept.json", b"old")]


def test_the_jobs_that_are_there_stay_where_no_more_can_be_written(tmp_path):
    store = JobStore(tmp_path / "jobs.db")
    first, _ = store.add("train", {"name": "first"})
    code = (
        "import sys; from pathlib import Path\nfrom backend.errors import WorkbenchError\n"
        "from backend.jobs.store import JobStore\nstore = JobStore(Path(sys.argv[1]))\n"
        "try:\n    for at in range(40):\n        store.add('train', {'name': 'x' * 20_000 + str(at)})\n"
        "except WorkbenchError as error:\n    print(type(error).__name__, error.message, error.next_step)"
    )
    told = limited(code, tmp_path / "jobs.db")
    assert "jobs.db" in told
    assert told.split()[0] in {"StorageFailed", "StorageFull", "JobError"}
    assert store.get(first.id).request == {"name": "first"}


@pytest.fixture
def frozen(tmp_path):
    """A home with a job and an epoch of a training, on a disk that has become read-only."""
    home = tmp_path / "home"
    JobStore(home / "jobs.db").add("train", {"name": "first"})
    (home / "kept.json").write_bytes(b"old")
    with read_only(home):
        yield home


def test_a_read_only_home_is_told_and_stays_as_it_is(frozen):
    for write in (
        lambda: write_atomically(frozen / "kept.json", b"new"),
        lambda: Checkpoints(frozen / "models" / "m.checkpoints"),
    ):
        with pytest.raises(StorageFailed, match="read-only"), disk_watched("retry"):
            write()
    with pytest.raises(StorageFailed, match="read-only"):
        JobStore(frozen / "jobs.db").add("train", {"name": "second"})
    assert (frozen / "kept.json").read_bytes() == b"old"
    with private(frozen):  # what cannot be closed stays; work that only reads goes on
        pass


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 300 kB."""
    with disk_of(tmp_path / "disk", "300k") as place:
        yield place


def test_a_full_disk_is_told_and_leaves_the_old_file_whole(tiny_disk):
    write_atomically(tiny_disk / "kept.json", b"old")
    store = JobStore(tiny_disk / "jobs.db")
    first, _ = store.add("train", {"name": "first"})
    with pytest.raises(StorageFull), disk_watched("retry"):
        write_atomically(tiny_disk / "kept.json", b"x" * 400_000)
    with pytest.raises(StorageFull):
        [store.add("train", {"name": "x" * 20_000 + str(at)}) for at in range(40)]
    assert (tiny_disk / "kept.json").read_bytes() == b"old"
    assert store.get(first.id).request == {"name": "first"}


def modes(*paths):
    return [oct(stat.S_IMODE(path.stat().st_mode)) for path in paths]


@pytest.fixture
def open_to_all():
    """The usual mask of a system: everybody may read what is made."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_what_is_made_is_private_from_the_beginning(tmp_path, open_to_all):
    home = tmp_path / "home"
    with private(home):
        JobStore(home / "jobs.db").add("train", {})
        with JobStore(home / "jobs.db").held_open():
            assert modes(home, home / "jobs.db", home / "jobs.db-wal") == ["0o700", "0o600", "0o600"]
        child = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE x (y)')"
        subprocess.run([sys.executable, "-c", child, str(home / "mlflow.db")], check=True)
        assert modes(home / "mlflow.db") == ["0o600"]
    assert os.umask(0o022) == 0o022  # as it was


def test_an_open_home_of_an_earlier_version_is_closed(tmp_path, open_to_all):
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True)
    for name in ("jobs.db", "mlflow.db", "logs/app.log"):
        (home / name).touch()
    with private(home):
        assert modes(home, home / "jobs.db", home / "logs/app.log") == ["0o700", "0o600", "0o600"]


def test_files_that_others_remove_meanwhile_are_passed_over(tmp_path, monkeypatch, open_to_all):
    (tmp_path / "jobs.db").touch()
    there = [tmp_path / "jobs.db-wal", tmp_path / "jobs.db"]  # the first was there a moment ago
    monkeypatch.setattr(Path, "iterdir", lambda _folder: iter(there))
    with private(tmp_path):
        assert modes(tmp_path / "jobs.db") == ["0o600"]


def test_a_home_that_a_group_shares_stays_so(tmp_path, open_to_all):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o2775)
    (home / "jobs.db").touch()
    (home / "jobs.db").chmod(0o664)
    with private(home):
        (home / "made").touch()
        assert modes(home, home / "jobs.db", home / "made") == ["0o2770", "0o660", "0o660"]


def test_a_folder_that_is_no_home_is_left_alone(tmp_path, open_to_all):
    tmp_path.chmod(0o777)
    (tmp_path / "somebody's").touch()
    with private(tmp_path):
        assert modes(tmp_path, tmp_path / "somebody's") == ["0o777", "0o644"]


def test_what_a_user_asked_for_may_be_read_as_ever(tmp_path, open_to_all):
    target = tmp_path / "target.csv"
    (tmp_path / "link.csv").symlink_to(target)
    with private(tmp_path / "home"):
        write_export(tmp_path / "new.csv", b"a")
        write_export(tmp_path / "link.csv", b"b")
        target.chmod(0o640)
        write_export(tmp_path / "link.csv", b"c")
    assert modes(tmp_path / "new.csv", target) == ["0o644", "0o640"]
    assert target.read_bytes() == b"c"
    assert (tmp_path / "link.csv").is_symlink()
    write_export(Path(os.devnull), b"x")  # a device stays one
    assert not Path(os.devnull).is_file()

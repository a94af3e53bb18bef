"""Temporary files of a process: gone with it, or with the next start after a kill; nobody else's are touched."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from backend.bundles import bundle
from backend.files import scratch
from backend.files.scratch import held_folder, own_folder, sweep

# A process that writes temporary files as libraries do, its child too, says so, and waits to be ended.
BUSY = """
import subprocess, sys, tempfile
from backend.files.scratch import own_folder
child = "import sys, tempfile; tempfile.mkstemp(prefix='child'); print('ready', flush=True); sys.stdin.read()"
with own_folder() as folder:
    tempfile.NamedTemporaryFile(prefix="__autograph_generated_file", suffix=".py", delete=False).close()
    with own_folder("trial") as inner:
        (inner / "pixels").write_bytes(b"1" * 1000)
        process = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE)
        sys.stdin.read()
        process.communicate()
"""


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A folder for temporary files that this process, and those that it starts, see as the system's."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(scratch, "_ROOTS", {})
    return folder


@pytest.fixture
def busy(base, repository):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY], cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def files(base):
    return sorted(path.name for path in base.rglob("*") if path.is_file() and path.name != scratch.LOCK)


def test_all_files_of_a_process_are_in_one_folder_and_gone_at_its_end(base, busy):
    (folder,) = base.iterdir()
    assert [name[:5] for name in files(base)] == ["__aut", "child", "pixel"]
    busy.communicate()
    assert busy.returncode == 0
    assert list(base.iterdir()) == []
    assert not folder.exists()


def test_a_killed_process_is_cleared_away_by_the_next_start_and_a_living_one_is_not(base, busy, repository):
    (killed,) = base.iterdir()
    other = subprocess.Popen(
        [sys.executable, "-c", BUSY], cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "ready\n"
    (living,) = {*base.iterdir()} - {killed}
    busy.send_signal(signal.SIGKILL)
    busy.communicate()
    assert killed.exists()
    with own_folder() as mine:
        assert {*base.iterdir()} == {living, mine}
        assert len(files(living)) == 3
    other.communicate()
    assert list(base.iterdir()) == []


def test_folders_of_others_and_young_ones_stay(base, monkeypatch):
    host = scratch._prefix()
    strangers = [base / "twinset-77-otherhost-x", base / "tmpabc", base / host.replace(str(os.getuid()), "77777", 1)]
    for folder in (*strangers, base / f"{host}young"):
        folder.mkdir()
    (base / "elsewhere").mkdir()
    (base / f"{host}link").symlink_to(base / "elsewhere")
    left = base / f"{host}old"
    left.mkdir()
    os.utime(left, (0, 0))
    before = {*base.iterdir()}
    with own_folder():
        pass
    assert {*base.iterdir()} == before - {left}
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    (base / f"{host}dead").mkdir()
    (base / f"{host}dead" / scratch.LOCK).touch()
    with own_folder():
        pass
    assert (base / f"{host}dead").exists()


def test_a_process_puts_everything_back_and_its_children_stand_beside_it(base, repository):
    with own_folder() as folder:
        assert os.environ["TMPDIR"] == tempfile.gettempdir() == str(folder)
        assert scratch.common_folder() == base  # where locks are that all processes must see
        program = "from backend.files.scratch import own_folder\nwith own_folder() as one: print(one.parent)"
        told = subprocess.run(
            [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True
        )
        assert told.stdout.strip() == str(base)
        with own_folder("rank") as inner:
            assert inner.parent == folder
        assert not inner.exists()
    assert os.environ["TMPDIR"] == str(base)
    assert tempfile.gettempdir() == str(base)
    with pytest.raises(ZeroDivisionError), own_folder():
        raise ZeroDivisionError
    assert list(base.iterdir()) == []


def test_a_workplace_of_a_living_process_is_left_alone(tmp_path):
    target = tmp_path / "models" / "autumn"
    with bundle.workplace(target, "index") as one, bundle.workplace(target, "index") as other:
        assert one.exists()
        assert other.exists()
        assert one != other
    (tmp_path / "models" / ".locks").mkdir()
    dead = tmp_path / "models" / ".autumn.index-xyz"
    dead.mkdir()
    (dead / scratch.LOCK).touch()
    os.utime(tmp_path / "models" / ".locks", (0, 0))
    sweep(tmp_path / "models", bundle.WORKPLACES)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".locks"]


def test_a_held_folder_outlives_a_sweep(tmp_path):
    with held_folder(tmp_path, "x-") as folder:
        sweep(tmp_path, "x-*")
        assert folder.is_dir()
    assert not Path(folder).exists()

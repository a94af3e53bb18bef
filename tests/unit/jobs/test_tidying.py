"""What killed processes leave goes with the next start, or by ``tidy``; what somebody has or needs stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from backend.bundles import bundle
from backend.bundles.bundle import workplace
from backend.cli.main import main
from backend.feeding.content_cache import cache_folder
from backend.files import scratch
from backend.files.holding import held, lock_of
from backend.files.locking import lock_beside
from backend.files.storage import write_atomically
from backend.jobs.readiness import checks
from backend.jobs.tidy_home import KEPT
from backend.jobs.tidying import BEGUN, LOADS, OPEN, TEMPORARY, left_behind, own_process, size_of, summary
from backend.progress import NullProgress

# A process that is in the middle of everything, says so, and waits to be killed.
BUSY = """
import os, sys
from pathlib import Path
from backend.files import scratch
from backend.bundles.bundle import workplace
from backend.files.holding import held, lock_of
from backend.progress import NullProgress
from backend.files.storage import write_atomically
home = Path(sys.argv[1])
def stop(*_):
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
with scratch.own_folder() as own:
    (own / "pixels").write_bytes(b"1" * 1000)
    with workplace(home / "models" / "autumn", "pixels") as place, held(
        lock_of(home / "models" / "autumn"), "It", "is being trained", NullProgress()
    ):
        (place / "pixels").write_bytes(b"1" * 1000)
        (home / "models" / "autumn.checkpoints").mkdir()
        staging = home / "staging" / "abc"
        staging.mkdir(parents=True)
        run = home / "runs" / ("0" * 32)
        run.mkdir(parents=True)
        with scratch.hold(staging), scratch.hold(run):
            (home / "sweeps" / "never" / "trials").mkdir(parents=True)
            Path.replace = stop
            write_atomically(home / "models" / "notes.json", b"x" * 10)
"""


@pytest.fixture
def home(settings, tmp_path, monkeypatch):
    """An empty home, with a folder for temporary files of the test's own."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(scratch.tempfile, "tempdir", None)
    monkeypatch.setattr(scratch, "_ROOTS", {})
    settings.models_dir.mkdir(parents=True)
    return settings


@pytest.fixture
def busy(home, repository):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, str(home.home)],
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def everything(home):
    """All there is but for the audit, which is told who looked."""
    found = (path for path in home.home.parent.rglob("*") if home.audit_dir not in {path, path.parent})
    return sorted(str(path.relative_to(home.home.parent)) for path in found)


def counts(home):
    return {one["what"]: one["count"] for one in summary(left_behind(home))}


def test_what_a_living_process_has_is_left_alone_and_after_a_kill_it_is_named_and_goes(home, busy):
    before = everything(home)
    assert counts(home) == {BEGUN: 1}  # the sweep's folder is nobody's: only who holds its lock makes it
    with own_process(home):
        pass
    assert [path for path in before if path not in everything(home)] == [
        "home/sweeps/never",
        "home/sweeps/never/trials",
    ]

    (home.sweeps_dir / "never" / "trials").mkdir(parents=True)
    busy.send_signal(signal.SIGKILL)
    busy.communicate()
    assert {*before} <= {*everything(home)}
    assert counts(home) == {TEMPORARY: 3, LOADS: 1, BEGUN: 2, OPEN: 1}
    left = next(check for check in checks(home) if check.name == "Left behind")
    assert not left.ok
    assert f"{TEMPORARY}: 3, {LOADS}: 1, {BEGUN}: 2, {OPEN}: 1" in left.detail
    assert "`python -m backend tidy`" in left.fix


@pytest.mark.slow
def test_tidy_says_what_there_is_then_removes_it_counted_with_its_bytes(home, busy, capsys, monkeypatch):
    busy.send_signal(signal.SIGKILL)
    busy.communicate()
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    before = everything(home)
    assert main(["tidy", "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["is_dry_run"], everything(home)) == (True, before)
    assert next(one for one in said["found"] if one["what"] == TEMPORARY)["bytes"] >= 2_010
    assert main(["doctor"]) == 1
    assert everything(home) == before  # who looks changes nothing
    assert "Left behind" in capsys.readouterr().out
    assert main(["tidy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == said["found"]
    assert [path for path in everything(home) if "models/" in path] == [
        "home/models/.locks",
        "home/models/.locks/autumn",
    ]
    assert counts(home) == {}
    assert main(["tidy"]) == 0
    assert "bytes: 0" in capsys.readouterr().out


def test_what_goes_while_a_folder_is_measured_counts_nothing(tmp_path, monkeypatch):
    for name in ("a/1", "a/2", "b/3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1" * 100)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b" / "3")
    assert size_of(tmp_path) == 300
    real = os.walk

    def walk_and_lose(top):
        for found in real(top):
            yield found
            (tmp_path / "b" / "3").unlink(missing_ok=True)

    monkeypatch.setattr(os, "walk", walk_and_lose)
    assert size_of(tmp_path) == 200


def test_tidy_empties_the_cache_only_if_told_to(home, capsys, monkeypatch):
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    kept = cache_folder(home)
    kept.space("pixels", (4,), "uint8").put(["0" * 64], np.ones((1, 4), np.uint8))
    (home.content_cache_dir / "pixels" / ".x.rows.writing-abcdefgh").write_bytes(b"half")
    said = {"what": KEPT, "count": 1, "bytes": 40}
    for words, is_there in ((["--dry-run", "--cache"], True), ([], True), (["--cache"], False)):
        assert main(["tidy", *words, "--json"]) == 0
        assert (said in json.loads(capsys.readouterr().out)["found"]) == ("--cache" in words)
        assert home.content_cache_dir.exists() == is_there
        assert "writing-" not in str(everything(home)) or "--dry-run" in words


def test_checkpoints_that_can_be_gone_on_from_stay_and_those_of_a_finished_training_go(home):
    for name, files in {"unfinished": ["state-001.npz"], "begun": ["training.json"], "done": ["state-002.npz"]}.items():
        (home.models_dir / f"{name}.checkpoints").mkdir()
        for file in files:
            (home.models_dir / f"{name}.checkpoints" / file).touch()
    (home.models_dir / "done").mkdir()
    (home.models_dir / "done" / bundle.MANIFEST).touch()
    with held(lock_of(home.models_dir / "begun"), "It", "is being trained", NullProgress()), own_process(home):
        assert (home.models_dir / "begun.checkpoints").is_dir()
    with own_process(home):
        assert sorted(path.name for path in home.models_dir.glob("[!.]*")) == ["done", "unfinished.checkpoints"]


def test_a_file_that_is_being_written_is_known_by_its_lock(home):
    target = home.home / "notes.json"
    write_atomically(target, b"old")
    dead = home.home / ".notes.json.writing-abcdefgh"
    dead.write_bytes(b"half")
    empty = home.home / ".notes.json.writing-abcdefgi"  # it may be a moment old, and not locked yet
    empty.touch()
    lock = lock_beside(home.home / ".hidden-notes.json")  # also looks like one that is being written
    lock.touch()
    os.utime(lock, (0, 0))
    assert scratch.left_in(home.home, bundle.WORKPLACES) == [dead]
    os.utime(empty, (0, 0))
    with workplace(home.models_dir / "autumn", "index"), own_process(home):
        assert [path.name for path in home.models_dir.iterdir() if "index" in path.name]
    assert sorted(path.name for path in home.home.iterdir()) == [lock.name, "models", "notes.json"]
    assert target.read_bytes() == b"old"


def test_a_damaged_list_of_jobs_stops_no_start_and_is_said_by_the_doctor(home, caplog):
    home.jobs_db.write_bytes(b"no database" * 100)
    with own_process(home):
        assert "stay as they are" in caplog.text
    left = next(check for check in checks(home) if check.name == "Left behind")
    assert (left.ok, "damaged" in left.detail) == (False, True)

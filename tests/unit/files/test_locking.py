"""One lock for files that are read and replaced: who comes second waits, and the first's death frees it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from backend.files.locking import lock_beside, locked, open_lock, taken

HOLDER = """
import sys
from pathlib import Path
from backend.files.locking import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def is_free(path):
    handle = open_lock(path)
    try:
        return taken(handle)
    finally:
        os.close(handle)


def test_a_second_waits_for_the_first(tmp_path):
    lock, order = lock_beside(tmp_path / "new" / "tokens.json"), []
    assert lock == tmp_path / "new" / ".tokens.json.lock"

    def second():
        with locked(lock):
            order.append("second")

    with locked(lock):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not is_free(lock)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert is_free(lock)


def test_the_death_of_its_holder_frees_it(tmp_path):
    lock = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert not is_free(lock)
        holder.kill()
        with locked(lock):
            assert not is_free(lock)


def test_many_may_share_it(tmp_path):
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open("w") as other:
        assert taken(one, shared=True)
        assert taken(other, shared=True)
        assert not taken(other)


def test_a_folder_that_has_gone_is_not_made_again(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "gone" / "lock"):
        pass

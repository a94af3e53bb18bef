"""A lock that another piece of work holds, as another process would."""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def held_elsewhere(lock: Path, doing: str = "is being trained", *, job: str = "") -> Iterator[None]:
    """Hold a lock as process 4711 on the machine ``far`` would, or as a job."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    signed = {"doing": doing, "pid": 4711, "host": "far", "job": job, "since": "2026-11-27T03:12:00+00:00"}
    with lock.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(signed))
        file.flush()
        yield

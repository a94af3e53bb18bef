"""The folder through which ranks and driver speak beside Horovod; both must see it at the same path.

order.json     what is to be trained, written by the driver
rank-0.json    what rank 0 is doing, and how it ended; so for every rank
rank-0.log     what rank 0 printed
events.jsonl   figures in the order in which rank 0 told them
stop           asks every rank to end at once
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from backend.errors import Cancelled
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LAST_LINES = 8
# TensorFlow's, whatever its level is set to, and nmslib's; and what Python adds to the place of a crash.
_NOISE = re.compile(
    r"^(WARNING: All log messages before absl|Extension modules: |To enable the following instructions: "
    r"|Your CPU supports instructions|For maximum performance, you can install NMSLIB|pip install .*nmslib)"
    r"|^[IW]\d{4} \d\d:\d\d:\d\d|^[\d-]{10} [\d:.]+: [IW] \S+\.cc:\d+\]|Unable to register cu\w+ factory"
)
_REPORT_EVERY_S = 0.3


@dataclass(frozen=True, slots=True)
class RankState:
    """What a rank is doing.

    Attributes:
        rank: Its number.
        phase: ``working``, or how it ended: ``done``, ``failed``, or ``stopped`` because it was asked to.
        done, total, unit, note: Its progress.
        host, pid: Where it runs.
        error: Name of the error that ended it, and ``message`` and ``next_step`` of it.
    """

    rank: int
    phase: str = "working"
    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    note: str = ""
    host: str = ""
    pid: int = 0
    error: str = ""
    message: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class RankFolder:
    """Reads and writes the files of one distributed training."""

    path: Path

    def begin(self, order: Mapping[str, Any]) -> None:
        """Empty the folder and write the order."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        write_atomically(self.path / "order.json", json.dumps(dict(order)).encode())

    def order(self) -> dict[str, Any]:
        """Read the order."""
        read: dict[str, Any] = json.loads((self.path / "order.json").read_text("utf-8"))
        return read

    def write_state(self, state: RankState) -> None:
        """Say what a rank is doing; all ranks would wait for the disk of one, and nobody reads this after a crash."""
        write_atomically(self.path / f"rank-{state.rank}.json", json.dumps(asdict(state)).encode(), lasting=False)

    def states(self, ranks: int) -> list[RankState]:
        """Read what all ranks are doing; one that has not said anything yet is working."""
        return [self.state(rank) for rank in range(ranks)]

    def state(self, rank: int) -> RankState:
        """Read what one rank is doing."""
        path = self.path / f"rank-{rank}.json"
        return RankState(**json.loads(path.read_text("utf-8"))) if path.exists() else RankState(rank)

    def log(self, rank: int) -> Path:
        """Return the file that holds what a rank printed."""
        return self.path / f"rank-{rank}.log"

    def last_lines(self, rank: int) -> str:
        """Return the end of what a rank said, without what its libraries say whenever they start."""
        if not self.log(rank).exists():
            return ""
        lines = self.log(rank).read_text("utf-8", errors="replace").splitlines()
        return "\n".join([line for line in lines if line.strip() and not _NOISE.search(line)][-_LAST_LINES:])

    def tell(self, event: Mapping[str, Any]) -> None:
        """Add an event; only one rank does."""
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(dict(event)) + "\n")

    def events(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return the events that were told since ``offset`` (bytes), and the offset after them."""
        path = self.path / "events.jsonl"
        if not path.exists():
            return [], offset
        with path.open("rb") as stream:
            stream.seek(offset)
            whole = stream.read().rpartition(b"\n")[0]  # the last line may be half written
        events = [json.loads(line) for line in whole.splitlines()]
        return events, offset + (len(whole) + 1 if whole else 0)

    def ask_to_stop(self) -> None:
        """Ask every rank to end at once."""
        (self.path / "stop").touch()

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether the ranks should end."""
        return (self.path / "stop").exists()


@dataclass
class RankProgress:
    """A progress that writes to the folder; rank 0 also tells its figures."""

    folder: RankFolder
    rank: int
    job: str = ""
    _written_at: float = field(default=0.0, init=False)

    def report(self, done: float, total: float, *, unit: str = "", note: str = "") -> None:
        """Write it down, a few times a second at most."""
        now = time.monotonic()
        if now - self._written_at >= _REPORT_EVERY_S or done >= total:
            self._written_at = now
            host = socket.gethostname()
            self.folder.write_state(RankState(self.rank, "working", done, total, unit, note, host, os.getpid()))

    def metric(self, name: str, value: float, *, step: int) -> None:
        """Tell it, if this is rank 0."""
        if self.rank == 0:
            self.folder.tell({"kind": "metric", "name": name, "value": value, "step": step})

    def epoch(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Tell the figures of an epoch, if this is rank 0."""
        if self.rank == 0:
            self.folder.tell({"kind": "epoch", "metrics": dict(metrics), "step": step})

    def check_cancelled(self) -> None:
        """Raise ``Cancelled`` if the driver asked to stop."""
        if self.folder.is_asked_to_stop:
            raise Cancelled("The user asked to stop.")

"""Pictures from an enemy, asked one after another: ``python -m tests.benchmarks.hostile --json``.

An endpoint process of its own, with a small model and 8 GB of address space, is asked with every file of the folders that
``--corpus`` names, or with ``--count`` pictures made here (``tests/support/hostile_pictures.py``: bombs of every format,
then mutations), for at most ``--seconds``. Counted are deaths of the process, answers 5xx, answers that took more than
2 s, and questions over which memory grew by more than 64 MB (2^26 bytes): resident memory of the endpoint and all of its
processes, its highest while the question was answered over what it was before.

``ratio`` is 2 s over the answer time that one question in a thousand exceeds. Correct means that nothing died, nothing
was answered 5xx, and that a good picture afterwards finds what it found before.
"""

from __future__ import annotations

import argparse
import http.client
import json
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from backend.machine.supervisor import Service, running
from backend.serving.tokens import ensure_app_token
from backend.settings import load_settings
from tests.fixtures.endpoint import encoded, picture
from tests.support.benchmarking import machine, told
from tests.support.browsing import free_port
from tests.support.hostile_pictures import corpus
from tests.support.load import Asker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIMIT_S, LIMIT_BYTES = 2.0, 64 << 20
_GONE = (FileNotFoundError, ProcessLookupError)
_LOOK_EVERY_S = 0.005


@dataclass
class Outcome:
    """What came of all questions."""

    seconds: list[float] = field(default_factory=list)
    grown: list[int] = field(default_factory=list)
    most: list[int] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    deaths: list[str] = field(default_factory=list)
    server_errors: list[str] = field(default_factory=list)
    over_2_s: list[str] = field(default_factory=list)
    over_64_mb: list[str] = field(default_factory=list)


class Watched:
    """Memory of a process and its children, while a question is answered.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.before = self.most = 0

    def __enter__(self) -> Self:
        self.before = self.most = self.total()
        for one in self._all():
            with suppress(*_GONE):
                Path(f"/proc/{one}/clear_refs").write_text("5", encoding="ascii")  # forget the highest
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.most = max(self.most, sum(self._highest(one) for one in self._all()))

    def _look(self) -> None:
        """See those, too, that are gone afterwards."""
        while not self._over.wait(_LOOK_EVERY_S):
            self.most = max(self.most, self.total())

    def _all(self) -> list[int]:
        """The process and its children, by the thread that started them; to look through all of /proc takes longer."""
        found = [self._pid]
        for path in Path(f"/proc/{self._pid}/task").glob("*/children"):
            with suppress(*_GONE):
                found += map(int, path.read_text("ascii").split())
        return found

    def total(self) -> int:
        """Bytes resident now."""
        found = 0
        for pid in self._all():
            with suppress(*_GONE):
                found += int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * resource.getpagesize()
        return found

    @staticmethod
    def _highest(pid: int) -> int:
        with suppress(*_GONE):
            lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
            return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)
        return 0


class Target:
    """An endpoint process, started anew when it died."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        environment = {"HOME": str(home), "TWINSET_HOME": str(home), "TWINSET_ENDPOINT_RATE": "0"}
        self._settings = load_settings({**environment, "TWINSET_ENDPOINT_PORT": str(free_port())}, dotenv=home / "none")
        self._token, self._stack = ensure_app_token(self._settings), stack
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = (sys.executable, "-m", "tests.support.small_endpoint")
        service = Service("endpoint", "Endpoint", self._settings.endpoint_port, command, "/ping")
        self.process = self._stack.enter_context(running(service, self._settings))
        self._asker = Asker(self._settings.effective_endpoint_url, self._token)
        self.watched = Watched(self.process.pid)

    def ask(self, data: bytes) -> tuple[float, int, dict[str, Any]]:
        """Ask about a picture; returns seconds, status and answer."""
        seconds, status, answer = self._asker.post("/v1/recommend?k=5", data)
        return seconds, status, json.loads(answer)

    def restarted(self) -> bool:
        """Start the process again if it died; tell whether it had."""
        self._asker.close()
        if self.process.poll() is None:
            return False
        self.start()
        return True


def attack(target: Target, pictures: Iterable[tuple[str, bytes]], until: float) -> Outcome:
    """Ask about every picture until the time is up."""
    outcome = Outcome()
    for name, data in pictures:
        if time.monotonic() > until:
            break
        started = time.perf_counter()
        try:
            with target.watched as watched:
                _, status, answer = target.ask(data)
        except (OSError, http.client.HTTPException) as error:
            status, answer = 599, {"error": {"code": type(error).__name__}}
            if target.restarted():
                outcome.deaths.append(name)
        seconds, grown = time.perf_counter() - started, watched.most - watched.before
        outcome.seconds.append(seconds)
        outcome.grown.append(grown)
        outcome.most.append(watched.most)
        outcome.codes[answer["error"]["code"] if status != http.HTTPStatus.OK else "answered"] += 1
        for is_so, names in (
            (status >= http.HTTPStatus.INTERNAL_SERVER_ERROR, outcome.server_errors),
            (seconds > LIMIT_S, outcome.over_2_s),
            (grown > LIMIT_BYTES, outcome.over_64_mb),
        ):
            if is_so:
                names.append(name)
    return outcome


def files(folders: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of all files below folders."""
    for folder in folders:
        yield from ((str(path), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file())


def run(pictures: Iterable[tuple[str, bytes]], *, seconds: float) -> dict[str, Any]:
    """Start an endpoint, ask it with all pictures, and end it."""
    good = [encoded(picture("blob", 1)), encoded(picture("blob", 2), "TIFF")]
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        target = Target(Path(place), stack)
        found = [[one["product_id"] for one in target.ask(data)[2]["neighbours"]] for data in good]
        before = target.watched.total()
        outcome = attack(target, pictures, time.monotonic() + seconds)
        kept = target.watched.total() - before
        most = max(outcome.most) - before
        again = [[one["product_id"] for one in target.ask(data)[2]["neighbours"]] for data in good]
    slow, interval = _ratio(outcome.seconds)
    return {
        "bench": "hostile",
        "ratio": slow,
        "ci95": interval,
        "correct": found == again and not outcome.deaths and not outcome.server_errors,
        "figures": _figures(outcome, kept, most),
        "machine": machine(),
    }


def _ratio(seconds: list[float]) -> tuple[float, list[float]]:
    rng, taken = np.random.default_rng(7), np.asarray(seconds)
    drawn = [LIMIT_S / np.percentile(rng.choice(taken, len(taken)), 99.9) for _ in range(200)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return round(float(LIMIT_S / np.percentile(taken, 99.9)), 2), [round(float(low), 2), round(float(high), 2)]


def _figures(outcome: Outcome, kept: int, most: int) -> dict[str, Any]:
    counted = ("deaths", "server_errors", "over_2_s", "over_64_mb")
    return {
        "pictures": len(outcome.seconds),
        **{name: len(getattr(outcome, name)) for name in counted},
        "which": {name: getattr(outcome, name)[:10] for name in counted if getattr(outcome, name)},
        "slowest_s": round(max(outcome.seconds), 3),
        "p99_ms": round(float(np.percentile(outcome.seconds, 99)) * 1e3, 1),
        "most_grown_mb": round(max(outcome.grown) / 1e6, 1),
        "most_over_start_mb": round(most / 1e6, 1),
        "kept_mb": round(kept / 1e6, 1),
        "answers": dict(outcome.codes.most_common()),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--corpus", type=Path, nargs="+", help="folders of pictures; made here when left out")
    parser.add_argument("--count", type=int, default=9_000, help="pictures to make")
    parser.add_argument("--seed", type=int, default=7, help="of the pictures that are made")
    parser.add_argument("--seconds", type=float, default=900, help="when to stop")
    options = parser.parse_args()
    pictures = files(options.corpus) if options.corpus else corpus(options.count, seed=options.seed)
    print(told(run(pictures, seconds=options.seconds), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

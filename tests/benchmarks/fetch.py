"""A feed whose pictures are addresses: ``python -m tests.benchmarks.fetch --json``.

A feed of products with three pictures each is made here, and served on loopback by a process of its own. It is fetched by
a process that is killed on the way (SIGKILL) and by another that goes on; then once more, when nothing has changed. The
server counts what it was asked and what it sent. `ratio` is pictures a second over the 200 that are required.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from PIL import Image

from backend.catalogue.fetch.fetcher import Fetcher
from backend.catalogue.fetch.gate import Hosts, Network
from backend.catalogue.fetch.records import Fetched, Which, records_of
from backend.catalogue.fetch.run import fetch_due
from backend.catalogue.fetch.slot import NOTES
from backend.catalogue.fetch.store import PictureStore
from backend.catalogue.fetch.wanted import wanted_of
from backend.catalogue.sources.locations import open_source
from tests.support.benchmarking import machine, peak_mb, pin, told

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST, PUBLIC = "cdn.bench.test", "93.184.215.14"
PICTURES = 3
SIDE = 400
REQUIRED_PER_S = 200
KILLED_AT = 0.4  # of all pictures
UNDER_WAY = 8  # connections to one host: what they are still being sent when the process is killed is asked again


# ------------------------------------------------------------------------------------------------- the server


class Server:
    """Answers with a JPEG of its own for every path, made by a comment in front of one picture's data."""

    def __init__(self) -> None:
        noise = np.random.default_rng(3).normal(128, 30, (SIDE // 8, SIDE // 8, 3)).clip(0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(noise).resize((SIDE, SIDE)).save(stream, "JPEG", quality=85)
        self.jpeg = stream.getvalue()
        self.sent: Counter[str] = Counter()
        self.asked = 0

    def answer(self, path: str, head: bytes) -> bytes:
        """Return a whole answer."""
        if path == "/counts":
            twice = sum(count > 1 for count in self.sent.values())
            body = json.dumps({"asked": self.asked, "paths": len(self.sent), "sent": self.sent.total(), "twice": twice})
            return _head("200 OK", len(body), "application/json") + body.encode()
        self.asked += 1
        if b"if-none-match" in head.lower():
            return b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 0\r\n\r\n'
        self.sent[path] += 1
        note = path.encode()
        body = self.jpeg[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + self.jpeg[2:]
        return _head("200 OK", len(body), "image/jpeg") + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it goes away."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                writer.write(self.answer(head.split(b" ", 2)[1].decode(), head))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def _head(status: str, size: int, kind: str) -> bytes:
    return f'HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nETag: "1"\r\nContent-Length: {size}\r\n\r\n'.encode()


async def serve() -> None:
    """Serve until killed; the port is the first line of the output."""
    server = await asyncio.start_server(Server().serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# ------------------------------------------------------------------------------------------------- the fetch


class Watching:
    """Notes memory and pictures a second while a fetch goes on."""

    job = ""

    def __init__(self) -> None:
        self.points: list[tuple[float, float, float]] = []

    def report(self, done: float, total: float, *, unit: str = "", note: str = "") -> None:
        """Note a point: seconds, pictures, megabytes resident."""
        if unit == "pictures":
            self.points.append((time.monotonic(), done, psutil.Process().memory_info().rss / 1e6))

    def metric(self, name: str, value: float, *, step: int) -> None:
        """There is none."""

    def check_cancelled(self) -> None:
        """Never."""


def fetch(place: Path, port: int, fresh: float) -> dict[str, Any]:
    """Fetch the feed of a folder, as the job does, over a network in which the server is a public host."""
    network = Network(
        lambda *_: [PUBLIC], lambda _ip, _port, timeout: socket.create_connection(("127.0.0.1", port), timeout=timeout)
    )
    store, watching = PictureStore(place / "fetched"), Watching()
    records = records_of(store)
    start = time.monotonic()
    records.want(
        "feed", wanted_of(open_source("csv", place / "feed.csv", columns=None, label_from="none", version=None))
    )
    records.forget_lost("feed", store)
    listed = time.monotonic() - start
    with Fetcher(Hosts(frozenset({HOST})), store, max_pixels=16_000_000, network=network) as fetcher:
        start = time.monotonic()
        tally = fetch_due(fetcher, records, "feed", Which(time.time() - fresh), watching)
        taken = time.monotonic() - start
    memory = [megabytes for _, _, megabytes in watching.points]
    return {
        "listing_s": round(listed, 1),
        "asked": tally.asked,
        "fetched": tally.fetched,
        "unchanged": tally.unchanged,
        "failed": tally.failed,
        "seconds": round(taken, 1),
        "per_s": round(tally.asked / taken, 1) if tally.asked else None,
        "mb_at_first": round(memory[len(memory) // 10], 1) if memory else None,
        "mb_at_last": round(memory[-1], 1) if memory else None,
        "peak_mb": peak_mb(psutil.Process().pid),
    }


# ------------------------------------------------------------------------------------------------- the whole


def make_feed(path: Path, products: int) -> None:
    """Write a feed in Google's layout."""
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", "title", "description", "link", "image_link", "additional_image_link", "price", "brand"])
        for number in range(products):
            first, *more = (f"http://{HOST}/p/{number:06d}-{view}.jpg" for view in range(PICTURES))
            title = f"Product {number}"
            rows.writerow(
                [
                    f"p{number:06d}",
                    title,
                    f"{title}, made for a measurement",
                    "",
                    first,
                    ",".join(more),
                    "9.90 EUR",
                    "B",
                ]
            )


@contextmanager
def served() -> Iterator[int]:
    """Run the server; yields its port."""
    command = [sys.executable, "-m", "tests.benchmarks.fetch", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def counts(port: int) -> dict[str, int]:
    """Return what the server counted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/counts", timeout=30) as answer:
        return dict(json.load(answer))


def child(place: Path, port: int, fresh: float) -> subprocess.Popen[str]:
    """Start a fetch in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.fetch", "--fetch", str(place), str(port), str(fresh)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a fetch and return its figures."""
    output, _ = process.communicate()
    return dict(json.loads(output.splitlines()[-1]))


def stored_unnoted(place: Path) -> int:
    """Count the pictures that were stored when the fetch was killed, and of which the list did not say so yet."""
    store = PictureStore(place / "fetched")
    lines = [path.read_text("utf-8") for path in (store.folder / NOTES).glob("*.arrived")]
    begun = [Fetched(**json.loads(line)) for line in lines if line.endswith("\n")]
    records = records_of(store)
    return sum(store.has(one.sha256, n_bytes=one.n_bytes) and records.get(one.address) is None for one in begun)


def run(products: int) -> dict[str, Any]:
    """Fetch, kill, go on, fetch again."""
    with tempfile.TemporaryDirectory(prefix="twinset-bench-", ignore_cleanup_errors=True) as name, served() as port:
        place, total = Path(name), products * PICTURES
        make_feed(place / "feed.csv", products)
        killed = child(place, port, fresh=3600)
        while counts(port)["paths"] < KILLED_AT * total and killed.poll() is None:
            time.sleep(0.2)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        at_kill, unnoted = counts(port), stored_unnoted(place)
        resumed = finished(child(place, port, fresh=3600))
        after = counts(port)
        again = finished(child(place, port, fresh=-3600))
        at_last = counts(port)
    correct = (
        after["paths"] == total
        and after["twice"] <= UNDER_WAY
        and (again["unchanged"], again["fetched"]) == (total, 0)
        and at_last["sent"] == after["sent"]
    )
    return {
        "bench": "fetch",
        "ratio": round(resumed["per_s"] / REQUIRED_PER_S, 3),
        "ci95": None,
        "correct": correct,
        "figures": {
            "pictures": total,
            "fetched_before_the_kill": at_kill["paths"],
            "stored_unnoted_at_the_kill": unnoted,
            "sent_twice": after["twice"],
            "resumed": resumed,
            "again": again,
            "sent_again": at_last["sent"] - after["sent"],
        },
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--products", type=int, default=50_000, help="with three pictures each")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--fetch", nargs=3, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    elif options.fetch:
        place, port, fresh = options.fetch
        print(json.dumps(fetch(Path(place), int(port), float(fresh))))
    else:
        pin()
        print(told(run(options.products), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

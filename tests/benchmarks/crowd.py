"""A crowd at the endpoint's door: ``TWINSET_HOME=… python -m tests.benchmarks.crowd --json``.

Takes the champion of a home and asks its endpoint, a process of its own, with PNGs of the network's size:

1. 128 clients at once, with one token and then with four: how many were refused, how many got no answer, p50 and p99;
2. one client with a token of its own, before and while another token holds 70 bodies that never end, in turns: its p95;
3. SIGTERM while an answer is under way: seconds until the process is gone, and whether the answer came.

Correct means that nobody got no answer, and that the answer under way came.
"""

from __future__ import annotations

import argparse
import base64
import json
import signal
import statistics
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles import bundle
from backend.flow.named import trained_on
from backend.imaging import pixels
from backend.machine.supervisor import endpoint_service, running
from backend.registry.fetching import fetch_champion
from backend.serving.tokens import token_store
from backend.settings import load_settings
from tests.support.benchmarking import machine, pin, ratio_of, told
from tests.support.browsing import free_port
from tests.support.load import Asker, Crowd, ask_at_once, unfinished_bodies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.settings import SecretStr, Settings

CLIENTS, UNFINISHED, PHOTOS, TURN = 128, 70, 100, 50
NAMES = ("crowd-a", "crowd-b", "crowd-c", "crowd-d")


def photos_of(settings: Settings) -> list[bytes]:
    """Products of the champion's catalogue as PNGs of the network's own size."""
    _, folder = fetch_champion(settings)
    manifest = bundle.verify(folder)
    products, _ = trained_on(manifest, settings).page(offset=0, limit=PHOTOS, split="test")
    return [pixels.encode_png(pixels.decode(product.image, manifest.pixels).pixels) for product in products]


def figures_of(crowd: Crowd) -> dict[str, float]:
    """What is said of a crowd."""
    asked = len(crowd.seconds) + crowd.refused + crowd.hung
    p50, p99 = (float(np.percentile(crowd.seconds, at)) * 1e3 for at in (50, 99))
    return {
        "asked": asked,
        "refused_percent": round(100 * crowd.refused / asked, 3),
        "hung": crowd.hung,
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
    }


def time_neighbour(
    url: str, ours: SecretStr, other: SecretStr, photos: Sequence[bytes], *, turns: int
) -> tuple[list[float], list[float]]:
    """Ask alone, and while another token holds bodies that never end, in turns; returns the seconds of both."""
    alone: list[float] = []
    beside: list[float] = []
    asker = Asker(url, ours)

    def ask(into: list[float]) -> None:
        for number in range(TURN):
            seconds, status, data = asker.post("/v1/recommend?k=10", photos[number % len(photos)])
            if status != 200:
                raise SystemExit(f"the endpoint answered {status}: {data[:300]!r}")
            into.append(seconds)

    for _ in range(turns):
        ask(alone)
        with unfinished_bodies(url, other, UNFINISHED):
            ask(beside)
    asker.close()
    return alone, beside


def time_ending(url: str, token: SecretStr, photos: Sequence[bytes], process: Any) -> tuple[float, float, int]:
    """Tell the process to end while it answers 100 pictures; returns the seconds of that, of the end, and the status."""
    rows = [base64.b64encode(photo).decode("ascii") for photo in photos]
    body = json.dumps({"instances": rows, "params": {"k": 50}}).encode()
    asker = Asker(url, token)
    asker.post("/invocations", body, "application/json")  # the first imports MLflow
    usual_s = asker.post("/invocations", body, "application/json")[0]
    statuses: list[int] = []
    asking = threading.Thread(target=lambda: statuses.append(asker.post("/invocations", body, "application/json")[1]))
    asking.start()
    time.sleep(usual_s / 3)  # it is under way
    started = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    seconds = time.perf_counter() - started
    asking.join()
    asker.close()
    return usual_s, seconds, statuses[0]


def run(settings: Settings, *, each: int, turns: int) -> dict[str, Any]:
    """Start the endpoint, meet it with crowds, and end it."""
    settings = replace(settings, endpoint_port=free_port(), endpoint_url="", endpoint_rate=0.0)
    url, photos, store = settings.effective_endpoint_url, photos_of(settings), token_store(settings)
    tokens = [store.issue(name, scope="ask") for name in NAMES]
    try:
        with running(endpoint_service(settings), settings) as process:
            ask_at_once(url, tokens[:1], photos, clients=8, each=20)  # warm
            one = ask_at_once(url, tokens[:1], photos, clients=CLIENTS, each=each)
            four = ask_at_once(url, tokens, photos, clients=CLIENTS, each=each)
            alone, beside = time_neighbour(url, tokens[0], tokens[1], photos, turns=turns)
            usual_s, ending_s, status = time_ending(url, tokens[0], photos, process)
    finally:
        for name in NAMES:
            store.revoke(name)
    ratio, interval = ratio_of(alone, beside)
    p95 = [round(float(np.percentile(times, 95)) * 1e3, 2) for times in (alone, beside)]
    return {
        "bench": "crowd",
        "ratio": ratio,
        "ci95": interval,
        "correct": one.hung == four.hung == 0 and status == 200,
        "figures": {
            "clients": CLIENTS,
            "one_token": figures_of(one),
            "four_tokens": figures_of(four),
            "neighbour_p50_ms": [round(statistics.median(times) * 1e3, 2) for times in (alone, beside)],
            "neighbour_p95_ms": {"alone": p95[0], "beside_70_unfinished": p95[1]},
            "sigterm_s": round(ending_s, 2),
            "under_way": {"usually_s": round(usual_s, 2), "status": status},
        },
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--each", type=int, default=30, help="questions of every client of a crowd")
    parser.add_argument(
        "--turns", type=int, default=10, help="turns of 50 questions alone and beside unfinished bodies"
    )
    options = parser.parse_args()
    pin(2)
    result = run(load_settings(), each=options.each, turns=options.turns)
    print(told(result, as_json=options.json))
    return 0 if result["correct"] else 1


if __name__ == "__main__":
    sys.exit(main())

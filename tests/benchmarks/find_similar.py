"""Upload to painted neighbours, in a real browser: ``python -m tests.benchmarks.find_similar --json``.

Starts the endpoint and the app as processes of their own over the champion of a home folder (``TWINSET_HOME``, made by
``make demo``), uploads test products as photos that were taken larger, one after the other, and measures inside the
page from the moment the file is chosen to the frame in which all neighbours and their pictures are painted.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from app.navigation import PAGES
from backend.catalogue.snapshot import open_snapshot
from backend.machine.supervisor import endpoint_service, running
from backend.serving.clients import local_client
from backend.settings import Settings, load_settings
from tests.support.browsing import app_running, chromium, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from backend.serving.client import EndpointClient

LIMIT_MS = 700.0
RERUN_LIMIT_MS = 200.0
K = 12
SIDE = 1000  # pixels of a photo's side
WARM_UPS = 3
RERUNS = 7
# Marks the cards that are there, then resolves in the frame after all new cards have their pictures decoded.
WATCH = """k => new Promise(resolve => {
    const cards = () => {
        const hosts = [...document.querySelectorAll('*')].filter(node => node.shadowRoot);
        return hosts.flatMap(host => [...host.shadowRoot.querySelectorAll('ol.grid > li')]);
    };
    const before = new Set(cards());
    let start = 0;
    document.querySelector('input[type=file]').addEventListener('change', () => { start = performance.now(); },
        { capture: true, once: true });
    const look = () => {
        const fresh = cards().filter(card => !before.has(card));
        const done = start && fresh.length === k
            && fresh.every(card => { const i = card.querySelector('img'); return i.complete && i.naturalWidth; });
        if (!done) return requestAnimationFrame(look);
        requestAnimationFrame(() => {
            window.painted = { ms: performance.now() - start, ids: fresh.map(card => card.dataset.productId) };
            resolve();
        });
    };
    window.watching = true;
    look();
})"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; times in ms, memory in MB."""

    n: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    first_ms: float
    app_rss_mb: float
    endpoint_rss_mb: float
    gallery_size: int
    warm_rerun_ms: dict[str, float]


def photos(settings: Settings, client: EndpointClient, n: int) -> list[bytes]:
    """Products of the test split as JPEG photos of ``SIDE`` pixels a side, with the noise of a camera."""
    served = client.version()["catalogue"]
    snapshot = open_snapshot(settings.catalogues_dir, served["name"], served["version"])
    products, _ = snapshot.page(offset=0, limit=n, split="test")
    rng = np.random.default_rng(7)
    return [_photo(products[number % len(products)].image, rng) for number in range(n)]


def _photo(image: bytes, rng: np.random.Generator) -> bytes:
    large = Image.open(io.BytesIO(image)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    noisy = np.asarray(large, dtype=np.int16) + rng.integers(-3, 4, (SIDE, SIDE, 1))
    buffer = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def measure(page: Page, address: str, data: list[bytes], client: EndpointClient) -> tuple[list[float], bool]:
    """Upload every photo; returns the times in ms and whether the cards were the endpoint's own answer each time."""
    page.goto(address)
    page.locator("ol.grid > li").first.wait_for()
    times, correct = [], True
    for number, photo in enumerate(data):
        page.evaluate(f"void ({WATCH})({K})")
        file = {"name": f"photo-{number}.jpg", "mimeType": "image/jpeg", "buffer": photo}
        page.locator("input[type=file]").set_input_files(file)
        page.wait_for_function("window.painted", timeout=60_000)
        painted = page.evaluate("window.painted")
        page.evaluate("window.painted = null")
        times.append(painted["ms"])
        correct &= painted["ids"] == [found.product_id for found in client.recommend(photo, k=K).neighbours]
        page.wait_for_function("document.querySelectorAll('input[type=file]').length === 1")  # the run is over
    return times, correct


def warm_reruns(settings: Settings) -> dict[str, float]:
    """Run every page several times in this process; returns the median of the warm runs by page, in ms."""
    from streamlit.testing.v1 import AppTest

    from app.services import common

    common.settings = lambda: settings  # type: ignore[assignment] - this very home and endpoint
    found = {}
    for entry in PAGES:
        test = AppTest.from_file(str(Path(__file__).resolve().parents[2] / "app" / "main.py"), default_timeout=60)
        if entry is not PAGES[0]:
            test.switch_page(f"../pages/{entry.name}.py")
        times = []
        for _ in range(RERUNS + 1):
            start = time.perf_counter()
            test.run()
            times.append((time.perf_counter() - start) * 1e3)
        assert not test.exception, entry.name
        found[entry.name] = round(statistics.median(times[1:]), 1)
    return found


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def ratio_ci(times: list[float], *, draws: int = 2000) -> tuple[float, tuple[float, float]]:
    """``LIMIT_MS`` over the 95th percentile, larger is better, with its bootstrapped 95 % interval."""
    samples = np.random.default_rng(7).choice(times, (draws, len(times)))
    ratios = LIMIT_MS / np.percentile(samples, 95, axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(LIMIT_MS / np.percentile(times, 95)), (float(low), float(high))


def run(settings: Settings, n: int) -> dict[str, object]:
    """Start everything, measure, and end everything."""
    settings = replace(settings, endpoint_port=free_port(), endpoint_url="", sign_in="off")
    client = local_client(settings)
    with running(endpoint_service(settings), settings) as endpoint:
        data = photos(settings, client, n + WARM_UPS)
        with app_running(settings) as (address, app_pid), chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            times, correct = measure(page, address, data, client)
            for entry in PAGES[1:]:  # the app's memory is that of an app whose every page was opened
                page.goto(f"{address}/{entry.name}")
                page.get_by_role("heading", name=entry.title, exact=True).wait_for()
                page.get_by_test_id("stStatusWidget").wait_for(state="detached")
            app_rss = resident_mb(app_pid)
        warm = times[WARM_UPS:]
        ratio, interval = ratio_ci(warm)
        figures = Figures(
            n=len(warm),
            p50_ms=round(statistics.median(warm), 1),
            p95_ms=round(float(np.percentile(warm, 95)), 1),
            max_ms=round(max(warm), 1),
            first_ms=round(times[0], 1),
            app_rss_mb=round(app_rss, 1),
            endpoint_rss_mb=round(resident_mb(endpoint.pid), 1),
            gallery_size=client.version()["gallery_size"],
            warm_rerun_ms=warm_reruns(settings),
        )
    return {
        "bench": "find_similar",
        "ratio": round(ratio, 3),
        "ci95": [round(bound, 3) for bound in interval],
        "correct": correct,
        "figures": asdict(figures),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("-n", type=int, default=40, help="photos measured, after a few to warm up")
    options = parser.parse_args()
    result = run(load_settings(), options.n)
    print(json.dumps(result) if options.json else json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

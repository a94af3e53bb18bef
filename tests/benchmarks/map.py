"""The Explore page's map of 70,000 products: ``python -m tests.benchmarks.map --json``.

1. payload: bytes a product of the whole message that draws the map, code and styles included;
2. figure: packing the map and writing the message, against ``plotly.express.scatter`` of the same frame;
3. in headless Chromium: from opening the page to the painted map, and from letting go of a lasso around 5,000 products
   to the frame in which the grid of pictures is painted.

``ratio`` is the time of ``px.scatter`` over ours. Pictures are Fashion-MNIST's where ``TWINSET_FASHION_MNIST_DIR`` is
set, and drawn shapes otherwise; embeddings are a fixed linear map of the pixels, and the map's places are its principal
components: what is timed does not depend on where the points stand.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from streamlit.components.v2.bidi_component.serialization import serialize_mixed_data
from streamlit.proto.BidiComponent_pb2 import BidiComponent

from app.components.explore import map as explore_map
from app.components.explore import payload
from app.components.shared.scripted import ASSETS
from backend.bundles import bundle
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources import fashion_mnist
from backend.imaging import pixels
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from backend.projection.columns import points_of
from backend.projection.maps import load_map
from backend.projection.options import ProjectionOptions
from backend.retrieval.gallery.gallery import build_gallery, load_vectors
from backend.settings import load_settings
from tests.fixtures.base import settings_for
from tests.fixtures.catalogue import draw_shapes
from tests.fixtures.endpoint import write_projection_bundle
from tests.fixtures.projection import write_map
from tests.support.benchmarking import machine, ratio_of, told
from tests.support.browsing import app_running, chromium
from tests.support.stored_catalogues import store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from backend.settings import Settings

ASKED = {"bytes_a_point": 24, "aim_bytes_a_point": 12, "ratio": 10.0, "first_paint_s": 3.0, "lasso_s": 1.0}
MODEL, SPEC = "bench", PixelSpec(28, 28, 1, "any")
LASSOED = 5_000
PAINTED = """() => new Promise(resolve => {
    const look = () => document.querySelector('.twinset-map[data-drawn]')
        ? requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now()))) : requestAnimationFrame(look);
    look();
})"""
# A circle on the screen that holds as many points as are asked for, around the middle one of them all.
CIRCLE = """wanted => {
    const plot = document.querySelector('.twinset-map .plot'), { xaxis, yaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect(), points = [];
    for (const trace of plot.data) if (!trace.overlay) for (let at = 0; at < trace.x.length; at += 1)
        points.push([box.left + xaxis._offset + xaxis.d2p(trace.x[at]), box.top + yaxis._offset + yaxis.d2p(trace.y[at])]);
    const middle = [0, 1].map(axis => points.map(point => point[axis]).sort((a, b) => a - b)[points.length >> 1]);
    const far = points.map(([x, y]) => Math.hypot(x - middle[0], y - middle[1])).sort((a, b) => a - b);
    return [...middle, far[wanted]];
}"""
# From letting go of the mouse to the frame after all pictures of the grid are decoded.
WATCH = """() => {
    window.painted = null;
    document.addEventListener('mouseup', () => {
        const start = performance.now();
        const cards = () => [...document.querySelectorAll('*')].filter(node => node.shadowRoot)
            .flatMap(host => [...host.shadowRoot.querySelectorAll('ol.grid > li img')]);
        const look = () => {
            const found = cards();
            const done = found.length >= 24 && found.every(image => image.complete && image.naturalWidth);
            if (!done) return requestAnimationFrame(look);
            const root = document.querySelector('.twinset-map');
            requestAnimationFrame(() => { window.painted = [performance.now() - start, Number(root.dataset.selected)]; });
        };
        look();
    }, { capture: true, once: true });
}"""


def write_home(settings: Settings, count: int) -> None:
    """Write a catalogue, a model of it with an index, and a map."""
    pictures, labels = _pictures(count)
    rows = [
        {
            "product_id": f"p{number:06d}",
            "label": fashion_mnist.LABELS[label],
            "split": "train" if number % 7 else "validation",
            "image": pixels.encode_png(picture),
            "width": 28,
            "height": 28,
        }
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True))
    ]
    store(settings.catalogues_dir, rows[: count // 2], rows[count // 2 :], rows_per_group=2048, name="bench")
    snapshot = open_snapshot(settings.catalogues_dir, "bench")
    folder = settings.models_dir / MODEL
    embedder = write_projection_bundle(folder, SPEC, size=32)
    manifest = bundle.read_manifest(folder)
    bundle.write_manifest(folder, replace(manifest, catalogue=snapshot.ref, classes=fashion_mnist.LABELS))
    build_gallery(snapshot, embedder, folder, progress=NullProgress())
    write_map(settings, MODEL, ProjectionOptions())


def _pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    if load_settings().fashion_mnist_dir:
        folder = fashion_mnist.obtain(load_settings(), NullProgress())
        images = [
            fashion_mnist.read_images(folder / name) for name in (fashion_mnist.TRAIN_IMAGES, fashion_mnist.TEST_IMAGES)
        ]
        labels = [
            fashion_mnist.read_labels(folder / name) for name in (fashion_mnist.TRAIN_LABELS, fashion_mnist.TEST_LABELS)
        ]
        return np.concatenate(images)[:count], np.concatenate(labels)[:count]
    rng = np.random.default_rng(7)
    labels = (np.arange(count) % 10).astype(np.uint8)
    return draw_shapes(labels, rng), labels


def figure(settings: Settings, rounds: int) -> tuple[dict[str, list[float]], int, int]:
    """Seconds of both ways, bytes of our message, and how many products it draws."""
    import pandas as pd
    import plotly.express as px

    folder = settings.models_dir / MODEL
    manifest, vectors = bundle.read_manifest(folder), load_vectors(folder)
    found = load_map(settings.maps_dir / MODEL, next((settings.maps_dir / MODEL).glob("*/map.json")).parent.name)
    snapshot = open_snapshot(settings.catalogues_dir, "bench")
    points = points_of(folder, manifest, vectors, found.graph.positions[:, 0], snapshot)
    positions, is_placed = found.positions[2], np.zeros(len(points.ids), dtype=np.bool_)
    names = {name: points.columns[name] for name in ("label", "split")}
    frame = pd.DataFrame({"x": positions[:, 0], "y": positions[:, 1], "product_id": points.ids, "title": points.titles})
    for name, column in names.items():
        frame[name] = np.asarray(column.names)[column.codes]
    times: dict[str, list[float]] = {"px": [], "ours": []}
    size = 0
    for _ in range(rounds):
        start = time.perf_counter()
        px.scatter(
            frame, "x", "y", color="label", symbol="split", hover_data=["product_id", "title"], render_mode="webgl"
        )
        between = time.perf_counter()
        packed = payload.payload("bench", positions, points.splits, is_placed, names["label"])
        message = BidiComponent(component_name="bench")
        above = explore_map.Above()
        serialize_mixed_data(explore_map.as_data(packed, name="bench", selected=[], camera="", above=above), message)
        text = message.SerializeToString()
        end = time.perf_counter()
        times["px"].append(between - start)
        times["ours"].append(end - between)
        size = len(text)
    code = sum(len((ASSETS / f"explore_map.{kind}").read_bytes()) for kind in ("js", "css"))
    return times, size + code, len(positions)


def browse(settings: Settings, rounds: int) -> dict[str, Any]:
    """Seconds to the first paint and from lasso to grid, in a browser."""
    paints, lassos, chosen = [], [], []
    with app_running(settings) as (address, _), chromium() as browser:
        for _ in range(rounds + 1):  # the first load is the app's own start as well
            page, seconds = _painted(browser, f"{address}/explore?model={MODEL}")
            paints.append(seconds)
            milliseconds, count = _lassoed(page)
            lassos.append(milliseconds / 1e3)
            chosen.append(count)
            page.context.close()
    return {
        "first_paint_s": round(statistics.median(paints[1:]), 2),
        "first_paint_of_all_s": round(paints[0], 2),
        "lasso_s": round(statistics.median(lassos[1:]), 3),
        "lasso_max_s": round(max(lassos[1:]), 3),
        "lassoed": chosen,
    }


def _painted(browser: Browser, address: str) -> tuple[Page, float]:
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.set_default_timeout(120_000)
    page.goto(address, wait_until="commit")
    return page, float(page.evaluate(PAINTED)) / 1e3


def _lassoed(page: Page) -> tuple[float, int]:
    page.get_by_test_id("stStatusWidget").wait_for(state="detached")
    x, y, radius = page.evaluate(CIRCLE, LASSOED)
    turns = np.linspace(0, 2 * np.pi, 33)
    page.mouse.move(x + radius, y)
    page.mouse.down()
    for turn in turns[1:]:
        page.mouse.move(x + radius * np.cos(turn), y + radius * np.sin(turn))
    page.evaluate(WATCH)
    page.mouse.up()
    page.wait_for_function("window.painted")
    found = page.evaluate("window.painted")
    page.wait_for_function("Number(document.querySelector('.twinset-map').dataset.selected) > 0")
    return found[0], int(page.evaluate("Number(document.querySelector('.twinset-map').dataset.selected)"))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all three."""
    with tempfile.TemporaryDirectory(prefix="twinset-bench-") as folder:
        settings = settings_for(Path(folder) / "home")
        write_home(settings, options.rows)
        times, size, count = figure(settings, options.rounds)
        seen = browse(settings, options.loads)
    ratio, interval = ratio_of(times["px"], times["ours"])
    figures = {
        "asked": ASKED,
        "products": count,
        "bytes_a_point": round(size / count, 2),
        "px_ms": round(statistics.median(times["px"]) * 1e3, 1),
        "ours_ms": round(statistics.median(times["ours"]) * 1e3, 2),
        **seen,
    }
    correct = count == options.rows and all(abs(many - LASSOED) <= LASSOED * 0.1 for many in seen["lassoed"])
    return {
        "bench": "map",
        "ratio": ratio,
        "ci95": interval,
        "correct": bool(correct or options.rows < 2 * LASSOED),
        "figures": figures,
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--rows", type=int, default=70_000, help="products")
    parser.add_argument("--rounds", type=int, default=15, help="figures built each way")
    parser.add_argument("--loads", type=int, default=5, help="page loads, after a first one")
    options = parser.parse_args()
    print(told(run(options), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a thousand rules cost an answer: ``python -m tests.benchmarks.rules --json``.

60,000 made products (128 dimensions around 300 centres) behind the real endpoint, in a process of its own, with a thousand
published rules of all kinds: pins, boosts by brand and by product, blocks, fall-backs; for all answers, for products, labels,
brands, nearest products and pictures. Each question is asked with the rules and without them, in an order that is drawn.
``ratio`` is the median without rules over that with them; ``added_ms`` is the difference of the medians (1 ms is allowed).

Correct means that, before anything is timed, every promise about rules held for ``--answers`` random answers over a small
shop (100,000 where left out), worked out there from the products alone; and that rules changed answers here.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backend.bundles import bundle
from backend.imaging import pixels as imaging
from backend.merchandising.rule_store import RuleStore
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery_rows import SCHEMA, write_sorted
from backend.retrieval.indexes.index_files import described, put_in_place
from backend.retrieval.recommend import Recommender
from backend.retrieval.rules.rule import Rule, Scope, conditions
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.base import an_administrator_asks, settings_for
from tests.fixtures.endpoint import http_to, load_projection, served, write_projection_bundle
from tests.support.benchmarking import machine, pin, ratio_of, told
from tests.support.load import Asker
from tests.support.made_galleries import clustered, rows_of
from tests.support.rule_checks import answered, broken, cases, small_shop

DIMENSIONS, K, PHOTOS, ROUNDS = 128, 10, 200, 5
BRANDS, LABELS = [f"brand-{number}" for number in range(40)], [f"label-{number}" for number in range(25)]


def made_bundle(folder: Path, count: int) -> Path:
    """Write a bundle whose network is a fixed projection, with made vectors in its index."""
    write_projection_bundle(folder, size=DIMENSIONS)
    rng = np.random.default_rng(3)
    ids = [f"p{number:06d}" for number in range(count)]
    columns = {
        "label": rng.choice(LABELS, count).tolist(),
        "brand": rng.choice(BRANDS, count).tolist(),
        "price": rng.uniform(5, 200, count).round(2).tolist(),
        "stock": rng.integers(0, 20, count).tolist(),
        "thumbnail": [imaging.encode_png(np.zeros((16, 16, 1), np.uint8))] * count,
    }
    with bundle.workplace(folder, "index") as place:
        spill = place / "spill.arrow"
        with pa.OSFile(str(spill), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            writer.write_table(rows_of(ids, columns))
        write_sorted(spill, [(0, row) for row in range(count)], place / bundle.GALLERY)
        np.save(place / bundle.VECTORS, clustered(count, DIMENSIONS, seed=1))
        info = described(place, "exact", ("train",), bundle.read_manifest(folder).catalogue)
        put_in_place(folder, place, info, progress=NullProgress())
    return folder


def thousand_rules(count: int, pictures: list[str]) -> list[Rule]:
    """Make rules of every kind; every question is touched by some."""
    rng = np.random.default_rng(4)

    def product() -> str:
        return f"p{rng.integers(count):06d}"

    rules = [Rule(f"pin-{n}", "pin", Scope("product", (product(),)), products=(product(),), slot=2) for n in range(250)]
    rules += [Rule(f"all-{n}", "boost", where=conditions({"brand": [BRANDS[n]]}), strength=0.5) for n in range(40)]
    rules += [Rule(f"one-{n}", "bury", products=(product(),), strength=1.0) for n in range(160)]
    rules += [Rule(f"out-{n}", "block", products=(product(),)) for n in range(149)]
    rules += [Rule("sold-out", "block", where=conditions({"sold_out": True}))]
    for number in range(200):
        scope = Scope("label", (LABELS[number % 25],))
        where = conditions({"price_max": 20 + number})
        rules.append(Rule(f"label-{number}", "boost", scope, where=where, strength=0.3))
    rules += [
        Rule(f"soft-{n}", "soft pin", Scope("nearest", (product(),)), products=(product(),), slot=3) for n in range(100)
    ]
    rules += [
        Rule(f"near-{n}", "pin", Scope("picture", (one,), 0.05), products=(product(),), slot=1)
        for n, one in enumerate(pictures)
    ]
    rules += [
        Rule(f"end-{n}", "fall-back", Scope("brand", (BRANDS[n % 40],)), products=(product(),)) for n in range(50)
    ]
    return rules


def held(folder: Path, answers: int) -> bool:
    """Tell whether every promise holds for so many random answers."""
    shop = small_shop(folder)
    found = cases(shop, 5, sets=-(-answers // 50), questions=50)
    return not any(broken(shop, rules, question, answered(shop, question, ready)) for rules, ready, question in found)


def serve(home: str, folder: str, address: Any, ended: Any) -> None:
    """Serve a bundle until told to end; a process of its own."""
    recommender = Recommender.load(Path(folder), embedder_loader=load_projection)
    recommender.warm_up()
    settings = replace(settings_for(Path(home)), endpoint_rate=0.0)
    with http_to(build_app(settings, load=lambda: served(recommender))) as client:
        address.put(str(client.base_url))
        ended.wait()


def measure(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Check, publish, ask in turns, and return the result."""
    correct = held(home / "small", options.answers)
    folder = made_bundle(home / "bundle", options.rows)
    rng = np.random.default_rng(6)
    photos = [imaging.encode_png(one) for one in rng.integers(0, 255, (PHOTOS, 16, 16, 1)).astype(np.uint8)]
    settings = settings_for(home / "home")
    store = RuleStore(settings.rules_dir, "shop")
    rules = thousand_rules(options.rows, [store.pictures.keep(photo) for photo in photos[:50]])
    store.publish(rules, base=0, by="bench")
    context = multiprocessing.get_context("spawn")
    address, ended = context.Queue(), context.Event()
    server = context.Process(target=serve, args=(str(home / "home"), str(folder), address, ended))
    server.start()
    try:
        asker = Asker(address.get(timeout=300), ensure_app_token(settings))
        times, changed = ask(asker, photos, rng)
        asker.close()
    finally:
        ended.set()
        server.join(60)
    ratio, ci95 = ratio_of(times["off"], times["on"])
    medians = {name: float(np.median(seconds)) * 1e3 for name, seconds in times.items()}
    figures = {f"p50_{name}_ms": round(value, 3) for name, value in medians.items()}
    figures |= {"added_ms": round(medians["on"] - medians["off"], 3), "rules": len(rules), "products": options.rows}
    figures |= {"answers_checked": options.answers, "changed_by_rules": round(changed, 3)}
    return {
        "bench": "rules",
        "ratio": ratio,
        "ci95": ci95,
        "correct": correct and changed > 0.5,
        "figures": figures,
        "machine": machine(),
    }


def ask(asker: Asker, photos: list[bytes], rng: np.random.Generator) -> tuple[dict[str, list[float]], float]:
    """Ask every photo with rules and without, in turns; returns seconds, and the share of answers that rules changed."""
    times: dict[str, list[float]] = {"on": [], "off": []}
    changed = []
    for number in range(ROUNDS + 1):
        for photo in photos:
            ids = {}
            for arm in rng.permutation(["on", "off"]).tolist():
                seconds, status, data = asker.post(f"/v1/recommend?k={K}&include_images=false&rules={arm}", photo)
                if status != 200:
                    raise SystemExit(f"the endpoint answered {status}: {data[:300]!r}")
                ids[arm] = [one["product_id"] for one in json.loads(data)["neighbours"]]
                if number:
                    times[arm].append(seconds)
            changed.append(ids["on"] != ids["off"])
        time.sleep(0.2)
    return times, float(np.mean(changed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=60_000, help="products, default 60,000")
    parser.add_argument("--answers", type=int, default=100_000, help="answers checked first, default 100,000")
    options = parser.parse_args()
    pin(2)
    an_administrator_asks()
    with tempfile.TemporaryDirectory(prefix="twinset-rules-") as home:
        result = measure(Path(home), options)
    print(told(result, as_json=options.json))
    sys.exit(0 if result["correct"] else 1)


if __name__ == "__main__":
    main()

"""An index of 60,000 brought up to date after 600 changes: ``TWINSET_HOME=… python -m tests.benchmarks.refresh --json``.

A home is needed that holds a trained and indexed model; ``make demo`` makes one of Fashion-MNIST. Its gallery is copied
into a catalogue of this run's own, of which 600 products then change as a load changes them: a third have another
picture, a third another price, a sixth are new and a sixth are gone. Rounds take turns: a refresh of the index that was
made before, and a build at the newer version, each from the opening of the catalogue to the bundle in place, the
network being loaded. The refreshed bundle must hold what the built one holds, to the last bit.

``ratio`` is the build's time over the refresh's. With ``--changed`` the refresh is also measured for a tenth of the
changes, for what it costs to change anything at all.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from backend.bundles import bundle
from backend.flow.named import load_network, model_folder, trained_on
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery, load_vectors
from backend.retrieval.refresh import refresh_gallery
from backend.settings import load_settings
from tests.support.benchmarking import machine, pin, ratio_of, told
from tests.support.changed_catalogues import ChangingShop

if TYPE_CHECKING:
    from backend.retrieval.embedder import Embedder
    from backend.retrieval.indexes.kinds import Kind

ASKED = {"ratio": 20.0}
COLUMNS = ["product_id", "label", "split", "title", "category", "brand", "colour", "price", "stock", "image"]


def change(shop: ChangingShop, count: int, *, seed: int) -> None:
    """Change so many products, in two commits or three."""
    rng = np.random.default_rng(seed)
    ids = sorted(shop.rows)
    chosen = [ids[at] for at in rng.choice(len(ids), count, replace=False)]
    third = count // 3
    pictures = [shop.rows[name]["image"] for name in chosen]
    redrawn = [{**shop.rows[name], "image": pictures[-at - 1]} for at, name in enumerate(chosen[:third])]
    priced = [{**shop.rows[name], "price": 9.5 + at} for at, name in enumerate(chosen[third : 2 * third])]
    new = [
        {**shop.rows[name], "product_id": f"new-{seed}-{name}"} for name in chosen[2 * third : 2 * third + count // 6]
    ]
    shop.drop(chosen[2 * third + count // 6 :])
    shop.put(*redrawn, *priced, *new)


def _timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def same(one: Path, other: Path) -> bool:
    """Tell whether two bundles hold the same gallery and the same embeddings."""
    galleries = [pq.read_table(folder / bundle.GALLERY) for folder in (one, other)]
    return bool(np.array_equal(load_vectors(one), load_vectors(other)) and galleries[0].equals(galleries[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", default="", help="name of the model; default: the newest")
    parser.add_argument("--kind", choices=("exact", "approximate"), default="exact")
    parser.add_argument("--rows", type=int, default=60_000, help="products, default 60,000")
    parser.add_argument("--changed", type=int, default=600, help="products that change, default 600")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pin(2)
    settings = load_settings()
    source = model_folder(settings, options.model)
    manifest = bundle.verify(source)
    network = load_network(source, manifest, settings)
    rows = trained_on(manifest, settings).columns(COLUMNS, on_sale_only=True).slice(0, options.rows).to_pylist()
    with tempfile.TemporaryDirectory(prefix="twinset-refresh-") as home:
        shop = ChangingShop(Path(home) / "catalogues", ({**row, "split": "train"} for row in rows))
        result = measure(shop, source, network, Path(home) / "models", options)
    print(told(result, as_json=options.json))
    sys.exit(0 if result["correct"] else 1)


def measure(
    shop: ChangingShop, source: Path, network: Embedder, models: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Run the rounds and return the result."""
    kind: Kind = options.kind
    kept, built = models / "kept", models / "built"
    for folder in (kept, built):
        folder.mkdir(parents=True)
        shutil.copy(source / bundle.WEIGHTS, folder / bundle.WEIGHTS)
        manifest = replace(bundle.read_manifest(source), name=folder.name, index=None, catalogue=shop.snapshot.ref)
        bundle.write_manifest(folder, manifest)
    build_gallery(shop.snapshot, network, kept, kind=kind, progress=NullProgress())
    times: dict[str, list[float]] = {"refresh": [], "few": [], "build": []}
    correct = True
    for number in range(options.rounds):
        for name, count in (("few", max(6, options.changed // 10)), ("refresh", options.changed)):
            change(shop, count, seed=2 * number + (name == "few"))
            times[name].append(
                _timed(lambda: refresh_gallery(shop.snapshot, lambda: network, kept, progress=NullProgress()))
            )
        times["build"].append(
            _timed(lambda: build_gallery(shop.snapshot, network, built, kind=kind, progress=NullProgress()))
        )
        correct = correct and same(kept, built)
    ratio, ci95 = ratio_of(times["build"], times["refresh"])
    medians = {f"{name}_s": round(float(np.median(seconds)), 3) for name, seconds in times.items()}
    figures = {**medians, "items": len(shop.rows), "changed": options.changed, "kind": kind, "asked": ASKED}
    return {
        "bench": "refresh",
        "ratio": ratio,
        "ci95": ci95,
        "correct": correct,
        "figures": figures,
        "machine": machine(),
    }


if __name__ == "__main__":
    main()

"""A map of 60,000 products against default umap-learn: ``python -m tests.benchmarks.projection --json``.

Three arms are given the same 60,000 x 128 unit vectors, take turns, and run in processes of their own on two cores: default
umap-learn; the engine umap-learn of the map, which is given our neighbour graph; and our own engine. Importing counts in each,
and so does compiling what is not kept from process to process. What numba keeps is made by a first run of each arm on few
products, with nothing kept before but by the library itself; its time is told beside (``first_use_seconds``). ``ratio`` is default umap-learn's time
over ours, ``reused_ratio`` that over the engine umap-learn's. It is correct only where trustworthiness@15 of both engines is
at least 0.99 of default umap-learn's and the bytes of each are the same in every round. Placing one photo is timed on the last
map: the search for its neighbours among all products, and the placing.

The vectors come from Fashion-MNIST where ``TWINSET_FASHION_MNIST_DIR`` is set: class scores of a ridge regression on
random features beside principal components, which spread like those of a trained network; otherwise they are made up.
``--vectors FILE`` takes a model's own ``vectors.npy``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from backend.progress import NullProgress
from backend.projection.place import place
from backend.projection.worth import map_neighbours, trustworthiness
from backend.retrieval.indexes.exact import ExactIndex
from backend.settings import load_settings
from tests.support.benchmarking import machine, pin, ratio_of, told

WIDTH, NEIGHBOURS = 128, 15
ASKED = {"ratio": 2.0, "aim": 4.0, "trust_share": 0.99, "place_p50_ms": 20.0}
PHOTOS, SAMPLED, FEATURES, FEW = 200, 2_000, 1_024, 5_000
CURVE = (1.5769, 0.8951)
ENGINES = ("umap-learn", "ours")
ARMS = ("default", *ENGINES)


def vectors_of(count: int) -> np.ndarray:
    """Unit vectors that spread like those of a trained network, float32 (count, 128)."""
    if load_settings().fashion_mnist_dir:
        return _unit(_from_pictures(count))
    rng = np.random.default_rng(7)
    kinds = rng.standard_normal((10, WIDTH))
    strains = kinds[:, None] + 0.45 * rng.standard_normal((10, 12, WIDTH))
    chosen = strains[rng.integers(0, 10, count), rng.integers(0, 12, count)]
    sheets = rng.standard_normal((6, WIDTH))
    return _unit(
        chosen + 0.5 * np.sin(rng.standard_normal((count, 6))) @ sheets + 0.12 * rng.standard_normal((count, WIDTH))
    )


def _from_pictures(count: int) -> np.ndarray:
    from backend.catalogue.sources import fashion_mnist

    folder = fashion_mnist.obtain(load_settings(), NullProgress())
    pictures = fashion_mnist.read_images(folder / fashion_mnist.TRAIN_IMAGES)[:count].reshape(-1, 784)
    labels = fashion_mnist.read_labels(folder / fashion_mnist.TRAIN_LABELS)[:count]
    pixels = pictures.astype(np.float32) / 255
    pixels -= pixels.mean(axis=0)
    features = np.maximum(pixels @ np.random.default_rng(7).standard_normal((784, FEATURES)).astype(np.float32) / 28, 0)
    features -= features.mean(axis=0)
    told_apart = np.eye(10, dtype=np.float32)[labels] - 0.1
    ridge = features.T @ features + 60 * np.eye(FEATURES, dtype=np.float32)
    scores = features @ np.linalg.solve(ridge, features.T @ told_apart)
    _, directions = np.linalg.eigh(pixels.T @ pixels)
    parts = pixels @ directions[:, -(WIDTH - 10) :]
    return np.hstack(
        [found / np.sqrt((found**2).sum(axis=1).mean()) * weight for found, weight in ((scores, 1.0), (parts, 0.8))]
    )


def _unit(found: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


# ------------------------------------------------------------------------------------------------- one arm, one process


def draw(arm: str, data: Path, out: Path) -> dict[str, Any]:
    """Draw the map in this process; returns the seconds from the first import to the positions."""
    vectors = np.load(data)
    start = time.perf_counter()
    positions = _default(vectors) if arm == "default" else _by_an_engine(vectors, "twinset" if arm == "ours" else arm)
    seconds = time.perf_counter() - start
    np.save(out, positions)
    return {"seconds": seconds, "cpu_seconds": sum(os.times()[:4])}  # its children's, too


def _default(vectors: np.ndarray) -> np.ndarray:
    import umap

    return np.asarray(umap.UMAP().fit_transform(vectors))


def _by_an_engine(vectors: np.ndarray, engine: str) -> np.ndarray:
    from backend.projection.options import ProjectionOptions
    from backend.projection.reduce import reduce
    from backend.retrieval.indexes.neighbour_graph import build_graph

    graph = build_graph(vectors, NEIGHBOURS, progress=NullProgress())
    labels, options = np.full(len(vectors), ""), ProjectionOptions(engine=engine)
    return reduce(vectors, labels, graph, options, dimensions=(2,), progress=NullProgress()).positions[2]


def _in_a_process(arm: str, data: Path, place_: Path, number: int) -> tuple[dict[str, Any], np.ndarray]:
    out = place_ / f"{arm}-{number}.npy"
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(place_ / f"cache-{arm}"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.projection", "--arm", arm]
    done = subprocess.run(
        [*command, "--vectors", str(data), "--out", str(out)], env=environ, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1]), np.load(out)


# ------------------------------------------------------------------------------------------------- placing one photo


def placing(vectors: np.ndarray, positions: np.ndarray) -> dict[str, float]:
    """Median and 95th percentile of placing one photo, in ms: all of it, and without the search."""
    rng = np.random.default_rng(3)
    near = vectors[rng.choice(len(vectors), PHOTOS)] + 0.03 * rng.standard_normal((PHOTOS, vectors.shape[1]))
    photos, index = _unit(near), ExactIndex(vectors)
    whole, alone = [], []
    for photo in photos:
        start = time.perf_counter()
        found = index.search(photo[None], k=NEIGHBOURS)
        searched = time.perf_counter()
        place(found.positions[0], found.distances[0], positions, curve=CURVE, neighbours=NEIGHBOURS)
        end = time.perf_counter()
        whole.append((end - start) * 1e3)
        alone.append((end - searched) * 1e3)
    return {
        "place_p50_ms": round(statistics.median(whole), 2),
        "place_p95_ms": round(float(np.percentile(whole, 95)), 2),
        "place_without_search_p50_ms": round(statistics.median(alone), 2),
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Draw in turns, compare, and place photos."""
    pin()
    vectors = np.load(options.vectors) if options.vectors else vectors_of(options.rows)
    rows = np.sort(np.random.default_rng(7).choice(len(vectors), min(SAMPLED, len(vectors)), replace=False))
    times: dict[str, list[float]] = {arm: [] for arm in ARMS}
    cpu: dict[str, list[float]] = {arm: [] for arm in ARMS}
    trust: dict[str, list[float]] = {arm: [] for arm in ARMS}
    drawn: dict[str, set[bytes]] = {arm: set() for arm in ARMS}
    positions = np.empty((0, 2))
    with tempfile.TemporaryDirectory(prefix="twinset-bench-") as folder:
        data = Path(folder) / "vectors.npy"
        few = Path(folder) / "few.npy"
        np.save(data, vectors)
        np.save(few, vectors[:FEW])
        first_use = {arm: round(_in_a_process(arm, few, Path(folder), -1)[0]["seconds"], 2) for arm in ARMS}
        for number in range(options.rounds):
            for arm in ARMS:
                found, positions = _in_a_process(arm, data, Path(folder), number)
                times[arm].append(found["seconds"])
                cpu[arm].append(found["cpu_seconds"])
                trust[arm].append(trustworthiness(vectors, map_neighbours(positions, rows, NEIGHBOURS), rows))
                drawn[arm].add(positions.tobytes())
    share = {arm: round(min(trust[arm]) / max(trust["default"]), 4) for arm in ENGINES}
    ratio, interval = ratio_of(times["default"], times["ours"])
    reused, reused_interval = ratio_of(times["default"], times["umap-learn"])
    same = {arm: len(drawn[arm]) == 1 for arm in ENGINES}
    return {
        "bench": "projection",
        "ratio": ratio,
        "ci95": interval,
        "correct": min(share.values()) >= ASKED["trust_share"] and all(same.values()),
        "figures": {
            "asked": ASKED,
            "products": len(vectors),
            "seconds": {arm: [round(value, 2) for value in times[arm]] for arm in ARMS},
            "first_use_seconds": first_use,
            "cpu_seconds": {arm: [round(value, 2) for value in cpu[arm]] for arm in ARMS},
            "trustworthiness": {arm: [round(value, 4) for value in trust[arm]] for arm in ARMS},
            "trust_share": share,
            "same_bytes": same,
            "reused_ratio": [reused, *reused_interval],
            **placing(vectors, positions),
        },
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--rows", type=int, default=60_000, help="products")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vectors", type=Path, default=None, help="unit vectors of a model, float32 (N, D)")
    parser.add_argument("--arm", choices=ARMS, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        print(json.dumps(draw(options.arm, options.vectors, options.out)))
    else:
        print(told(run(options), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

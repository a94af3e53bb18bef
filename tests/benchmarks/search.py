"""Searching 60,000 trained embeddings: ``TWINSET_HOME=… python -m tests.benchmarks.search --json`` (``--model NAME``).

The embeddings are those of a model's index without the test products and the queries those of the test products, so a home is needed that holds a
trained and indexed model of a catalogue with a test split; ``make demo`` makes one of Fashion-MNIST.

One thread, arms taking turns of a hundred queries, each query asked alone: faiss's flat index, our exact kind, our
approximate kind; then 500 queries at once; then TensorFlow Similarity's lookup of the original, from the picture on, as
it has no other. Before times count, the exact kind must name the items that faiss's flat index names, whatever it is
asked with, and the approximate kind must find 99.5 % of them.

``ratio`` is faiss's flat index over the approximate kind. Turns of one query each are reported beside it: then every
arm finds the processor's caches full of another's numbers.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from backend.bundles import bundle
from backend.catalogue.items import SCORED_SPLITS
from backend.flow.named import load_network, model_folder, trained_on
from backend.imaging import pixels
from backend.progress import NullProgress
from backend.retrieval.fidelity import share_found
from backend.retrieval.gallery.embedding import BATCH, embed_batches
from backend.retrieval.gallery.gallery import Gallery, load_vectors
from backend.retrieval.gallery.gallery_rows import QUERY_SCHEMA
from backend.retrieval.indexes.approximate import ApproximateIndex
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.kinds import open_index
from backend.settings import load_settings
from tests.support.benchmarking import machine, pin, ratio_of, told

if TYPE_CHECKING:
    from pathlib import Path

    from backend.bundles.bundle import Manifest
    from backend.catalogue.snapshot import Snapshot

K, AT_ONCE, TURN = 10, 500, 100
ASKED = {
    "first_answer_ms": 300,
    "approximate": 12.0,
    "fidelity": 0.995,
    "exact_one": 1.0,
    "exact_500": 1.0,
    "original": 1_000.0,
}


@dataclass
class Bench:
    """One run: the embeddings, the queries, and what was measured."""

    vectors: np.ndarray
    queries: np.ndarray
    one: dict[str, list[float]] = field(default_factory=dict)
    alternating: dict[str, list[float]] = field(default_factory=dict)
    many: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        flat = faiss.IndexFlatIP(self.vectors.shape[1])
        flat.add(np.ascontiguousarray(self.vectors))
        exact = ExactIndex(self.vectors)
        started = time.perf_counter()
        approximate = ApproximateIndex(self.vectors)
        self.build_s = time.perf_counter() - started
        self.cells = approximate.cells
        self.arms: dict[str, Any] = {
            "flat": lambda q: flat.search(q, K)[1],
            "exact": lambda q: exact.search(q, k=K).positions,
            "approximate": lambda q: approximate.search(q, k=K).positions,
        }

    def check(self) -> dict[str, float]:
        """Compare answers before any time counts."""
        truth = self.arms["flat"](self.queries)
        alone = {name: np.concatenate([arm(q[None]) for q in self.queries]) for name, arm in self.arms.items()}
        return {
            "exact_alone": share_found(alone["exact"], truth),
            "exact_at_once": share_found(self.arms["exact"](self.queries), truth),
            "approximate": share_found(alone["approximate"], truth),
        }

    def run(self, rounds: int) -> None:
        """Measure everything, arms in turn."""
        for number in range(rounds):
            part = self.queries[np.arange(number * TURN, (number + 1) * TURN) % len(self.queries)]
            for name, arm in self.arms.items():
                self.one.setdefault(name, []).extend(_timed(arm, query[None]) for query in part)
        for query in self.queries[:TURN]:
            for name, arm in self.arms.items():
                self.alternating.setdefault(name, []).append(_timed(arm, query[None]))
        for _ in range(max(3, rounds // 3)):
            for name in ("flat", "exact"):
                self.many.setdefault(name, []).append(_timed(self.arms[name], self.queries[:AT_ONCE]))


def _timed(search: Any, queries: np.ndarray) -> float:
    start = time.perf_counter()
    search(queries)
    return time.perf_counter() - start


def original(bench: Bench, manifest: Manifest, folder: Path, snapshot: Snapshot, lookups: int) -> dict[str, Any]:
    """Time the original's lookup over the same embeddings: the whole of it, and what its index takes of that."""
    from backend.training.config import TrainConfig
    from backend.training.network import weights
    from backend.training.network.network import build_network
    from tests.support.similarity_index import SimilarityIndex

    model = build_network(TrainConfig.from_dict(manifest.config))
    model.set_weights(weights.unpack(folder / bundle.WEIGHTS))
    index = SimilarityIndex(bench.vectors)
    model._index = index.indexer
    products, _ = snapshot.page(offset=0, limit=lookups, split="test")
    pictures = [pixels.decode(product.image, manifest.pixels).to_float()[None] for product in products]
    model.lookup(pictures[0], k=K, verbose=0)
    whole = [_timed(lambda picture: model.lookup(picture, k=K, verbose=0), picture) for picture in pictures]
    alone = [
        _timed(lambda query: index.indexer.single_lookup(query, k=K), query[None]) for query in bench.queries[:TURN]
    ]
    return {
        "lookup_ms": round(float(np.median(whole)) * 1e3, 2),
        "index_alone_ms": round(float(np.median(alone)) * 1e3, 3),
        "lookup_over_approximate": ratio_of(whole, bench.one["approximate"]),
    }


def first_answer(folder: Path, query: np.ndarray) -> dict[str, float]:
    """Time, in ms, what a process does between its imports and its first answer; the network aside."""
    marks = [time.perf_counter()]
    manifest = bundle.verify(folder)
    marks.append(time.perf_counter())
    gallery, index = Gallery.load(folder), open_index(folder, manifest)
    marks.append(time.perf_counter())
    for position in index.search(query[None], k=K).positions[0].tolist():
        assert gallery.item(position).product_id
        assert gallery.thumbnail(position)
    marks.append(time.perf_counter())
    parts = dict(zip(("verified", "opened", "answered"), np.diff(marks) * 1e3, strict=True))
    return {name: round(float(value), 1) for name, value in {**parts, "total": sum(parts.values())}.items()}


def _median_us(seconds: list[float]) -> float:
    return round(float(np.median(seconds)) * 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", default="", help="name of the model; default: the newest")
    parser.add_argument("--rounds", type=int, default=30, help="turns of a hundred queries, default 30")
    parser.add_argument("--lookups", type=int, default=20, help="lookups of the original's index, default 20")
    options = parser.parse_args()
    pin(1)
    settings = load_settings()
    folder = model_folder(settings, options.model)
    manifest = bundle.verify(folder)
    network = load_network(folder, manifest, settings)
    snapshot = trained_on(manifest, settings)
    asked = snapshot.batches(splits=("test",), columns=[*QUERY_SCHEMA.names, "image"], batch_size=BATCH)
    embedded = embed_batches(asked, network, QUERY_SCHEMA, total=0, progress=NullProgress(), keep=lambda _: None)
    queries = np.concatenate(embedded.vectors)[:2_000]
    first_answer(folder, queries[0])  # the first of a process is slower by what libraries set up
    opening = first_answer(folder, queries[0])
    with threadpool_limits(1):
        # Without the test products, which ask: they would find themselves.
        is_scored = np.isin(Gallery.load(folder).splits, SCORED_SPLITS)
        bench = Bench(load_vectors(folder)[is_scored], queries)
        shares = bench.check()
        bench.run(options.rounds)
    bench_of_original = original(bench, manifest, folder, snapshot, options.lookups)
    ratio, ci95 = ratio_of(bench.one["flat"], bench.one["approximate"])
    figures = {
        "items": len(bench.vectors),
        "one_us": {name: _median_us(times) for name, times in bench.one.items()},
        "one_p95_us": {name: round(float(np.percentile(t, 95)) * 1e6, 1) for name, t in bench.one.items()},
        "alternating_us": {name: _median_us(times) for name, times in bench.alternating.items()},
        "at_once_ms": {name: round(_median_us(times) / 1e3, 2) for name, times in bench.many.items()},
        "exact_one": ratio_of(bench.one["flat"], bench.one["exact"]),
        "exact_500": ratio_of(bench.many["flat"], bench.many["exact"]),
        "original": bench_of_original,
        "first_answer_ms": opening,
        "fidelity": {name: round(share, 5) for name, share in shares.items()},
        "cells": len(bench.cells.centres),
        "cells_looked_at": bench.cells.probes,
        "build_s": round(bench.build_s, 2),
        "asked": ASKED,
    }
    correct = (
        min(shares["exact_alone"], shares["exact_at_once"]) >= 0.9999 and shares["approximate"] >= ASKED["fidelity"]
    )
    result = {
        "bench": "search",
        "ratio": ratio,
        "ci95": ci95,
        "correct": bool(correct),
        "figures": figures,
        "machine": machine(),
    }
    print(told(result, as_json=options.json))
    sys.exit(0 if correct else 1)


if __name__ == "__main__":
    main()

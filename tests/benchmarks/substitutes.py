"""Substitutes of 6,000 sold-out products among 60,000, and the readiness of them all: ``python -m tests.benchmarks.substitutes --json``.

Vectors, prices and stock are made up, as for the similar-products table. Each time is that of the comparison alone: stock
and prices are in memory, and vectors in the page cache.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np

from backend.merchandising.known_products import COLUMNS
from backend.merchandising.similar.source import Source
from backend.merchandising.substitutes.finding import rows_of as found_rows
from backend.merchandising.substitutes.finding import sold_out
from backend.merchandising.substitutes.readiness import readiness
from backend.merchandising.substitutes.shelf import Shelf
from backend.merchandising.substitutes.twins import Limits
from backend.progress import NullProgress
from backend.retrieval.indexes.exact import ExactIndex
from tests.support.benchmarking import machine, pin, told
from tests.support.made_galleries import clustered, gallery_of, manifest_of, rows_of

ASKED = {"substitutes_s": 60.0, "readiness_s": 300.0}
DIMENSIONS = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=60_000, help="products, default 60,000")
    options = parser.parse_args()
    pin(2)
    result = measure(options.rows)
    print(told(result, as_json=options.json))
    sys.exit(0 if result["correct"] else 1)


def measure(rows: int) -> dict[str, Any]:
    """Measure both once."""
    rng = np.random.default_rng(3)
    ids = [f"p{number:06d}" for number in range(rows)]
    columns = {
        "stock": [0 if number % 10 == 3 else 5 for number in range(rows)],
        "price": rng.uniform(5, 60, rows).round(2).tolist(),
        "category": [f"c{number}" for number in rng.integers(0, 40, rows)],
    }
    index = ExactIndex(clustered(rows, DIMENSIONS, seed=1))
    source = Source(manifest_of("made", DIMENSIONS), index, gallery_of(ids, columns))
    shelf = Shelf(3, rows_of(ids, columns).select(COLUMNS))
    earlier = Shelf(2, rows_of(ids, {**columns, "stock": [5] * rows}).select(COLUMNS))
    started = time.perf_counter()
    selected = sold_out(source, shelf)
    found, reasons = found_rows(selected, source, shelf, Limits(), 5, NullProgress())
    between = time.perf_counter()
    ready = readiness(source, shelf, NullProgress(), before=earlier)
    ended = time.perf_counter()
    times = {"substitutes_s": round(between - started, 2), "readiness_s": round(ended - between, 2)}
    is_whole = len(found) + sum(reasons.values()) == len(selected.ids) == ready.sold_out.products
    is_met = {name: times[name] <= most for name, most in ASKED.items()}
    correct = is_whole and len(found) == ready.sold_out.with_twin and all(is_met.values())
    return {
        "machine": machine(),
        "products": rows,
        "selected": len(selected.ids),
        "with_twin": len(found),
        "lost": len(ready.lost),
        **times,
        "correct": correct,
    }


if __name__ == "__main__":
    main()

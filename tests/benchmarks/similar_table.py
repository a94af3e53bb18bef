"""The table of similar products of 60,000 products, and one percent of them changed: ``python -m tests.benchmarks.similar_table --json``.

Vectors are made up (128 dimensions around 300 centres) and put into the files of a bundle by the functions that builds use;
no network is trained and no picture drawn. Everything is made on ``local[2]`` as the command does it, with the start and the
end of Spark, which a refresh does not need; once it is made in a session that is open. Then one percent of the products get another picture, and the table is
refreshed; that is done in rounds. Before a time counts, the refreshed table must hold what making everything again gives,
row for row, and the feed of the refresh as many rows as differ.

``ratio`` is the time of the whole, as the command makes it, over that of the refresh. With ``--rules`` so many rules are in force: half pin a product
in one answer, the rest boost or bury products in one answer each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.catalogue.delta import delta_log
from backend.merchandising.similar.making import Wanted, make, table_of
from backend.merchandising.similar.ruled import RulesAt
from backend.progress import NullProgress
from backend.retrieval.rules.rule import Rule, Scope
from backend.retrieval.rules.rule_set import RuleSet
from backend.spark.session import open_spark
from tests.fixtures.base import settings_for
from tests.support.benchmarking import machine, pin, ratio_of, told
from tests.support.made_galleries import clustered, write_made_bundle

if TYPE_CHECKING:
    import pyarrow as pa

    from backend.merchandising.similar.making import Made

ASKED = {"whole_s": 180.0, "ratio": 20.0}
DIMENSIONS = 128
SAID = ["product_id", "rank", "similar_id", "similarity", "rank_before", "rules"]


def rules_of(ids: list[str], count: int) -> RulesAt:
    """Make rules for one answer each."""
    rng = np.random.default_rng(5)
    rules = []
    for number, (seed, other) in enumerate(rng.choice(ids, (count, 2))):
        scope = Scope("product", (str(seed),))
        if number % 2:
            rules.append(Rule(f"r{number}", "pin", scope, products=(str(other),), slot=2))
        else:
            rules.append(Rule(f"r{number}", "boost", scope, products=(str(other),), strength=1.0))
    return RulesAt(RuleSet.of(rules, version=1))


def rows_at(table: Path) -> pa.Table:
    """Return what the table says, in order."""
    rows = delta_log.rows_of(delta_log.open_table(table)).table(SAID)
    return rows.sort_by([("product_id", "ascending"), ("rank", "ascending")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=60_000, help="products, default 60,000")
    parser.add_argument("-k", type=int, default=12, help="similar products each, default 12")
    parser.add_argument("--rules", type=int, default=0, help="rules in force, default none")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pin(2)
    with tempfile.TemporaryDirectory(prefix="twinset-similar-") as home:
        result = measure(Path(home), options)
    print(told(result, as_json=options.json))
    sys.exit(0 if result["correct"] else 1)


def measure(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the rounds and return the result."""
    ids = [f"p{number:06d}" for number in range(options.rows)]
    vectors = clustered(options.rows, DIMENSIONS, seed=1)
    folder = write_made_bundle(home / "models" / "made", ids, vectors)
    wanted = Wanted(options.k, "made", 1, "shop", rules_of(ids, options.rules))
    settings = settings_for(home)
    times: dict[str, list[float]] = {"whole": [], "refresh": []}
    correct = True

    def timed(name: str, similar: str, **more: Any) -> Made:
        started = time.perf_counter()
        done = make(home / similar, folder, wanted, opened, NullProgress(), **more)
        times.setdefault(name, []).append(time.perf_counter() - started)
        return done

    def opened() -> Any:
        return open_spark(settings, app_name="twinset similar")

    with open_spark(settings, app_name="twinset similar"):
        timed("whole_in_open_session", "table")
    for number in range(options.rounds):
        rng = np.random.default_rng(number)
        chosen = rng.choice(options.rows, options.rows // 100, replace=False)
        vectors[chosen] = clustered(len(chosen), DIMENSIONS, seed=100 + number)
        write_made_bundle(folder, ids, vectors, generation=2 + number)
        done = timed("refresh", "table")
        timed("whole", f"again-{number}")
        one, other = (rows_at(table_of(home / name, "shop")) for name in ("table", f"again-{number}"))
        correct = correct and not done.is_whole and one.equals(other)
    ratio, ci95 = ratio_of(times["whole"], times["refresh"])
    medians = {f"{name}_s": round(float(np.median(seconds)), 3) for name, seconds in times.items()}
    figures = {**medians, "products": options.rows, "k": options.k, "rules": options.rules, "changed": len(chosen)}
    figures |= {"looked_up": done.searched, "rows_changed": done.inserted + done.updated + done.deleted, "asked": ASKED}
    return {
        "bench": "similar_table",
        "ratio": ratio,
        "ci95": ci95,
        "correct": correct,
        "figures": figures,
        "machine": machine(),
    }


if __name__ == "__main__":
    main()

"""Rules that are kept: reading a version, looking for a new one, publishing, and finding conflicts, by CPU time.

A thousand rules of all kinds over 60,000 products, in a table with a hundred versions. Every version must be read as it was
published, first. ``ratio`` is 50 ms over the slower of reading a version and finding its conflicts.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from backend.merchandising.conflicts import conflicts
from backend.merchandising.known_products import KnownProducts
from backend.merchandising.rule_files.yaml_file import as_yaml, from_yaml
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.gallery.gallery_rows import SCHEMA
from backend.retrieval.rules.rule import Rule, Scope
from backend.retrieval.rules.rule_set import RuleSet
from tests.fixtures.base import an_administrator_asks
from tests.support.benchmarking import machine, pin, ratio_of, told

if TYPE_CHECKING:
    from collections.abc import Callable

PRODUCTS, VERSIONS, LIMIT_S = 60_000, 100, 0.05
ACTIONS = ("pin", "pin", "soft pin", "boost", "bury", "block")


def products() -> KnownProducts:
    rows = {field.name: pa.nulls(PRODUCTS, field.type) for field in SCHEMA if field.name != "thumbnail"}
    numbers = range(PRODUCTS)
    rows["product_id"] = pa.array([f"P{at:05}" for at in numbers])
    rows["split"] = pa.array(["train"] * PRODUCTS)
    for name, values in {"label": 40, "brand": 97, "category": 7}.items():
        rows[name] = pa.array([f"{name}{at % values}" for at in numbers])
    return KnownProducts("shop", pa.table(rows))


def rule(number: int, rng: random.Random) -> Rule:
    action = rng.choice(ACTIONS)
    seed, product = (f"P{rng.randrange(PRODUCTS):05}" for _ in range(2))
    scopes = [
        *(Scope(), Scope("product", (seed,)), Scope("nearest", (seed,))),
        *(Scope("label", (f"label{rng.randrange(40)}",)), Scope("brand", (f"brand{rng.randrange(97)}",))),
    ]
    times = {"starts": "2026-12-01T09:00", "ends": "2026-12-24T09:00", "zone": "Europe/Berlin"}
    return Rule(
        f"r{number:05}",
        action,  # type: ignore[arg-type]
        rng.choice(scopes),
        (product,),
        slot=rng.randrange(1, 21) if "pin" in action else None,
        strength=1.0 if action in {"boost", "bury"} else None,
        reason="measured",
        **(times if rng.random() < 0.5 else {}),  # type: ignore[arg-type]
    )


def times(what: Callable[[], object], rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        started = time.process_time()
        what()
        found.append(time.process_time() - started)
    return found


def run(n_rules: int, rounds: int) -> dict[str, Any]:
    rng, known, now = random.Random(7), products(), datetime.now(UTC)
    rules = [rule(number, rng) for number in range(n_rules)]
    with tempfile.TemporaryDirectory() as place:
        store = RuleStore(Path(place), "shop")
        sets = [tuple(rules[at:]) for at in range(VERSIONS)]
        publishing = [
            times(lambda mine=mine: store.publish(mine, base=store.newest(), by="bench"), 1)[0] for mine in sets
        ]
        is_correct = all(store.read(at).rules == mine for at, mine in enumerate(sets, 1))
        kept = sum(path.stat().st_size for path in store.table.glob("*.parquet")) / VERSIONS
        reading = times(lambda: store.read(1), rounds)
        looking = times(lambda: [store.newest() for _ in range(1000)], rounds)
    first = times(lambda: conflicts(rules, now=now, known=known), 1)[0]
    finding = times(lambda: conflicts(rules, now=now, known=known), rounds)
    text = as_yaml(RuleSet.of(rules)).encode()
    is_correct &= tuple(from_yaml(text)[0]) == RuleSet.of(rules).rules
    ratio, ci95 = ratio_of([LIMIT_S] * rounds, max(reading, finding, key=sorted))
    figures = {
        "read_ms": _middle(reading),
        "conflicts_ms": _middle(finding),
        "conflicts_first_ms": round(first * 1000, 1),
        "newest_us": round(_middle(looking), 2),
        "publish_ms": _middle(publishing),
        "yaml_in_ms": _middle(times(lambda: from_yaml(text), 5)),
        "kb_a_version": round(kept / 1000, 1),
        "rules": n_rules,
    }
    result = {"bench": "kept_rules", "ratio": ratio, "ci95": ci95, "correct": is_correct}
    return {**result, "figures": figures, "machine": machine()}


def _middle(seconds: list[float]) -> float:
    return round(sorted(seconds)[len(seconds) // 2] * 1000, 2)


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--rules", type=int, default=1_000, help="how many")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured")
    options = parser.parse_args()
    pin(1)
    an_administrator_asks()
    print(told(run(options.rules, options.rounds), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

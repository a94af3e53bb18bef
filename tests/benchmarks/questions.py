"""The log of questions: 10,000 answers reproduced from it, and rules simulated over the last 2,000, by time.

3,000 products, questions of nine kinds, a hundred sets of rules published in between. Every answer must come back as it was given,
similarities too; every simulated figure must be that of the answers. ``ratio`` is 60 s over the time of the simulation.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.merchandising.compiling import compiled
from backend.merchandising.questions.question import question_of
from backend.merchandising.questions.question_store import QuestionStore
from backend.merchandising.questions.simulation import Trial, simulate
from backend.merchandising.questions.verifying import verify
from backend.merchandising.rule_store import RuleStore
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.retrieval.rules.rule import Rule, Scope, conditions
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import Wishes
from tests.fixtures.base import an_administrator_asks
from tests.fixtures.endpoint import ShopSnapshot, encoded, load_projection, picture, shop_rows, write_projection_bundle
from tests.support.benchmarking import machine, pin, ratio_of, told

if TYPE_CHECKING:
    from backend.retrieval.rules.compiled import CompiledRules

SETS, SIMULATED, LIMIT_S, BATCH = 100, 2_000, 60.0, 500
KINDS = ("stripes", "checks", "blob")
USUAL: tuple[tuple[dict[str, Any], Wishes], ...] = (
    *(({}, Wishes()), ({"brand": ("Ada", "Bo")}, Wishes()), ({"price_max": 900.0}, Wishes(collapse="none"))),
    *(({}, Wishes(diversity=0.4)), ({}, Wishes(like=("b0005",))), ({}, Wishes(sort="price", match_only=True))),
    ({"in_stock": True}, Wishes()),
)
# Pictures are compared for the last kind: in this shop, where much looks alike, that takes fifty times as long.
QUESTIONS = (*USUAL, *USUAL, ({}, Wishes()), ({}, Wishes(collapse="variants")))


def rules_of(rng: np.random.Generator, ids: list[str]) -> list[Rule]:
    one, two, three = (str(name) for name in rng.choice(ids, 3, replace=False))
    brand = str(rng.choice(["Ada", "Bo", "Cy"]))
    return [
        Rule("pin", "pin", products=(one,), slot=int(rng.integers(1, 8))),
        Rule("up", "boost", where=conditions({"brand": [brand]}), strength=float(rng.uniform(0.2, 3))),
        Rule("out", "block", Scope("label", (str(rng.choice(KINDS)),)), (two,)),
        Rule("near", "soft pin", Scope("nearest", (three,)), (one,), slot=3),
        Rule("rest", "fall-back", products=(three,)),
    ]


def shop(folder: Path, products: int) -> Recommender:
    rows = [{**row, "product_id": f"{row['label'][0]}{at:04}"} for at, row in enumerate(shop_rows(products // 3))]  # type: ignore[index]
    build_gallery(ShopSnapshot(rows), write_projection_bundle(folder), folder, progress=NullProgress())
    return Recommender.load(folder, embedder_loader=load_projection)


def fill(place: Path, recommender: Recommender, count: int) -> tuple[QuestionStore, RuleStore, float]:
    """Answer and log; returns the logs and the milliseconds that writing took for each question."""
    rng, store, rules = (
        np.random.default_rng(7),
        QuestionStore(place / "questions", "shop"),
        RuleStore(place / "rules", "shop"),
    )
    ids, batch, taken = list(recommender.gallery.ids), [], 0.0
    ready: CompiledRules | None = None
    for number in range(count):
        if number % max(count // SETS, 1) == 0:
            ready = compiled(rules.publish(rules_of(rng, ids), base=rules.newest(), by="bench"), rules, recommender)
        filters, wishes = QUESTIONS[number % len(QUESTIONS)]
        photo = encoded(picture(KINDS[number % 3], int(rng.integers(0, 4_000))))
        answer = recommender.find([photo], k=12, filters=filters, wishes=wishes, rules=ready)
        about = {
            "model": "m",
            "model_version": 1,
            "bundle": "b",
            "network": "",
            "generation": 1,
            "catalogue_version": 4,
        }
        asked = {"k": 12, "filters": filters, "wishes": wishes, "rules": ready}
        batch.append(
            question_of(answer, [photo], **asked, **about, time=datetime.now(UTC), milliseconds=1.0, caller="")
        )
        if len(batch) == BATCH or number == count - 1:
            started = time.perf_counter()
            store.append(batch)
            taken += time.perf_counter() - started
            batch = []
    return store, rules, taken / count * 1000


def run(count: int, products: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        recommender = shop(place / "bundle", products)
        store, rules, writing = fill(place, recommender, count)
        size = sum(path.stat().st_size for path in store.table.glob("*.parquet")) / count
        rows = store.newest(count)
        started = time.perf_counter()
        found = verify(list(reversed(rows)), recommender, rules, NullProgress())
        verifying = time.perf_counter() - started
        trials = [Trial.of(row) for row in rows[:SIMULATED]]
        now, then = rules.read(), RuleSet.of(rules_of(np.random.default_rng(9), list(recommender.gallery.ids)))
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            tried = simulate(
                trials, recommender, now, then, lambda one: compiled(one, rules, recommender), NullProgress()
            )
            seconds.append(time.perf_counter() - started)
    ratio, ci95 = ratio_of([LIMIT_S] * rounds, seconds)
    is_correct = found.asked == found.equal == found.identical == count and tried.questions.total() == len(trials)
    figures = {
        "reproduced": f"{found.equal} of {count}",
        "identical": found.identical,
        "verify_s": round(verifying, 1),
        "simulate_s": round(sorted(seconds)[rounds // 2], 2),
        "simulated": len(trials),
        "answers_changed": tried.answers_changed,
        "write_ms_a_question": round(writing, 3),
        "bytes_a_question": round(size),
        "products": products,
    }
    return {
        "bench": "questions",
        "ratio": ratio,
        "ci95": ci95,
        "correct": is_correct,
        "figures": figures,
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--questions", type=int, default=10_000, help="how many")
    parser.add_argument("--products", type=int, default=3_000, help="size of the gallery")
    parser.add_argument("--rounds", type=int, default=3, help="how often the simulation is measured")
    options = parser.parse_args()
    pin(1)
    an_administrator_asks()
    print(told(run(options.questions, options.products, options.rounds), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The champion changes under load: ``python -m tests.benchmarks.promotion --json``.

Copies the champion of a home (``TWINSET_HOME``, made by ``make demo``) into a home of its own, registers it there twice, the
second time with half of its gallery, and starts the endpoint as a process. While clients ask without a pause, the champion
changes from one to the other and back, each time through the registry and its gate. Correct means that no answer failed, and
that every answer is exactly what the version which it names gives. ``ratio`` is 1 when that holds.
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

from backend.bundles import bundle
from backend.flow.named import trained_on
from backend.machine.supervisor import endpoint_service, running
from backend.progress import NullProgress
from backend.registry.fetching import fetch_champion
from backend.registry.promotion import promote
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.serving.clients import local_client
from backend.serving.tokens import ensure_app_token
from backend.settings import load_settings
from backend.training.embedder import load_query_embedder
from backend.training.heads import load_embedder
from tests.fixtures.registry import register_projection
from tests.support.benchmarking import machine, pin, told
from tests.support.browsing import free_port
from tests.support.load import Storm, ask_while_promoting

if TYPE_CHECKING:
    from backend.settings import Settings

K = 10
PHOTOS = 64


def prepare(source: Settings, home: Path) -> tuple[Settings, dict[int, list[list[str]]], list[bytes]]:
    """Make a home with two versions whose answers differ; returns what each answers to some test products."""
    settings = replace(source, home=home, endpoint_port=free_port(), endpoint_url="", endpoint_rate=0.0)
    _, champion = fetch_champion(source)
    manifest = bundle.verify(champion)
    snapshot = trained_on(manifest, source)
    photos = [one.image for one in snapshot.page(offset=0, limit=PHOTOS, split="test")[0]]
    half = Path(shutil.copytree(champion, home / "half"))
    build_gallery(snapshot, load_embedder(half, manifest, threads=2), half, splits=("train",), progress=NullProgress())
    expected = {}
    for folder in (champion, half):
        number = register_projection(settings, folder)
        recommender = Recommender.load(folder, embedder_loader=load_query_embedder, threads=2)
        expected[number] = [
            [n.product_id for n in recommender.recommend([photo], k=K)[0].neighbours] for photo in photos
        ]
    return settings, expected, photos


def run(source: Settings, *, queries: int, promotions: int, clients: int) -> dict[str, Any]:
    """Register two versions, start the endpoint, and change the champion under load."""
    with tempfile.TemporaryDirectory() as place:
        settings, expected, photos = prepare(source, Path(place))
        numbers = sorted(expected)
        promote(settings, numbers[0], progress=NullProgress())
        token = ensure_app_token(settings)
        changes: list[float] = []
        with running(endpoint_service(settings), settings):
            client = local_client(settings)

            def change(number: int) -> None:
                started = time.perf_counter()
                promote(settings, numbers[(number + 1) % 2], reason="A benchmark.", progress=NullProgress())
                client.reload()
                changes.append(time.perf_counter() - started)

            storm = Storm(settings.effective_endpoint_url, token, photos, expected, queries=queries)
            started = time.perf_counter()
            found = ask_while_promoting(storm, change, promotions=promotions, clients=clients)
            seconds = time.perf_counter() - started
            client.close()
    differing = sum(a != b for a, b in zip(*expected.values(), strict=True))
    return {
        "bench": "promotion",
        "ratio": 1.0 if not found.wrong else 0.0,
        "ci95": [1.0, 1.0] if not found.wrong else [0.0, 0.0],
        "correct": not found.wrong and all(found.by_version.values()) and differing > 0,
        "figures": {
            "queries": found.answered,
            "promotions": found.promotions,
            "failed_or_mixed": len(found.wrong),
            "examples": list(found.wrong[:5]),
            "by_version": found.by_version,
            "photos_answered_differently": differing,
            "queries_per_second": round(found.answered / seconds, 1),
            "slowest_promotion_s": round(max(changes), 2),
        },
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--promotions", type=int, default=20)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    pin(2)
    result = run(load_settings(), queries=options.queries, promotions=options.promotions, clients=options.clients)
    print(told(result, as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

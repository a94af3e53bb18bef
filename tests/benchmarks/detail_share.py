"""How much early features should count: ``python -m tests.benchmarks.detail_share --json``.

The presets' ``detail_share`` is chosen here, from the 60,000 official train pictures of Fashion-MNIST alone; the test
pictures are not looked at, and the classes that are kept out are not grouped as in the benchmark ``training``. The preset
``resnet`` is trained once on all classes, and once for each group of classes without it; one training answers for every
share, because a share only weighs two parts of an embedding that are learnt without it.

The rule: the largest share that costs the seen classes no more than :data:`COST` of their MAP@R after a training of full
length. Unseen classes gain by every share that was tried, and can be of any kind, so that they get what is cheap to give.
Beside them stand the original's network as published, in the same training time, and raw pixels.
``ratio`` is the chosen share's MAP@R of unseen classes among themselves over that of the original's network. Correct means that the parts, blended again at
the share that the network was built with, give the network's own embeddings.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.evaluation.baselines import RawPixels
from backend.evaluation.unseen import class_disjoint
from backend.settings import load_settings
from backend.training.presets import preset
from tests.benchmarks.training import (
    MOST_QUERIES,
    ORIGINAL,
    QUIET,
    embedded,
    figures,
    fit,
    original,
    read_fashion_mnist,
)
from tests.support.benchmarking import machine, pin, told

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.settings import Settings
    from backend.training.config import TrainConfig
    from tests.benchmarks.training import Pictures, Trained

RAW = "Raw pixels"
COST = 0.04
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
GROUPS = (("Trouser", "Coat", "Sandal"), ("T-shirt/top", "Sneaker", "Bag"))


class Parts:
    """The two parts of a network's embeddings, to be blended by any share.

    Args:
        trained: A network with early features.
        config: What it was built with.
        pixels: The pictures, uint8 (N, H, W, C).
    """

    def __init__(self, trained: Trained, config: TrainConfig, pixels: NDArray[np.uint8]) -> None:
        whole = embedded(trained.embedder, pixels)
        share, split = config.detail_share, config.learnt_size
        self.learnt, self.early = whole[:, :split] / np.sqrt(1 - share), whole[:, split:] / np.sqrt(share)
        self.correct = bool(np.abs(self.blended(share) - whole).max() < 1e-5)
        lengths = [np.linalg.norm(part, axis=1) for part in (self.learnt, self.early)]
        self.correct &= all(bool(np.abs(length - 1).max() < 1e-3) for length in lengths)

    def blended(self, share: float) -> NDArray[np.float32]:
        """Embeddings at a share, float32 (N, D)."""
        parts = [np.sqrt(1 - share) * self.learnt, np.sqrt(share) * self.early]
        return np.concatenate(parts, axis=1).astype(np.float32)


def on_seen(whole: Pictures, config: TrainConfig, tf: Any) -> tuple[dict[float, dict[str, Any]], bool]:
    """Train on nine tenths of all classes; the tenth asks them."""
    from backend.evaluation.evaluate import score_queries

    held = np.random.default_rng(7).permutation(len(whole.labels)) < len(whole.labels) // 10
    train, asking = whole.at(~held), whole.at(held)
    trained = fit(config, train, tf)
    gallery, queries = (Parts(trained, config, part.pixels) for part in (train, asking))
    found = {}
    for share in SHARES:
        scores = score_queries(
            queries.blended(share), asking.labels, gallery.blended(share), train.labels, k=10, progress=QUIET
        )
        found[share] = figures(scores)
    return found, gallery.correct and queries.correct


def on_unseen(
    whole: Pictures, left_out: tuple[str, ...], config: TrainConfig, tf: Any
) -> tuple[dict[Any, dict[str, float]], bool]:
    """Train without some classes, and ask for these."""
    train = whole.at(~np.isin(whole.labels, left_out))
    trained = fit(config, train, tf)
    parts = Parts(trained, config, whole.pixels)
    found: dict[Any, dict[str, float]] = {
        share: scored(parts.blended(share), whole.labels, left_out) for share in SHARES
    }
    theirs = fit(original(config.seed), train, tf, until_s=trained.seconds)
    for name, embedder in ((ORIGINAL, theirs.embedder), (RAW, RawPixels(config.pixels))):
        found[name] = scored(embedded(embedder, whole.pixels), whole.labels, left_out)
    return found, parts.correct


def scored(vectors: NDArray[np.float32], labels: NDArray[np.str_], left_out: tuple[str, ...]) -> dict[str, float]:
    """MAP@R of unseen classes, among themselves and among all."""
    scores = class_disjoint(vectors, labels, left_out, most=MOST_QUERIES)
    both = (("among", scores.among), ("mixed", scores.mixed))
    return {f"{where}.map_at_r": round(one.means()["map_at_r"], 4) for where, one in both}


def chosen_from(seen: dict[float, dict[str, Any]]) -> float:
    """Apply the rule."""
    rates = {share: seen[share]["map_at_r"][0] for share in SHARES}
    return max(share for share in SHARES if rates[share] >= rates[0.0] - COST)


def run(settings: Settings, epochs: int, unseen_epochs: int) -> dict[str, Any]:
    """Try every share, and choose."""
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    pin()
    tf = prepare_tensorflow(0)
    prepare_similarity()
    tf.config.experimental.enable_op_determinism()
    config = preset("resnet", epochs=epochs)
    whole, _ = read_fashion_mnist(settings, config)
    seen, correct = on_seen(whole, config, tf)
    print("seen", seen, file=sys.stderr, flush=True)
    unseen = []
    for group in GROUPS:
        found, fits = on_unseen(whole, group, replace(config, epochs=unseen_epochs), tf)
        correct &= fits
        unseen.append(found)
        print(group, found, file=sys.stderr, flush=True)
    unseen_means = {key: float(np.mean([one[key]["among.map_at_r"] for one in unseen])) for key in unseen[0]}
    chosen = chosen_from(seen)
    return {
        "bench": "detail_share",
        "ratio": round(unseen_means[chosen] / unseen_means[ORIGINAL], 3),
        "ci95": None,
        "correct": correct,
        "figures": {
            "chosen": chosen,
            "unseen_mean": {key: round(value, 4) for key, value in unseen_means.items()},
            "seen": seen,
            "unseen": [
                {"left_out": list(group), "by_share": found} for group, found in zip(GROUPS, unseen, strict=True)
            ],
        },
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--epochs", type=int, default=preset("resnet").epochs, help="of the training on all classes")
    parser.add_argument("--unseen-epochs", type=int, default=3, help="of the trainings without some classes")
    options = parser.parse_args()
    print(told(run(load_settings(), options.epochs, options.unseen_epochs), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

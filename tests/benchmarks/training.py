"""How well trainings retrieve: ``python -m tests.benchmarks.training --json``.

1. Seen: ours (the preset ``resnet``) and the original's network as published, its double scaling included, on the whole
   of Fashion-MNIST with three seeds; 10,000 test queries against the 60,000 others. The original goes on until it has had
   the same wall-clock as ours, and its best epoch by validation counts. Beside them raw pixels and PCA 128.
2. Unseen: four splits that leave every class out once. Test pictures of the classes that were kept out are looked for
   among themselves and among those of all ten: what no choice has looked at, neither a training nor ``detail_share``.

``ratio`` is the error (1 - precision@1) of the original's network over ours, of part 1. Correct means that every training
gave the embeddings that its bundle gives again when it is loaded anew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles.bundle import CatalogueRef
from backend.catalogue.sources import fashion_mnist
from backend.catalogue.sources.built_in import FashionMnistSource
from backend.errors import Cancelled
from backend.evaluation.baselines import Principal, RawPixels
from backend.evaluation.bootstrap import estimates
from backend.evaluation.evaluate import score_queries
from backend.evaluation.unseen import class_disjoint
from backend.feeding.batches import BatchPlan, PixelFeed
from backend.feeding.prefetch import Prefetched
from backend.progress import NullProgress
from backend.settings import load_settings
from backend.training.presets import preset
from tests.support.benchmarking import machine, pin, ratio_of, told
from tests.support.pictures import all_decoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.evaluation.evaluate import QueryScores
    from backend.settings import Settings
    from backend.training.config import TrainConfig

ORIGINAL = "The original's network as published"
OURS = "Ours"
# Four splits that leave every class out once.
UNSEEN = (
    ("T-shirt/top", "Coat", "Sandal"),
    ("Trouser", "Shirt", "Sneaker"),
    ("Pullover", "Bag"),
    ("Dress", "Ankle boot"),
)
MOST_QUERIES = 3_000
RESAMPLES = 1_000
QUIET = NullProgress()


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures and their labels: uint8 (N, H, W, C), text (N,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.str_]

    def at(self, rows: NDArray[Any]) -> Pictures:
        """Some of them."""
        return Pictures(self.pixels[rows], self.labels[rows])


@dataclass(frozen=True)
class Trained:
    """A network, what embeds with it, and the seconds that its training took."""

    model: Any
    embedder: Any
    seconds: float


def original(seed: int, epochs: int = 200) -> TrainConfig:
    """The original's network, loss and optimizer, its double scaling included."""
    return preset("seed-cnn", backbone="seed-cnn-as-published", seed=seed, epochs=epochs)


def fit(
    config: TrainConfig, train: Pictures, tf: Any, *, until_s: float = float("inf"), validator: Any = None
) -> Trained:
    """Train, for so many seconds at most; with a validator the best epoch counts, without the last one."""
    from backend.training.embedder import NetworkEmbedder
    from backend.training.trainer import Trainer

    started = time.perf_counter()
    classes = np.unique(train.labels)
    config = replace(config, classes_per_batch=min(config.classes_per_batch, len(classes)))
    numbers = np.searchsorted(classes, train.labels).astype(np.int32)
    shape = (config.classes_per_batch, config.examples_per_class, config.steps_per_epoch, config.augmentation)
    trainer = Trainer(
        config, len(classes), Prefetched(PixelFeed(train.pixels, numbers, BatchPlan(*shape, config.seed))), tf
    )
    embedder = NetworkEmbedder(trainer.model, config.pixels)
    clock, best = Clock(started + until_s), (-1.0, trainer.model.get_weights())
    for number in range(config.epochs):
        try:
            trainer.run_epoch(number, progress=clock, note="")
        except Cancelled:
            break
        trainer.settle(train.pixels)
        if validator is not None:
            scores = validator.score(embedder)
            best = max(best, ((scores.precision_at_1 + scores.map_at_r) / 2, trainer.model.get_weights()), key=_score)
    if validator is not None and best[0] >= 0:
        trainer.model.set_weights(best[1])
    return Trained(trainer.model, embedder, time.perf_counter() - started)


def _score(epoch: tuple[float, Any]) -> float:
    return epoch[0]


class Clock(NullProgress):
    """Cancels when the time is up."""

    def __init__(self, until: float) -> None:
        self._until = until

    def check_cancelled(self) -> None:
        if time.perf_counter() > self._until:
            raise Cancelled("The time is up.")


def figures(scores: QueryScores) -> dict[str, Any]:
    """precision@1 and MAP@R with their intervals."""
    found = estimates(scores.rates, resamples=RESAMPLES, seed=7)
    return {
        name: [round(value, 4) for value in (found[name].value, found[name].low, found[name].high)]
        for name in ("precision_at_1", "map_at_r")
    }


# ------------------------------------------------------------------------------------------------- Fashion-MNIST


def read_fashion_mnist(settings: Settings, config: TrainConfig) -> tuple[Pictures, Pictures]:
    """Decode the official files as the catalogue would; returns the 60,000 and the 10,000."""
    source = FashionMnistSource(fashion_mnist.obtain(settings, QUIET))
    entries = source.entries()
    parts = []
    for split in ("train", "test"):
        rows = entries.filter(np.asarray(entries["split"].to_pylist()) == split).combine_chunks()
        images = [picture for batch in rows.to_batches(1024) for picture in source.read(batch)]
        parts.append(Pictures(all_decoded(images, config.pixels), np.asarray(rows["label"].to_pylist())))
    return parts[0], parts[1]


def validator_of(train: Pictures, held: Pictures, seed: int) -> Any:
    """What chooses the best epoch: pictures of the train split that are kept out of it."""
    from backend.feeding.arrow import PixelTable
    from backend.training.validation import Validator

    tables = [PixelTable(np.arange(len(p.labels)).astype(str), p.labels, p.pixels) for p in (train, held)]
    return Validator(*tables, seed=seed)


def seen(whole: Pictures, test: Pictures, tf: Any, seeds: int, epochs: int) -> dict[str, Any]:
    """Part 1."""
    held = np.random.default_rng(7).permutation(len(whole.labels)) < len(whole.labels) // 10
    train, validation = whole.at(~held), whole.at(held)
    table: dict[str, Any] = {OURS: [], ORIGINAL: []}
    for seed in range(7, 7 + seeds):
        validator = validator_of(train, validation, seed)
        ours = fit(preset("resnet", seed=seed, epochs=epochs), train, tf, validator=validator)
        theirs = fit(original(seed), train, tf, until_s=ours.seconds, validator=validator)
        for name, trained in ((OURS, ours), (ORIGINAL, theirs)):
            told = figures(retrieved(trained.embedder, test, whole))
            table[name].append({"seed": seed, "seconds": round(trained.seconds, 1), **told})
    principal = Principal.fit(preset("resnet").pixels, train.pixels, np.arange(len(train.labels)), progress=QUIET)
    for name, embedder in (("Raw pixels", RawPixels(preset("resnet").pixels)), ("PCA 128", principal)):
        table[name] = [figures(retrieved(embedder, test, whole))]
    errors = {name: [1 - row["precision_at_1"][0] for row in table[name]] for name in (OURS, ORIGINAL)}
    ratio, interval = ratio_of(errors[ORIGINAL], errors[OURS])
    return {"table": table, "ratio": ratio, "ci95": interval, "error_share": round(1 / ratio, 3)}


def retrieved(embedder: Any, queries: Pictures, gallery: Pictures) -> QueryScores:
    """Ask for every query."""
    asked, looked_for = embedded(embedder, queries.pixels), embedded(embedder, gallery.pixels)
    return score_queries(asked, queries.labels, looked_for, gallery.labels, k=10, progress=QUIET)


def embedded(embedder: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed part by part."""
    return np.concatenate([embedder.embed(pixels[start : start + 4096]) for start in range(0, len(pixels), 4096)])


def unseen(whole: Pictures, test: Pictures, tf: Any, splits: int, config: TrainConfig) -> dict[str, Any]:
    """Part 2."""
    raw = RawPixels(preset("resnet").pixels)
    table: dict[str, list[dict[str, float]]] = {OURS: [], ORIGINAL: [], "Raw pixels": []}
    for left_out in UNSEEN[:splits]:
        train = whole.at(~np.isin(whole.labels, left_out))
        ours = fit(config, train, tf)
        theirs = fit(original(7), train, tf, until_s=ours.seconds)
        for name, embedder in ((OURS, ours.embedder), (ORIGINAL, theirs.embedder), ("Raw pixels", raw)):
            found = class_disjoint(embedded(embedder, test.pixels), test.labels, left_out, most=MOST_QUERIES)
            table[name].append(
                {
                    f"{where}.{rate}": round(scores.means()[rate], 4)
                    for where, scores in (("among", found.among), ("mixed", found.mixed))
                    for rate in ("precision_at_1", "map_at_r")
                }
            )
        print({name: rows[-1] for name, rows in table.items()}, file=sys.stderr, flush=True)
    means = {
        name: {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
        for name, rows in table.items()
    }
    return {"splits": [list(names) for names in UNSEEN[:splits]], "mean": means, "by_split": table}


def run(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Answer all that was asked for."""
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    pin()
    tf = prepare_tensorflow(0)
    prepare_similarity()
    tf.config.experimental.enable_op_determinism()
    config = preset("resnet")
    whole, test = read_fashion_mnist(settings, config)
    found: dict[str, Any] = {}
    if "seen" in options.parts:
        found["seen"] = seen(whole, test, tf, options.seeds, options.epochs)
    if "unseen" in options.parts:
        found["unseen"] = unseen(whole, test, tf, options.splits, preset("resnet", epochs=options.epochs))
    same = gives_the_same_again(whole, tf)
    first = found.get("seen", {})
    return {
        "bench": "training",
        "ratio": first.get("ratio"),
        "ci95": first.get("ci95"),
        "correct": same,
        "figures": found,
        "machine": machine(),
    }


def gives_the_same_again(whole: Pictures, tf: Any) -> bool:
    """Whether a short training gives the same weights twice, and its bundle the embeddings that it gave."""
    from backend.training.checkpoints import EpochResult
    from backend.training.heads import load_embedder
    from backend.training.package import describe, write_bundle
    from backend.training.resolve import Resolved

    config = preset("resnet", epochs=1, steps_per_epoch=5)
    small = whole.at(np.arange(2_000))
    one, two = (fit(config, small, tf) for _ in range(2))
    probe = small.pixels[:64]
    with tempfile.TemporaryDirectory() as place:
        described = describe(
            "probe",
            Resolved(config, tuple(np.unique(small.labels).tolist()), (), len(small.labels)),
            EpochResult(1, 0.0, 0.0, 0.0),
            catalogue=CatalogueRef("bench", 1),
            run_id="",
            threads=2,
        )
        manifest = write_bundle(Path(place) / "probe", described, one.model.get_weights())
        again = load_embedder(Path(place) / "probe", manifest, threads=2).embed(probe)
    first, second = one.embedder.embed(probe), two.embedder.embed(probe)
    return bool(np.array_equal(first, second) and np.allclose(again, first, atol=1e-6))


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--parts", nargs="+", default=["seen", "unseen"], help="which to answer")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--epochs", type=int, default=preset("resnet").epochs, help="of ours; the original has the time"
    )
    parser.add_argument("--splits", type=int, default=4, help="how many of the four splits by class")
    options = parser.parse_args()
    print(told(run(load_settings(), options), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

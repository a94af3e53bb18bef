"""What the ready-made network is worth on real photos: ``python -m tests.benchmarks.photos --photos DIR --json``.

``DIR`` holds a folder of photos for each kind. Five folds: the photos of a fold ask, the other four are trained on and
searched. Raw pixels, PCA of the pixels, the network from scratch (a small residual one), the ready-made network as it is,
its head, and its last blocks tuned, each with precision@1 and MAP@R, and how far the colours of the six nearest are: the
mean CIE76 distance between the means of the middle third of query and neighbour. Then three kinds are kept out of
training, in several splits: MAP@R among themselves, and precision@1 where they are searched in the whole gallery.

With ``--weights``, the head's precision@1 and colours where colour counts more or less when it is searched. With
``--choose``, the shares that the presets should have: the largest that cost at most 0.01 of precision@1, on photos that
are left out of the training folds; the photos of the asking fold are neither trained on, searched nor asked about there.

Otherwise nothing is chosen here: every training goes to its last epoch. ``ratio`` is the precision@1 of the head over that of the
network from scratch (with ``--quick``, which leaves that out, over raw pixels). Correct means that the network that was
rebuilt from its arrays embeds as the one that was trained, and that all vectors are of unit length.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.catalogue.sources.built_in import SampleSource
from backend.evaluation.baselines import Principal, RawPixels
from backend.evaluation.evaluate import score_queries
from backend.imaging import pixels as imaging
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from backend.training.presets import READY_MADE, preset
from tests.fixtures.endpoint import encoded
from tests.support.benchmarking import machine, pin, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from backend.training.config import TrainConfig

COLOUR = {
    "height": 48,
    "width": 48,
    "channels": 3,
    "background": "light",
    "classes_per_batch": 10,
    "examples_per_class": 10,
}
FOLDS, NEAREST, RESAMPLES = 5, 6, 1_000
QUIET = NullProgress()
BASELINE = PixelSpec(32, 32, 3, "any")
SPLITS = 4  # of three kinds each that are kept out, drawn by seeds 0, 1, …
# Which category of the drawn shop has a kind's own products and its sisters; written down before anything was measured.
DRAWN = {
    "dress": "Dresses & skirts",
    "hat": "Accessories",
    "longsleeve": "Tops",
    "outwear": "Outerwear",
    "pants": "Bottoms",
    "shirt": "Tops",
    "shoes": "Footwear",
    "shorts": "Bottoms",
    "skirt": "Dresses & skirts",
    "t-shirt": "Tops",
}
WEIGHTS = (0.0, 0.3, 0.5, 1.0)
SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
CHOSEN = ("detail_share", "colour_share", "ready-made colour_share")
VALIDATION, MAY_COST = 4, 0.01  # one in so many photos asks; precision@1 that a share may cost
RAW, PCA, SCRATCH, READY, HEAD, TUNED = "raw pixels", "PCA 128", "from scratch", "ready-made", "head", "tuned"


@dataclass(frozen=True)
class Photos:
    """Photos as files, with their kinds; decoded once for each size."""

    files: list[bytes]
    labels: NDArray[np.str_]
    decoded: dict[PixelSpec, NDArray[np.uint8]]

    def pixels(self, spec: PixelSpec) -> NDArray[np.uint8]:
        """uint8 (N, H, W, C)."""
        if spec not in self.decoded:
            self.decoded[spec] = np.stack([imaging.decode(file, spec).pixels for file in self.files])
        return self.decoded[spec]


def read(folder: Path) -> Photos:
    """Read a folder of folders."""
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    return Photos([path.read_bytes() for path in paths], np.asarray([path.parent.name for path in paths]), {})


Embed = "Callable[[NDArray[np.bool_]], NDArray[np.float32]]"  # from which rows are trained on, to all vectors


def baseline(photos: Photos, name: str) -> Callable[[NDArray[np.bool_]], NDArray[np.float32]]:
    """Raw pixels, or their principal components."""

    def embed(train: NDArray[np.bool_]) -> NDArray[np.float32]:
        pixels = photos.pixels(BASELINE)
        ours = (
            RawPixels(BASELINE)
            if name == RAW
            else Principal.fit(BASELINE, pixels, np.flatnonzero(train), progress=QUIET)
        )
        return ours.embed(pixels)

    return embed


class Networks:
    """The networks, trained on the rows they are given; features of the frozen one are computed once.

    Args:
        photos: All photos.
        tf: TensorFlow, prepared.
        backbone: Which ready-made network.
    """

    def __init__(self, photos: Photos, tf: Any, changes: dict[str, Any]) -> None:
        from backend.feeding.arrow import PixelTable
        from backend.training.heads import with_features

        self._photos, self._tf, self._changes = photos, tf, changes
        self.seconds: dict[str, list[float]] = {}
        self.correct = True
        ids = np.arange(len(photos.labels)).astype(str)
        config = replace(READY_MADE, **changes)
        table = PixelTable(ids, photos.labels, photos.pixels(config.pixels))
        started = time.process_time()
        self._features = with_features(table, config, QUIET)
        self.feature_ms = round((time.process_time() - started) * 1e3 / len(ids), 1)

    def ready_made(self, train: NDArray[np.bool_], further: Any = None) -> NDArray[np.float32]:
        """Nothing trained: the centre and the directions are those of the searched photos."""
        features, embedder = self.fitted(train)
        found: NDArray[np.float32] = embedder.embed(joined(features, further))
        return found

    def fitted(self, train: NDArray[np.bool_]) -> Any:
        """The frozen features, and what embeds them with a head that was fitted to those of some photos."""
        from backend.training.embedder import NetworkEmbedder
        from backend.training.heads import fitted_head
        from backend.training.network.network import build_trained
        from backend.training.network.ready_made import set_head

        config = replace(READY_MADE, **self._changes)
        head = build_trained(config)
        set_head(head, fitted_head(self._features.pixels[train], config.kept_size))
        return self._features.pixels, NetworkEmbedder(head, config.pixels)

    def head(self, train: NDArray[np.bool_], further: Any = None) -> NDArray[np.float32]:
        """The preset ``photos``; ``further`` features are embedded, too."""
        return self._trained(HEAD, preset("photos", **self._changes), train, further)

    def tuned(self, train: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The preset ``photos-tuned``."""
        return self._trained(TUNED, preset("photos-tuned", **self._changes), train)

    def scratch(self, train: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The preset ``resnet``, with pictures in colour, and as many epochs as a few hundred photos need."""
        return self._trained(SCRATCH, preset("resnet", **COLOUR, epochs=40, augmentation="flip-crop"), train)

    def across(self, gallery: Photos) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Train on another gallery alone; returns the vectors of these photos, and of its own, by network."""
        other = Networks(gallery, self._tf, self._changes)
        everything = np.ones(len(gallery.labels), dtype=np.bool_)
        found = {}
        for name, arm in ((READY, other.ready_made), (HEAD, other.head)):
            vectors = arm(everything, self._features.pixels)
            found[name] = (vectors[len(gallery.labels) :], vectors[: len(gallery.labels)])
        return found

    def _trained(
        self, name: str, config: TrainConfig, train: NDArray[np.bool_], further: Any = None
    ) -> NDArray[np.float32]:
        from backend.feeding.arrow import PixelTable
        from backend.training.data import TrainingData, feed_of
        from backend.training.embedder import NetworkEmbedder
        from backend.training.ranks.communicator import Alone
        from backend.training.resolve import resolve
        from backend.training.start import begin
        from backend.training.trainer import Trainer

        started = time.process_time()
        labels = self._photos.labels
        pixels = self._features.pixels if config.learns_from_features else self._photos.pixels(config.pixels)
        table = PixelTable(np.flatnonzero(train).astype(str), labels[train], pixels[train])
        resolved = resolve(config, labels[train].tolist(), labels[train].tolist())
        data = TrainingData(resolved, feed_of(table, resolved), None, table)  # type: ignore[arg-type]  # nothing is chosen
        trainer = Trainer(resolved.config, len(resolved.classes), data.feed, self._tf)
        begin(trainer, data, Alone(), progress=QUIET)
        for number in range(config.epochs):
            trainer.run_epoch(number, progress=QUIET, note="")
            trainer.settle(table.pixels)
        self.seconds.setdefault(name, []).append(round(time.process_time() - started, 1))
        vectors = NetworkEmbedder(trainer.model, config.pixels).embed(joined(pixels, further))
        self._compare(trainer, config, vectors)
        self._tf.keras.backend.clear_session()
        return vectors

    def _compare(self, trainer: Any, config: TrainConfig, vectors: NDArray[np.float32]) -> None:
        """Check that a network rebuilt from its arrays embeds a few photos as the one that was trained."""
        from backend.training.embedder import NetworkEmbedder
        from backend.training.network.network import build_network

        whole = build_network(config)
        whole.set_weights(trainer.arrays())
        some = NetworkEmbedder(whole, config.pixels).embed(self._photos.pixels(config.pixels)[:16])
        self.correct &= bool((some * vectors[:16]).sum(axis=1).min() > 0.999)
        self.correct &= bool(np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-3)


def joined(rows: NDArray[Any], further: NDArray[Any] | None) -> NDArray[Any]:
    """Rows, and further ones below them."""
    return rows if further is None else np.concatenate([rows, further])


def folds(photos: Photos, embed: Any, only: int) -> dict[str, Any]:
    """Score an arm over the folds; every photo asks once."""
    number = np.random.default_rng(7).permutation(len(photos.labels)) % FOLDS
    middle = middles(photos)
    hits, average, colours = [], [], []
    for fold in range(only or FOLDS):
        gallery = number != fold
        vectors = embed(gallery)
        scores = score_queries(
            vectors[~gallery], photos.labels[~gallery], vectors[gallery], photos.labels[gallery], k=10, progress=QUIET
        )
        hits.append(scores.rates["precision_at_1"])
        average.append(scores.rates["map_at_r"])
        nearest = np.argsort(-(vectors[~gallery] @ vectors[gallery].T), axis=1, kind="stable")[:, :NEAREST]
        apart = middle[~gallery][:, None] - middle[gallery][nearest]
        colours.append(np.linalg.norm(apart, axis=-1).mean(axis=1))
    parts = {"precision_at_1": hits, "map_at_r": average, "colour": colours}
    return {name: interval(np.concatenate(values)) for name, values in parts.items()}


def unseen(photos: Photos, embed: Any, splits: int) -> dict[str, Any]:
    """Keep kinds out of training: a half of their photos asks, the other half is searched with all others."""
    among, mixed = [], []
    for seed in range(splits):
        kinds = np.random.default_rng(seed).choice(np.unique(photos.labels), 3, replace=False)
        known = ~np.isin(photos.labels, kinds)
        vectors = embed(known)
        asks = ~known & (np.random.default_rng(7).permutation(len(photos.labels)) % 2 == 0)
        own = ~known & ~asks
        for gallery, name, into in ((own, "map_at_r", among), (own | known, "precision_at_1", mixed)):
            scores = score_queries(
                vectors[asks], photos.labels[asks], vectors[gallery], photos.labels[gallery], k=10, progress=QUIET
            )
            into.append(scores.rates[name])
    return {
        "among_map_at_r": interval(np.concatenate(among)),
        "mixed_precision_at_1": interval(np.concatenate(mixed)),
        "by_split": [[round(float(a.mean()), 3), round(float(b.mean()), 3)] for a, b in zip(among, mixed, strict=True)],
    }


def drawn(photos: Photos, networks: Networks) -> dict[str, Any]:
    """Ask the drawn shop with every real photo: the share whose first answer is of its own or a sister kind, by network."""
    shop = SampleSource()
    entries = shop.entries().combine_chunks()
    files = [file for batch in entries.to_batches(256) for file in shop.read(batch)]
    gallery = Photos([file for file in files if file], np.asarray(entries["label"].to_pylist()), {})
    category = np.asarray(entries["category"].to_pylist())
    wanted = np.asarray([DRAWN[label] for label in photos.labels])
    found: dict[str, Any] = {}
    for name, (asked, searched) in networks.across(gallery).items():
        right = category[(asked @ searched.T).argmax(axis=1)] == wanted
        by_kind = {kind: round(float(right[photos.labels == kind].mean()), 2) for kind in DRAWN}
        found[name] = {"same_or_sister": interval(right.astype(np.float64)), "by_kind": by_kind}
    return found


def strange(photos: Photos, networks: Networks) -> dict[str, Any]:
    """Ask each fold's gallery with ten pictures of other things, and with its photos: the share that has nothing close."""
    from backend.retrieval.closeness import Judge, Spread
    from backend.retrieval.indexes.exact import ExactIndex
    from backend.training.heads import frozen_network
    from tests.support.strange_pictures import strange_pictures

    others = [imaging.decode(encoded(image), READY_MADE.pixels).pixels for image in strange_pictures().values()]
    seen = frozen_network(READY_MADE).embed(np.stack(others)).astype(np.float16)
    number = np.random.default_rng(7).permutation(len(photos.labels)) % FOLDS
    found: dict[str, list[float]] = {"other things": [], "photos": []}
    for fold in range(FOLDS):
        features, embedder = networks.fitted(number != fold)
        gallery = ExactIndex(embedder.embed(features[number != fold]))
        judge = Judge(None, Spread.of(gallery, np.full(gallery.size, "gallery-only")))
        for name, asked in (("other things", seen), ("photos", features[number == fold])):
            vectors, likeness = embedder.embed_and_compare(asked)
            nearest = 1.0 - gallery.search(vectors, k=1).distances[:, 0]
            words = [
                judge.verdict(float(near), is_strange=like < 1.0) for near, like in zip(nearest, likeness, strict=True)
            ]
            found[name].append(sum(word.closeness == "not close" for word in words) / len(words))
    return {name: {"nothing close": np.mean(shares).round(3), "by_fold": shares} for name, shares in found.items()}


def middles(photos: Photos) -> NDArray[np.float64]:
    """Mean colour of the middle third of each photo in CIE L*a*b*, (N, 3)."""
    pixels = photos.pixels(PixelSpec(224, 224, 3, "any"))
    third = slice(75, 149)
    return lab(pixels[:, third, third].reshape(len(pixels), -1, 3) / 255.0).mean(axis=1)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """SRGB in [0, 1] to CIE L*a*b* under D65; written apart from the product's, to measure it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = linear @ to_xyz.T / [0.95047, 1.0, 1.08883]
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def weights(photos: Photos, networks: Networks) -> dict[str, Any]:
    """Score the head over the folds where colour counts more or less than it was trained with."""
    from backend.retrieval.indexes.exact import ExactIndex
    from backend.retrieval.indexes.weighed import WeighedIndex

    share = preset("photos").colour_share
    trained: dict[bytes, NDArray[np.float32]] = {}

    def embed(train: NDArray[np.bool_], weight: float) -> NDArray[np.float32]:
        if train.tobytes() not in trained:
            trained[train.tobytes()] = networks.head(train)
        vectors = trained[train.tobytes()]
        return WeighedIndex(ExactIndex(vectors), share=share, weight=weight).weigh(vectors)

    return {f"{weight:g}": folds(photos, partial(embed, weight=weight), 0) for weight in sorted({*WEIGHTS, share})}


def choose(photos: Photos, networks: Networks) -> dict[str, Any]:
    """Choose the shares of the preset ``photos`` and of the ready-made network; a head is trained once a fold.

    Its parts are put together by every share afterwards, as an index does that is asked with another weight.
    """
    middle, number = middles(photos), np.random.default_rng(7).permutation(len(photos.labels)) % FOLDS
    found: dict[str, list[tuple[float, float]]] = {}
    for fold in range(FOLDS):
        known = np.flatnonzero(number != fold)
        asks = known[np.random.default_rng(fold).permutation(len(known)) % VALIDATION == 0]
        train = np.isin(np.arange(len(number)), np.setdiff1d(known, asks))
        learnt, kept, colours = parts_of(networks.head(train), preset("photos"))
        still, seen = parts_of(networks.ready_made(train), READY_MADE)[1:]
        arms = {f"detail_share {share:g}": mixed(learnt, kept, share) for share in SHARES}
        own = mixed(learnt, kept, preset("photos").detail_share)
        arms |= {f"colour_share {share:g}": mixed(own, colours, share) for share in SHARES}
        arms |= {f"ready-made colour_share {share:g}": mixed(still, seen, share) for share in SHARES}
        for name, vectors in arms.items():
            order = np.argsort(-(vectors[asks] @ vectors[train].T), axis=1, kind="stable")[:, :NEAREST]
            hit = photos.labels[train][order[:, 0]] == photos.labels[asks]
            apart = np.linalg.norm(middle[asks][:, None] - middle[train][order], axis=-1).mean(axis=1)
            found.setdefault(name, []).extend(zip(hit, apart, strict=True))
    means = {name: np.mean(rows, axis=0).tolist() for name, rows in found.items()}
    table = {name: [round(value, 3) for value in values] for name, values in means.items()}
    return {"precision@1 and colour distance": table, "chosen": {name: largest(means, name) for name in CHOSEN}}


def parts_of(vectors: NDArray[np.float32], config: TrainConfig) -> list[NDArray[np.float32]]:
    """Split embeddings into what is learnt, kept, and colours, each of unit length where it is there."""
    ends = np.cumsum([config.learnt_size, config.kept_size])
    return [part / np.linalg.norm(part, axis=1, keepdims=True) for part in np.split(vectors, ends, axis=1)]


def mixed(one: NDArray[np.float32], other: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Put two parts together, the second of which counts so much."""
    return np.hstack([np.sqrt(1 - share) * one, np.sqrt(share) * other])


def largest(table: dict[str, list[float]], name: str) -> float:
    """The largest share up to which none costs more than it may."""
    costs = [table[f"{name} 0"][0] - table[f"{name} {share:g}"][0] for share in SHARES]
    return max(share for at, share in enumerate(SHARES) if max(costs[: at + 1]) <= MAY_COST + 1e-9)


def interval(values: NDArray[np.float64]) -> list[float]:
    """Mean, and its bootstrapped 95 % interval over queries."""
    rng = np.random.default_rng(7)
    means = [float(rng.choice(values, len(values)).mean()) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return [round(float(value), 3) for value in (values.mean(), low, high)]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all arms."""
    from backend.training.runtime import prepare_training

    cores = pin()
    changes = {"backbone": options.backbone, **sides(options.backbone), **numbers(options.set)}
    tf = prepare_training(
        replace(READY_MADE, **{k: v for k, v in changes.items() if k in ("backbone", "height", "width")}),
        threads=cores,
        device="cpu",
    )
    photos = read(options.photos)
    networks = Networks(photos, tf, changes)
    if options.choose or options.weights:
        found = choose(photos, networks) if options.choose else weights(photos, networks)
        return {
            "bench": "photos",
            **ratio({}, RAW),
            "correct": networks.correct,
            "figures": found,
            "machine": machine(),
        }
    arms: dict[str, Any] = {RAW: baseline(photos, RAW), PCA: baseline(photos, PCA), READY: networks.ready_made}
    arms |= {HEAD: networks.head}
    if not options.quick:
        arms |= {SCRATCH: networks.scratch, TUNED: networks.tuned}
    if options.arms:
        arms = {name: arms[name] for name in options.arms}
    table = {name: folds(photos, embed, options.folds) for name, embed in arms.items()}
    kept_out = {} if options.no_unseen else {name: unseen(photos, arms[name], options.splits) for name in arms}
    reference = SCRATCH if SCRATCH in table else RAW
    return {
        "bench": "photos",
        **ratio(table, reference),
        "correct": networks.correct,
        "figures": {
            "folds": table,
            "kept out": kept_out,
            "strange": strange(photos, networks),
            "drawn shop": {} if options.no_drawn else drawn(photos, networks),
            "cpu_seconds": networks.seconds,
            "feature_cpu_ms": networks.feature_ms,
        },
        "machine": machine(),
    }


def ratio(table: dict[str, Any], reference: str) -> dict[str, Any]:
    """Head over reference; the interval takes each at its worst and best."""
    if HEAD not in table or reference not in table:
        return {"ratio": None, "ci95": None}
    ours, theirs = table[HEAD]["precision_at_1"], table[reference]["precision_at_1"]
    low, high = ours[1] / theirs[2], ours[2] / theirs[1]
    return {"ratio": round(ours[0] / theirs[0], 3), "ci95": [round(low, 3), round(high, 3)]}


def sides(backbone: str) -> dict[str, int]:
    """The size of the pictures that a network's weights were made for."""
    from backend.training.network.lite import LITE

    side = LITE[backbone].side  # type: ignore[index]  # the parser's choices
    return {"height": side, "width": side}


def numbers(changes: list[str]) -> dict[str, float]:
    """Read ``name=value`` pairs."""
    pairs = (change.split("=") for change in changes)
    return {name: float(value) if "." in value else int(value) for name, value in pairs}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with a folder of photos for each kind")
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes: from scratch, and tuned")
    parser.add_argument("--arms", nargs="*", help="only these")
    parser.add_argument("--folds", type=int, default=0, help="only the first so many; 0 means all")
    parser.add_argument("--splits", type=int, default=SPLITS, help="of kinds that are kept out")
    parser.add_argument("--no-unseen", action="store_true", help="keep no kinds out")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a number of the presets"
    )
    parser.add_argument("--no-drawn", action="store_true", help="do not ask the drawn shop")
    parser.add_argument("--choose", action="store_true", help="only choose the shares of the presets, on validation")
    parser.add_argument("--weights", action="store_true", help="only the head, with colour counting more or less")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    print(told(run(options), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

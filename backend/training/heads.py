"""The head of a network with ready-made weights: what is fitted to pictures rather than learnt, and its start.

The centre is the mean of the frozen features, and the kept part's directions are those in which they vary most around
it. Both are set once, before the first step. A picture of something else varies in other directions: little of it is
left by those, and the kept part comes out short. It is scaled so that it is shorter than 1 for one in twenty-five pictures
that are of the same sort, and were not fitted to.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.retrieval.directions import leading_directions
from backend.retrieval.features import ByFeatures, KeptFeatures, feature_cache
from backend.retrieval.gallery.embedding import embed_evenly
from backend.training.detail import LAYER
from backend.training.embedder import NetworkEmbedder, rebuilt
from backend.training.network.efficientnet_lite import FEATURES
from backend.training.network.lite import LITE
from backend.training.network.lite_weights import has_lite_weights
from backend.training.network.network import build_trained
from backend.training.network.ready_made import (
    CENTRE,
    FEATURE_SIZE,
    feature_network,
    features_name,
    features_within,
    head_arrays,
    set_head,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest
    from backend.feeding.arrow import PixelTable
    from backend.feeding.content_cache import CacheFolder, ContentCache
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder
    from backend.training.config import TrainConfig
    from backend.training.ranks.communicator import Communicator

FITTED_ON = 20_000  # pictures at most
_BATCH = 64
_FLAT = 1e-6  # share of the features' squares below which pictures count as equal
_SHORT = 0.04  # share of like pictures that may come out shorter than 1
_ROUNDS = 5  # in each, one picture in so many is left out of the fit, and measured
_MEASURED = 4_000  # pictures at most that are left out once
_FEWEST = 25  # with fewer, what was left out says nothing


def fitted_head(
    features: NDArray[Any], size: int, ranks: Communicator | None = None
) -> dict[str, list[NDArray[np.float32]]]:
    """Fit the centre, and the directions of a kept part of ``size`` dimensions, to features of pictures.

    Where the pictures do not differ, nothing is taken off: they would be left without any feature. Where there are
    fewer pictures than directions, the further ones are any that are orthogonal to those: products that come later vary
    along them, too.

    Args:
        features: (N, F or more), at least one row; the first F are looked at.
        size: 0 where there is no kept part.
        ranks: All ranks must ask, each with its own pictures, and get the same.

    Returns:
        The arrays of each layer by its name. The directions are longer than 1 where it is known how long the kept part of
        a like picture is; see :func:`backend.training.network.ready_made.tells_likeness`.
    """
    rows = np.linspace(0, len(features) - 1, min(FITTED_ON, len(features))).astype(np.int64)
    pooled = np.asarray(features[rows, :FEATURES], dtype=np.float64)
    mean, around = _moments(pooled, ranks)
    squares = np.trace(around)
    if squares - mean @ mean <= _FLAT * squares:
        mean = np.zeros_like(mean)
    found = {CENTRE: [mean.astype(np.float32), np.ones(FEATURES, dtype=np.float32)]}
    if size:
        apart = pooled - mean
        apart /= np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-12)
        fit = partial(_projection, size=size, ranks=ranks, is_centred=bool(mean.any()))
        scale = 1.0 / _shortest(apart, fit, ranks) if mean.any() else 1.0
        directions, offset = fit(apart)
        found[LAYER] = [(scale * directions).astype(np.float32), (scale * offset).astype(np.float32)]
    return found


def _projection(
    rows: NDArray[np.float64], *, size: int, ranks: Communicator | None, is_centred: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the directions in which rows vary most, orthonormal (F, D), and what is added to the rows along them, (D,)."""
    middle, products = _moments(rows, ranks)
    middle = middle if is_centred else np.zeros_like(middle)
    directions = leading_directions(products, size, mean=middle)
    return directions, -middle @ directions


def _shortest(rows: NDArray[np.float64], fit: Any, ranks: Communicator | None) -> float:
    """Return the length that all but one in twenty-five rows keep along directions that were fitted to others; 1 of too few."""
    rows = rows[np.linspace(0, len(rows) - 1, min(_MEASURED, len(rows))).astype(np.int64)]
    counts = np.array([len(rows)]) if ranks is None else ranks.gather_values(np.array([float(len(rows))]))
    if counts.min() < _FEWEST:
        return 1.0
    lengths, turn = np.empty(len(rows)), np.arange(len(rows)) % _ROUNDS
    for left_out in range(_ROUNDS):
        directions, offset = fit(rows[turn != left_out])
        lengths[turn == left_out] = np.linalg.norm(rows[turn == left_out] @ directions + offset, axis=1)
    found = np.array([np.quantile(lengths, _SHORT)])
    return float(np.mean(found if ranks is None else ranks.gather_values(found)))


def _moments(rows: NDArray[np.float64], ranks: Communicator | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of all ranks' rows, and the mean of their outer products."""
    sums, products, count = rows.sum(axis=0), rows.T @ rows, np.array([float(len(rows))])
    if ranks is not None:
        sums, products, count = (ranks.gather_values(part).sum(axis=0) for part in (sums, products, count))
    total = float(np.sum(count))
    return sums / total, products / total


def frozen_network(config: TrainConfig) -> NetworkEmbedder:
    """Return the network that features are computed by, float32 (N, F) of uint8 (N, H, W, 3).

    Raises:
        ConfigurationError: The weights are not available.
    """
    assert config.backbone in LITE  # noqa: S101 - others have no frozen features
    return NetworkEmbedder(feature_network(config.backbone, config.edge_cells), config.pixels)


def with_features(table: PixelTable, config: TrainConfig, progress: Progress) -> PixelTable:
    """Return a table whose pixels are replaced by features, float16 (N, F).

    Raises:
        ConfigurationError: The weights are not to be had.
        Cancelled: The user asked to stop.
    """
    network = frozen_network(config)
    features = np.empty((len(table), FEATURE_SIZE), dtype=np.float16)
    for start in range(0, len(table), _BATCH):
        progress.check_cancelled()
        part = np.asarray(table.pixels[start : start + _BATCH])
        features[start : start + len(part)] = embed_evenly(network, part)  # as features_of, to the last bit
        progress.report(start + len(part), len(table), unit="pictures", note="looking at the pictures")
    return replace(table, pixels=features)


def load_embedder(
    folder: Path, manifest: Manifest, *, threads: int, device: str = "", cache: CacheFolder | None = None
) -> Embedder:
    """Rebuild a bundle's network and fill it with its weights, to embed many pictures; nothing stored is executed.

    Args:
        folder: The bundle, verified before.
        manifest: Its manifest.
        threads: Threads for one operation; 0 means all cores.
        device: What it computes on; the setting ``TWINSET_DEVICE`` when left out.
        cache: Where frozen features are kept, for networks that embed by them.

    Raises:
        BundleError: The configuration in the manifest is none, or the weights are missing, damaged, or do not fit it.
    """
    config, model = rebuilt(folder, manifest, threads=threads, device=device)
    return _by_features(model, config, cache) if config.learns_from_features else NetworkEmbedder(model, config.pixels)


def _by_features(model: Any, config: TrainConfig, cache: CacheFolder | None) -> ByFeatures:
    """Part a network into its features, which may be kept, and its head."""
    assert config.backbone in LITE  # noqa: S101 - others have no frozen features
    network, head = features_within(model, config), build_trained(config)
    set_head(head, head_arrays(model))
    frozen = NetworkEmbedder(network, config.pixels)
    # Others read what is kept by the network's name alone: it is kept only of the very weights of that name.
    is_shared = cache is not None and has_lite_weights(network, config.backbone)
    kept = KeptFeatures(frozen, space_of(config, frozen, cache) if is_shared else None)
    return ByFeatures(kept, NetworkEmbedder(head, config.pixels))


def space_of(config: TrainConfig, frozen: NetworkEmbedder, cache: CacheFolder | None) -> ContentCache | None:
    """Return where the features of a configuration's frozen network are kept; None without a cache."""
    return None if cache is None else feature_cache(cache, features_name(config), frozen)

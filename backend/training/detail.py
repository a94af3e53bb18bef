"""The part of an embedding that nothing is pulled together in: what the first block of the network sees, where it sees it.

A loss of labels teaches a network to forget what does not tell the known labels apart, and products of a label that it
was not trained on fall together with others. Early features are not forgotten. They are averaged over a grid, projected
on the directions in which the train products vary most, and are beside the learnt part in every embedding; the cosine
of two embeddings is then a weighted mean of two cosines.

Source for early features being general: Yosinski et al., "How transferable are features in deep neural networks?", 2014,
arXiv:1411.1792.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.imaging import pixels as imaging
from backend.retrieval.directions import leading_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.training.config import TrainConfig
    from backend.training.ranks.communicator import Communicator

GRID = 4  # cells a side
LAYER = "detail"
FITTED_ON = 4_000  # pictures at most
_BATCH = 500


def with_detail(learnt: Any, early: Any, config: TrainConfig, tf: Any) -> Any:
    """Join the learnt part, unit vectors (B, D1), and early features (B, H, W, C) to unit vectors (B, D1 + D2)."""
    layers = tf.keras.layers

    cell = [math.ceil(int(side) / GRID) for side in early.shape[1:3]]
    x = layers.Flatten()(layers.AveragePooling2D(cell, padding="same")(early))
    x = layers.Activation("linear", dtype="float32")(x)
    x = layers.UnitNormalization(dtype="float32")(x)
    projected = layers.Dense(
        config.embedding_size - config.learnt_size,
        use_bias=False,
        kernel_initializer="orthogonal",
        trainable=False,
        name=LAYER,
        dtype="float32",
    )(x)
    detail = layers.UnitNormalization(dtype="float32")(projected)
    # Side by side and of these lengths, their cosines are averaged by their shares.
    parts = [math.sqrt(1.0 - config.detail_share) * learnt, math.sqrt(config.detail_share) * detail]
    return layers.Concatenate(axis=1, dtype="float32")(parts)


def learnt_part(embeddings: Any, config: TrainConfig) -> Any:
    """Take the learnt part out of embeddings (B, D), as unit vectors (B, D1)."""
    if config.learnt_size == config.embedding_size:
        return embeddings
    return embeddings[:, : config.learnt_size] / math.sqrt(config.learnt_share)


def fit_detail(model: Any, pixels: NDArray[np.uint8], ranks: Communicator, tf: Any) -> None:
    """Point the projection of early features at the directions in which those of these pictures vary most.

    Args:
        model: A network with a detail part; one without is left alone.
        pixels: Pictures of the train split, uint8 (N, H, W, C); up to :data:`FITTED_ON` of them are looked at.
        ranks: All ranks must ask, and get the same: the pictures of all count.
        tf: The module from :func:`backend.training.runtime.prepare_tensorflow`.
    """
    if LAYER not in {layer.name for layer in model.layers}:
        return
    layer = model.get_layer(LAYER)
    early = tf.function(tf.keras.Model(model.inputs, layer.input), reduce_retracing=True)
    rows = np.linspace(0, len(pixels) - 1, min(FITTED_ON, len(pixels))).astype(np.int64)
    parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    features = np.concatenate([early(imaging.to_float(pixels[part]), training=False).numpy() for part in parts])
    sums = ranks.gather_values(features.sum(axis=0, dtype=np.float64)).sum(axis=0)
    products = ranks.gather_values(features.T.astype(np.float64) @ features).sum(axis=0)
    count = float(ranks.gather_values(np.array([float(len(features))])).sum())
    directions = leading_directions(products / count, int(layer.units), mean=sums / count)
    layer.set_weights([directions.astype(np.float32)])

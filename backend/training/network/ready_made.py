"""Networks that start from ready-made weights: frozen features, and a head of up to three parts on them.

pixels -> features [pooled, colours] -> [learnt | kept | colours]

The learnt part is pulled together by a loss. The kept part holds the directions in which the pictures' features vary
most, so that products of labels that were never trained on stay apart. The third is how the garment is coloured. Each is
of unit length; side by side, their cosines are averaged by their shares. As long as no block is tuned, features depend on
the picture alone: they are computed once and kept, and a head trains in seconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from backend.training.detail import LAYER
from backend.training.network.colours import COLOURS, colour_part
from backend.training.network.efficientnet_lite import FEATURES, LiteNetwork
from backend.training.network.lite import LITE
from backend.training.network.lite_weights import hash_of, load_lite_weights
from backend.training.runtime import loaded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backend.training.config import TrainConfig
    from backend.training.network.lite import LiteName

CENTRE, EMBEDDING = "centre", "embedding"
FEATURE_SIZE = FEATURES + COLOURS
# One more whenever the same pixels and weights give other features than before: of the network, or of colours.py.
FEATURE_CONTRACT = 1
_UNSCALED = 1.001  # length of a direction up to which it is of unit length


def feature_network(name: LiteName, edge: int) -> Any:
    """Build the frozen network and fill it: float32 (B, H, W, 3) in [0, 1] to features (B, :data:`FEATURE_SIZE`).

    Args:
        name: Which network.
        edge: Cells along each side of its last map that are left out of the mean.

    Raises:
        ConfigurationError: The weights are not to be had.
    """
    model = _unfilled(name, edge)
    load_lite_weights(model, name)
    return model


def features_within(whole: Any, config: TrainConfig) -> Any:
    """Return the network of the features that a whole one embeds by, with its weights."""
    assert config.backbone in LITE  # noqa: S101 - said by whoever calls
    model = _unfilled(config.backbone, config.edge_cells)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(whole.get_layer(layer.name).get_weights())
    return model


def _unfilled(name: LiteName, edge: int) -> Any:
    tf = loaded()
    inputs = tf.keras.layers.Input((LITE[name].side, LITE[name].side, 3), name="pixels")
    return tf.keras.Model(inputs, tf.keras.layers.Concatenate()([*_features(inputs, name, 0, edge)[1:]]))


def features_name(config: TrainConfig) -> str:
    """Name the features of a configuration's network by all that they depend on beside the pixels."""
    assert config.backbone in LITE  # noqa: S101 - as above
    edge = f"-e{config.edge_cells}" if config.edge_cells else ""
    return f"{config.backbone}-{hash_of(config.backbone)[:12]}-f{FEATURE_CONTRACT}{edge}"


def ready_made_embedding(pixels: Any, config: TrainConfig) -> Any:
    """Put a network on symbolic pixels (B, H, W, 3) in [0, 1] and return its embeddings (B, D)."""
    assert config.backbone in LITE  # noqa: S101 - said by whoever calls
    return _head(*_features(pixels, config.backbone, config.tuned_blocks, config.edge_cells), config)


def head_embedding(features: Any, config: TrainConfig) -> Any:
    """Put the head alone on symbolic features (B, :data:`FEATURE_SIZE`) and return its embeddings (B, D)."""
    pooled, colours = features[:, :FEATURES], features[:, FEATURES:]
    unit = loaded().keras.layers.UnitNormalization(dtype="float32")  # kept features are rounded
    return _head(pooled, pooled, unit(colours), config)


def _features(pixels: Any, name: LiteName, tuned: int, edge: int) -> tuple[Any, Any, Any]:
    """Return what the learnt part sees, what the kept part sees, and the colours; the first two differ where blocks are tuned."""
    tf = loaded()
    network = LiteNetwork(name, tf.keras.layers)
    start = len(network.blocks) - tuned
    trunk = network.trunk(pixels, start)
    learnt = network.tail(trunk, start, tuned=tuned > 0)
    kept = network.tail(trunk, start, prefix="kept-") if tuned else learnt
    mean = tf.keras.layers.GlobalAveragePooling2D()
    middle = tf.keras.layers.Cropping2D(edge) if edge else lambda cells: cells
    return mean(middle(learnt)), mean(middle(kept)), colour_part(pixels, kept, tf)


def _head(learnt: Any, kept: Any, colours: Any, config: TrainConfig) -> Any:
    tf = loaded()
    from tensorflow_similarity.layers import MetricEmbedding

    layers = tf.keras.layers
    # Only its mean is used, and that is fitted, not learnt.
    centre = layers.BatchNormalization(epsilon=0.0, center=False, scale=False, trainable=False, name=CENTRE)
    unit = layers.UnitNormalization(dtype="float32")
    parts = []
    if config.learnt_size:
        x = unit(centre(learnt, training=False))
        x = layers.Dropout(config.dropout)(x) if config.dropout else x
        parts.append(math.sqrt(config.learnt_share) * MetricEmbedding(config.learnt_size, name=EMBEDDING)(x))
    if config.kept_size:
        directions = layers.Dense(config.kept_size, trainable=False, name=LAYER)
        kept_part = unit(directions(unit(centre(kept, training=False))))
        parts.append(math.sqrt(config.kept_share) * kept_part)
    if config.colour_share:
        parts.append(math.sqrt(config.colour_share) * colours)
    return layers.Concatenate(axis=1, dtype="float32")(parts) if len(parts) > 1 else parts[0]


def likeness_of(model: Any) -> Any | None:
    """Return the symbolic length of the kept part, (B,), before it is brought to unit length; None where there is none.

    Below 1 there is less in a picture of what the pictures vary in that the head was fitted to than in nearly all of
    those; where :func:`tells_likeness`.
    """
    names = [layer.name for layer in model.layers]
    return loaded().norm(model.get_layer(LAYER).output, axis=1) if {CENTRE, LAYER} <= {*names} else None


def tells_likeness(model: Any) -> bool:
    """Tell whether a network's kept part is scaled, so that its length says something; in earlier ones it is not."""
    return float(loaded().norm(model.get_layer(LAYER).kernel[:, 0])) > _UNSCALED


def head_arrays(model: Any) -> dict[str, list[NDArray[np.float32]]]:
    """Return the arrays of a network's head by layer."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.name in {CENTRE, EMBEDDING, LAYER}}


def set_head(model: Any, arrays: dict[str, list[NDArray[np.float32]]]) -> None:
    """Give a network the head of another one that was built from the same sizes."""
    for name, values in arrays.items():
        model.get_layer(name).set_weights(values)

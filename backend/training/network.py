"""The networks, built in code from a configuration; nothing that was stored decides what is run.

Training and answering build the same TensorFlow Similarity model; an answering one is then filled with stored arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backend.training.config import TrainConfig

RESNET_WIDTHS = (32, 64, 128)
# Few steps make an epoch, so that running means must follow faster than with Keras's 0.99.
_NORM_MOMENTUM = 0.9


def build_network(config: TrainConfig) -> Any:
    """Build the ``SimilarityModel`` of a configuration: float32 (B, H, W, C) in [0, 1] to unit vectors (B, D).

    TensorFlow and TensorFlow Similarity must have been prepared by :mod:`backend.training.runtime`.
    """
    import tensorflow as tf
    from tensorflow_similarity.layers import MetricEmbedding
    from tensorflow_similarity.models import SimilarityModel

    inputs = tf.keras.layers.Input(config.pixels.shape, name="pixels")
    backbone = {"seed-cnn": _seed_cnn, "resnet": _resnet}[config.backbone]
    features = backbone(inputs, config, tf.keras.layers)
    return SimilarityModel(inputs, MetricEmbedding(config.embedding_size, name="embedding")(features))


def _seed_cnn(x: Any, config: TrainConfig, layers: Any) -> Any:
    """The network of the original design, without its second scaling of the pixels."""
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(config.dropout)(x)
    x = layers.Dropout(config.dropout)(x)
    return layers.Flatten()(x)


def _resnet(x: Any, config: TrainConfig, layers: Any) -> Any:
    """A small residual network; halving the picture before the first block makes training four times cheaper."""
    x = layers.MaxPooling2D(2, padding="same")(_convolved(x, RESNET_WIDTHS[0], layers))
    x = layers.ReLU()(_normed(x, layers))
    for number, width in enumerate(RESNET_WIDTHS):
        x = _residual(x, width, layers, stride=1 if number == 0 else 2)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dropout(config.dropout)(x) if config.dropout else x


def _residual(x: Any, width: int, layers: Any, *, stride: int) -> Any:
    shortcut = x
    if stride > 1:
        shortcut = layers.AveragePooling2D(stride, padding="same")(x)
        shortcut = _normed(_convolved(shortcut, width, layers, size=1), layers)
    x = layers.ReLU()(_normed(_convolved(x, width, layers, stride=stride), layers))
    x = _normed(_convolved(x, width, layers), layers)
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _convolved(x: Any, width: int, layers: Any, *, size: int = 3, stride: int = 1) -> Any:
    convolution = layers.Conv2D(width, size, stride, "same", use_bias=False, kernel_initializer="he_normal")
    return convolution(x)


def _normed(x: Any, layers: Any) -> Any:
    return layers.BatchNormalization(momentum=_NORM_MOMENTUM)(x)

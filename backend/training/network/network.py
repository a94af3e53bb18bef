"""The networks, built in code from a configuration; nothing that was stored decides what is run.

Training and answering build the same TensorFlow Similarity model; an answering one is then filled with stored arrays.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backend.training.config import APPLICATIONS
from backend.training.detail import with_detail
from backend.training.network.applications import application_features
from backend.training.network.lite import LITE
from backend.training.network.ready_made import FEATURE_SIZE, head_embedding, ready_made_embedding
from backend.training.runtime import loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backend.training.config import TrainConfig

RESNET_WIDTHS = (32, 64, 128)
# Few steps make an epoch, so that running means must follow faster than with Keras's 0.99.
NORM_MOMENTUM = 0.9
MIXED = "mixed_bfloat16"  # has float32's range, so that no loss must be scaled


def has_batch_statistics(config: TrainConfig) -> bool:
    """Tell whether what the network makes of a picture in training depends on the rest of its batch."""
    return config.backbone not in {"seed-cnn", "seed-cnn-as-published", *LITE}


def can_synchronise(config: TrainConfig) -> bool:
    """Tell whether ``normalisation`` of :func:`build_network` reaches every layer with batch statistics."""
    return config.backbone not in APPLICATIONS


def build_network(
    config: TrainConfig, normalisation: Callable[[], Any] | None = None, *, mixed_precision: bool = False
) -> Any:
    """Build the ``SimilarityModel`` of a configuration: float32 (B, H, W, C) in [0, 1] to unit vectors (B, D).

    TensorFlow and TensorFlow Similarity must have been prepared by :mod:`backend.training.runtime`. Weights are drawn;
    those of ImageNet come with :func:`backend.training.network.pretrained.load_pretrained`.

    Args:
        config: Which network.
        normalisation: Makes each layer that normalises a batch; Keras's ``BatchNormalization`` when left out.
        mixed_precision: Whether to compute in bfloat16 where it is safe; weights and embeddings are float32 always.
            For training only: answers are computed in float32.
    """
    tf = loaded()
    from tensorflow_similarity.layers import MetricEmbedding
    from tensorflow_similarity.models import SimilarityModel

    layers = tf.keras.layers
    normal = normalisation or (lambda: layers.BatchNormalization(momentum=NORM_MOMENTUM))
    with _policy(tf, mixed_precision):
        inputs = layers.Input(config.pixels.shape, name="pixels")
        if config.backbone in LITE:
            return SimilarityModel(inputs, ready_made_embedding(inputs, config))
        features, early = _features(inputs, config, layers, normal)
    # The embedding is made in float32, whatever computed its features.
    features = layers.Activation("linear", dtype="float32")(features) if mixed_precision else features
    learnt = MetricEmbedding(config.learnt_size, name="embedding")(features)
    return SimilarityModel(inputs, with_detail(learnt, early, config, tf) if config.detail_share else learnt)


def build_trained(config: TrainConfig, normalisation: Callable[[], Any] | None = None) -> Any:
    """Build what training changes: the network, or the head alone, from features (B, F), where only that is learnt."""
    if not config.learns_from_features:
        return build_network(config, normalisation, mixed_precision=config.mixed_precision)
    tf = loaded()
    from tensorflow_similarity.models import SimilarityModel

    features = tf.keras.layers.Input((FEATURE_SIZE,), name="features")
    return SimilarityModel(features, head_embedding(features, config))


def _features(x: Any, config: TrainConfig, layers: Any, normal: Callable[[], Any]) -> tuple[Any, Any]:
    """Return the features that the embedding is learnt from, and the early ones where the network has some."""
    if config.backbone in APPLICATIONS:
        return _dropped(application_features(x, config.backbone, NORM_MOMENTUM), config, layers), None
    if config.backbone == "seed-cnn":
        return _seed_cnn(x, config, layers), None
    if config.backbone == "seed-cnn-as-published":
        return _seed_cnn_as_published(x, config, layers), None
    return _resnet(x, config, layers, normal)


@contextmanager
def _policy(tf: Any, mixed: bool) -> Iterator[None]:  # noqa: FBT001 - private, and said at its only call
    """Layers made within compute in bfloat16 if asked for; the policy of the process is restored."""
    precision = tf.keras.mixed_precision
    before = precision.global_policy()
    if mixed:
        precision.set_global_policy(MIXED)
    try:
        yield
    finally:
        precision.set_global_policy(before)


def _seed_cnn(x: Any, config: TrainConfig, layers: Any) -> Any:
    """The network of the original design, without its second scaling of the pixels."""
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(config.dropout)(x)
    x = layers.Dropout(config.dropout)(x)
    return layers.Flatten()(x)


def _seed_cnn_as_published(x: Any, config: TrainConfig, layers: Any) -> Any:
    """The network of the original design with its mistake: pixels in [0, 1] are divided by 255 a second time.

    It exists only as the reference that others are measured against; never train a model for use with it.
    """
    return _seed_cnn(layers.Rescaling(1.0 / 255.0)(x), config, layers)


def _resnet(x: Any, config: TrainConfig, layers: Any, normal: Callable[[], Any]) -> tuple[Any, Any]:
    """A small residual network; halving the picture before the first block makes training four times cheaper."""
    x = layers.MaxPooling2D(2, padding="same")(_convolved(x, RESNET_WIDTHS[0], layers))
    x = layers.ReLU()(normal()(x))
    early = x = _residual(x, RESNET_WIDTHS[0], layers, normal, stride=1)
    for width in RESNET_WIDTHS[1:]:
        x = _residual(x, width, layers, normal, stride=2)
    return _dropped(layers.GlobalAveragePooling2D()(x), config, layers), early


def _residual(x: Any, width: int, layers: Any, normal: Callable[[], Any], *, stride: int) -> Any:
    shortcut = x
    if stride > 1:
        shortcut = layers.AveragePooling2D(stride, padding="same")(x)
        shortcut = normal()(_convolved(shortcut, width, layers, size=1))
    x = layers.ReLU()(normal()(_convolved(x, width, layers, stride=stride)))
    x = normal()(_convolved(x, width, layers))
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _dropped(x: Any, config: TrainConfig, layers: Any) -> Any:
    return layers.Dropout(config.dropout)(x) if config.dropout else x


def _convolved(x: Any, width: int, layers: Any, *, size: int = 3, stride: int = 1) -> Any:
    convolution = layers.Conv2D(width, size, stride, "same", use_bias=False, kernel_initializer="he_normal")
    return convolution(x)

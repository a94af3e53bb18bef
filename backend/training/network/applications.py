"""Networks of ``tf.keras.applications`` as backbones, each with the preprocessing that its ImageNet weights expect.

The preprocessing is part of the network and starts from the one pixel contract, float32 RGB in [0, 1], so that nothing
outside it scales pixels. What each expects is measured against Keras's own ``preprocess_input`` in the tests:

    mobilenet-v2         in [-1, 1]
    resnet50             0 to 255, blue first, ImageNet's mean colour taken off
    efficientnet-v2-b0   ImageNet's mean colour taken off, divided by its deviation
"""

from __future__ import annotations

from typing import Any

from backend.training.runtime import loaded

MEAN_RGB = (0.485, 0.456, 0.406)  # of ImageNet, in [0, 1]
DEVIATION_RGB = (0.229, 0.224, 0.225)
MEAN_BGR = (103.939, 116.779, 123.68)  # the same, as ResNet50 was trained with: 0 to 255, blue first


def application_features(pixels: Any, name: str, momentum: float) -> Any:
    """Put the network ``name`` on symbolic pixels (B, H, W, 3) and return its pooled features (B, F).

    Args:
        pixels: Symbolic float32 in [0, 1].
        name: One of :data:`backend.training.config.APPLICATIONS`.
        momentum: Of the running means of batch normalisation; Keras's own need thousands of steps.
    """
    tf = loaded()

    network = make_application(name, input_tensor=preprocessed(pixels, name, tf.keras.layers))
    for layer in network.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = momentum
    return network.output


def preprocessed(pixels: Any, name: str, layers: Any) -> Any:
    """Turn pixels in [0, 1] into what the network ``name`` was trained with."""
    if name == "mobilenet-v2":
        return layers.Rescaling(2.0, offset=-1.0, name="preprocessing")(pixels)
    if name == "resnet50":
        return layers.Rescaling(255.0, offset=[-mean for mean in MEAN_BGR], name="preprocessing")(pixels[..., ::-1])
    scale = [1.0 / deviation for deviation in DEVIATION_RGB]
    offset = [-mean / deviation for mean, deviation in zip(MEAN_RGB, DEVIATION_RGB, strict=True)]
    return layers.Rescaling(scale, offset=offset, name="preprocessing")(pixels)


def make_application(name: str, *, weights: str | None = None, **options: Any) -> Any:
    """Build a network of ``tf.keras.applications`` without its classes, with pooled features.

    Args:
        name: One of :data:`backend.training.config.APPLICATIONS`.
        weights: None for drawn ones, ``imagenet`` for Keras's, which it downloads where they are not cached.
        options: ``input_tensor`` or ``input_shape``.
    """
    tf = loaded()

    applications = tf.keras.applications
    makers = {
        "mobilenet-v2": applications.MobileNetV2,
        "resnet50": applications.ResNet50,
        "efficientnet-v2-b0": applications.EfficientNetV2B0,
    }
    if name == "efficientnet-v2-b0":
        options["include_preprocessing"] = False
    return makers[name](include_top=False, pooling="avg", weights=weights, **options)

"""The networks and the loss, in real TensorFlow."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from backend.errors import ConfigurationError
from backend.training.config import APPLICATIONS, CHOICES, TrainConfig
from backend.training.network.lite import LITE
from backend.training.network.network import build_network, can_synchronise, has_batch_statistics
from backend.training.presets import PRESETS
from tests.support.colour_config import COLOUR

pytestmark = pytest.mark.tf


@pytest.fixture(scope="module")
def tf():
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    module = prepare_tensorflow(2)
    prepare_similarity()
    return module


def layers_of(model):
    return [type(layer).__name__ for layer in model.layers]


def test_legacy_keras_is_in_use_and_no_plotting_library_was_loaded(tf):
    assert tf.keras.Model.__module__.startswith("tf_keras.")
    part = sys.modules.get("tensorflow_similarity.visualization")
    assert part is None or part.__file__  # the stand-in is gone


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_builds_a_similarity_model_that_gives_unit_vectors(tf, name):
    from tensorflow_similarity.models import SimilarityModel

    config = PRESETS[name]
    model = build_network(config)
    vectors = model(np.random.default_rng(0).random((3, *config.pixels.shape), dtype=np.float32), training=False)
    assert isinstance(model, SimilarityModel)
    assert vectors.shape == (3, config.embedding_size)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, config in PRESETS.items() if config.backbone not in LITE])
def test_no_network_scales_pixels(tf, name):
    """The original design's network held a Rescaling layer on top of pixels that were divided by 255 before."""
    assert not {"Rescaling", "Normalization", "Lambda"} & set(layers_of(build_network(PRESETS[name])))


def test_the_seed_network_is_layer_by_layer_that_of_the_original_design(tf):
    model = build_network(PRESETS["seed-cnn"])
    names = ["InputLayer", "Conv2D", "MaxPooling2D", "Dropout", "Dropout", "Flatten", "MetricEmbedding"]
    assert layers_of(model) == names
    convolution, first, second = model.layers[1], model.layers[3], model.layers[4]
    assert (convolution.filters, convolution.kernel_size) == (32, (3, 3))
    assert (first.rate, second.rate) == (0.3, 0.3)
    assert model.output_shape == (None, 128)


def test_the_published_network_divides_by_255_again_and_is_the_seed_network_otherwise(tf):
    """The mistake of the original design, kept as the reference that is measured; nothing else may scale."""
    published = build_network(replace(PRESETS["seed-cnn"], backbone="seed-cnn-as-published"))
    names = layers_of(published)
    assert names.pop(1) == "Rescaling"
    assert names == layers_of(build_network(PRESETS["seed-cnn"]))
    assert published.layers[1].scale == pytest.approx(1 / 255)
    pixels = np.random.default_rng(0).random((4, 28, 28, 1), dtype=np.float32)
    plain = build_network(PRESETS["seed-cnn"])
    plain.set_weights(published.get_weights())
    np.testing.assert_allclose(published(pixels), plain(pixels / 255), atol=1e-5)


def of_backbone(name, **changes):
    return replace(COLOUR, backbone=name, **changes)


def test_ready_made_networks_have_layers_that_normalise_and_none_that_looks_at_the_batch(tf):
    config = replace(PRESETS["photos-tuned"], dropout=0.0)
    network = build_network(config)
    pixels = np.random.default_rng(0).random((2, *config.pixels.shape), dtype=np.float32)
    assert not has_batch_statistics(config)
    assert "BatchNormalization" in layers_of(network)
    np.testing.assert_allclose(network(pixels, training=True), network(pixels, training=False), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CHOICES["backbone"] if name not in LITE])
def test_batch_statistics_are_told_by_the_layers_that_are_really_there(tf, name):
    config = of_backbone(name, height=32, width=32)
    layers = layers_of(build_network(config))
    assert has_batch_statistics(config) == any("BatchNormalization" in layer for layer in layers)


def test_a_layer_of_the_callers_normalises_every_batch_that_can_be_synchronised(tf):
    class Ours(tf.keras.layers.BatchNormalization):
        pass

    config = PRESETS["resnet"]
    ours = layers_of(build_network(config, Ours))
    plain = layers_of(build_network(config))
    assert "BatchNormalization" not in ours
    assert ours.count("Ours") == plain.count("BatchNormalization") == 9
    assert can_synchronise(config)
    assert not any(can_synchronise(of_backbone(name)) for name in APPLICATIONS)


def test_running_means_follow_within_few_steps_in_every_network(tf):
    for name in ("resnet", *APPLICATIONS):
        network = build_network(of_backbone(name, height=32, width=32))
        momenta = {layer.momentum for layer in network.layers if isinstance(layer, tf.keras.layers.BatchNormalization)}
        assert momenta == {0.9}, name


def test_mixed_precision_computes_in_bfloat16_and_keeps_weights_and_embeddings_in_float32(tf):
    before = tf.keras.mixed_precision.global_policy().name
    network = build_network(PRESETS["resnet"], mixed_precision=True)
    assert tf.keras.mixed_precision.global_policy().name == before == "float32"
    kinds = {layer.compute_dtype for layer in network.layers if type(layer).__name__ == "Conv2D"}
    assert kinds == {"bfloat16"}
    assert {weight.dtype for weight in network.weights} == {tf.float32}
    plain = build_network(PRESETS["resnet"])
    plain.set_weights(network.get_weights())
    pixels = np.random.default_rng(0).random((6, 28, 28, 1), dtype=np.float32)
    mixed = network(pixels).numpy()
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(mixed, axis=1), 1.0, atol=1e-5)
    assert (mixed * plain(pixels).numpy()).sum(axis=1).min() > 0.99


def test_mixed_precision_is_refused_on_a_gpu_that_is_too_old_for_it():
    from backend.training.network.precision import check_precision

    old = {"device_name": "Tesla T4", "compute_capability": (7, 5)}
    check_precision(TrainConfig(), old)
    check_precision(TrainConfig(mixed_precision=True), {"compute_capability": (8, 0)})
    with pytest.raises(ConfigurationError, match="Tesla T4 does not") as caught:
        check_precision(TrainConfig(mixed_precision=True), old)
    assert caught.value.next_step

"""Networks of Keras: their preprocessing, and ImageNet weights that are there or cannot be had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.errors import ConfigurationError
from backend.training.config import APPLICATIONS
from backend.training.network.applications import make_application
from backend.training.network.network import build_network
from backend.training.network.pretrained import check_pretrained, load_pretrained
from backend.training.presets import PRESETS
from tests.support.colour_config import COLOUR

pytestmark = [pytest.mark.tf, pytest.mark.slow]

SMALL = replace(COLOUR, height=32, width=32)
STORED = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5"  # the name that Keras gives it


@pytest.fixture(scope="module")
def tf():
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    module = prepare_tensorflow(2)
    prepare_similarity()
    return module


@pytest.mark.parametrize("name", APPLICATIONS)
def test_pixels_reach_a_network_as_it_was_trained_with_them(tf, name):
    """Keras's own preprocessing of 0 to 255 is the judge; ours starts from the pixel contract, 0 to 1."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.float32)
    network = build_network(replace(SMALL, backbone=name))
    seen = tf.keras.Model(network.input, network.get_layer("preprocessing").output)(pixels / 255.0).numpy()
    np.testing.assert_allclose(seen, _expected(tf, name, pixels), atol=1e-4)


def _expected(tf, name, pixels):
    applications = tf.keras.applications
    if name == "mobilenet-v2":
        return applications.mobilenet_v2.preprocess_input(pixels.copy())
    if name == "resnet50":
        return applications.resnet50.preprocess_input(pixels.copy())
    whole = applications.EfficientNetV2B0(include_top=False, weights=None, input_shape=(32, 32, 3))
    inside = next(layer for layer in whole.layers if type(layer).__name__ == "Normalization")
    return tf.keras.Model(whole.input, inside.output)(pixels).numpy()


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_network_learns_and_gives_unit_vectors(tf, name):
    tf.keras.utils.set_random_seed(1)
    network = build_network(replace(SMALL, backbone=name))
    pixels = np.random.default_rng(0).random((8, 32, 32, 3), dtype=np.float32)
    with tf.GradientTape() as tape:
        vectors = network(pixels, training=True)
        loss = tf.reduce_sum(vectors[:4] * vectors[4:])
    gradients = tape.gradient(loss, network.trainable_variables)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)
    assert all(np.isfinite(gradient.numpy()).all() for gradient in gradients)
    assert max(float(tf.reduce_max(tf.abs(gradient))) for gradient in gradients) > 0


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """A home without Keras's cache, and nobody who answers where Keras downloads from."""
    monkeypatch.setenv("HOME", str(tmp_path))
    from tf_keras.src.applications import efficientnet_v2, mobilenet_v2, resnet

    monkeypatch.setattr(mobilenet_v2, "BASE_WEIGHT_PATH", "http://127.0.0.1:1/")
    monkeypatch.setattr(efficientnet_v2, "BASE_WEIGHTS_PATH", "http://127.0.0.1:1/")
    monkeypatch.setattr(resnet, "BASE_WEIGHTS_PATH", "http://127.0.0.1:1/")
    return tmp_path


@pytest.mark.parametrize("name", APPLICATIONS)
def test_weights_that_cannot_be_had_are_a_sentence_and_never_a_random_start(tf, no_cache, name):
    config = replace(SMALL, backbone=name, pretrained="imagenet")
    network = build_network(config)
    for ask in (lambda: check_pretrained(config), lambda: load_pretrained(network, config)):
        with pytest.raises(ConfigurationError, match=f"ImageNet weights of {name} are not on this machine") as caught:
            ask()
        assert "pretrained to none" in caught.value.next_step


def test_weights_that_are_there_are_the_ones_the_network_starts_from(tf, no_cache):
    """A stand-in file under Keras's name: drawn weights of the same network, saved by Keras itself."""
    config = replace(SMALL, backbone="mobilenet-v2", pretrained="imagenet")
    donor = make_application("mobilenet-v2", input_shape=(96, 96, 3))
    models = no_cache / ".keras" / "models"
    models.mkdir(parents=True)
    donor.save_weights(models / STORED)
    network = build_network(config)
    load_pretrained(network, config)
    for layer in donor.layers:
        if layer.weights:
            ours = network.get_layer(layer.name).get_weights()
            for mine, theirs in zip(ours, layer.get_weights(), strict=True):
                np.testing.assert_array_equal(mine, theirs)


def test_nothing_is_looked_for_where_nothing_is_asked_for(tf, no_cache):
    network = build_network(PRESETS["resnet"])
    before = network.get_weights()
    check_pretrained(PRESETS["resnet"])
    load_pretrained(network, PRESETS["resnet"])
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)

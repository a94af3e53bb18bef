"""Lone pictures take another way through the network than batches do, and come to the same."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from backend.imaging.spec import PixelSpec
from backend.training.config import TrainConfig
from backend.training.embedder import NetworkEmbedder
from backend.training.network.network import build_network

pytestmark = pytest.mark.tf

NETWORKS = {
    "resnet with detail": TrainConfig(height=28, width=28, embedding_size=32, detail_share=0.5),
    "seed-cnn": TrainConfig(height=28, width=28, embedding_size=16, backbone="seed-cnn"),
    "mobilenet-v2": TrainConfig(height=32, width=32, channels=3, embedding_size=16, backbone="mobilenet-v2"),
    "efficientnet-v2-b0": TrainConfig(
        height=32, width=32, channels=3, embedding_size=16, backbone="efficientnet-v2-b0"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def tensorflow():
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    prepare_tensorflow(2)
    prepare_similarity()


def drawn(config, count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *config.pixels.shape), dtype=np.uint8)


def one_by_one(embedder, pixels):
    return np.concatenate([embedder.embed(one[None]) for one in pixels])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_lone_picture_is_embedded_as_in_a_batch(name):
    config = NETWORKS[name]
    embedder = NetworkEmbedder(build_network(config), config.pixels)
    pixels = drawn(config, 5)
    together, slowly = embedder.embed(pixels), one_by_one(embedder, pixels)
    embedder.quicken(1)
    quickly = one_by_one(embedder, pixels)
    assert (quickly != slowly).any()  # it is another way
    np.testing.assert_allclose(quickly, together, atol=1e-5)
    np.testing.assert_allclose(slowly, together, atol=1e-5)


def test_threads_that_ask_at_once_get_their_own_answers():
    config = NETWORKS["resnet with detail"]
    embedder = NetworkEmbedder(build_network(config), config.pixels)
    embedder.quicken(1)
    pixels = drawn(config, 40)
    alone = one_by_one(embedder, pixels)
    with ThreadPoolExecutor(8) as pool:
        at_once = np.concatenate(list(pool.map(lambda one: embedder.embed(one[None]), np.tile(pixels, (10, 1, 1, 1)))))
    np.testing.assert_array_equal(at_once, np.tile(alone, (10, 1)))


def test_an_embedder_keeps_its_network_alive():
    config = NETWORKS["seed-cnn"]
    embedder = NetworkEmbedder(build_network(config), config.pixels)
    gc.collect()
    embedder.quicken(1)
    assert embedder.embed(drawn(config, 1)).shape == (1, 16)


def test_a_network_in_training_is_asked_as_it_is_now():
    config = NETWORKS["seed-cnn"]
    model = build_network(config)
    embedder = NetworkEmbedder(model, config.pixels)
    pixels = drawn(config, 1)
    before = embedder.embed(pixels)
    model.set_weights([np.flip(array).reshape(array.shape) for array in model.get_weights()])
    assert np.abs(embedder.embed(pixels) - before).max() > 0.01


def test_a_large_network_is_not_kept_twice(monkeypatch):
    monkeypatch.setattr("backend.training.embedder._LONE_WEIGHTS", 1_000)
    config = NETWORKS["seed-cnn"]
    embedder = NetworkEmbedder(build_network(config), config.pixels)
    pixels = drawn(config, 1)
    before = embedder.embed(pixels)
    embedder.quicken(1)
    np.testing.assert_array_equal(embedder.embed(pixels), before)


@pytest.mark.parametrize("name", ["head-norm", "kept-head-norm"])
def test_a_ready_made_network_tells_how_much_it_sees_where(name):
    from backend.training.runtime import loaded

    tf, spec = loaded(), PixelSpec(32, 32, 3)
    layers = tf.keras.layers
    inputs = layers.Input(spec.shape)
    last = layers.BatchNormalization(name=name)(layers.Conv2D(6, 3, 2, "same")(inputs))
    model = tf.keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.ReLU(6.0)(last)))
    features = tf.keras.Model(inputs, layers.ReLU(6.0)(last))
    picture = np.random.default_rng(1).integers(0, 256, spec.shape, dtype=np.uint8)
    expected = np.linalg.norm(features(picture[None] / np.float32(255)).numpy()[0], axis=-1)
    slow, quick = NetworkEmbedder(model, spec), NetworkEmbedder(model, spec)
    quick.quicken(1)
    for embedder in (slow, quick):
        assert embedder.seen(picture) == pytest.approx(expected, abs=1e-4)
        assert embedder.seen(picture).shape == (16, 16)


def test_a_network_that_is_not_ready_made_does_not_tell():
    config = NETWORKS["seed-cnn"]
    assert NetworkEmbedder(build_network(config), config.pixels).seen(drawn(config, 1)[0]) is None

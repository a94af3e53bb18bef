"""The networks and the loss, in real TensorFlow."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from backend.training.config import PRESETS, TrainConfig
from backend.training.losses import LABEL_SMOOTHING, PROXY_SCALE, EmbeddingLoss
from backend.training.network import build_network

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
    assert vectors.shape == (3, 128)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", PRESETS)
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


def test_multi_similarity_alone_is_what_tensorflow_similarity_computes(tf):
    from tensorflow_similarity.losses import MultiSimilarityLoss

    labels, vectors = batch(tf)
    loss = EmbeddingLoss(replace(TrainConfig(), loss="multi-similarity"), 3)
    terms = loss.terms(labels, vectors)
    assert terms.keys() == {"multi_similarity"}
    assert loss.variables == []
    expected = MultiSimilarityLoss(distance="cosine")(labels, vectors)
    assert float(terms["multi_similarity"]) == pytest.approx(float(expected))
    assert float(expected) > 0


def test_the_proxy_term_is_a_smoothed_softmax_over_cosines(tf):
    labels, vectors = batch(tf)
    loss = EmbeddingLoss(replace(TrainConfig(), proxy_weight=2.0), 3)
    (proxies,) = loss.variables
    directions = proxies.numpy() / np.linalg.norm(proxies.numpy(), axis=1, keepdims=True)
    logits = PROXY_SCALE * vectors.numpy() @ directions.T
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = np.eye(3)[labels.numpy()] * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 3
    expected = 2.0 * -(wanted * log_shares).sum(axis=1).mean()
    assert float(loss.terms(labels, vectors)["proxy"]) == pytest.approx(expected, rel=1e-4)


def batch(tf):
    vectors = np.random.default_rng(1).standard_normal((12, 128)).astype(np.float32)
    return tf.constant(np.repeat(np.arange(3), 4), tf.int32), tf.math.l2_normalize(tf.constant(vectors), axis=1)

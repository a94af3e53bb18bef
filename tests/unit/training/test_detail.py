"""Early features beside the learnt part of an embedding: their share of the similarity, and where they look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.errors import ConfigurationError
from backend.imaging import pixels as imaging
from backend.training.config import TrainConfig, validate
from backend.training.detail import LAYER, fit_detail, learnt_part
from backend.training.ranks.communicator import Alone

pytestmark = pytest.mark.tf

CONFIG = TrainConfig(height=16, width=16, embedding_size=24, detail_share=0.4)


@pytest.fixture(scope="module")
def tf():
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    found = prepare_tensorflow(2)
    prepare_similarity()
    return found


@pytest.fixture
def model(tf):
    from backend.training.network.network import build_network

    tf.keras.utils.set_random_seed(7)
    return build_network(CONFIG)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(3).integers(0, 256, (60, 16, 16, 1), np.uint8)


def embedded(model, pixels):
    return model(imaging.to_float(pixels), training=False).numpy()


def test_the_similarity_is_the_weighted_mean_of_both_parts(model, pixels):
    vectors = embedded(model, pixels)
    assert vectors.shape == (60, 24)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    learnt = learnt_part(vectors, CONFIG)
    detail = vectors[:, 12:] / np.sqrt(0.4)
    for part in (learnt, detail):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors @ vectors.T, 0.6 * learnt @ learnt.T + 0.4 * detail @ detail.T, atol=1e-5)


def test_the_detail_part_is_not_changed_by_steps(model):
    assert LAYER not in {variable.name.split("/")[0] for variable in model.trainable_variables}
    assert len(model.weights) > len(model.trainable_variables)


def test_fitted_it_looks_where_early_features_vary_most(tf, model, pixels):
    layer = model.get_layer(LAYER)
    early = tf.keras.Model(model.inputs, layer.input)(imaging.to_float(pixels), training=False).numpy()
    before = early @ layer.get_weights()[0]
    learnt = embedded(model, pixels)[:, :12]
    fit_detail(model, pixels, Alone(), tf)
    (kernel,) = layer.get_weights()
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(12), atol=1e-5)
    after = early @ kernel
    assert after.var(axis=0).sum() > 1.5 * before.var(axis=0).sum()
    singular = np.linalg.svd(early - early.mean(axis=0), compute_uv=False)[:12]
    np.testing.assert_allclose(after.var(axis=0), singular**2 / len(early), rtol=1e-3)
    np.testing.assert_array_equal(embedded(model, pixels)[:, :12], learnt)


class TwoRanks(Alone):
    """Two ranks that hold the same pictures."""

    def gather_values(self, values):
        return np.stack([values, values])


def test_ranks_fit_it_to_the_pictures_of_all(tf, model, pixels):
    fit_detail(model, pixels, Alone(), tf)
    (alone,) = model.get_layer(LAYER).get_weights()
    fit_detail(model, pixels, TwoRanks(), tf)
    np.testing.assert_allclose(model.get_layer(LAYER).get_weights()[0], alone, atol=1e-5)


def test_without_a_share_everything_is_learnt(tf, pixels):
    from backend.training.network.network import build_network

    config = replace(CONFIG, detail_share=0.0)
    plain = build_network(config)
    assert LAYER not in {layer.name for layer in plain.layers}
    fit_detail(plain, pixels, Alone(), tf)
    vectors = embedded(plain, pixels)
    assert vectors.shape == (60, 24)
    assert learnt_part(vectors, config) is vectors


def test_a_network_without_early_features_is_refused():
    with pytest.raises(ConfigurationError, match="seed-cnn has no early features"):
        validate(TrainConfig(backbone="seed-cnn", detail_share=0.3))
    with pytest.raises(ConfigurationError, match=r"detail_share must be between 0 and 0.9"):
        validate(TrainConfig(detail_share=0.95))

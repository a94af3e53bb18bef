"""The losses, in real TensorFlow, on real pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.feeding.batches import BatchPlan, PixelFeed
from backend.training.config import LOSS_DISTANCES, TrainConfig
from backend.training.network.losses import LABEL_SMOOTHING, PROXY_SCALE, EmbeddingLoss
from backend.training.network.network import build_network
from backend.training.network.optimizers import build_optimizer
from backend.training.network.weights import values_hash
from tests.support.pictures import all_decoded

pytestmark = pytest.mark.tf

PAIRS = [(loss, distance) for loss, distances in LOSS_DISTANCES.items() for distance in distances]
STEPS = 24
TINY = TrainConfig(
    backbone="seed-cnn",
    height=16,
    width=16,
    channels=3,
    background="light",
    embedding_size=16,
    learning_rate=0.002,
    classes_per_batch=3,
    examples_per_class=5,
)


@pytest.fixture(scope="module")
def tf():
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    module = prepare_tensorflow(2)
    prepare_similarity()
    module.config.experimental.enable_op_determinism()
    return module


@pytest.fixture(scope="module")
def batches(small_products):
    """Batches of ten pictures of each of three kinds."""
    train = [product for product in small_products if product.split == "train"]
    pixels = all_decoded([product.image for product in train], TINY.pixels)
    labels = np.unique([product.label for product in train], return_inverse=True)[1].astype(np.int32)
    return list(PixelFeed(pixels, labels, BatchPlan(3, 5, STEPS, "flip", 7)).epoch(0))


def trained(tf, config, batches):
    """The losses of a short training, and the network it leaves."""
    tf.keras.utils.set_random_seed(config.seed)
    network, loss = build_network(config), EmbeddingLoss(config, 3)
    learnt = [*network.trainable_variables, *loss.variables]
    optimizer = build_optimizer(config, learnt, tf)

    @tf.function(reduce_retracing=True)
    def step(pixels, labels):
        with tf.GradientTape() as tape:
            total = tf.add_n(list(loss.terms(labels, network(pixels, training=True)).values()))
        optimizer.apply_gradients(zip(tape.gradient(total, learnt), learnt, strict=True))
        return total

    return [float(step(batch.pixels, batch.labels)) for batch in batches], network


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "distance"), PAIRS)
def test_every_loss_falls_with_every_distance_and_repeats_to_the_bit(tf, batches, loss, distance):
    config = replace(TINY, loss=loss, distance=distance)
    losses, network = trained(tf, config, batches)
    assert np.isfinite(losses).all()
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    again, other = trained(tf, config, batches)
    assert losses == again
    assert values_hash(network.get_weights()) == values_hash(other.get_weights())


@pytest.mark.slow
def test_gradient_descent_with_momentum_learns_too(tf, batches):
    config = replace(TINY, optimizer="sgd", learning_rate=0.02, weight_decay=0.001)
    losses, _ = trained(tf, config, batches)
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weight_decay_pulls_at_kernels_and_proxies_alone(tf, optimizer):
    """With gradients of zero, only decay moves anything."""
    kernel, bias = tf.Variable(np.ones((2, 2), np.float32)), tf.Variable(np.ones(2, np.float32))
    config = replace(TINY, optimizer=optimizer, learning_rate=0.1, weight_decay=0.5)
    build_optimizer(config, [kernel, bias], tf).apply_gradients([(tf.zeros_like(v), v) for v in (kernel, bias)])
    np.testing.assert_allclose(kernel.numpy(), 0.95, rtol=1e-5)
    np.testing.assert_array_equal(bias.numpy(), 1.0)


@pytest.mark.parametrize(("loss", "distance"), PAIRS)
def test_a_loss_is_the_same_whatever_the_order_of_the_batch(tf, loss, distance):
    """Ranks gather their parts in one order, and one process draws them in another."""
    labels, vectors = batch(tf, noise=1.5)
    turned = np.random.default_rng(0).permutation(len(labels))
    terms = EmbeddingLoss(replace(TINY, loss=loss, distance=distance), 3).terms
    here, there = terms(labels, vectors), terms(tf.gather(labels, turned), tf.gather(vectors, turned))
    assert {name: float(term) for name, term in here.items()} == pytest.approx(
        {name: float(term) for name, term in there.items()}, rel=1e-5
    )


@pytest.mark.parametrize(("loss", "distance"), PAIRS)
def test_ranks_that_share_out_the_anchors_have_the_loss_and_gradient_of_all(tf, loss, distance):
    labels, vectors = batch(tf, noise=1.5)
    shuffled = np.random.default_rng(0).permutation(len(labels))  # not sorted by class, so that ranks differ
    labels, vectors = tf.gather(labels, shuffled), tf.gather(vectors, shuffled)
    one = EmbeddingLoss(replace(TINY, loss=loss, distance=distance), 3)
    learnt = [vectors, *one.variables]

    def told(first, anchors):
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            terms = one.terms(tf.roll(labels, -first, 0), tf.roll(vectors, -first, 0), anchors)
            total = tf.add_n(list(terms.values()))
        return [*map(float, terms.values())], [gradient.numpy() for gradient in tape.gradient(total, learnt)]

    whole, parts = told(0, None), [told(first, 4) for first in (0, 4, 8)]
    np.testing.assert_allclose(np.mean([terms for terms, _ in parts], axis=0), whole[0], rtol=1e-5)
    for number, gradient in enumerate(whole[1]):
        assert np.abs(gradient).max() > 0
        np.testing.assert_allclose(np.mean([found[number] for _, found in parts], axis=0), gradient, atol=1e-6)


@pytest.mark.parametrize(("loss", "distance"), PAIRS)
def test_embeddings_that_are_all_the_same_give_a_loss_and_gradients_that_are_numbers(tf, loss, distance):
    labels = tf.constant(np.repeat(np.arange(3), 4), tf.int32)
    vectors = tf.constant(np.tile(np.eye(16, dtype=np.float32)[:1], (12, 1)))
    terms = EmbeddingLoss(replace(TINY, loss=loss, distance=distance), 3).terms
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        total = tf.add_n(list(terms(labels, vectors).values()))
    assert np.isfinite(float(total))
    assert np.isfinite(tape.gradient(total, vectors).numpy()).all()


@pytest.mark.parametrize(("loss", "distance"), PAIRS)
def test_the_right_neighbours_cost_less_than_the_wrong_ones(tf, loss, distance):
    labels, vectors = batch(tf, noise=0.3)
    terms = EmbeddingLoss(replace(TINY, loss=loss, distance=distance, proxy_weight=0.0), 3).terms
    right, wrong = (sum(map(float, terms(found, vectors).values())) for found in (labels, tf.roll(labels, 2, 0)))
    assert right < wrong


def test_multi_similarity_alone_is_what_tensorflow_similarity_computes(tf):
    from tensorflow_similarity.losses import MultiSimilarityLoss

    labels, vectors = batch(tf)
    loss = EmbeddingLoss(replace(TINY, loss="multi-similarity"), 3)
    terms = loss.terms(labels, vectors)
    assert terms.keys() == {"multi_similarity"}
    assert loss.variables == []
    expected = MultiSimilarityLoss(distance="cosine")(labels, vectors)
    assert float(terms["multi_similarity"]) == pytest.approx(float(expected))
    assert float(expected) > 0


def test_a_term_has_the_name_of_its_loss(tf):
    labels, vectors = batch(tf)
    assert EmbeddingLoss(replace(TINY, loss="soft-nearest-neighbour"), 3).terms(labels, vectors).keys() == {
        "soft_nearest_neighbour"
    }
    assert EmbeddingLoss(TINY, 3).terms(labels, vectors).keys() == {"multi_similarity", "proxy"}


def test_the_proxy_term_is_a_smoothed_softmax_over_cosines(tf):
    labels, vectors = batch(tf)
    loss = EmbeddingLoss(replace(TINY, proxy_weight=2.0), 3)
    (proxies,) = loss.variables
    directions = proxies.numpy() / np.linalg.norm(proxies.numpy(), axis=1, keepdims=True)
    logits = PROXY_SCALE * vectors.numpy() @ directions.T
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = np.eye(3)[labels.numpy()] * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 3
    expected = 2.0 * -(wanted * log_shares).sum(axis=1).mean()
    assert float(loss.terms(labels, vectors)["proxy"]) == pytest.approx(expected, rel=1e-4)


def batch(tf, *, noise=None):
    """Twelve unit vectors of three classes: anywhere, or that far around their class's axis."""
    vectors = np.random.default_rng(1).standard_normal((12, 16)).astype(np.float32)
    labels = np.repeat(np.arange(3), 4)
    if noise is not None:
        vectors = np.eye(16, dtype=np.float32)[labels] + noise * vectors / 4
    return tf.constant(labels, tf.int32), tf.math.l2_normalize(tf.constant(vectors, tf.float32), axis=1)

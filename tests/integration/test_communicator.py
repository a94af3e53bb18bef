"""What ranks of Horovod tell each other; three of them, because two are each other's only neighbour."""

from __future__ import annotations

from itertools import chain

import pytest

from backend.training.runtime import set_environment

GRID = [(2, 4, 4, 3), (3, 5, 7, 1), (1, 1, 1, 8), (7, 2, 3, 33), (4, 14, 14, 32)]  # (B, H, W, C)
pytestmark = [pytest.mark.tf, pytest.mark.slow]
RANKS, ROWS = 3, 2


def on_a_rank():
    """Gather two numbers of each rank, and weigh them by where they stand, ten more on each rank."""
    set_environment()
    import horovod.tensorflow as hvd

    hvd.init()
    from backend.training.ranks.communicator import HorovodRanks
    from backend.training.runtime import prepare_tensorflow

    tf = prepare_tensorflow(1)
    ranks = HorovodRanks(hvd, tf)
    own = tf.constant([[10.0 * ranks.rank], [10.0 * ranks.rank + 1.0]])

    @tf.function
    def told(own):
        with tf.GradientTape() as tape:
            tape.watch(own)
            gathered = ranks.gather(own)
            weights = tf.range(tf.shape(gathered)[0]) + 10 * ranks.rank
            total = tf.reduce_sum(gathered[:, 0] * tf.cast(weights, tf.float32))
        return gathered[:, 0], tape.gradient(total, own)[:, 0], *ranks.averaged([own[:, 0], own[0] + 6.0])

    found = [part.numpy().tolist() for part in told(own)]
    differences = [normalised_both_ways(shape, hvd, tf) for shape in GRID]
    hvd.shutdown()
    return *found, differences


def normalised_both_ways(shape, hvd, tf):
    """Normalise a batch as on processors and as on a card; how far figures and gradients differ, by their size."""
    import numpy as np

    from backend.training.ranks.sync_norm import synchronised

    rng = np.random.default_rng(hvd.rank())
    x, dy = (tf.constant(rng.normal(2.0, 3.0, shape), tf.float32) for _ in range(2))
    both = []
    for fused in (True, False):
        layer = synchronised(hvd, tf, fused=fused)()
        layer.build(shape)
        layer._name = f"{'fused' if fused else 'single'}-{shape}"  # what its messages are called
        layer.gamma.assign(tf.linspace(0.5, 2.0, shape[-1]))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        both.append([y, *tape.gradient(y, [x, layer.gamma, layer.beta], dy)])
    return [float(tf.reduce_max(tf.abs(a - b)) / tf.reduce_max(tf.abs(a) + 1e-3)) for a, b in zip(*both, strict=True)]


@pytest.fixture(scope="module")
def answers():
    set_environment()
    import cloudpickle
    from horovod import run

    from tests.integration import test_communicator as itself

    cloudpickle.register_pickle_by_value(itself)
    return run(on_a_rank, num_proc=RANKS, use_gloo=True, hosts=f"localhost:{RANKS}")


def test_every_rank_sees_its_own_part_first_and_the_others_in_turn(answers):
    parts = [[10.0 * rank, 10.0 * rank + 1.0] for rank in range(RANKS)]
    for rank, (gathered, *_) in enumerate(answers):
        assert gathered == [*chain(*parts[rank:], *parts[:rank])]


def test_a_part_gets_what_all_ranks_say_of_it(answers):
    for rank, (_, gradient, *_) in enumerate(answers):
        first = [ROWS * ((rank - other) % RANKS) + 10 * other for other in range(RANKS)]
        assert gradient == [sum(first), sum(first) + RANKS]


def test_averages_are_the_same_on_all_ranks(answers):
    assert [averages for _, _, *averages, _ in answers] == [[[10.0, 11.0], [16.0]]] * RANKS


def test_sums_taken_one_by_one_are_those_of_the_fused_operation(answers):
    """Cards have no fused gradient that gives the same bits every time; forward, and what x, gamma and beta get."""
    for *_, differences in answers:
        assert len(differences) == len(GRID)
        assert max(max(row) for row in differences) < 1e-5

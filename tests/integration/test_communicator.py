"""What ranks of Horovod tell each other; three of them, because two are each other's only neighbour."""

from __future__ import annotations

from itertools import chain

import pytest

from backend.training.runtime import set_environment

pytestmark = [pytest.mark.tf, pytest.mark.slow]
RANKS, ROWS = 3, 2


def on_a_rank():
    """Gather two numbers of each rank, and weigh them by where they stand, ten more on each rank."""
    set_environment()
    import horovod.tensorflow as hvd

    hvd.init()
    from backend.training.communicator import HorovodRanks
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
    hvd.shutdown()
    return found


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
    assert [averages for _, _, *averages in answers] == [[[10.0, 11.0], [16.0]]] * RANKS

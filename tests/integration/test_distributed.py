"""Trainings on the ranks of Horovod, each a process of its own: as right as one process with the whole batch."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.bundles import bundle
from backend.errors import Cancelled, ConfigurationError, TrainingError
from backend.feeding.content_cache import CacheFolder
from backend.training.preparation import ModelPlace, Workers, unfinished_training, unfinished_trainings
from backend.training.presets import preset
from tests.fixtures.base import settings_for
from tests.fixtures.models import TINY, Diary, Listener
from tests.support.all_ranks import GlobalFeed
from tests.support.listeners import listeners, outside
from tests.support.standalone import CONF, standalone
from tests.support.waiting import LONG_S

pytestmark = [
    pytest.mark.spark,
    pytest.mark.tf,
    pytest.mark.slow,
    # Horovod's own threads raise again what it has reported, and write to pipes that it has closed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

# Adam, no dropout, no batch statistics, and batches that the seed alone decides.
PLAIN = replace(TINY, weight_decay=0.0, epochs=6, steps_per_epoch=50, examples_per_class=3, dropout=0.0)
LARGEST_DIFFERENCE = 1e-5


def distributed(
    spark, snapshot, models, *, config=PLAIN, name="two", progress=None, tracker=None, resume=False, count=2
):
    from backend.training.ranks.distributed import train_on_spark

    return train_on_spark(
        spark,
        snapshot,
        config,
        place=ModelPlace(models, name, resume, cache=CacheFolder(models / "cache", 10**9)),
        tracker=tracker or Diary(),
        progress=progress or Listener(),
        workers=Workers(count, threads=1, device="cpu"),
    )


def on_one_process(snapshot, folder, config):
    """Train an epoch of the doubled batch on one process, with the feeds that two ranks would have."""
    from backend.training.data import prepare_data
    from backend.training.runtime import prepare_similarity, prepare_tensorflow
    from backend.training.trainer import Trainer

    tf = prepare_tensorflow(2)
    prepare_similarity()
    tf.config.experimental.enable_op_determinism()
    parts = []
    for rank in (0, 1):
        (folder / str(rank)).mkdir()
        parts.append(prepare_data(snapshot, config, folder / str(rank), progress=Listener(), rank=rank, ranks=2))
    trainer = Trainer(config, len(parts[0].resolved.classes), GlobalFeed([part.feed for part in parts]), tf)
    trainer.run_epoch(0, progress=Listener(), note="alone")
    return trainer.arrays()


def state_after(models, epoch, *, name="two"):
    """All that the training changed: of the network, of the loss and of the optimizer."""
    from backend.training.network import weights

    return weights.unpack(models / f"{name}.checkpoints" / f"state-{epoch:03d}.npz")


def weights_of(models, *, name):
    from backend.training.network import weights

    return weights.unpack(models / name / bundle.WEIGHTS)


def difference(one, other):
    assert [array.shape for array in one] == [array.shape for array in other]
    return max(float(np.abs(a.astype(np.float64) - b).max()) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def undisturbed(spark, small_snapshot, tmp_path_factory):
    """Two ranks, six epochs of fifty steps, everything they said, and where all processes of it listened."""
    models, tracker, progress = tmp_path_factory.mktemp("models"), Diary(), Listener()
    with listeners() as seen:
        manifest, proof = distributed(spark, small_snapshot, models, tracker=tracker, progress=progress)
    return models, manifest, proof, tracker, progress, seen


@pytest.fixture(scope="module")
def first_epoch(spark, small_snapshot, tmp_path_factory):
    """The weights of two ranks after one epoch of fifty steps."""
    models = tmp_path_factory.mktemp("models")
    distributed(spark, small_snapshot, models, config=replace(PLAIN, epochs=1))
    return weights_of(models, name="two")


def test_two_ranks_learn_what_one_process_learns_from_the_doubled_batch(first_epoch, small_snapshot, tmp_path):
    together = first_epoch
    alone = on_one_process(small_snapshot, make(tmp_path / "alone"), PLAIN)
    assert difference(alone, together) <= LARGEST_DIFFERENCE
    idle = on_one_process(small_snapshot, make(tmp_path / "idle"), replace(PLAIN, learning_rate=1e-6))
    assert difference(idle, together) > 100 * LARGEST_DIFFERENCE  # there was something to learn


def make(folder):
    folder.mkdir()
    return folder


def test_the_proof_of_a_run_is_measured_and_kept(undisturbed, small_products):
    models, manifest, proof, *_ = undisturbed
    assert proof.holds
    assert (proof.workers, proof.ranks_equal, proof.shards_as_planned) == (2, True, True)
    assert sum(proof.rows) == sum(product.split == "train" for product in small_products)
    assert proof.global_batch == 2 * PLAIN.batch_size
    assert all(rate > 0 for rate in proof.examples_per_second)
    assert proof.first_step_s > 0
    stored = json.loads((models / "two" / "proof.json").read_text())
    assert stored == json.loads(json.dumps(proof.as_dict()))
    assert bundle.verify(models / "two") == manifest


@pytest.mark.parametrize("tuned", [0, 1])
def test_two_ranks_learn_a_head_on_ready_made_features_and_tune_blocks_below_it(spark, small_snapshot, tmp_path, tuned):
    base = preset("photos-tuned" if tuned else "photos", tuned_blocks=tuned)
    config = replace(base, epochs=1, classes_per_batch=2, examples_per_class=2, steps_per_epoch=3)
    manifest, proof = distributed(spark, small_snapshot, tmp_path, config=config)
    assert (proof.holds, proof.ranks_equal, proof.shards_as_planned) == (True, True, True)
    assert bundle.verify(tmp_path / "two") == manifest


def test_the_ranks_keep_what_they_decoded_once(undisturbed, small_products):
    models, *_ = undisturbed
    read = sum(product.split != "test" for product in small_products)
    assert CacheFolder(models / "cache", 0).n_bytes == read * (36 + math.prod(PLAIN.pixels.shape))


def test_nothing_of_a_training_on_this_machine_listens_to_others(undisturbed):
    *_, seen = undisturbed
    assert outside(seen) == set()
    assert any("gloo_exec_fn" in listener.command for listener in seen)  # ranks, for each other
    assert len({listener.pid for listener in seen if "pyspark.daemon" in listener.command}) >= 2  # their tasks
    assert len({listener.port for listener in seen if listener.pid == os.getpid()}) >= 2  # driver and rendezvous


def test_rank_0_tells_its_figures_to_the_job_and_to_the_run(undisturbed):
    _, manifest, _, tracker, progress, _ = undisturbed
    (_, params, _) = tracker.started[0]
    assert (params["workers"], tracker.finished) == (2, ["FINISHED"])
    assert [step for _, step in tracker.logged] == [1, 2, 3, 4, 5, 6]
    assert manifest.metrics["val.map_at_r"] in {metrics["val.map_at_r"] for metrics, _ in tracker.logged}
    assert {name for name, _, _ in progress.metrics} == {"loss", "val.precision_at_1", "val.map_at_r"}
    assert max(done for done, _, unit, _ in progress.reports if unit == "steps") == PLAIN.epochs * PLAIN.steps_per_epoch


def test_batch_statistics_are_those_of_the_global_batch(spark, small_snapshot, tmp_path):
    # One step of plain size: Adam would make steps of equal size out of gradients that are nothing but rounding.
    config = replace(PLAIN, backbone="resnet", optimizer="sgd", learning_rate=0.1, epochs=1, steps_per_epoch=1)
    manifest, proof = distributed(spark, small_snapshot, tmp_path / "models", config=config)
    alone = on_one_process(small_snapshot, make(tmp_path / "alone"), config)
    assert proof.ranks_equal
    together = weights_of(tmp_path / "models", name="two")
    idle = on_one_process(small_snapshot, make(tmp_path / "idle"), replace(config, learning_rate=1e-6))
    assert difference(alone, together) <= LARGEST_DIFFERENCE
    assert difference(idle, together) > 100 * LARGEST_DIFFERENCE
    assert manifest.config["backbone"] == "resnet"


class Killer(Listener):
    """Kills rank 1 once the second epoch is under way."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.victim = folder, None

    def report(self, done, total, *, unit="", note=""):
        super().report(done, total, unit=unit, note=note)
        if unit == "steps" and done > PLAIN.steps_per_epoch and self.victim is None:
            self.victim = pids(self.folder)[1]
            os.kill(self.victim, signal.SIGKILL)


def test_a_killed_rank_ends_the_run_and_a_resumed_one_comes_to_the_same_weights(
    undisturbed, spark, small_snapshot, tmp_path
):
    folder = tmp_path / "two.checkpoints" / "ranks"
    killer = Killer(folder)
    with pytest.raises(TrainingError, match=r"Rank 1 of 2 on \S+ was killed or crashed at step \d+ of 300") as raised:
        distributed(spark, small_snapshot, tmp_path, progress=killer)
    assert "epoch 1 of 6" in raised.value.message  # its last lines
    assert "Resume" in raised.value.next_step
    assert killer.victim is not None
    assert not (tmp_path / "two").exists()
    wait_until_gone(folder)
    (left,) = unfinished_trainings(tmp_path)
    assert (left.name, left.workers, left.config) == ("two", 2, PLAIN)
    assert 1 <= left.epochs_done < PLAIN.epochs

    manifest, proof = distributed(spark, small_snapshot, tmp_path, resume=True)
    assert proof.holds
    assert manifest.weights_hash == undisturbed[1].weights_hash
    assert difference(state_after(tmp_path, 6), state_after(undisturbed[0], 6)) == 0.0
    assert unfinished_trainings(tmp_path) == []
    with pytest.raises(ConfigurationError, match="no training 'two'"):
        unfinished_training(tmp_path, "two")


def pids(folder):
    """The processes of all ranks, in their order."""
    return [json.loads(path.read_text())["pid"] for path in sorted(folder.glob("rank-*.json"))]


def wait_until_gone(folder):
    """Wait for the end of all ranks; a process that is not ours tells it in no other way than by not being there."""
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids(folder) if pid):
        assert time.monotonic() < deadline, "a rank was left behind"
        time.sleep(0.05)


def test_cancel_ends_every_rank(spark, small_snapshot, tmp_path):
    with pytest.raises(Cancelled):
        distributed(spark, small_snapshot, tmp_path, progress=Listener(cancel_at=10), tracker=(diary := Diary()))
    assert diary.finished == ["KILLED"]
    folder = tmp_path / "two.checkpoints" / "ranks"
    assert len(pids(folder)) == 2
    wait_until_gone(folder)
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("changes", "count", "said"),
    [
        ({}, 3, "3 workers were requested, but Spark on local.2. has 2 slots"),
        ({}, 0, "0 workers were requested"),
        (
            {"backbone": "mobilenet-v2", "height": 32, "width": 32},
            2,
            "mobilenet-v2 uses batch statistics",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_starts(spark, small_snapshot, tmp_path, changes, count, said):
    with pytest.raises(ConfigurationError, match=said):
        distributed(spark, small_snapshot, tmp_path, config=replace(PLAIN, **changes), count=count)
    assert not tmp_path.joinpath("two.checkpoints").exists()


def test_an_error_on_a_rank_comes_back_in_its_own_words(spark, small_snapshot, tmp_path):
    from backend.errors import EnvironmentUnready
    from backend.training.ranks.distributed import train_on_spark

    with pytest.raises(EnvironmentUnready, match=r"Rank \d on \S+: A GPU was requested, but TensorFlow finds none"):
        train_on_spark(
            spark,
            small_snapshot,
            PLAIN,
            place=ModelPlace(tmp_path, "gpu"),
            tracker=Diary(),
            progress=Listener(),
            workers=Workers(2, threads=1, device="gpu"),
        )


def test_ranks_that_horovod_takes_for_successful_although_they_told_nothing_have_failed(monkeypatch, tmp_path):
    """Regression: under load, a rank that is ended has the status 0 there, and its result was looked into."""
    import horovod.spark

    from backend.training.ranks.horovod_launch import launch

    monkeypatch.setattr(horovod.spark, "run", lambda *_, **__: [None, {"rank": 1}])
    running = launch(tmp_path / "backend.zip", tmp_path, 2, threading.Event())
    assert running.wait(LONG_S)
    assert str(running.error) == "a worker ended without a result"


STANDALONE = """
import json, sys
from pathlib import Path
from backend.access.asking import identify_by
from backend.access.edges import by_account
from backend.flow.requests import TrainRequest
from backend.settings import load_settings
from backend.progress import NullProgress
from backend.flow.kinds import run_request
from backend.training.config import TrainConfig
config = TrainConfig.from_dict(json.loads(sys.argv[1]))
identify_by(lambda: by_account(load_settings(), "command"))
request = TrainRequest("small", None, config, "far", workers=2)
print(json.dumps(run_request(request, load_settings(), NullProgress())))
"""


def test_ranks_run_on_a_standalone_master_whose_workers_know_nothing_of_the_repository(
    small_snapshot, first_epoch, repository, tmp_path
):
    settings = settings_for(tmp_path / "home")
    settings.catalogues_dir.parent.mkdir(parents=True, exist_ok=True)
    settings.catalogues_dir.symlink_to(small_snapshot.catalogues_dir)
    config = replace(PLAIN, epochs=1)
    with standalone(tmp_path) as address:
        environ = {**os.environ, **settings.environment(), "TWINSET_SPARK_MASTER": address, "TWINSET_SPARK_CONF": CONF}
        environ |= {"TWINSET_THREADS": "1", "TWINSET_DEVICE": "cpu"}
        command = [sys.executable, "-c", STANDALONE, json.dumps(config.as_dict())]
        done = subprocess.run(command, cwd=repository, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["proof"]["holds"]
    assert difference(weights_of(settings.models_dir, name="far"), first_epoch) <= LARGEST_DIFFERENCE
    for name in ("one", "two"):
        assert list((tmp_path / name).glob("app-*/*")), f"worker {name} had no part in it"

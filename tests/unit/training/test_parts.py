"""The small parts of a training that need no TensorFlow: schedule, weights, checkpoints, provenance, validation."""

from __future__ import annotations

import errno
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import __version__
from backend.errors import BundleError, StorageFull, TrainingError
from backend.feeding.arrow import PixelTable
from backend.files.storage import write_atomically
from backend.training import provenance
from backend.training.checkpoints import Checkpoints, EpochResult
from backend.training.config import TrainConfig
from backend.training.network import weights
from backend.training.network.schedule import learning_rate
from backend.training.preparation import remove_finished_checkpoints
from backend.training.validation import MAX_GALLERY, MAX_QUERIES, Validator

ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(4, dtype=np.float32)]


def test_one_cycle_rises_for_a_fifth_and_falls_to_nothing():
    rates = [learning_rate(TrainConfig(learning_rate=0.01), step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(0.01)
    assert rates.index(max(rates)) == 19
    assert rates[:20] == sorted(rates[:20])
    assert rates[19:] == sorted(rates[19:], reverse=True)
    assert 0 < rates[-1] < 1e-5


def test_a_constant_rate_is_constant():
    config = TrainConfig(schedule="constant", learning_rate=0.01)
    assert {learning_rate(config, step, 10) for step in range(10)} == {0.01}


def test_a_cosine_falls_from_the_start():
    rates = [learning_rate(TrainConfig(schedule="cosine", learning_rate=0.01), step, 100) for step in range(100)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(0.01, rel=1e-3)
    assert rates[49] == pytest.approx(0.005)
    assert 0 < rates[-1] < 1e-5


def test_weights_come_back_in_order(tmp_path):
    many = [np.full(1, number, dtype=np.float32) for number in range(12)]
    (tmp_path / "w.npz").write_bytes(weights.pack(many))
    assert [int(array[0]) for array in weights.unpack(tmp_path / "w.npz")] == list(range(12))


def test_the_hash_is_of_values_shapes_and_types():
    same = [array.copy() for array in ARRAYS]
    assert weights.values_hash(ARRAYS) == weights.values_hash(same)
    reshaped, retyped = [ARRAYS[0].reshape(3, 2), ARRAYS[1]], [ARRAYS[0].astype(np.float64), ARRAYS[1]]
    changed = [ARRAYS[0] + np.float32(1e-6), ARRAYS[1]]
    others = {weights.values_hash(other) for other in (reshaped, retyped, changed, ARRAYS[::-1])}
    assert len(others | {weights.values_hash(ARRAYS)}) == 5


def test_a_bare_array_under_the_name_of_weights_is_refused(tmp_path):
    with (tmp_path / "w.npz").open("wb") as stream:
        np.save(stream, ARRAYS[0])
    with pytest.raises(BundleError, match="cannot be read"):
        weights.unpack(tmp_path / "w.npz")


def test_a_file_that_holds_objects_is_refused(tmp_path):
    """Unpickling what a file says would run whatever it says."""
    np.savez(tmp_path / "w.npz", np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match=r"w\.npz .* cannot be read"):
        weights.unpack(tmp_path / "w.npz")


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off", b"text"])
def test_a_missing_or_damaged_file_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(BundleError, match=r"w\.npz"):
        weights.unpack(tmp_path / "w.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (ARRAYS[:1], "contain 1 arrays, but the network needs 2"),
        ([ARRAYS[0].T, ARRAYS[1]], r"Array 0 is float32 \(3, 2\)"),
        ([ARRAYS[0].astype(np.float64), ARRAYS[1]], "Array 0 is float64"),
        ([ARRAYS[0], np.full(4, np.nan, dtype=np.float32)], "Array 1 contains values that are not finite"),
    ],
)
def test_arrays_must_fit_the_network(arrays, message):
    weights.check_fit(ARRAYS, [(2, 3), (4,)])
    with pytest.raises(BundleError, match=message):
        weights.check_fit(arrays, [(2, 3), (4,)])


def test_the_best_checkpoint_is_the_earliest_of_the_best(tmp_path):
    checkpoints = Checkpoints(tmp_path / "m.checkpoints")
    for epoch, (precision, average) in enumerate([(0.5, 0.3), (0.8, 0.6), (0.7, 0.7), (0.6, 0.4)], 1):
        checkpoints.save(EpochResult(epoch, 1.0, precision, average), [np.full(1, epoch, dtype=np.float32)], ARRAYS)
    assert checkpoints.best.epoch == 2
    assert int(checkpoints.load(2)[0][0]) == 2
    epochs = json.loads((tmp_path / "m.checkpoints" / "epochs.json").read_text())
    assert [epoch["map_at_r"] for epoch in epochs] == [0.3, 0.6, 0.7, 0.4]


class FullDisk:
    """Lets so many files be written, and then has no space."""

    def __init__(self, files):
        self.files = files

    def __call__(self, path, data, *, lasting=True):
        if self.files == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.files -= 1
        write_atomically(path, data, lasting=lasting)


SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=12)


def kept(folder):
    return sorted(path.name for path in folder.iterdir())


@given(scores=SCORES, surplus=st.booleans())
@settings(max_examples=25)
def test_only_the_best_epoch_and_the_last_state_are_kept_and_a_resumed_training_finds_them(scores, surplus):
    """Also where an earlier version had kept all of them."""
    with TemporaryDirectory() as place:
        folder = Path(place) / "m.checkpoints"
        checkpoints = Checkpoints(folder)
        for name in ("epoch-090.npz", "state-090.npz", "notes.txt") if surplus else ():
            (folder / name).touch()
        for epoch, score in enumerate(scores, 1):
            checkpoints.save(EpochResult(epoch, 1.0, score, score), [np.full(1, epoch, dtype=np.float32)], ARRAYS)
            best = scores.index(max(scores[:epoch])) + 1
            names = {f"epoch-{best:03d}.npz", f"state-{epoch:03d}.npz", "epochs.json"}
            assert kept(folder) == sorted(names | ({"notes.txt"} if surplus else set()))
        again = Checkpoints(folder, resume=True)
        assert (again.done, again.best.epoch) == (len(scores), best)
        assert int(again.load(best)[0][0]) == best
        assert len(again.state()) == len(ARRAYS)


@pytest.mark.parametrize("files", [0, 1, 2])
def test_a_disk_that_fills_up_leaves_the_last_good_checkpoint(tmp_path, monkeypatch, files):
    checkpoints = Checkpoints(tmp_path / "m.checkpoints")
    checkpoints.save(EpochResult(1, 1.0, 0.5, 0.5), ARRAYS, ARRAYS)
    monkeypatch.setattr("backend.training.checkpoints.write_atomically", FullDisk(files))
    with pytest.raises(StorageFull, match="The disk is full: epoch 2 could not be stored"):
        checkpoints.save(EpochResult(2, 1.0, 0.9, 0.9), ARRAYS, ARRAYS)
    monkeypatch.undo()
    again = Checkpoints(tmp_path / "m.checkpoints", resume=True)
    assert (again.done, again.best.epoch) == (1, 1)
    assert len(again.state()) == len(again.load(1)) == len(ARRAYS)
    again.save(EpochResult(2, 1.0, 0.9, 0.9), ARRAYS, ARRAYS)
    assert kept(tmp_path / "m.checkpoints") == ["epoch-002.npz", "epochs.json", "state-002.npz"]


def test_checkpoints_go_once_the_bundle_is_there_and_not_before(tmp_path):
    for name in ("done", "going"):
        Checkpoints(tmp_path / f"{name}.checkpoints").save(EpochResult(1, 1.0, 0.5, 0.5), ARRAYS, ARRAYS)
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "manifest.json").touch()
    remove_finished_checkpoints(tmp_path)
    assert kept(tmp_path) == ["done", "going.checkpoints"]


def test_a_new_training_does_not_inherit_checkpoints(tmp_path):
    old = Checkpoints(tmp_path / "m.checkpoints")
    old.save(EpochResult(9, 1.0, 1.0, 1.0), ARRAYS, ARRAYS)
    Checkpoints(tmp_path / "m.checkpoints")
    assert list((tmp_path / "m.checkpoints").iterdir()) == []


def git(folder, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_is_that_of_the_checkout_and_says_when_files_differ(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "v1")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.git_commit(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert provenance.git_commit(tmp_path) == f"{commit}-dirty"
    (tmp_path / "copy").mkdir()
    assert provenance.git_commit(tmp_path / "copy") == "unknown"  # somebody else's repository around a copy


@pytest.mark.parametrize("folder", ["", "missing"])
def test_without_a_checkout_the_commit_is_unknown(tmp_path, folder):
    assert provenance.git_commit(tmp_path / folder) == "unknown"


def test_library_versions_are_those_installed():
    versions = provenance.library_versions()
    assert (versions["numpy"], versions["twinset"]) == (np.__version__, __version__)


class Lookup:
    """Embeds a picture as the unit vector that its first pixel numbers."""

    def __init__(self, size=4, *, constant=False, broken=False):
        self.size, self.constant, self.broken, self.seen = size, constant, broken, []

    def embed(self, pixels):
        self.seen.append(pixels)
        numbers = pixels[:, 0, 0, 0] * (not self.constant)
        return np.eye(self.size, dtype=np.float32)[numbers] * (np.float32("nan") if self.broken else np.float32(1))


def numbered(labels):
    pixels = np.zeros((len(labels), 2, 2, 1), dtype=np.uint8)
    pixels[:, 0, 0, 0] = labels
    ids = np.array([f"p{i:06d}" for i in range(len(labels))])
    return PixelTable(ids, np.array([f"l{label}" for label in labels]), pixels)


def test_validation_scores_queries_against_the_train_split():
    scores = Validator(numbered([0, 1, 2] * 5), numbered([0, 1, 2]), seed=1).score(Lookup())
    assert (scores.queries, scores.gallery) == (3, 15)
    assert (scores.precision_at_1, scores.map_at_r) == (1, 1)


@pytest.mark.slow
def test_a_large_split_is_sampled_with_its_shares_and_the_same_every_time():
    rng = np.random.default_rng(0)
    train, validation = (numbered(rng.choice(4, size, p=[0.5, 0.3, 0.15, 0.05])) for size in (30_000, 9_000))
    validator, embedder = Validator(train, validation, seed=1), Lookup()
    assert validator.score(embedder) == validator.score(embedder)
    queries, gallery = embedder.seen[:2]
    assert (len(queries), len(gallery)) == (MAX_QUERIES, MAX_GALLERY)
    shares = np.bincount(gallery[:, 0, 0, 0], minlength=4) / MAX_GALLERY
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.15, 0.05], atol=0.01)
    np.testing.assert_array_equal(embedder.seen[0], embedder.seen[2])


@pytest.mark.parametrize(
    ("embedder", "message"), [(Lookup(constant=True), "collapsed"), (Lookup(broken=True), "not finite")]
)
def test_embeddings_that_say_nothing_are_an_error(embedder, message):
    with pytest.raises(TrainingError, match=message):
        Validator(numbered([0, 1] * 4), numbered([0, 1]), seed=1).score(embedder)


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_embeddings_that_are_close_together_but_differ_are_no_collapse(spread):
    class Narrow(Lookup):
        def embed(self, pixels):
            vectors = np.array([1.0, 0, 0, 0], np.float32) + spread * super().embed(pixels)
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    scores = Validator(numbered([0, 1, 2] * 4), numbered([0, 1, 2]), seed=1).score(Narrow())
    assert scores.precision_at_1 == 1.0


def test_vectors_that_differ_by_rounding_alone_are_a_collapse():
    class Rounded(Lookup):
        def embed(self, pixels):
            noise = np.random.default_rng(0).standard_normal((len(pixels), 4)).astype(np.float32)
            vectors = np.array([1.0, 0, 0, 0], np.float32) + np.float32(1e-4) * noise
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    with pytest.raises(TrainingError, match="collapsed") as caught:
        Validator(numbered([0, 1] * 4), numbered([0, 1]), seed=1).score(Rounded())
    assert "lower learning rate" in caught.value.next_step


def test_the_mean_of_both_scores_decides_between_epochs():
    result = EpochResult(1, 1.0, 0.9, 0.5)
    assert result.score == pytest.approx(0.7)
    assert replace(result, map_at_r=0.6).score > result.score

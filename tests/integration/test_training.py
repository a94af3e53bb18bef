"""Real trainings of tiny networks on a tiny real catalogue."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from backend import __version__
from backend.bundles import bundle
from backend.errors import BundleError, Cancelled, ConfigurationError, RetrievalError, TrainingError
from backend.feeding.batches import BatchPlan, PixelFeed
from backend.training.preparation import ModelPlace, Workers, unfinished_training, unfinished_trainings
from tests.fixtures.models import SMALL_LABELS, TINY, Diary, Listener, StoredProduct, store_catalogue
from tests.support.pictures import all_decoded

pytestmark = pytest.mark.tf

PLAN = BatchPlan(classes=3, examples=4, steps=2, augmentation="none", seed=7)


def trained(snapshot, models_dir, *, config=TINY, name="tiny", tracker=None, progress=None, resume=False):
    from backend.training.fit import train

    return train(
        snapshot,
        config,
        place=ModelPlace(models_dir, name, resume),
        tracker=tracker or Diary(),
        progress=progress or Listener(),
        workers=Workers(threads=2),
    )


@pytest.fixture(scope="module")
def finished(small_snapshot, tmp_path_factory):
    """One training of two epochs, with everything it said."""
    models, tracker, progress = tmp_path_factory.mktemp("models"), Diary(), Listener()
    manifest = trained(small_snapshot, models, tracker=tracker, progress=progress)
    return models, manifest, tracker, progress


def embedder_of(folder, manifest):
    from backend.training.heads import load_embedder

    return load_embedder(folder, manifest, threads=2)


def pictures(products, count):
    return all_decoded([product.image for product in products[:count]], TINY.pixels)


def test_a_training_leaves_a_verified_bundle_that_says_where_it_comes_from(finished, small_snapshot):
    models, manifest, _, _ = finished
    assert bundle.verify(models / "tiny") == manifest
    assert set(manifest.files) == {bundle.WEIGHTS}
    assert manifest.catalogue == small_snapshot.ref
    assert manifest.classes == tuple(sorted(SMALL_LABELS))
    assert manifest.config == TINY.as_dict()
    assert (manifest.seed, manifest.run_id, manifest.embedding_size) == (TINY.seed, "run-1", 16)
    assert (manifest.libraries["tensorflow-similarity"], manifest.libraries["twinset"]) == ("0.17.1", __version__)
    assert len(manifest.git_commit) >= 7
    assert all(0 <= value <= 1 for value in manifest.metrics.values())
    assert [path.name for path in models.glob(".*")] == []  # no decoded pixels, no half bundles


def test_loss_and_validation_scores_are_told_while_it_runs(finished):
    _, manifest, tracker, progress = finished
    steps = [(done, total) for done, total, unit, _ in progress.reports if unit == "steps"]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]  # thirty pictures make two batches of twelve, twice
    scored = [(name, step) for name, _, step in progress.metrics if name.startswith("val.")]
    assert scored == [(f"val.{name}", step) for step in (2, 4) for name in ("precision_at_1", "map_at_r")]
    assert any(name == "loss" for name, _, _ in progress.metrics)

    (name, params, tags) = tracker.started[0]
    assert (name, params["learning_rate"], params["catalogue.version"]) == ("tiny", 0.001, 1)
    assert tags["git_commit"] == manifest.git_commit
    assert [step for _, step in tracker.logged] == [1, 2]
    figures = {"val.precision_at_1", "val.map_at_r", "examples_per_second", "waiting_share"}
    assert {"loss", "multi_similarity", "proxy", *figures} == tracker.logged[0][0].keys()
    assert tracker.finished == ["FINISHED"]


def test_every_epoch_leaves_a_checkpoint_and_the_best_one_becomes_the_bundle(finished):
    from backend.training.network import weights

    models, manifest, _, _ = finished
    folder = models / "tiny.checkpoints"
    epochs = json.loads((folder / "epochs.json").read_text())
    best = max(epochs, key=lambda epoch: epoch["precision_at_1"] + epoch["map_at_r"])
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    stored = weights.unpack(folder / f"epoch-{best['epoch']:03d}.npz")
    assert weights.values_hash(stored) == manifest.weights_hash
    assert weights.values_hash(weights.unpack(models / "tiny" / bundle.WEIGHTS)) == manifest.weights_hash
    assert manifest.metrics["val.map_at_r"] == best["map_at_r"]


def test_the_test_split_has_no_say_and_the_same_seed_gives_the_same_weights(finished, small_products, tmp_path):
    """The original design tuned on the test set. Here its pictures can be anything, even unreadable."""
    spoilt = [replace(p, image=b"no picture", label="?") if p.split == "test" else p for p in small_products]
    manifest = trained(store_catalogue(tmp_path / "catalogues", spoilt[::-1]), tmp_path / "models")
    assert manifest.weights_hash == finished[1].weights_hash


def test_another_seed_gives_other_weights(finished, small_snapshot, tmp_path):
    manifest = trained(small_snapshot, tmp_path, config=replace(TINY, seed=8, epochs=1))
    assert manifest.weights_hash != finished[1].weights_hash


def test_an_embedding_is_the_same_alone_and_in_a_batch(finished, small_products):
    models, manifest, _, _ = finished
    embedder = embedder_of(models / "tiny", manifest)
    pixels = pictures(small_products, 40)
    together = embedder.embed(pixels)
    alone = np.concatenate([embedder.embed(pixels[row : row + 1]) for row in range(len(pixels))])
    assert together.shape == (40, 16) == (40, embedder.size)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    assert float(np.ptp(together, axis=0).max()) > 0.01  # and not the same for everything


def test_the_embedder_scales_pixels_once(finished, small_products):
    """The original design divided by 255 and then had a Rescaling layer do it again, in training and in serving."""
    import tensorflow as tf

    from backend.training.network import weights
    from backend.training.network.network import build_network

    models, manifest, _, _ = finished
    pixels = pictures(small_products, 8)
    network = build_network(TINY)
    network.set_weights(weights.unpack(models / "tiny" / bundle.WEIGHTS))
    expected = network(tf.constant(pixels / 255.0, tf.float32), training=False).numpy()
    np.testing.assert_allclose(embedder_of(models / "tiny", manifest).embed(pixels), expected, atol=1e-5)


def test_pictures_of_another_shape_are_refused(finished):
    models, manifest, _, _ = finished
    with pytest.raises(RetrievalError, match=r"\(1, 28, 28, 1\)"):
        embedder_of(models / "tiny", manifest).embed(np.zeros((1, 28, 28, 1), dtype=np.uint8))


def test_weights_that_do_not_fit_the_network_are_refused(finished):
    models, manifest, _, _ = finished
    other = replace(manifest, embedding_size=32, config={**manifest.config, "embedding_size": 32})
    with pytest.raises(BundleError, match="the network needs float32"):
        embedder_of(models / "tiny", other)


def test_cancelling_stops_within_a_few_steps_and_leaves_no_bundle(small_snapshot, tmp_path):
    tracker, progress = Diary(), Listener(cancel_at=3)
    config = replace(TINY, epochs=50)
    with pytest.raises(Cancelled):
        trained(small_snapshot, tmp_path, config=config, tracker=tracker, progress=progress)
    assert max(done for done, _, unit, _ in progress.reports if unit == "steps") <= 10
    assert tracker.finished == ["KILLED"]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.checkpoints"]


def test_it_stops_early_without_a_better_epoch(small_snapshot, tmp_path):
    tracker = Diary()
    config = replace(TINY, epochs=20, patience=1, learning_rate=1e-6, weight_decay=0.0, dropout=0.0)
    trained(small_snapshot, tmp_path, config=config, tracker=tracker)
    scores = [metrics["val.precision_at_1"] + metrics["val.map_at_r"] for metrics, _ in tracker.logged]
    assert len(scores) < 20
    assert scores[-1] <= scores[-2]


def test_a_collapse_is_said_and_leaves_no_bundle(small_products, tmp_path):
    """All products have the same picture, so that every network gives them the same embedding."""
    tracker = Diary()
    same = [replace(product, image=small_products[0].image) for product in small_products]
    with pytest.raises(TrainingError, match="same embedding"):
        trained(store_catalogue(tmp_path / "catalogues", same), tmp_path / "models", tracker=tracker)
    assert tracker.finished == ["FAILED"]
    assert not (tmp_path / "models" / "tiny").exists()


@pytest.mark.parametrize("loss", ["multi-similarity", "multi-similarity+proxy"])
def test_a_network_whose_numbers_are_gone_ends_the_training(small_products, loss):
    from backend.training.runtime import prepare_similarity, prepare_tensorflow
    from backend.training.trainer import Trainer

    tf, _ = prepare_tensorflow(2), prepare_similarity()
    feed = PixelFeed(pictures(small_products, 30), np.repeat(np.arange(3, dtype=np.int32), 10), PLAN)
    trainer = Trainer(replace(TINY, loss=loss), 3, feed, tf)
    trainer.model.set_weights([np.full_like(array, np.nan) for array in trainer.model.get_weights()])
    with pytest.raises(TrainingError, match="no longer"):  # noqa: PT012 - which of the two notices depends on the loss
        trainer.run_epoch(0, progress=Listener(), note="")
        trainer.arrays()


def test_a_preset_fits_itself_to_a_small_catalogue_and_leaves_out_what_cannot_be_read(small_products, tmp_path):
    """Batches of 10 x 24 on three labels, one of them with a damaged picture, and a fourth label of one product."""
    tracker = Diary()
    odd = StoredProduct("zz", "Hat", "train", small_products[0].image)
    damaged = replace(small_products[0], image=small_products[0].image[:200])
    snapshot = store_catalogue(tmp_path / "catalogues", [damaged, *small_products[1:], odd])
    config = replace(TINY, classes_per_batch=10, examples_per_class=24, epochs=1)
    manifest = trained(snapshot, tmp_path / "models", config=config, tracker=tracker)
    assert (manifest.config["classes_per_batch"], manifest.config["examples_per_class"]) == (3, 10)
    assert manifest.classes == tuple(sorted(SMALL_LABELS))
    notes = tracker.started[0][2]["notes"]
    assert "3 classes instead of 10" in notes
    assert "Hat" in notes
    assert "One product was left out" in notes


def test_a_name_that_is_taken_or_leads_elsewhere_is_refused(finished, small_snapshot):
    models, _, _, _ = finished
    with pytest.raises(ConfigurationError, match="already a model"):
        trained(small_snapshot, models)
    with pytest.raises(ConfigurationError, match="is not a valid"):
        trained(small_snapshot, models, name="../elsewhere")


@pytest.mark.spark
def test_the_shared_bundle_comes_from_a_catalogue_that_spark_wrote(trained_bundle, sample_snapshot):
    folder, manifest = trained_bundle
    assert bundle.verify(folder) == manifest
    assert manifest.catalogue == sample_snapshot.ref
    assert embedder_of(folder, manifest).spec.shape == (48, 48, 3)


class StopsAfterTheFirstEpoch(Listener):
    """Cancels in the second epoch of two."""

    def check_cancelled(self):
        if any(name == "val.map_at_r" for name, _, _ in self.metrics):
            raise Cancelled("The user asked to stop.")


def test_a_resumed_training_comes_to_the_weights_of_an_undisturbed_one(small_snapshot, tmp_path):
    config = replace(TINY, dropout=0.0, preset="resnet", backbone="resnet")
    whole = trained(small_snapshot, tmp_path, config=config, name="whole")
    with pytest.raises(Cancelled):
        trained(small_snapshot, tmp_path, config=config, progress=StopsAfterTheFirstEpoch())
    (left,) = unfinished_trainings(tmp_path)
    assert (left.name, left.workers, left.epochs_done, left.config) == ("tiny", 1, 1, config)
    assert left.catalogue == small_snapshot.ref
    tracker = Diary()
    resumed = trained(small_snapshot, tmp_path, config=config, tracker=tracker, resume=True)
    assert [step for _, step in tracker.logged] == [2]
    assert resumed.weights_hash == whole.weights_hash
    assert unfinished_trainings(tmp_path) == []
    with pytest.raises(ConfigurationError, match="no training 'tiny' with a checkpoint"):
        unfinished_training(tmp_path, "tiny")

"""The Train page: the form, what is said under it while it is filled, and the preview."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from app.components.train import fields as train_fields
from app.components.train import preview
from backend.bundles.bundle import CatalogueRef
from backend.files.holding import lock_of
from backend.flow.requests import DeleteRequest, TrainRequest, to_json
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.training.config import CHOICES, TrainConfig
from backend.training.preparation import ModelPlace, note_training
from backend.training.presets import PRESETS, preset
from backend.training.ranks.rank_folder import RankFolder, RankState
from tests.fixtures.endpoint import shop_rows
from tests.support.holding import held_elsewhere
from tests.ui.conftest import add_version, assert_calm, finished, open_popover, press, shop_row, texts, write_catalogue


@pytest.fixture
def shop(screen):
    """A catalogue of three kinds, each with products to train with, to validate and to test."""
    write_catalogue(screen.settings, "shop")
    ids = [row for row in _ids(screen) if int(row[1:]) >= 18]
    add_version(screen.settings, "shop", *(shop_row(product_id, split="validation") for product_id in ids))
    return "shop"


def _ids(screen) -> list[str]:
    from backend.catalogue.snapshot import open_snapshot

    snapshot = open_snapshot(screen.settings.catalogues_dir, "shop")
    return snapshot.columns(["product_id"], splits=["train"])["product_id"].to_pylist()


def button(test):
    return next(found for found in test.button if found.label == "Train")


def test_the_button_asks_for_what_the_form_says_once_however_often_it_is_pressed(screen, shop):
    test = screen.open("train")
    assert_calm(test)
    test.number_input(key="resnet_epochs").set_value(2).run()
    test.selectbox(key="resnet_augmentation").select("flip-crop").run()
    press(test, "Train")
    (job,) = screen.runner.list()
    assert (job.kind, job.request["catalogue"], job.request["version"]) == ("train", "shop", 5)
    assert job.request["config"] == preset("resnet", epochs=2, augmentation="flip-crop").as_dict()


def test_another_preset_brings_its_own_values(screen, shop):
    test = screen.open("train")
    test.selectbox(key="preset_for_resnet").select("seed-cnn").run()
    assert test.number_input(key="seed-cnn_epochs").value == PRESETS["seed-cnn"].epochs
    assert test.number_input(key="seed-cnn_dropout").value == PRESETS["seed-cnn"].dropout
    press(test, "Train")
    assert screen.runner.list()[0].request["config"] == PRESETS["seed-cnn"].as_dict()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_chosen_and_says_what_it_is_for(screen, shop, name):
    test = screen.open("train")
    test.selectbox(key="preset_for_resnet").select(name).run()
    assert_calm(test)
    assert test.number_input(key=f"{name}_epochs").value == PRESETS[name].epochs


def test_every_field_is_on_the_form_once_with_its_help_and_its_choices_in_words():
    shown = [*train_fields.MAIN, *train_fields.MORE]
    assert sorted(shown) == sorted(item.name for item in fields(TrainConfig) if item.name != "preset")
    assert set(shown) == set(train_fields.HELP)
    assert {name: set(words) for name, words in train_fields.WORDS.items()} == {
        name: set(choices) for name, choices in CHOICES.items()
    }


def test_what_a_training_would_take_is_said_and_follows_the_fields(screen, shop):
    test = screen.open("train")
    assert "of memory" in texts(test)
    first = next(caption.value for caption in test.caption if "of memory" in caption.value)
    test.number_input(key="resnet_epochs").set_value(200).run()
    assert first not in texts(test)


def test_what_differs_from_what_was_asked_is_said_before_anything_starts(screen, shop):
    test = screen.open("train")
    assert "A batch has 3 classes instead of 10" in texts(test)
    test.number_input(key="resnet_classes_per_batch").set_value(3).run()
    assert "instead of 10" not in texts(test)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("resnet_backbone", "mobilenet-v2", "accepts only colour pictures"),
        ("resnet_pretrained", "imagenet", "no imagenet weights for the network resnet"),
    ],
)
def test_fields_that_do_not_go_together_are_said_and_nothing_can_be_started(screen, shop, key, value, said):
    test = screen.open("train")
    assert not button(test).disabled
    test.selectbox(key=key).select(value).run()
    assert not test.exception
    assert said in texts(test)
    assert button(test).disabled


def test_mixed_precision_without_a_gpu_is_said(screen, shop, monkeypatch):
    from app.services import training_checks
    from backend.training.ranks.preflight import Machine

    monkeypatch.setattr(training_checks, "machine", lambda: Machine(cores=2))
    test = screen.open("train")
    test.toggle(key="resnet_mixed_precision").set_value(True).run()
    assert "Mixed precision needs a GPU" in texts(test)
    assert button(test).disabled


def test_a_catalogue_without_validation_products_cannot_be_trained_on_and_says_why(screen, shop_catalogue):
    test = screen.open("train")
    assert_calm(test)
    assert "no products in its validation split" in texts(test)
    assert "validation share above 0" in texts(test)
    assert button(test).disabled


def test_more_workers_than_the_labels_have_pairs_for_are_refused(screen, shop):
    test = screen.open("train")
    test.number_input(key="workers").set_value(20).run()
    assert "With 20 workers, every label needs 40 products" in texts(test)
    assert button(test).disabled


def test_the_preview_shows_real_products_as_the_network_sees_them(screen, shop):
    test = screen.open("train")
    (image,) = test.get("image")
    assert "From the top: blob, checks, stripes" in image.proto.imgs[0].caption
    assert "at 28 x 28 pixels" in texts(test)
    test.selectbox(key="resnet_augmentation").select("none").run()
    assert "Pictures are not changed during training" in texts(test)


def test_the_sheet_holds_each_picture_and_its_changed_versions():
    pixels = np.random.default_rng(0).integers(0, 255, (2, 28, 28, 1), dtype=np.uint8)
    sheet = preview.contact_sheet(pixels, preset("resnet", augmentation="flip"))
    cell = 3 * 28 + preview.GAP
    assert sheet.shape == (2 * cell, (1 + preview.VERSIONS) * cell, 1)
    for row, picture in enumerate(pixels):
        enlarged = picture.repeat(3, axis=0).repeat(3, axis=1)
        cells = [
            sheet[row * cell : row * cell + 84, column * cell : column * cell + 84]
            for column in range(1 + preview.VERSIONS)
        ]
        np.testing.assert_array_equal(cells[0], enlarged)
        assert all(np.array_equal(c, enlarged) or np.array_equal(c, enlarged[:, ::-1]) for c in cells)
    assert preview.contact_sheet(pixels, preset("resnet", augmentation="none")).shape == (2 * cell, cell, 1)


TWO = TrainRequest("shop", 5, preset("resnet", epochs=4), "pair", workers=2)
PROOF = {
    "workers": 2,
    "ranks_equal": True,
    "shards_as_planned": True,
    "disjoint": True,
    "covering": True,
    "every_class_everywhere": False,
    "shard_mode": "rows",
    "rows": [12, 12],
    "global_batch": 24,
    "examples_per_second": [80.4, 81.2],
    "waiting_share": [0.001, 0.002],
    "first_step_s": 12.0,
    "reader": "arrow",
}


def ended_early(screen):
    """A training of two workers, the second of which was killed in its second epoch."""
    place = ModelPlace(screen.settings.models_dir, TWO.name)
    folder = RankFolder(place.checkpoints / "ranks")
    folder.begin({})
    folder.write_state(RankState(0, "failed", 15, 56, "steps", "epoch 2 of 4", error="HorovodInternalError"))
    folder.write_state(RankState(1, "working", 15, 56, "steps", "epoch 2 of 4"))
    folder.log(1).write_text("epoch 1 of 4: loss 3.0\n", "utf-8")
    note_training(place, CatalogueRef("shop", 5), TWO.config, workers=2)
    (place.checkpoints / "state-001.npz").touch()
    store = JobStore(screen.settings.jobs_db, logs_dir=screen.settings.logs_dir)
    job, _ = store.add("train", to_json(TWO))
    store.start(job.id, pid=1)
    said = "Rank 1 of 2 was killed or crashed at step 15 of 56.\nIts last lines:\nepoch 1 of 4: loss 3.0"
    store.finish(job.id, JobState.FAILED, error=said, next_step="Resume the training.")


def test_a_killed_worker_is_a_sentence_its_log_stands_below_and_the_training_can_be_resumed(screen, shop):
    ended_early(screen)
    test = screen.open("train")
    assert not test.exception
    sentence = "Rank 1 of 2 was killed or crashed at step 15 of 56.\n\nResume the training."
    assert [error.value for error in test.error] == [sentence]
    assert "Its last lines:\nepoch 1 of 4: loss 3.0" in [code.value for code in test.code]
    assert [frame.value["State"].tolist() for frame in test.dataframe] == [["failed", "gone"]]
    press(test, "Resume")
    job = screen.runner.list()[0]
    assert (job.request["name"], job.request["resume"], job.request["workers"]) == ("pair", True, 2)
    assert job.request["config"] == TWO.config.as_dict()
    assert job.request["changes"] == {}


def test_a_training_can_be_resumed_for_longer_and_a_failed_job_says_that_it_resumes(screen, shop):
    ended_early(screen)
    test = screen.open("train")
    assert "Try again" not in [button.label for button in test.button]
    test.number_input(key="resume-epochs-pair").set_value(9).run()
    press(test, "Resume")
    assert screen.runner.list()[0].request["changes"] == {"epochs": 9}


def test_without_a_checkpoint_a_failed_job_starts_from_the_beginning(screen, shop):
    ended_early(screen)
    (ModelPlace(screen.settings.models_dir, "pair").checkpoints / "state-001.npz").unlink()
    test = screen.open("train")
    labels = [button.label for button in test.button]
    assert "Try again" in labels
    assert "Resume" not in labels


def test_a_training_that_a_command_goes_on_with_is_not_offered(screen, shop):
    ended_early(screen)
    with held_elsewhere(lock_of(screen.settings.models_dir / "pair")):
        assert "can be resumed" not in texts(screen.open("train"))


def test_an_unfinished_training_is_deleted_after_one_question(screen, shop):
    ended_early(screen)
    test = open_popover(screen.open("train"), "delete-pair")
    assert "Delete the unfinished training **pair** for good? This frees" in texts(test)
    press(test, "Delete for good")
    job = screen.runner.list()[0]
    assert (job.kind, job.request) == ("delete", {"model": "pair", "sweep": ""})


def test_what_a_deletion_freed_is_said(screen, shop):
    result = {"deleted": "model 'autumn'", "freed_bytes": 537_000_000, "runs": 0, "is_sweep": False}
    finished(screen, DeleteRequest(model="autumn"), result)
    said = texts(screen.open("train"))
    assert "The model 'autumn' was deleted, freeing 537 MB of disk space." in said
    assert "Its MLflow run was kept." in said


def test_the_card_says_what_holds_and_what_does_not(screen, shop):
    finished(screen, TWO, {"model": "pair", "metrics": {}, "seconds": 9.0, "workers": 2, "proof": PROOF})
    test = screen.open("train")
    assert_calm(test)
    said = texts(test)
    assert "**2 workers, one model**" in said
    assert ":green-badge[:material/check: Weights equal on all workers, bit for bit]" in said
    assert ":red-badge[:material/close: Every label on every worker]" in said
    assert test.dataframe[0].value["Products"].tolist() == [12, 12]


@pytest.mark.parametrize(
    ("side", "channels", "fits"),
    [(64, 1, "resnet"), (400, 1, "resnet"), (64, 3, "photos"), (400, 3, "photos")],
)
def test_the_preset_is_chosen_for_what_the_pictures_are(screen, side, channels, fits):
    rows = [{**row, "width": side, "height": 2 * side, "channels": channels} for row in shop_rows()]
    write_catalogue(screen.settings, "own", rows)
    test = screen.open("train", catalogue="own")
    assert test.selectbox(key=f"preset_for_{fits}").value == fits

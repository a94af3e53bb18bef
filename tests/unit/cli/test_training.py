"""Training fields on the command line."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from backend.bundles.bundle import CatalogueRef
from backend.cli import main
from backend.cli.train import changes_of, fields_help, resumption
from backend.errors import Cancelled, CatalogueNotFound, ConfigurationError, InUse, StorageFull, UsageError
from backend.files.holding import lock_of
from backend.flow import train
from backend.flow.kinds import run_request
from backend.flow.requests import DeployRequest, EvaluateRequest, IndexRequest, TrainRequest, from_json, to_json
from backend.flow.train import train_step
from backend.progress import NullProgress
from backend.training.config import TrainConfig
from backend.training.preparation import ModelPlace, note_training
from backend.training.presets import preset
from tests.fixtures.models import store_catalogue
from tests.support.holding import held_elsewhere


def test_every_field_can_be_given_as_text_and_means_the_same():
    config = TrainConfig()
    names = [item.name for item in fields(TrainConfig) if item.name != "preset"]
    pairs = [f"{name}={getattr(config, name)}" for name in names]
    assert preset("seed-cnn", **changes_of(pairs), preset="resnet") == config


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("False", False), ("on", True), ("0", False)])
def test_truth_values_are_words(text, meant):
    assert changes_of([f"deterministic={text}"]) == {"deterministic": meant}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("epochs", "has no field"),
        ("epoch=3", "has no field"),
        ("preset=resnet", "has no field"),
        ("epochs=many", "must be a whole number, got 'many'"),
        ("deterministic=perhaps", "must be true or false"),
    ],
)
def test_a_change_that_does_not_fit_is_said(pair, message):
    with pytest.raises(UsageError, match=message):
        changes_of([pair])


def test_the_help_names_every_field_with_what_it_may_be():
    lines = fields_help().splitlines()
    assert [line.partition(":")[0] for line in lines] == [i.name for i in fields(TrainConfig) if i.name != "preset"]
    assert "distance: cosine, euclidean, squared-euclidean" in lines
    assert "epochs: 1 to 200" in lines
    assert "mixed_precision: true or false" in lines


# ------------------------------------------------------------------------------------------------- to resume


@pytest.fixture
def left(settings):
    """A training that ended after three of its ten epochs."""
    place = ModelPlace(settings.models_dir, "autumn")
    place.checkpoints.mkdir(parents=True)
    note_training(place, CatalogueRef("shop", 4), preset("seed-cnn", epochs=10), workers=2, run_id="run-7")
    (place.checkpoints / "state-003.npz").touch()
    return place


def asked(settings, *arguments):
    options = main.parser().parse_args(["train", "--resume", "autumn", *arguments])
    return resumption(options, settings)


@pytest.mark.parametrize(
    "arguments",
    [(), ("--workers", "2", "--preset", "seed-cnn", "--version", "4", "--catalogue", "shop"), ("--set", "epochs=10")],
)
def test_what_a_training_was_started_with_may_be_said_again(settings, left, arguments):
    assert asked(settings, *arguments) == TrainRequest(name="autumn", resume=True)


def test_a_resumed_training_may_have_more_epochs_and_more_patience(settings, left):
    request = asked(settings, "--set", "epochs=30", "--set", "patience=5")
    assert request.changes == {"epochs": 30, "patience": 5}
    assert from_json("train", to_json(request)) == request


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--workers", "1"), "--workers 1"),
        (("--workers", "0"), "--workers 0"),
        (("--version", "0"), "--version 0"),
        (("--preset", "resnet"), "--preset resnet"),
        (("--catalogue", "other"), "--catalogue other"),
        (("--name", "winter"), "--name winter"),
        (("--set", "dropout=0.9", "--set", "epochs=12"), "--set dropout=0.9"),
    ],
)
def test_what_cannot_change_in_a_resumed_training_is_refused_by_name(settings, left, arguments, named):
    with pytest.raises(ConfigurationError, match=f"but {named} would change them") as refused:
        asked(settings, *arguments)
    assert "only epochs and patience can be changed" in refused.value.next_step


def test_a_request_of_an_earlier_version_is_still_read():
    told = {**to_json(TrainRequest(name="autumn", resume=True))}
    del told["changes"]
    assert from_json("train", told) == TrainRequest(name="autumn", resume=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 2}, "3 epochs of 'autumn' are done, but only 2 in total were requested"),
        ({"dropout": 0.9}, "keeps its dropout"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_changes_that_do_not_fit_end_before_anything_starts(settings, left, changes, said):
    request = TrainRequest(name="autumn", resume=True, changes=changes)
    with pytest.raises(ConfigurationError, match=said):
        train_step(request, settings, NullProgress())
    assert [path.name for path in left.checkpoints.glob("state-*")] == ["state-003.npz"]


@pytest.mark.parametrize("name", ["autumn", "winter"])
def test_without_a_checkpoint_there_is_nothing_to_resume_and_a_finished_model_is_named(settings, left, name):
    (settings.models_dir / "autumn").mkdir()
    (settings.models_dir / "autumn" / "manifest.json").touch()
    said = "it has finished, and its model exists" if name == "autumn" else "no training 'winter' with a checkpoint"
    with pytest.raises(ConfigurationError, match=said):
        resumption(main.parser().parse_args(["train", "--resume", name]), settings)
    with pytest.raises(ConfigurationError, match=said):
        train_step(TrainRequest(name=name, resume=True), settings, NullProgress())


# ------------------------------------------------------------------------------------------------- its name


def test_a_name_that_another_training_has_is_refused_from_the_start_with_who_has_it(settings):
    with held_elsewhere(lock_of(settings.models_dir / "autumn")), pytest.raises(InUse) as refused:
        train_step(TrainRequest("shop", name="autumn"), settings, NullProgress())
    assert "The model 'autumn' is being trained by process 4711 on far" in refused.value.message
    assert refused.value.next_step.endswith("or choose another name.")


@pytest.fixture
def interrupted(settings, small_snapshot):
    """A training of the small catalogue that ended after three of its ten epochs."""
    settings.home.mkdir(parents=True)
    settings.catalogues_dir.symlink_to(small_snapshot.catalogues_dir)
    place = ModelPlace(settings.models_dir, "autumn")
    place.checkpoints.mkdir(parents=True)
    config = preset("seed-cnn", epochs=10)
    note_training(place, small_snapshot.ref, config, workers=1, run_id="run-7")
    (place.checkpoints / "state-003.npz").touch()
    return TrainRequest("small", small_snapshot.version, config, "autumn")


@pytest.mark.parametrize("version", [None, 1])
def test_the_very_same_training_again_is_taken_up_where_it_ended(settings, small_snapshot, interrupted, version):
    again, run_id = train._taken_up(replace(interrupted, version=version), small_snapshot, settings)
    assert (again, run_id) == (replace(interrupted, resume=True), "run-7")


@pytest.mark.parametrize("changes", [{"config": preset("seed-cnn", epochs=11)}, {"workers": 2}])
def test_another_training_may_not_remove_the_checkpoints_of_an_unfinished_one(settings, interrupted, changes):
    with pytest.raises(ConfigurationError, match="'autumn' with other settings, 3 of 10 epochs done") as refused:
        train_step(replace(interrupted, **changes), settings, NullProgress())
    assert "python -m backend train --resume autumn" in refused.value.next_step
    assert list((settings.models_dir / "autumn.checkpoints").glob("state-*"))


def test_names_made_from_the_time_differ_also_within_a_second(settings, monkeypatch):
    monkeypatch.setattr(train, "new_model_name", lambda _: "shop-resnet-20261127-031200")
    made = []
    for _ in range(3):
        made.append(train._free_name(TrainRequest("shop"), settings))
        (settings.models_dir / made[-1]).mkdir(parents=True)
    with held_elsewhere(lock_of(settings.models_dir / f"{made[0]}-4")):
        made.append(train._free_name(TrainRequest("shop"), settings))
    assert [name.removeprefix(made[0]) for name in made] == ["", "-2", "-3", "-5"]


def test_a_catalogue_version_that_is_gone_is_said_before_a_training_is_resumed(settings, small_products):
    snapshot = store_catalogue(settings.catalogues_dir, small_products)
    place = ModelPlace(settings.models_dir, "autumn")
    place.checkpoints.mkdir(parents=True)
    note_training(place, snapshot.ref, preset("seed-cnn"), workers=1)
    (place.checkpoints / "state-003.npz").touch()
    for file in (settings.catalogues_dir / "small" / "products").glob("*.parquet"):
        file.unlink()
    with pytest.raises(CatalogueNotFound, match="Version 1 of the catalogue small can no longer be read"):
        train_step(TrainRequest(name="autumn", resume=True), settings, NullProgress())
    assert (place.checkpoints / "state-003.npz").exists()


@pytest.mark.parametrize("error", [Cancelled("Stopped."), StorageFull("The disk is full.")])
def test_what_is_kept_is_said_to_whoever_was_stopped_and_to_whoever_met_a_full_disk(settings, left, error):
    first = "Free some space first. " if isinstance(error, StorageFull) else ""
    with pytest.raises(type(error)) as told, train._advised("autumn", settings):
        raise error
    kept = "3 of 10 epochs are kept; resume on the Train page, or with `python -m backend train --resume autumn`."
    assert told.value.next_step == first + kept
    with pytest.raises(type(error)) as told, train._advised("winter", settings):
        raise error
    assert told.value.next_step == first + "No epoch was finished, so training starts from the beginning."


@pytest.mark.parametrize("request_", [IndexRequest("autumn"), EvaluateRequest("autumn"), DeployRequest("autumn")])
def test_work_on_one_model_waits_for_its_turn(settings, request_):
    folder = settings.models_dir / "autumn"
    folder.mkdir(parents=True)
    (folder / "manifest.json").touch()
    with held_elsewhere(lock_of(folder), "is being indexed"), pytest.raises(Cancelled, match="is being indexed by"):
        run_request(request_, settings, Impatient())


class Impatient(NullProgress):
    """Cancels with the first thing that it hears."""

    def report(self, done, total, *, unit="", note=""):
        raise Cancelled(note)


def test_a_folder_that_a_killed_process_left_half_made_is_named(settings):
    (settings.models_dir / "autumn").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="already exists but is not a model") as refused:
        train_step(TrainRequest("shop", name="autumn"), settings, NullProgress())
    assert "models delete --model autumn" in refused.value.next_step


@pytest.mark.parametrize("name", ["../autumn", ".locks", "a/b", "a b", "-x", "x.checkpoints", "é" * 3, "x" * 101])
def test_a_name_that_is_no_folders_leaves_nothing_behind(settings, name):
    with pytest.raises(ConfigurationError, match="is not a valid model name"):
        train_step(TrainRequest("shop", name=name), settings, NullProgress())
    assert not settings.home.exists()

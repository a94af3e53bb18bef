"""The configuration: ranges, presets, JSON and back."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from backend.errors import ConfigurationError
from backend.training.config import APPLICATIONS, CHOICES, LOSS_DISTANCES, RANGES, SWITCHES, TrainConfig, validate
from backend.training.presets import PRESETS, preset
from tests.support.colour_config import COLOUR


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_carries_its_name_and_survives_json(name):
    config = preset(name)
    assert config.preset == name
    assert TrainConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_the_default_is_the_preset_resnet_without_early_features():
    assert replace(preset("resnet"), detail_share=0.0) == TrainConfig()


def test_the_seed_preset_is_the_network_of_the_original_design():
    config = preset("seed-cnn")
    assert (config.backbone, config.loss, config.dropout, config.embedding_size) == (
        "seed-cnn",
        "multi-similarity",
        0.3,
        128,
    )
    assert (config.weight_decay, config.schedule) == (0.0, "constant")  # plain Adam


@pytest.mark.parametrize("name", RANGES)
def test_every_range_is_enforced_at_both_ends(name):
    low, high = RANGES[name]
    for bad in (low - 1, high + 1):
        with pytest.raises(ConfigurationError, match=f"{name} must be between"):
            validate(replace(TrainConfig(), **{name: bad}))


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_outside_the_offered_ones_is_said(name):
    with pytest.raises(ConfigurationError, match=f"{name} must be one of"):
        TrainConfig.from_dict({name: "other"})


@pytest.mark.parametrize("raw", [{"epochs": "many"}, {"epochs": None}, {"learning_rate": True}, {"epochs": 2.5}])
def test_a_value_of_the_wrong_type_is_said(raw):
    with pytest.raises(ConfigurationError, match="must be a"):
        TrainConfig.from_dict(raw)


def test_unknown_names_are_said():
    with pytest.raises(ConfigurationError, match="no field 'speed'"):
        TrainConfig.from_dict({"speed": 1})
    with pytest.raises(ConfigurationError, match="no preset 'fast'"):
        preset("fast")


def test_a_preset_can_be_changed_but_not_out_of_range():
    assert preset("resnet", epochs=1).epochs == 1
    with pytest.raises(ConfigurationError, match="epochs"):
        preset("resnet", epochs=0)


def test_every_field_but_the_preset_has_a_range_choices_or_a_switch():
    assert {item.name for item in fields(TrainConfig)} - {"preset"} == {*RANGES, *CHOICES, *SWITCHES}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_on_or_off(name):
    with pytest.raises(ConfigurationError, match=f"{name} must be true or false"):
        validate(replace(TrainConfig(), **{name: 1}))


def test_a_truth_value_is_no_number_of_channels():
    with pytest.raises(ConfigurationError, match="channels must be one of"):
        validate(replace(TrainConfig(), channels=True))


def test_a_manifest_from_before_a_field_existed_reads_with_its_default():
    old = COLOUR.as_dict() | {"preset": "resnet-colour"}  # a name that presets no longer have
    for name in ("distance", "optimizer", "pretrained", "mixed_precision", "reader", "deterministic"):
        del old[name]
    assert TrainConfig.from_dict(old) == replace(COLOUR, preset="resnet-colour")


def test_every_loss_says_which_distances_it_takes():
    assert set(LOSS_DISTANCES) == set(CHOICES["loss"])
    assert all("cosine" in taken for taken in LOSS_DISTANCES.values())
    with pytest.raises(ConfigurationError, match="circle cannot work with the distance squared-euclidean") as caught:
        preset("resnet", loss="circle", distance="squared-euclidean")
    assert "cosine or euclidean" in caught.value.next_step


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_network_of_keras_needs_colour_and_a_least_size(name):
    with pytest.raises(ConfigurationError, match="only colour pictures"):
        preset("resnet", backbone=name, height=96, width=96, detail_share=0.0)
    with pytest.raises(ConfigurationError, match="at least 32 x 32"):
        validate(replace(COLOUR, backbone=name, height=31))
    validate(replace(COLOUR, backbone=name, pretrained="imagenet"))


@pytest.mark.parametrize("name", ["resnet", "seed-cnn", "seed-cnn-as-published"])
def test_a_network_of_ours_has_no_weights_of_imagenet(name):
    with pytest.raises(ConfigurationError, match="no imagenet weights") as caught:
        validate(replace(COLOUR, backbone=name, pretrained="imagenet"))
    assert "none" in caught.value.next_step

"""The configuration: ranges, presets, JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backend.errors import ConfigurationError
from backend.training.config import PRESETS, RANGES, TrainConfig, preset, validate


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_carries_its_name_and_survives_json(name):
    config = preset(name)
    assert config.preset == name
    assert TrainConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_the_default_is_the_preset_resnet():
    assert TrainConfig() == preset("resnet")


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


@pytest.mark.parametrize("name", ["backbone", "loss", "schedule", "augmentation", "background", "channels"])
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

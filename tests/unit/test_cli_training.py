"""Training fields on the command line."""

from __future__ import annotations

from dataclasses import fields

import pytest

from backend.cli_training import changes_of, fields_help
from backend.errors import ConfigurationError
from backend.training.config import TrainConfig, preset


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
        ("epochs", "names no field"),
        ("epoch=3", "names no field"),
        ("preset=resnet", "names no field"),
        ("epochs=many", "must be a whole number, got 'many'"),
        ("deterministic=perhaps", "must be a truth value"),
    ],
)
def test_a_change_that_does_not_fit_is_said(pair, message):
    with pytest.raises(ConfigurationError, match=message):
        changes_of([pair])


def test_the_help_names_every_field_with_what_it_may_be():
    lines = fields_help().splitlines()
    assert [line.partition(":")[0] for line in lines] == [i.name for i in fields(TrainConfig) if i.name != "preset"]
    assert "distance: cosine, euclidean, squared-euclidean" in lines
    assert "epochs: 1 to 200" in lines
    assert "mixed_precision: true or false" in lines

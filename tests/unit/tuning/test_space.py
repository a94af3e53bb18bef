"""Spaces: values and never indices, whatever the field; and what cannot be a space is said in a sentence."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pytest

from backend.errors import ConfigurationError
from backend.training.config import CHOICES, RANGES, SWITCHES, TrainConfig, validate
from backend.tuning.space import FIELDS, FIXED, KINDS, Dimension, Space, kinds_of


def test_every_field_but_those_that_the_sweep_sets_can_vary():
    assert set(FIELDS) == {item.name for item in fields(TrainConfig)} - set(FIXED)
    assert set(FIELDS) == set(RANGES) - {"seed"} | set(CHOICES) | set(SWITCHES)


def test_logarithmic_draws_are_spread_over_the_orders_of_magnitude():
    space = Space({"learning_rate": Dimension("loguniform", low=1e-5, high=1e-1)})
    rng = np.random.default_rng(3)
    found = np.array([space.draw(rng)["learning_rate"] for _ in range(400)])
    assert 0.4 < float((found < 1e-3).mean()) < 0.6


def test_a_space_survives_json_and_makes_configurations():
    space = Space(
        {
            "loss": Dimension("choice", ("triplet", "circle")),
            "epochs": Dimension("quniform", low=2, high=9, step=2),
            "learning_rate": Dimension("loguniform", low=1e-4, high=1e-2),
        }
    )
    back = Space.from_dict(json.loads(json.dumps(space.as_dict())))
    assert back == space
    config = back.config_of(TrainConfig(), back.draw(np.random.default_rng(0)))
    validate(config)
    assert config.loss in {"triplet", "circle"}


def test_values_that_do_not_go_together_make_no_configuration():
    space = Space({"backbone": Dimension("choice", ("mobilenet-v2",))})
    with pytest.raises(ConfigurationError, match="sees colour pictures only"):
        space.config_of(TrainConfig(), {"backbone": "mobilenet-v2"})


def test_whole_numbers_vary_in_steps_and_words_by_choice_only():
    assert kinds_of("epochs") == ("choice", "quniform", "qloguniform")
    assert kinds_of("learning_rate") == KINDS
    assert kinds_of("loss") == kinds_of("deterministic") == ("choice",)


@pytest.mark.parametrize(
    ("name", "dimension", "said"),
    [
        ("learning_rate", Dimension("uniform", low=0.1, high=0.01), "reversed or empty: from 0.1 to 0.01"),
        ("learning_rate", Dimension("uniform", low=0.1, high=0.1), "reversed or empty"),
        ("dropout", Dimension("loguniform", low=0.0, high=0.5), "begins at 0, which has no logarithm"),
        ("dropout", Dimension("uniform", low=0.0, high=1.5), "between 0 and 0.9, got 1.5"),
        ("dropout", Dimension("quniform", low=0.0, high=0.5), "step of dropout is 0"),
        ("dropout", Dimension("quniform", low=0.0, high=0.5, step=0.7), "step of dropout is 0.7"),
        ("epochs", Dimension("uniform", low=2, high=9), "cannot vary as uniform"),
        ("epochs", Dimension("quniform", low=2, high=9, step=0.5), "holds whole numbers"),
        ("epochs", Dimension("choice", (2.5,)), "must be a whole number, got 2.5"),
        ("epochs", Dimension("choice", (0,)), "between 1 and 200, got 0"),
        ("loss", Dimension("choice", ()), "no values to choose from"),
        ("loss", Dimension("choice", ("triplet", "triplet")), "names a value twice"),
        ("loss", Dimension("choice", ("square",)), "loss cannot be 'square'"),
        ("loss", Dimension("uniform", low=0, high=1), "loss cannot vary as uniform"),
        ("deterministic", Dimension("choice", (1,)), "deterministic cannot be 1"),
        ("learning_rate", Dimension("uniform", low=float("nan"), high=0.1), "must be a number"),
        ("seed", Dimension("choice", (1, 2)), "seed cannot be varied"),
        ("speed", Dimension("choice", (1, 2)), "speed cannot be varied"),
    ],
)
def test_what_cannot_be_a_space_is_said(name, dimension, said):
    with pytest.raises(ConfigurationError, match=said):
        Space({name: dimension}).check()


def test_an_empty_space_is_said():
    with pytest.raises(ConfigurationError, match="The space is empty"):
        Space().check()


def test_a_dimension_of_an_unknown_kind_is_said():
    with pytest.raises(ConfigurationError, match="describes no values to try"):
        Space.from_dict({"epochs": {"kind": "normal", "low": 1, "high": 2}})

"""Spaces: values and never indices, whatever the field; and what cannot be a space is said in a sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.cli.tune import space_of
from backend.errors import ConfigurationError
from backend.training.config import CHOICES, RANGES, SWITCHES, TrainConfig, validate
from backend.tuning.saved_spaces import load_space
from backend.tuning.space import FIELDS, FIXED, KINDS, QUANTISED, Dimension, Space, is_whole, kinds_of, offered


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
    with pytest.raises(ConfigurationError, match="accepts only colour pictures"):
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
        ("dropout", Dimension("loguniform", low=0.0, high=0.5), "starts at 0, which has no logarithm"),
        ("dropout", Dimension("uniform", low=0.0, high=1.5), "between 0 and 0.9, got 1.5"),
        ("dropout", Dimension("quniform", low=0.0, high=0.5), "step of dropout is 0"),
        ("dropout", Dimension("quniform", low=0.0, high=0.5, step=0.7), "step of dropout is 0.7"),
        ("dropout", Dimension("quniform", low=0.0, high=0.5, step=5e-324), "step of dropout is 4.94066e-324"),
        ("epochs", Dimension("uniform", low=2, high=9), "cannot be sampled as uniform"),
        ("epochs", Dimension("quniform", low=2, high=9, step=0.5), "takes whole numbers"),
        ("epochs", Dimension("choice", (2.5,)), "must be a whole number, got 2.5"),
        ("epochs", Dimension("choice", (0,)), "between 1 and 200, got 0"),
        ("loss", Dimension("choice", ()), "no values to choose from"),
        ("loss", Dimension("choice", ("triplet", "triplet")), "has a value twice"),
        ("loss", Dimension("choice", ("square",)), "loss cannot be 'square'"),
        ("loss", Dimension("uniform", low=0, high=1), "loss cannot be sampled as uniform"),
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
    with pytest.raises(ConfigurationError, match="is not a set of values to try"):
        Space.from_dict({"epochs": {"kind": "normal", "low": 1, "high": 2}})


# ------------------------------------------------------------------------------------------------ any space


@st.composite
def dimensions(draw, name):
    """Whatever a field may be, by any kind that it can vary as."""
    kind = draw(st.sampled_from(kinds_of(name)))
    if offered(name):
        return Dimension(kind, tuple(draw(st.lists(st.sampled_from(offered(name)), min_size=1, unique=True))))
    low, high = RANGES[name]
    if is_whole(name):
        numbers = st.integers(int(low), int(high))
    else:
        numbers = st.floats(low, high).map(lambda number: number + 0.0)  # there is no minus zero
    if kind == "choice":
        return Dimension(kind, tuple(draw(st.lists(numbers, min_size=1, max_size=4, unique=True))))
    ends = draw(st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted))
    if "log" in kind and ends[0] <= 0:
        ends[0] = ends[1] / 2 if not is_whole(name) else 1
    assume(ends[0] < ends[1])
    wide = ends[1] - ends[0]
    step = draw(st.integers(1, wide).map(float) if is_whole(name) else st.floats(wide / 1e6, wide))
    return Dimension(kind, low=ends[0], high=ends[1], step=step if kind in QUANTISED else 0.0)


SPACES = st.sets(st.sampled_from(FIELDS), min_size=1, max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({name: dimensions(name) for name in sorted(names)}).map(Space)
)


def written(name, dimension):
    """A dimension as it is written for ``--vary``."""
    if dimension.kind == "choice":
        return f"{name}=choice:{','.join(map(str, dimension.values))}"
    step = f"/{dimension.step!r}" if dimension.kind in QUANTISED else ""
    return f"{name}={dimension.kind}:{dimension.low!r}..{dimension.high!r}{step}"


@given(SPACES, st.integers(0, 2**31))
@profile(max_examples=40)
def test_any_space_comes_back_from_json_from_its_command_and_from_hyperopts_points(space, seed):
    space.check()
    assert Space.from_dict(json.loads(json.dumps(space.as_dict()))) == space
    assert space_of([written(name, dimension) for name, dimension in space.dimensions.items()]) == space
    values = space.draw(np.random.default_rng(seed))
    point = space.point_of(values)
    drawn = {
        name: dimension.values[point[name]] if dimension.kind == "choice" else point[name]
        for name, dimension in space.dimensions.items()
    }
    assert space.clean(drawn) == values


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = {"kind": st.sampled_from(KINDS) | JSON, "values": JSON, "low": JSON, "high": JSON, "step": JSON}


@given(st.dictionaries(st.sampled_from([*FIELDS[:8], "x"]), st.fixed_dictionaries({}, optional=KEYS) | JSON) | JSON)
@profile(max_examples=40)
def test_a_damaged_file_of_a_space_is_refused_in_a_sentence_or_is_one(tmp_path_factory, raw):
    folder = tmp_path_factory.getbasetemp() / "damaged-spaces"
    folder.mkdir(exist_ok=True)
    (folder / "any.json").write_text(json.dumps(raw))
    with suppress(ConfigurationError):
        load_space(folder, "any").check()

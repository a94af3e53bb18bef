"""What is said before a training starts, from counts alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backend.errors import ConfigurationError
from backend.training.config import CHOICES, TrainConfig
from backend.training.costs import COSTS, PROCESS_BYTES, estimate
from backend.training.presets import preset
from backend.training.ranks.preflight import Machine, preflight, this_machine
from tests.support.colour_config import COLOUR

MACHINE = Machine(cores=2, gpus=0, memory_bytes=16_000_000_000, disk_free_bytes=50_000_000_000)
FASHION = {f"kind {number}": {"train": 5_400, "validation": 600, "test": 1_000} for number in range(10)}


def shop(**train: int) -> dict[str, dict[str, int]]:
    return {label: {"train": count, "validation": 20} for label, count in train.items()}


def problems(config, by_label, machine=MACHINE, **options):
    return [problem.message for problem in preflight(config, by_label, machine, **options).problems]


def test_the_default_on_fashion_mnist_raises_nothing():
    found = preflight(TrainConfig(), FASHION, MACHINE)
    assert (found.problems, found.notes) == ((), ())
    assert found.resolved.config == TrainConfig()
    found.raise_first()


def test_its_estimate_is_near_what_was_measured():
    """Six minutes on two cores, 47 MB of pixels, well below a gigabyte of memory."""
    needs = preflight(TrainConfig(), FASHION, MACHINE).estimate
    assert needs.steps == 225
    assert needs.disk_bytes == 60_000 * 784
    assert 180 < needs.seconds < 720
    assert 0.6e9 < needs.memory_bytes < 1.2e9


@pytest.mark.parametrize(
    ("by_label", "message"),
    [
        ({}, "no products in its train split"),
        (shop(hat=40), "has 1 with at least 2 products"),
        (shop(hat=1, shoe=1), "has 0 with at least 2 products"),
        ({"": {"train": 9, "validation": 1}}, "None of the 9 products in the train split has a label"),
        ({"hat": {"train": 9}, "shoe": {"train": 9}}, "no products in its validation split"),
    ],
)
def test_a_catalogue_that_cannot_be_trained_on_is_a_sentence_with_a_next_step(by_label, message):
    found = preflight(TrainConfig(), by_label, MACHINE)
    assert message in found.problems[0].message
    assert found.problems[0].next_step
    assert (found.resolved, found.estimate) == (None, None)
    with pytest.raises(ConfigurationError, match=message):
        found.raise_first()


def test_a_field_out_of_range_is_the_problem():
    assert problems(replace(TrainConfig(), epochs=0), FASHION) == ["epochs must be between 1 and 200, got 0."]


def test_what_differs_from_what_was_asked_is_noted():
    found = preflight(TrainConfig(), shop(hat=30, shoe=3, belt=1), MACHINE)
    assert found.problems == ()
    assert found.notes == (
        "A batch has 2 classes instead of 10: the catalogue has no more.",
        "1 labels with a single product are not used for training: belt.",
        "shoe has fewer products than the 24 per batch: some are drawn twice.",
    )


def test_many_labels_are_not_listed_to_the_end():
    found = preflight(TrainConfig(), shop(**{f"l{n:02d}": 5 for n in range(12)}, big=40), MACHINE)
    assert "l00, l01, l02 and 9 more have fewer products" in found.notes[-1]


def test_every_worker_needs_a_pair_of_every_label():
    by_label = shop(hat=30, shoe=7, scarf=30)
    assert problems(TrainConfig(), by_label, workers=3) == []
    (message,) = problems(TrainConfig(), by_label, workers=4)
    assert "every label needs 8 products" in message
    assert "shoe has fewer" in message


def test_mixed_precision_without_a_gpu_is_refused():
    config = replace(TrainConfig(), mixed_precision=True)
    assert problems(config, FASHION) == [
        "Mixed precision needs a GPU, but this machine has none that TensorFlow can use."
    ]
    assert problems(config, FASHION, replace(MACHINE, gpus=1)) == []


def test_a_batch_that_does_not_fit_into_memory_is_refused_and_a_tight_one_noted():
    wide = replace(COLOUR, height=256, width=256, classes_per_batch=10, examples_per_class=24)
    needs = preflight(wide, FASHION, MACHINE).estimate.memory_bytes
    (message,) = problems(wide, FASHION, replace(MACHINE, memory_bytes=needs - 1))
    assert "GB of memory" in message
    tight = preflight(wide, FASHION, replace(MACHINE, memory_bytes=int(needs * 1.1)))
    assert tight.problems == ()
    assert any("most of this machine's memory" in note for note in tight.notes)


def test_pixels_that_do_not_fit_on_the_disk_are_refused():
    (message,) = problems(TrainConfig(), FASHION, replace(MACHINE, disk_free_bytes=10_000_000))
    assert "on disk" in message


def test_what_is_unknown_refuses_nothing():
    assert problems(TrainConfig(), FASHION, Machine(cores=2)) == []


@pytest.mark.parametrize(
    ("changes", "by_label", "said"),
    [
        ({"optimizer": "sgd"}, FASHION, "higher learning rate than Adam"),
        ({}, {label: {"train": 90, "validation": 2} for label in "abcdefghij"}, "Only 20 validation products"),
    ],
)
def test_what_may_surprise_is_noted(changes, by_label, said):
    notes = preflight(preset("resnet", **changes), by_label, MACHINE).notes
    assert sum(said in note for note in notes) == 1


def test_every_backbone_has_its_costs():
    assert set(COSTS) == set(CHOICES["backbone"])


def test_an_estimate_grows_with_what_makes_it_grow():
    def needs(cores=2, gpus=0, **changes):
        config = replace(COLOUR, **changes)
        return estimate(config, train=10_000, validation=1_000, cores=cores, gpus=gpus)

    base = needs()
    assert needs(height=96, width=96).memory_bytes > base.memory_bytes > PROCESS_BYTES
    assert needs(height=96, width=96).seconds > 3 * base.seconds
    assert needs(epochs=28).seconds > 1.7 * base.seconds
    assert needs(cores=1).seconds > 1.5 * base.seconds > base.seconds > needs(cores=8).seconds
    assert needs(backbone="resnet50").memory_bytes > needs(backbone="mobilenet-v2").memory_bytes
    assert needs(gpus=1).seconds is None
    assert needs(steps_per_epoch=5).steps == 5


def test_this_machine_is_looked_at(tmp_path):
    found = this_machine(tmp_path / "not" / "there" / "yet")
    assert found.cores >= 1
    assert found.memory_bytes > 100_000_000
    assert found.disk_free_bytes > 0
    assert this_machine(Path(), threads=1).cores == 1

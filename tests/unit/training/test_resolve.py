"""A configuration meets a catalogue: what is fitted, what is said, and what cannot work."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from app.components.jobs.model_results import trained
from backend.bundles.bundle import CatalogueRef, Manifest
from backend.cli.text import as_lines
from backend.errors import ConfigurationError
from backend.registry.card import ModelCard, as_markdown, card_of
from backend.training.checkpoints import EpochResult
from backend.training.config import TrainConfig
from backend.training.package import describe
from backend.training.presets import PRESETS
from backend.training.resolve import resolve, resolve_counts

CONFIG = TrainConfig(classes_per_batch=3, examples_per_class=4)


def test_a_catalogue_that_fills_the_batches_changes_nothing():
    resolved = resolve(CONFIG, list("aaaabbbbcccc"), list("ab"))
    assert (resolved.config, resolved.classes, resolved.notes) == (CONFIG, ("a", "b", "c"), ())


def test_batches_shrink_to_what_the_catalogue_has_and_it_is_said():
    resolved = resolve(CONFIG, list("aaabb"), list("ab"))
    assert (resolved.config.classes_per_batch, resolved.config.examples_per_class) == (2, 3)
    assert resolved.notes == (
        "A batch has 2 classes instead of 3: the catalogue has no more.",
        "A batch has 3 products per class instead of 4: no class has more.",
    )


def test_a_label_with_a_single_product_is_left_out_and_named():
    resolved = resolve(CONFIG, list("aaaabbbbccccd"), list("ab"))
    assert resolved.classes == ("a", "b", "c")
    assert resolved.notes == ("1 labels with a single product are not used for training: d.",)


def test_products_without_a_label_are_left_out_and_counted():
    resolved = resolve(CONFIG, [*"aaaabbbbcccc", "", ""], ["a", ""])
    assert resolved.classes == ("a", "b", "c")
    assert resolved.notes == ("2 products of the train split have no label and are not used for training.",)


def test_a_catalogue_without_labels_is_refused():
    with pytest.raises(ConfigurationError, match="None of the 3 products in the train split has a label") as caught:
        resolve(CONFIG, ["", "", ""], [""])
    assert "label" in caught.value.next_step


def test_counts_decide_as_labels_do():
    labels = list("aaaabbbc")
    assert resolve_counts(CONFIG, Counter(labels), {"a": 1}) == resolve(CONFIG, labels, ["a"])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_works_on_the_smallest_catalogue(name):
    resolved = resolve(PRESETS[name], list("aabb"), list("a"))
    assert resolved.config.batch_size == 4


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        ("", "ab", "no products in its train split"),
        ("aaaa", "a", "has 1 with at least 2 products"),
        ("ab", "ab", "has 0 with at least 2 products"),
        ("aabb", "", "no products in its validation split"),
        ("aabb", "xy", "No label of the validation split"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(train, validation, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        resolve(CONFIG, list(train), list(validation))
    assert caught.value.next_step


def test_a_batch_larger_than_the_catalogue_is_fitted_and_the_note_is_kept_with_the_model(tmp_path):
    """128 labels of 128 products were asked for; 18 labels of 58 there are."""
    counts = {f"label {number:02d}": 58 for number in range(18)}
    resolved = resolve_counts(TrainConfig(classes_per_batch=128, examples_per_class=128), counts, counts)
    assert (resolved.config.classes_per_batch, resolved.config.examples_per_class) == (18, 58)
    assert [note.split(":")[0] for note in resolved.notes] == [
        "A batch has 18 classes instead of 128",
        "A batch has 58 products per class instead of 128",
    ]
    best = EpochResult(1, loss=0.5, precision_at_1=0.9, map_at_r=0.8)
    manifest = describe("m", resolved, best, catalogue=CatalogueRef("c", 1), run_id="", threads=1)
    assert manifest.notes == resolved.notes
    assert Manifest.from_json(manifest.to_json()) == manifest
    card = card_of(tmp_path, manifest)
    assert ModelCard.from_json(card.to_json()).notes == resolved.notes
    assert all(f"- {note}" in as_markdown(card) for note in resolved.notes)
    result = {"model": "m", "workers": 1, "metrics": manifest.metrics, "notes": list(manifest.notes)}
    assert [*trained(result)][-2:] == list(resolved.notes)
    assert all(note in as_lines(result) for note in resolved.notes)


def test_what_was_stored_without_notes_still_opens(tmp_path):
    resolved = resolve_counts(TrainConfig(), {"a": 9, "b": 9}, {"a": 9})
    manifest = describe(
        "m", resolved, EpochResult(1, 0.5, 0.9, 0.8), catalogue=CatalogueRef("c", 1), run_id="", threads=1
    )
    earlier = json.loads(manifest.to_json())
    del earlier["notes"]
    assert Manifest.from_json(json.dumps(earlier)).notes == ()
    card = json.loads(card_of(tmp_path, manifest).to_json())
    del card["notes"]
    assert ModelCard.from_json(json.dumps(card)).notes == ()

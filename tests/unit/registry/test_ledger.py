"""What the registry holds is read without MLflow; where an alias goes back to is told by how it moved."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backend.bundles import bundle
from backend.errors import RegistryError
from backend.registry.card import ModelCard, as_markdown, card_of, lineage
from backend.registry.ledger import (
    LEDGER,
    Check,
    Event,
    Ledger,
    RegisteredVersion,
    previous_version,
    read_ledger,
    write_ledger,
)


def moved(*steps):
    """Events newest first, from (action, version, before) in the order in which they happened."""
    events = [Event(f"2026-11-25T12:{at:02}:00+00:00", step[0], "champion", *step[1:]) for at, step in enumerate(steps)]
    return tuple(reversed(events))


@pytest.mark.parametrize(
    ("events", "back_to"),
    [
        (moved(), None),
        (moved(("promote", 1, None)), None),
        (moved(("promote", 1, None), ("promote", 2, 1)), 1),
        (moved(("promote", 1, None), ("promote", 2, 1), ("promote", 2, 2)), 1),
        (moved(("promote", 5, 3)), 3),
        (moved(("promote", 1, None), ("promote", 2, 1), ("promote", 3, 2), ("rollback", 2, 3)), 1),
        (moved(("promote", 1, None), ("promote", 2, 1), ("rollback", 1, 2)), None),
        (moved(("promote", 1, None), ("promote", 2, 1), ("rollback", 1, 2), ("promote", 3, 1)), 1),
        (moved(("promote", 1, None), ("promote", 2, 1), ("promote", 1, 2)), 2),
        (moved(("promote", 1, None), ("promote", 4, 3)), 3),
    ],
)
def test_an_alias_goes_back_to_where_it_stood_before(events, back_to):
    assert previous_version(events, "champion") == back_to


def test_other_aliases_do_not_count():
    other = Event("t", "promote", "challenger", 9, None)
    assert previous_version((other, *moved(("promote", 1, None), ("promote", 2, 1))), "champion") == 1
    assert previous_version((other,), "challenger") is None


@pytest.fixture
def card(projection_bundle):
    return card_of(projection_bundle, bundle.read_manifest(projection_bundle))


def test_a_ledger_is_read_back_as_it_was_written(tmp_path, card):
    version = RegisteredVersion(
        3, "shoes", ("champion",), "t", "run", card, (Check("metrics", False, "Worse."),), "why"
    )
    bare = RegisteredVersion(1, "", (), "t", "", None)
    ledger = Ledger("twinset", (version, bare), moved(("promote", 1, None), ("promote", 3, 1)))
    write_ledger(tmp_path, ledger)
    found = read_ledger(tmp_path, "twinset")
    assert found.at("champion") == found.version(3)
    assert found.previous("champion") == 1
    assert found.at("challenger") is None
    assert (found.events, found.versions[1]) == (ledger.events, bare)
    assert found.version(3).card == ModelCard.from_json(card.to_json())
    with pytest.raises(RegistryError, match="no version 2") as caught:
        found.version(2)
    assert caught.value.next_step == "Versions are: 3, 1."


def test_of_another_model_or_before_anything_was_registered_it_is_empty(tmp_path):
    assert read_ledger(tmp_path, "twinset") == Ledger("twinset")
    write_ledger(tmp_path, Ledger("another", (), moved(("promote", 1, None))))
    assert read_ledger(tmp_path, "twinset") == Ledger("twinset")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "twinset", "versions": [{}], "events": []}'])
def test_a_damaged_ledger_is_said_as_such(tmp_path, text):
    (tmp_path / LEDGER).write_text(text)
    with pytest.raises(RegistryError, match="damaged"):
        read_ledger(tmp_path, "twinset")


def test_a_card_tells_where_a_model_comes_from_and_how_good_it_is(card, evaluated_home):
    assert lineage(card, endpoint="http://here")["Endpoint"] == "http://here"
    assert lineage(card)["Index"] == "exact, 60 products of shop, version 4"
    assert "Sweep" not in lineage(card)
    assert "Threads" not in lineage(card)  # of a model that was made before they were recorded
    assert lineage(replace(card, threads=2))["Threads"] == "2"
    earlier = json.loads(card.to_json())
    del earlier["threads"]
    assert ModelCard.from_json(json.dumps(earlier)) == ModelCard.from_json(card.to_json())
    assert "It has not been evaluated." in as_markdown(card)

    folder = evaluated_home.models_dir / "large"
    evaluated = card_of(folder, bundle.read_manifest(folder))
    text = as_markdown(evaluated, name="twinset", version=4)
    assert text.startswith("# twinset version 4: large")
    value, low, high = evaluated.rates["precision_at_1"]
    assert f"precision_at_1: {value:.4f} [{low:.4f}, {high:.4f}]" in text
    assert ModelCard.from_json(evaluated.to_json()).rates == evaluated.rates


def test_names_and_labels_in_a_card_are_no_markup(card):
    text = as_markdown(replace(card, notes=("Left out:\n\n![l](http://a.example/l.png) <img src=x>",)))
    assert r"- Left out: !\[l\](http://a.example/l.png) \<img src=x>" in text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rates": 3}'])
def test_a_damaged_card_is_said_as_such(text):
    with pytest.raises(RegistryError, match="card"):
        ModelCard.from_json(text)

"""Recall by the protocol of a retrieval data set, against a search by brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.bundles import bundle
from backend.errors import Cancelled
from backend.evaluation import protocol
from backend.evaluation.protocol import AT, recall, way_of
from backend.flow import evaluate as flow
from backend.flow.named import load_network
from backend.progress import NullProgress


def unit(rng, count, size=5):
    vectors = rng.normal(size=(count, size)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_hand(queries, query_labels, gallery, labels):
    """Sort all, and look whether one of the first K has the label."""
    shares = {}
    for k in AT:
        hits = 0
        for at, query in enumerate(queries):
            others = np.arange(len(queries if gallery is None else gallery))
            if gallery is None:
                others = others[others != at]
            vectors, names = (queries, query_labels) if gallery is None else (gallery, labels)
            order = others[np.argsort(-(vectors[others] @ query), kind="stable")]
            hits += query_labels[at] in names[order[:k]]
        shares[k] = hits / len(queries)
    return shares


@given(st.integers(0, 2**31), st.integers(2, 60), st.integers(1, 150), st.booleans())
@hypothesis_settings(max_examples=40, deadline=None)
def test_recall_is_that_of_a_search_by_brute_force(seed, count, others, has_gallery):
    rng = np.random.default_rng(seed)
    queries, names = unit(rng, count), rng.integers(0, 8, count).astype(np.str_)
    gallery, labels = (unit(rng, others), rng.integers(0, 8, others).astype(np.str_)) if has_gallery else (None, None)
    found = recall(queries, names, gallery, labels, progress=NullProgress())
    assert found.at == pytest.approx(by_hand(queries, names, gallery, labels))
    assert found.way == ("gallery" if has_gallery else "each other")
    assert (found.queries, found.gallery) == (count, others if has_gallery else count - 1)
    assert list(found.metrics) == [f"protocol.recall_at_{k}" for k in AT]


def test_it_is_counted_in_parts_and_can_be_stopped(monkeypatch):
    rng = np.random.default_rng(3)
    queries, names = unit(rng, 50), rng.integers(0, 5, 50).astype(np.str_)
    whole = recall(queries, names, None, None, progress=NullProgress())
    monkeypatch.setattr(protocol, "_CHUNK_CELLS", 300)
    assert recall(queries, names, None, None, progress=NullProgress()) == whole

    class Stopped(NullProgress):
        def check_cancelled(self):
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        recall(queries, names, None, None, progress=Stopped())


def test_what_equals_the_right_one_counts_against_it():
    same = np.ones((1, 1), dtype=np.float32)
    found = recall(
        same, np.array(["a"]), np.ones((2, 1), dtype=np.float32), np.array(["b", "a"]), progress=NullProgress()
    )
    assert found.at == {1: 0.0, 10: 1.0, 100: 1.0}


def test_the_protocol_follows_from_the_labels():
    train = np.array(["train", "train"])
    assert way_of(np.array(["q", "q"]), np.array(["a", "q"]), np.array(["train", "gallery-only"]), ("a",)) == "gallery"
    assert way_of(np.array(["q", "q"]), np.array(["a", "b"]), train, ("a", "b")) == "each other"
    assert way_of(np.array(["q", "r"]), np.array(["a", "b"]), train, ("a", "b")) is None  # nothing to be found
    assert way_of(np.array(["a", "q"]), np.array(["a", "b"]), train, ("a", "b")) is None  # the usual way
    assert way_of(np.array([""]), np.array(["a", "b"]), train, ("a",)) is None


@pytest.mark.tf
def test_a_stored_model_is_asked_by_the_protocol_and_keeps_the_figures(home_without_test_split, tmp_path):
    """Its index is taken for one of products that only answer, and its network for one that knows none of their labels."""
    settings = home_without_test_split
    folder = settings.models_dir / "stored"
    manifest = replace(bundle.verify(folder), classes=())
    scored = flow._scored(folder, manifest.index)
    ground = flow._ground(scored, manifest, manifest.index, settings, tmp_path)
    assert flow._by_protocol(None, scored, ground, NullProgress()) is None  # the usual way, without a network
    ground = replace(ground, splits=np.full_like(ground.splits, "gallery-only", dtype="<U16"))
    embedder = load_network(folder, manifest, settings)
    found = flow._by_protocol(embedder, scored, ground, NullProgress())
    assert (found.way, found.queries, found.gallery) == ("gallery", 37, 126)
    assert 0.2 < found.at[1] <= found.at[10] <= found.at[100]
    result = flow._kept_recall(folder, found, settings)
    assert (result["table"], result["notes"]) == ([], [found.sentence])
    figures = bundle.read_manifest(folder).metrics
    assert {name: figures[name] for name in found.metrics} == found.metrics
    assert not any(name.startswith("test.") for name in figures)

"""The kinds of index in a bundle: written, opened, refreshed, measured."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from backend.bundles import bundle
from backend.errors import BundleError, RetrievalError
from backend.progress import NullProgress
from backend.retrieval.fidelity import FidelityReport, measure_fidelity, share_found
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.indexes.approximate import ApproximateIndex, made_up_queries, make_cells
from backend.retrieval.indexes.cells import KEPT_UP_TO, Cells, find_centres
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.kinds import open_index, write_index
from backend.retrieval.recommend import Recommender
from tests.fixtures.endpoint import encoded, load_projection, picture, write_projection_bundle


def clumps(count, *, seed, size=16):
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(1).standard_normal((30, size))
    rows = (middles[rng.integers(0, 30, count)] + 0.3 * rng.standard_normal((count, size))).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def vectors():
    return clumps(5_000, seed=2)


@pytest.fixture
def place(vectors, tmp_path):
    np.save(tmp_path / bundle.VECTORS, vectors)
    assert write_index(tmp_path, "approximate", NullProgress()) == (bundle.CELLS,)
    return tmp_path


def manifest_of(projection_bundle, kind, size):
    found = bundle.read_manifest(projection_bundle)
    return replace(found, index=replace(found.index, kind=kind, size=size))


def test_cells_are_the_same_for_the_same_embeddings(vectors):
    one, other = make_cells(vectors), make_cells(vectors.copy())
    assert len(one.centres) > 50
    assert one.probes > 1
    for name in ("centres", "owners", "probes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_an_approximate_index_answers_the_same_when_it_is_opened(place, vectors, projection_bundle):
    opened = open_index(place, manifest_of(projection_bundle, "approximate", len(vectors)))
    assert isinstance(opened, ApproximateIndex)
    queries = clumps(50, seed=3)
    before, after = ApproximateIndex(vectors).search(queries, k=10), opened.search(queries, k=10)
    np.testing.assert_array_equal(before.positions, after.positions)


def test_an_exact_index_needs_no_further_file(place, projection_bundle):
    assert write_index(place, "exact", NullProgress()) == ()
    assert isinstance(open_index(place, manifest_of(projection_bundle, "exact", 5_000)), ExactIndex)


def test_a_kind_nobody_knows_is_refused(place, projection_bundle):
    with pytest.raises(BundleError, match="unknown kind 'guessed'"):
        open_index(place, manifest_of(projection_bundle, "guessed", 5_000))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"owners": np.zeros(4_999, dtype=np.int32)}, "does not belong to 5000 items"),
        ({"owners": np.full(5_000, 999_999, dtype=np.int32)}, "refers to cells that do not exist"),
        ({"centres": np.zeros((3, 7), dtype=np.float32)}, "dimensions"),
        ({"probes": 0}, "dimensions"),
    ],
)
def test_cells_that_do_not_fit_are_refused(place, projection_bundle, change, says):
    cells = Cells.load(place / bundle.CELLS, size=5_000, dimensions=16)
    replace(cells, **change).save(place / bundle.CELLS)
    with pytest.raises(BundleError, match=says):
        open_index(place, manifest_of(projection_bundle, "approximate", 5_000))


def test_cells_with_a_pickle_are_refused_unread(place, projection_bundle):
    np.savez(place / bundle.CELLS, centres=np.array([{"run": "me"}]), owners=1, probes=1, moved=0)
    with pytest.raises(BundleError, match="cannot be read"):
        open_index(place, manifest_of(projection_bundle, "approximate", 5_000))


def test_a_small_change_keeps_the_centres_and_the_fidelity_a_large_one_finds_new_ones(place, vectors, tmp_path):
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    grown = np.concatenate([vectors[100:], clumps(200, seed=4)])
    np.save(fresh / bundle.VECTORS, grown)
    write_index(fresh, "approximate", NullProgress(), before=place, moved=300)
    before, after = (Cells.load(f / bundle.CELLS, size=n, dimensions=16) for f, n in ((place, 5_000), (fresh, 5_100)))
    np.testing.assert_array_equal(before.centres, after.centres)
    assert after.moved == 300
    queries = made_up_queries(grown, 300)
    truth = ExactIndex(grown).search(queries, k=10).positions
    assert share_found(ApproximateIndex(grown, after).search(queries, k=10).positions, truth) >= 0.99
    write_index(fresh, "approximate", NullProgress(), before=place, moved=int(KEPT_UP_TO * 5_100) + 1)
    anew = Cells.load(fresh / bundle.CELLS, size=5_100, dimensions=16)
    np.testing.assert_array_equal(anew.centres, find_centres(grown))
    assert anew.moved == 0


def test_an_approximate_bundle_answers_and_becomes_exact_again(shop, tmp_path):
    folder = tmp_path / "m"
    embedder = write_projection_bundle(folder)
    image = encoded(picture("checks", 3))
    answers = {}
    for kind in ("approximate", "exact"):
        info = build_gallery(shop, embedder, folder, kind=kind, progress=NullProgress())
        assert info.kind == bundle.verify(folder).index.kind == kind
        assert (folder / bundle.CELLS).exists() == (kind == "approximate")
        (answer,) = Recommender.load(folder, embedder_loader=load_projection).recommend([image], k=9)
        answers[kind] = answer.neighbours
    assert answers["exact"] == answers["approximate"]


def test_fidelity_is_measured_of_both_kinds_and_survives_json(projection_bundle, vectors, tmp_path):
    folder = shutil.copytree(projection_bundle, tmp_path / "m")
    np.save(folder / bundle.VECTORS, vectors)
    manifest = bundle.read_manifest(folder)
    bundle.write_manifest(folder, replace(manifest, index=replace(manifest.index, size=len(vectors))))
    report = measure_fidelity(folder, k=5, queries=60, progress=NullProgress())
    assert (report.kind, report.fidelity, report.k, report.queries, report.size) == ("exact", 1.0, 5, 60, 5_000)
    exact, approximate = report.arms
    assert (exact.is_served, approximate.is_served) == (True, False)
    assert 0.9 <= approximate.fidelity <= 1.0
    assert all(0 < arm.p50_ms <= arm.p95_ms for arm in report.arms)
    assert FidelityReport.from_dict(report.as_dict()) == report


@pytest.mark.parametrize(("k", "queries", "says"), [(0, 100, "k must be"), (999, 100, "k must be"), (5, 1, "Use 10")])
def test_what_cannot_be_measured_is_said(projection_bundle, k, queries, says):
    with pytest.raises(RetrievalError, match=says):
        measure_fidelity(projection_bundle, k=k, queries=queries, progress=NullProgress())


def test_a_model_without_an_index_has_no_fidelity(tmp_path):
    write_projection_bundle(tmp_path / "m")
    with pytest.raises(RetrievalError, match="m has no index yet"):
        measure_fidelity(tmp_path / "m", progress=NullProgress())

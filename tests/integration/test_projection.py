"""Maps that are really drawn: the same bytes every time, as good as umap-learn's, and photos where it would put them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from dataclasses import asdict

import numpy as np
import pytest

from backend.cli import main
from backend.errors import BundleError, Cancelled, ProjectionError
from backend.flow.project import project_step
from backend.flow.requests import ProjectRequest
from backend.progress import NullProgress
from backend.projection import build
from backend.projection.fuzzy import curve_of, fuzzy_graph
from backend.projection.layout import Curve, Edges, arrange
from backend.projection.maps import ARRAYS, list_maps, load_map
from backend.projection.options import ProjectionOptions
from backend.projection.place import place
from backend.projection.reading import open_reading
from backend.projection.reduce import reduce
from backend.projection.worth import map_neighbours, trustworthiness, worth_of
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.neighbour_graph import build_graph
from tests.fixtures.projection import Blobs, blobs

pytestmark = pytest.mark.slow
OPTIONS = ProjectionOptions()


@pytest.fixture(scope="module")
def drawn(five_kinds):
    graph = build_graph(five_kinds.vectors, 15, progress=NullProgress())
    return graph, reduce(
        five_kinds.vectors, five_kinds.labels, graph, OPTIONS, threads=2, progress=NullProgress()
    ).positions


@pytest.fixture(scope="module")
def umap():
    """umap-learn, without TensorFlow, which it would load for a class that is not asked for."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        if "tensorflow" not in sys.modules:
            patch.setitem(sys.modules, "tensorflow", None)
        import umap
    return umap


def fitted_by(umap, vectors, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return umap.UMAP(random_state=7, n_jobs=1, **options).fit(vectors)


def numbers(graph, neighbours):
    """Our neighbour graph as umap-learn takes it: every product is its own first neighbour."""
    near = graph.nearest(neighbours - 1)
    itself = np.arange(graph.size, dtype=np.int32)[:, None]
    chords = np.sqrt(2 * np.hstack([np.zeros((graph.size, 1), np.float32), near.distances])).astype(np.float32)
    return np.hstack([itself, near.positions]), chords


@pytest.mark.parametrize("neighbours", [2, 8, 15])
@pytest.mark.parametrize("supervised", [False, True])
def test_the_fuzzy_graph_is_that_of_umap_learn_for_the_same_neighbours(umap, neighbours, supervised):
    found = blobs(30, spread=0.3)
    vectors = np.vstack([found.vectors, np.repeat(found.vectors[:1], 4, axis=0)])  # copies, too
    labels = np.concatenate([found.labels, ["", "", "kind-1", "kind-0"]])
    graph = build_graph(vectors, 15, progress=NullProgress())
    indices, chords = numbers(graph, neighbours)
    theirs, _, _ = umap.umap_.fuzzy_simplicial_set(
        vectors, neighbours, np.random.RandomState(1), "euclidean", {}, knn_indices=indices, knn_dists=chords
    )
    if supervised:
        told = np.where(labels == "", -1, np.unique(labels, return_inverse=True)[1])
        theirs = umap.umap_.discrete_metric_simplicial_set_intersection(theirs, told, far_dist=5.0)
    ours = fuzzy_graph(graph, neighbours, labels if supervised else None)
    assert np.abs(ours - theirs).max() < 2e-4
    assert (ours != ours.T).nnz == 0


@pytest.mark.parametrize("distance", [0.0, 0.1, 0.5, 0.99])
def test_the_curve_is_that_of_umap_learn(umap, distance):
    assert curve_of(distance) == pytest.approx(umap.umap_.find_ab_params(1.0, distance), rel=1e-4)


def test_the_same_bytes_come_out_every_time_on_one_thread_and_on_two(five_kinds, drawn):
    graph, positions = drawn
    again = reduce(five_kinds.vectors, five_kinds.labels, graph, OPTIONS, threads=1, progress=NullProgress()).positions
    for size in (2, 3):
        assert positions[size].shape == (300, size)
        assert positions[size].tobytes() == again[size].tobytes()


def test_a_map_is_as_trustworthy_as_umap_learns(umap, five_kinds, drawn):
    _, positions = drawn
    reference = fitted_by(umap, five_kinds.vectors).embedding_
    rows = np.arange(len(reference))
    ours, theirs = (
        trustworthiness(five_kinds.vectors, map_neighbours(found, rows, 15), rows)
        for found in (positions[2], reference)
    )
    assert ours >= 0.99 * theirs


def test_kinds_stand_together_and_labels_pull_them_closer(five_kinds, drawn):
    graph, positions = drawn
    mixed = blobs(60, spread=0.35)  # kinds that run into each other
    near = build_graph(mixed.vectors, 15, progress=NullProgress())
    accuracies = []
    for supervised in (False, True):
        options = ProjectionOptions(supervised=supervised)
        flat = reduce(mixed.vectors, mixed.labels, near, options, dimensions=(2,), progress=NullProgress()).positions[2]
        accuracies.append(worth_of(mixed.vectors, flat, mixed.labels, near.positions).accuracy)
    assert worth_of(five_kinds.vectors, positions[2], five_kinds.labels, graph.positions).accuracy == 1.0
    assert accuracies[1] > accuracies[0]


def test_photos_land_where_umap_learn_would_put_them(umap):
    """The reference is umap-learn's own ``transform``; ours is given its map and only the photos' neighbours."""
    drawn = blobs(212)
    known, photos = (Blobs(drawn.vectors[part], drawn.labels[part]) for part in (slice(1_000), slice(1_000, None)))
    fitted = fitted_by(umap, known.vectors, n_neighbors=15)
    theirs = fitted.transform(photos.vectors)
    found = ExactIndex(known.vectors).search(photos.vectors, k=15)
    curve = (float(fitted._a), float(fitted._b))
    ours = np.stack(
        [
            place(near, apart, fitted.embedding_, curve=curve, neighbours=15)
            for near, apart in zip(found.positions, found.distances, strict=True)
        ]
    )
    width = float(np.ptp(fitted.embedding_, axis=0).max())
    assert np.median(np.linalg.norm(ours - theirs, axis=1)) < 0.03 * width
    rows = map_neighbours(
        np.vstack([fitted.embedding_, ours]), np.arange(len(known.vectors), len(known.vectors) + 60), 5
    )
    named = np.concatenate([known.labels, photos.labels])[rows]
    assert (named == photos.labels[:, None]).mean() > 0.95


def test_products_that_are_all_the_same_are_a_sentence():
    same = np.tile(np.eye(1, 8, dtype=np.float32), (30, 1))
    graph = build_graph(same, 15, progress=NullProgress())
    with pytest.raises(ProjectionError, match="same embedding"):
        reduce(same, np.full(30, "a"), graph, OPTIONS, progress=NullProgress())


def test_many_copies_of_a_product_are_drawn_all_the_same():
    found = blobs(20)
    copies = np.vstack([found.vectors, np.repeat(found.vectors[:1], 40, axis=0)])
    graph = build_graph(copies, 15, progress=NullProgress())
    positions = reduce(copies, np.full(len(copies), ""), graph, OPTIONS, progress=NullProgress()).positions
    assert all(np.isfinite(found).all() for found in positions.values())


def test_an_arrangement_can_be_cancelled(five_kinds):
    class Stopped(NullProgress):
        def check_cancelled(self):
            raise Cancelled("Stopped.")

    edges = Edges(np.asarray([0, 1, 2], np.int32), np.asarray([1, 0], np.int32), np.ones(2, np.float32))
    with pytest.raises(Cancelled):
        arrange(np.eye(2, dtype=np.float32), edges, Curve(1.5, 0.9), epochs=5, seed=1, progress=Stopped())


def test_a_map_is_drawn_without_umap_learn_or_tensorflow(repository):
    code = "import sys, backend.projection.reduce, backend.projection.layout; print({'umap', 'tensorflow'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ------------------------------------------------------------------------------------------------- the job


def test_a_map_is_drawn_once_and_read_from_then_on(wardrobe_home):
    first = project_step(ProjectRequest("mine"), wardrobe_home, NullProgress())
    folder = wardrobe_home.maps_dir / "mine"
    kept = (folder / first["map"] / ARRAYS).read_bytes()
    assert (first["was_there"], first["products"]) == (False, len(load_map(folder, first["map"]).ids))
    assert project_step(ProjectRequest("mine"), wardrobe_home, NullProgress())["was_there"]
    shutil.rmtree(folder)
    again = project_step(ProjectRequest("mine"), wardrobe_home, NullProgress())
    assert again["map"] == first["map"]
    assert (folder / first["map"] / ARRAYS).read_bytes() == kept
    other = project_step(ProjectRequest("mine", min_distance=0.4), wardrobe_home, NullProgress())
    assert other["map"] != first["map"]
    assert {info.key for info in list_maps(folder)} == {first["map"], other["map"]}
    json.dumps(first)


def test_umap_learn_draws_a_map_of_its_own_beside_twinsets(mapped_home, monkeypatch):
    """It takes the neighbours that the other map has, and says who drew it; photos are placed on it as on any."""
    monkeypatch.setattr(build, "build_graph", lambda *_, **__: pytest.fail("the neighbours are known"))
    folder = mapped_home.maps_dir / "mine"
    (twinset,) = list_maps(folder)
    request = ProjectRequest("mine", twinset.options.neighbours, engine="umap-learn")
    told = project_step(request, mapped_home, NullProgress())
    assert told["options"]["engine"] == "umap-learn"
    assert told["map"] != twinset.key
    assert {info.key: info.options.engine for info in list_maps(folder)} == {
        told["map"]: "umap-learn",
        twinset.key: "twinset",
    }
    found = open_reading(mapped_home.models_dir / "mine", folder)
    assert found.map_key == told["map"]
    assert found.drawn.info.curve == pytest.approx(curve_of(0.1), rel=1e-4)
    near = [(str(found.ids[at]), 0.01 + 0.01 * place_) for place_, at in enumerate(found.graph.positions[0, :5])]
    for size in (2, 3):
        placed = np.asarray(found.place(near, size, answered_by="mine"))
        spots = found.drawn.positions[size][found.graph.positions[0, :5]]
        assert np.linalg.norm(spots - placed, axis=1).min() < np.ptp(found.drawn.positions[size], axis=0).max() / 4


def test_a_model_deleted_meanwhile_leaves_no_map(wardrobe_home, monkeypatch):
    folder = wardrobe_home.models_dir / "mine"
    real = build.worth_of

    def deleting(*arguments, **options):
        shutil.rmtree(folder, ignore_errors=True)
        return real(*arguments, **options)

    monkeypatch.setattr(build, "worth_of", deleting)
    with pytest.raises(BundleError, match="deleted in the meantime"):
        project_step(ProjectRequest("mine"), wardrobe_home, NullProgress())
    assert list_maps(wardrobe_home.maps_dir / "mine") == []


@pytest.mark.parametrize("size", [3, 4, 10, 15, 16, 20, 24, 30, 31])
def test_small_galleries_get_a_map_and_no_claim_that_means_nothing(size):
    found = blobs(7)
    vectors, labels = found.vectors[:size], np.where(np.arange(size) % 2, "bag", "hat")
    graph = build_graph(vectors, min(15, size - 1), progress=NullProgress())
    drawn = reduce(vectors, labels, graph, OPTIONS.fitted(size), threads=1, progress=NullProgress()).positions
    for dimensions, positions in drawn.items():
        assert positions.shape == (size, dimensions)
        assert np.isfinite(positions).all()
        worth = worth_of(vectors, positions, labels, graph.positions)
        assert (worth.trustworthiness is None) == (size <= 30)
        assert (worth.accuracy is None) == (worth.full_accuracy is None) == (size <= 20)


def test_what_the_page_can_do_the_command_line_can(wardrobe_home, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(main, "load_settings", lambda: wardrobe_home)

    def run(*words):
        assert main.main([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    drawn = run("project", "mine", "--neighbours", "10", "--engine", "twinset")
    assert run("explore", "maps")["maps"][0]["key"] == drawn["map"]
    first = run("explore", "outliers", "-n", "3")["outliers"][0]["product_id"]
    assert len(run("explore", "neighbours", first, "-n", "4")["neighbours"]) == 4
    assert run("explore", "hubs", "-n", "2")["k"] == 10
    assert run("explore", "overlap", "-n", "5")["pairs"]
    assert "groups" in run("explore", "duplicates", "--distance", "0.01")
    assert run("explore", "save", "odd", first, "--kind", "suspects")["products"] == 1
    target = tmp_path / "odd.csv"
    assert run("explore", "export", "odd", "--to", str(target))["kind"] == "suspects"
    assert target.read_text().startswith("product_id,label\n")
    assert [one["name"] for one in run("explore", "lists")["lists"]] == ["odd"]
    assert run("explore", "delete", "odd") == {"deleted": "odd"}
    assert main.main(["explore", "neighbours", "nobody", "--json"]) == 1
    assert asdict(ProjectionOptions(neighbours=10)) == drawn["options"]

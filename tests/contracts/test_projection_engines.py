"""What every engine of the map must do: the same neighbours drawn by Twinset's own arrangement and by umap-learn."""

from __future__ import annotations

import numpy as np
import psutil
import pytest
from scipy.optimize import brentq

from backend.errors import Cancelled
from backend.progress import NullProgress
from backend.projection.options import ENGINES, ProjectionOptions
from backend.projection.place import place
from backend.projection.reduce import reduce
from backend.projection.worth import map_neighbours, trustworthiness
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.neighbour_graph import build_graph

pytestmark = pytest.mark.slow
PLAIN = {"neighbours": 15, "min_distance": 0.1}
LABELLED = {"neighbours": 8, "min_distance": 0.5, "supervised": True, "seed": 8}
WEAK = 1 / 250  # an edge may be left out that would take part in less than one of the rounds
# a and b of the attraction by smallest distance, as umap-learn 0.5.12 fits them.
CURVES = {0.1: (1.576943, 0.895061), 0.5: (0.583030, 1.334167)}


class Listener(NullProgress):
    """Hears how far a drawing is; asks to stop once a note has this in it."""

    def __init__(self, stop_at="never"):
        self.stop_at, self.heard, self.notes = stop_at, [], []

    def report(self, done, total, *, unit="", note=""):
        self.heard.append(done / total)
        self.notes.append(note)

    def check_cancelled(self):
        if self.notes and self.stop_at in self.notes[-1]:
            raise Cancelled("Stopped.")


@pytest.fixture(scope="module")
def graph(five_kinds):
    return build_graph(five_kinds.vectors, 15, progress=NullProgress())


@pytest.fixture(scope="module")
def draw(five_kinds, graph):
    """Draw the five kinds with an engine."""

    def drawing(engine, *, dimensions=(2,), progress=None, **options):
        chosen = ProjectionOptions(engine=engine, **options)
        return reduce(
            *(five_kinds.vectors, five_kinds.labels, graph, chosen),
            dimensions=dimensions,
            threads=2,
            progress=progress or NullProgress(),
        )

    return drawing


@pytest.fixture(scope="module")
def drawings(draw):
    """By engine: a plain map in both dimensions, what was heard of it, and a map in which labels pull."""
    found = {}
    for engine in ENGINES:
        listener = Listener()
        plain = draw(engine, dimensions=(2, 3), progress=listener, **PLAIN)
        found[engine] = plain, listener, draw(engine, **LABELLED)
    return found


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


def expected_strengths(graph, neighbours, labels=None):
    """The fuzzy graph by the formulas of the paper, product by product, with a root finder; dense (N, N)."""
    found = np.zeros((graph.size, graph.size))
    for at in range(graph.size):
        chords = np.sqrt(2.0 * graph.distances[at, : neighbours - 1].astype(np.float64))
        beyond = chords - chords.min()
        width = brentq(lambda w, far=beyond: np.exp(-far / w).sum() - np.log2(neighbours), 1e-6, 1e3)
        found[at, graph.positions[at, : neighbours - 1]] = np.exp(-beyond / width)
    found = found + found.T - found * found.T
    if labels is not None:
        found[labels[:, None] != labels] *= np.exp(-5.0)
        found /= found.max(axis=1, keepdims=True)
        found = found + found.T - found * found.T
    return found


def trust(vectors, positions):
    rows = np.arange(len(vectors))
    return trustworthiness(vectors, map_neighbours(positions, rows, 15), rows)


def test_a_map_has_every_dimension_asked_for_with_finite_places(engine, drawings):
    plain, _, labelled = drawings[engine]
    assert {size: found.shape for size, found in plain.positions.items()} == {2: (300, 2), 3: (300, 3)}
    assert list(labelled.positions) == [2]
    for found in plain.positions.values():
        assert found.dtype == np.float32
        assert np.isfinite(found).all()


def test_the_curve_is_fitted_to_the_smallest_distance(engine, drawings):
    plain, _, labelled = drawings[engine]
    assert plain.curve == pytest.approx(CURVES[0.1], rel=1e-4)
    assert labelled.curve == pytest.approx(CURVES[0.5], rel=1e-4)


def test_products_are_held_together_as_the_paper_says(engine, drawings, graph, five_kinds):
    plain, _, labelled = drawings[engine]
    for found, expected in (
        (plain.strengths, expected_strengths(graph, 15)),
        (labelled.strengths, expected_strengths(graph, 8, five_kinds.labels)),
    ):
        strengths = found.toarray()
        expected[(strengths == 0) & (expected < WEAK)] = 0.0
        assert np.abs(strengths - expected).max() < 2e-4
        assert (found != found.T).nnz == 0


def test_a_map_is_as_trustworthy_as_the_other_engines(engine, drawings, five_kinds):
    for size in (2, 3):
        figures = {name: trust(five_kinds.vectors, found.positions[size]) for name, (found, _, _) in drawings.items()}
        assert figures[engine] >= 0.99 * max(figures.values())


def test_maps_of_all_engines_lie_the_same_way_round(engine, drawings, five_kinds):
    """Both start from the principal components, so that whoever compares two maps finds a kind where it was."""
    plain = drawings[engine][0].positions[2]
    other = drawings[ENGINES[0]][0].positions[2]
    kinds = np.unique(five_kinds.labels)
    mine, theirs = (
        np.stack([found[five_kinds.labels == kind].mean(axis=0) for kind in kinds]) for found in (plain, other)
    )
    assert all(np.corrcoef(mine[:, axis], theirs[:, axis])[0, 1] > 0.5 for axis in (0, 1))


def test_the_same_seed_gives_the_same_map_and_another_another(engine, draw, drawings):
    plain = drawings[engine][0].positions[2]
    assert draw(engine, **PLAIN).positions[2].tobytes() == plain.tobytes()
    assert not np.allclose(drawings[engine][2].positions[2], plain)


def test_progress_rises_to_its_end_and_tells_rounds_of_each_dimension(engine, drawings):
    listener = drawings[engine][1]
    assert listener.heard == sorted(listener.heard)
    assert listener.heard[-1] == 1.0
    for size in ("2-D", "3-D"):
        assert any(size in note and "rounds" in note for note in listener.notes)


@pytest.mark.parametrize(
    ("engine", "midst"), [("twinset", "rounds"), ("umap-learn", "starting")], ids=["twinset", "umap-learn"]
)
def test_a_drawing_stops_in_its_midst_and_leaves_no_process(engine, midst, draw):
    """umap-learn's longest time without a sign of life is when it is imported and compiled."""
    before = set(psutil.Process().children(recursive=True))
    listener = Listener(stop_at=midst)
    with pytest.raises(Cancelled):
        draw(engine, progress=listener, **PLAIN)
    assert midst in listener.notes[-1]
    assert listener.heard[-1] < 1.0
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_photo_lands_among_its_kind(engine, drawings, five_kinds):
    plain = drawings[engine][0]
    noise = np.random.default_rng(11).standard_normal((20, five_kinds.vectors.shape[1]))
    photos = five_kinds.vectors[:20] + 0.02 * noise.astype(np.float32)
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    found = ExactIndex(five_kinds.vectors).search(photos, k=15)
    for size, positions in plain.positions.items():
        for photo in range(20):
            near, apart = found.positions[photo], found.distances[photo]
            placed = place(near, apart, positions, curve=plain.curve, neighbours=15)
            nearest = np.linalg.norm(positions - placed, axis=1).argsort()[:5]
            assert (five_kinds.labels[nearest] == five_kinds.labels[photo]).mean() > 0.5, size

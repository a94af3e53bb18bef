"""The whole evaluation of small real models on a small real catalogue."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from backend.bundles import bundle
from backend.errors import BundleError, EvaluationError
from backend.evaluation import measure
from backend.evaluation.answers import ANSWERS, load_answers
from backend.evaluation.report import REPORT, Evaluation, load_report
from backend.evaluation.robustness import CHANGES
from backend.flow.evaluate import evaluate_step
from backend.flow.requests import EvaluateRequest
from backend.progress import NullProgress
from backend.retrieval.calibration import CALIBRATION, Calibration
from backend.retrieval.gallery.gallery import Gallery, load_vectors
from tests.fixtures.evaluation import SEEN, SPLITS, UNSEEN, write_model

TEST_QUERIES = len(SEEN) * SPLITS.count("test") + 1  # and the twin


@pytest.fixture
def report(evaluated_home):
    return load_report(evaluated_home.models_dir / "large")


def evaluated(settings, model="mine", **options):
    return evaluate_step(EvaluateRequest(model, bootstrap=100, **options), settings, NullProgress())


def test_the_bundle_stays_whole_and_names_its_report(evaluated_home):
    folder = evaluated_home.models_dir / "large"
    manifest = bundle.verify(folder)
    assert {REPORT, ANSWERS, CALIBRATION} <= manifest.files.keys()
    assert [path.name for path in evaluated_home.models_dir.glob(".*")] == []


def test_figures_in_the_manifest_keep_their_names(evaluated_home, report):
    metrics = bundle.read_manifest(evaluated_home.models_dir / "large").metrics
    rates = {"precision_at_1", "precision_at_k", "hit_rate_at_k", "r_precision", "map_at_r"}
    assert {f"test.{name}" for name in rates} <= metrics.keys()
    assert metrics["test.map_at_r"] == pytest.approx(report.model_row.rates["map_at_r"].value)
    assert {
        "test.calibration_error",
        "unseen.map_at_r",
        "unseen_mixed.precision_at_1",
        "unseen.auroc",
    } <= metrics.keys()
    assert all(0 <= value <= 1 for value in metrics.values())


def test_seen_classes_are_asked_about_with_everything_beside_them(report):
    assert [(row.name, row.kind) for row in report.seen] == [
        ("large", "model"),
        ("Raw pixels", "baseline"),
        ("PCA 47", "baseline"),  # 48 products to learn from vary in 47 directions
    ]
    assert {row.queries for row in report.seen} == {TEST_QUERIES}
    assert all(rate.low <= rate.value <= rate.high for row in report.seen for rate in row.rates.values())
    assert sum(score.queries for score in report.by_label) == TEST_QUERIES
    assert {score.label for score in report.by_label} == set(SEEN)


def test_the_report_survives_json(report):
    assert Evaluation.from_json(report.to_json()) == report
    assert report.unseen.classes == UNSEEN
    assert [changed.change for changed in report.robustness] == ["", *CHANGES]


def test_cells_of_the_matrix_count_every_query_once_and_name_pairs(evaluated_home, report):
    assert sum(cell.queries for cell in report.confusion) == TEST_QUERIES
    right = sum(cell.queries for cell in report.confusion if cell.label == cell.nearest)
    assert right / TEST_QUERIES == pytest.approx(report.model_row.rates["precision_at_1"].value)
    answers = load_answers(evaluated_home.models_dir / "large")
    cell = report.confusion[0]
    (query,) = answers.queries((cell.examples[0][0],))
    assert (query.label, query.neighbours[0].label) == (cell.label, cell.nearest)
    assert query.neighbours[0].product_id == cell.examples[0][1]


def test_answers_are_those_of_the_index(evaluated_home):
    folder = evaluated_home.models_dir / "large"
    answers, gallery, vectors = load_answers(folder), Gallery.load(folder), load_vectors(folder)
    assert len(answers) == TEST_QUERIES
    scored = gallery.splits != "test"
    ids = np.asarray(gallery.ids)[scored].tolist()
    vectors = vectors[scored]
    (twin,) = answers.queries(("zz-twin",))
    nearest = twin.neighbours[0]
    assert (nearest.similarity, nearest.label) == (pytest.approx(1.0, abs=1e-5), "Box")
    # The rest of the row is ranked by similarity to that very item, whose picture is the same.
    similarity = vectors @ vectors[ids.index(nearest.product_id)]
    assert [one.similarity for one in twin.neighbours] == pytest.approx(np.sort(similarity)[::-1][:10], abs=1e-5)


def test_the_worst_come_first(evaluated_home, report):
    answers = load_answers(evaluated_home.models_dir / "large")
    worst = [query.map_at_r for query in answers.queries(report.worst)]
    assert worst == sorted(worst)
    confident = answers.queries(report.confident)
    assert not any(query.is_right for query in confident)
    similarities = [query.neighbours[0].similarity for query in confident]
    assert similarities == sorted(similarities, reverse=True)


def test_the_calibration_knows_validation_products_only(evaluated_home, report):
    calibration = Calibration.load(evaluated_home.models_dir / "large")
    assert calibration.queries == len(SEEN) * SPLITS.count("validation")
    assert calibration.weights_hash == report.weights_hash
    assert list(calibration.probabilities) == sorted(calibration.probabilities)
    assert sum(found.queries for found in report.calibration.reliability) == TEST_QUERIES
    assert 0 <= report.calibration.auroc_unknown <= 1


def test_the_same_request_gives_the_same_report(wardrobe_home):
    reports = []
    for _ in range(2):
        evaluated(wardrobe_home, robustness=True)
        reports.append(load_report(wardrobe_home.models_dir / "mine"))
    first, second = (replace(one, created_at="", seconds=0.0) for one in reports)
    assert first == second


def test_near_duplicates_are_left_out_by_one_flag_and_the_manifest_keeps_all(wardrobe_home):
    everything = evaluated(wardrobe_home, baselines=False)
    without = evaluated(wardrobe_home, baselines=False, without_duplicates=True)
    assert without["left_out"] == 1
    assert without["table"][0]["queries"] == TEST_QUERIES - 1
    assert without["metrics"]["test.map_at_r"] == everything["metrics"]["test.map_at_r"]
    rate = "precision_at_1"  # the twin is answered rightly
    assert without["metrics"][f"test_without_duplicates.{rate}"] < everything["metrics"][f"test.{rate}"]
    assert "are not measured" in without["notes"][0]  # only exact copies are known
    assert "catalogue quality wardrobe`" in without["notes"][0]
    again = evaluated(wardrobe_home, baselines=False)
    assert not any(name.startswith("test_without") for name in again["metrics"])
    kept = bundle.read_manifest(wardrobe_home.models_dir / "mine").metrics
    assert not any(name.startswith("test_without") for name in kept)


def test_figures_of_another_k_are_not_mixed_with_the_usual_ones(wardrobe_home):
    found = evaluated(wardrobe_home, baselines=False, k=3)
    assert "test.precision_at_k" not in found["metrics"]
    assert "test.precision_at_1" in found["metrics"]


def test_the_originals_networks_and_models_asked_for_stand_in_every_table(wardrobe_home):
    snapshot_ref = bundle.read_manifest(wardrobe_home.models_dir / "mine").catalogue
    from backend.catalogue.snapshot import open_snapshot

    snapshot = open_snapshot(wardrobe_home.catalogues_dir, snapshot_ref.name)
    for name, backbone in (("first", "seed-cnn"), ("other", "resnet")):
        folder = write_model(wardrobe_home, snapshot, name, seed=9)
        manifest = bundle.read_manifest(folder)
        bundle.write_manifest(folder, replace(manifest, config={"backbone": backbone}))
    found = evaluated(wardrobe_home, against=("other",))
    names = [row["name"] for row in found["table"]]
    assert names == ["mine", "Raw pixels", "PCA 47", "The original's network (pixels scaled once)", "other"]
    assert [row["name"] for row in found["unseen"]["mixed"]] == names


def test_a_model_without_an_index_of_the_same_gallery_is_embedded_and_scores_the_same(wardrobe_home, monkeypatch):
    from backend.catalogue.snapshot import open_snapshot
    from backend.flow import evaluate

    snapshot = open_snapshot(wardrobe_home.catalogues_dir, "wardrobe")
    write_model(wardrobe_home, snapshot, "other", seed=9)
    indexed = evaluated(wardrobe_home, baselines=False, against=("other",))
    real = evaluate._other
    monkeypatch.setattr(evaluate, "_other", lambda *asked: replace(real(*asked), gallery=None))
    embedded = evaluated(wardrobe_home, baselines=False, against=("other",))
    assert embedded["table"] == indexed["table"]


def test_robustness_asks_a_sample_and_the_same_one_every_time(wardrobe_home, monkeypatch):
    monkeypatch.setattr(measure, "ROBUSTNESS_QUERIES", 7)
    found = evaluated(wardrobe_home, baselines=False, robustness=True)
    assert {row["queries"] for changed in found["robustness"] for row in changed["rows"]} == {7}


@pytest.mark.parametrize(
    ("options", "says"),
    [({"k": 0}, "k must be between"), ({"precision_target": 1.5}, "precision_target"), ({"against": ("no",)}, "no")],
)
def test_what_cannot_be_asked_is_said_before_anything_starts(wardrobe_home, options, says):
    before = (wardrobe_home.models_dir / "mine" / bundle.MANIFEST).read_bytes()
    with pytest.raises((EvaluationError, BundleError), match=says):
        evaluated(wardrobe_home, **options)
    assert (wardrobe_home.models_dir / "mine" / bundle.MANIFEST).read_bytes() == before


def test_a_model_of_another_catalogue_is_not_put_beside(wardrobe_home):
    from backend.bundles.bundle import CatalogueRef
    from backend.catalogue.snapshot import open_snapshot

    folder = write_model(wardrobe_home, open_snapshot(wardrobe_home.catalogues_dir, "wardrobe"), "foreign")
    manifest = bundle.read_manifest(folder)
    bundle.write_manifest(folder, replace(manifest, catalogue=CatalogueRef("shop", 4)))
    with pytest.raises(EvaluationError, match="trained on shop version 4"):
        evaluated(wardrobe_home, against=("foreign",))


def test_an_index_is_needed(wardrobe_home):
    folder = wardrobe_home.models_dir / "mine"
    bundle.write_manifest(folder, replace(bundle.read_manifest(folder), index=None))
    with pytest.raises(BundleError, match="no index yet"):
        evaluated(wardrobe_home)


def test_without_test_products_that_is_said(wardrobe_home):
    folder = wardrobe_home.models_dir / "mine"
    bundle.write_manifest(folder, replace(bundle.read_manifest(folder), classes=("Hat",)))
    with pytest.raises(EvaluationError, match="no product in its test split"):
        evaluated(wardrobe_home)


def test_a_report_of_another_version_says_so(evaluated_home, report):
    raw = {**json.loads(report.to_json()), "format_version": 0}
    with pytest.raises(EvaluationError, match="another version"):
        Evaluation.from_json(json.dumps(raw))
    with pytest.raises(EvaluationError, match="damaged"):
        Evaluation.from_json("no report")
    with pytest.raises(EvaluationError, match="expected form"):
        Evaluation.from_json(json.dumps({"format_version": 1}))


def test_what_looks_the_same_is_left_out_once_the_pictures_are_measured(wardrobe_home):
    from backend.catalogue.snapshot import open_snapshot
    from backend.evaluation.duplicates import repeated_queries

    folder = wardrobe_home.catalogues_dir / "wardrobe"
    snapshot = open_snapshot(wardrobe_home.catalogues_dir, "wardrobe")
    measure_pictures(snapshot, folder)
    rows = snapshot.columns(["product_id", "split"]).to_pylist()
    asked = [row["product_id"] for row in rows if row["split"] == "test"]
    held = [row["product_id"] for row in rows if row["split"] != "test"]
    found = repeated_queries(snapshot, folder, asked, held)
    assert "zz-twin" in found.ids
    assert found.unmeasured == 0
    without = evaluated(wardrobe_home, baselines=False, without_duplicates=True)
    of_seen_labels = [name for name in found.ids if not name.startswith(("cross", "stripes"))]
    assert without["left_out"] == len(of_seen_labels) > 0
    assert not any("not measured" in note for note in without["notes"])


def measure_pictures(snapshot, folder):
    """Measure the pictures of a catalogue without a JVM."""
    from dataclasses import asdict

    import pyarrow as pa
    from deltalake import write_deltalake

    from backend.catalogue.quality.measures import measure as measured
    from backend.catalogue.schemas import QUALITY_SCHEMA

    pictures = {row["image_sha256"]: row["image"] for row in snapshot.columns(["image_sha256", "image"]).to_pylist()}
    found = [{"image_sha256": sha256, **asdict(measured(image))} for sha256, image in pictures.items()]
    write_deltalake(folder / "quality", QUALITY_SCHEMA.empty_table())
    write_deltalake(folder / "quality", pa.Table.from_pylist(found, QUALITY_SCHEMA), mode="append")


def test_a_bundle_that_changed_meanwhile_keeps_no_report(wardrobe_home, monkeypatch):
    from backend.flow import evaluate

    folder = wardrobe_home.models_dir / "mine"
    real = evaluate.metrics_of

    def meanwhile(outcome):
        bundle.write_manifest(folder, replace(bundle.read_manifest(folder), weights_hash="another"))
        return real(outcome)

    monkeypatch.setattr(evaluate, "metrics_of", meanwhile)
    with pytest.raises(BundleError, match="changed in the meantime"):
        evaluated(wardrobe_home, baselines=False)
    assert REPORT not in bundle.verify(folder).files

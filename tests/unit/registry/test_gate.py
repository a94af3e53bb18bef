"""The gate lets no model through that is worse than the champion, misses its index, or forgets what was approved."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.files.storage import write_atomically
from backend.flow.index import fidelity_step
from backend.flow.requests import FidelityRequest
from backend.progress import NullProgress
from backend.registry.gate import judge
from backend.registry.golden import GoldenQuery, approve
from tests.fixtures.endpoint import load_projection


@pytest.fixture
def home(evaluated_home, settings, monkeypatch):
    """A home whose two models may be changed; the small one is the worse one by far."""
    monkeypatch.setattr("backend.training.embedder.load_query_embedder", load_projection)
    shutil.copytree(evaluated_home.models_dir, settings.models_dir)
    return settings


def folder(home, name):
    return home.models_dir / name


def checks(home, candidate, champion):
    found = judge(home, folder(home, candidate), champion and folder(home, champion))
    return {check.name: check for check in found}


def change(home, name, **changes):
    path = folder(home, name)
    manifest = replace(bundle.read_manifest(path), **changes)
    write_atomically(path / bundle.MANIFEST, manifest.to_json().encode())


def without_report(home, name):
    (folder(home, name) / "evaluation.json").unlink()


def test_the_first_champion_has_nobody_to_be_compared_with(home):
    assert all(check.passed for check in checks(home, "small", None).values())


def test_a_model_whose_interval_lies_below_the_champions_is_refused_with_its_figures(home):
    found = checks(home, "small", "large")["metrics"]
    assert not found.passed
    assert found.says.startswith("Worse than the champion on 25 products: ")
    assert "MAP@R" in found.says


def test_a_better_model_passes(home):
    found = checks(home, "large", "small")["metrics"]
    assert found.passed
    assert "No worse than the champion" in found.says


def test_the_champions_own_network_and_index_pass_evaluated_or_not(home):
    without_report(home, "small")
    assert checks(home, "small", "small")["metrics"].passed


def test_the_champions_network_over_fresh_products_need_not_be_evaluated_again(home):
    fresh = folder(home, "fresh")
    shutil.copytree(folder(home, "large"), fresh)
    (fresh / bundle.VECTORS).write_bytes(b"other products")
    bundle.write_manifest(fresh, replace(bundle.read_manifest(fresh), name="fresh"))
    without_report(home, "fresh")
    found = checks(home, "fresh", "large")["metrics"]
    assert (found.passed, "only the products differ" in found.says) == (True, True)


def test_of_two_models_that_learnt_nothing_either_may_follow_the_other(home):
    for name in ("large", "small"):
        config = bundle.read_manifest(folder(home, name)).config
        change(home, name, weights_hash=name, config={**config, "detail_share": 1.0, "preset": "ready-made", "seed": 7})
        without_report(home, name)
    assert bundle.read_manifest(folder(home, "large")).files != bundle.read_manifest(folder(home, "small")).files
    found = checks(home, "large", "small")["metrics"]
    assert (found.passed, "Neither was trained" in found.says) == (True, True)


def test_a_model_that_was_not_evaluated_with_this_index_is_refused(home):
    change(home, "large", weights_hash="another")
    found = checks(home, "large", "small")["metrics"]
    assert not found.passed
    assert "not evaluated" in found.says
    without_report(home, "large")
    assert not checks(home, "large", "small")["metrics"].passed


def test_a_model_whose_index_was_made_of_other_pixels_since_its_evaluation_is_refused(home):
    index = bundle.read_manifest(folder(home, "large")).index
    change(home, "large", index=replace(index, pixel_contract=index.pixel_contract + 1))
    found = checks(home, "large", "small")["metrics"]
    assert (found.passed, "not evaluated" in found.says) == (False, True)


def test_a_champion_that_was_never_evaluated_sets_no_measure(home):
    without_report(home, "large")
    assert checks(home, "small", "large")["metrics"].passed


def test_an_evaluation_that_was_made_after_registering_counts(home, tmp_path):
    registered = shutil.copytree(folder(home, "large"), tmp_path / "large")
    (registered / "evaluation.json").unlink()
    found = {check.name: check for check in judge(home, folder(home, "small"), registered)}["metrics"]
    assert not found.passed


def test_models_of_different_catalogues_cannot_be_compared_and_do_not_pass(home):
    path = folder(home, "large") / "evaluation.json"
    path.write_text(path.read_text().replace('"name": "wardrobe"', '"name": "another"'))
    found = checks(home, "large", "small")["metrics"]
    assert not found.passed
    assert "cannot be compared" in found.says


def test_a_model_of_another_catalogue_is_no_regression_of_the_champion(home):
    change(home, "small", catalogue=CatalogueRef("photos", 1))
    found = checks(home, "small", "large")
    assert all(check.passed for check in found.values())
    assert found["metrics"].says.startswith("It searches photos, the champion wardrobe: ")


@pytest.mark.parametrize(
    ("kind", "metrics", "passed", "says"),
    [
        ("exact", {}, True, "exact"),
        ("approximate", {}, True, "not measured"),
        ("approximate", {"index.fidelity_at_10": 0.997}, True, "0.9970"),
        ("approximate", {"index.fidelity_at_10": 0.95}, False, "0.9500"),
        (
            "approximate",
            {"index.fidelity_at_1": 0.999, "index.fidelity_at_10": 0.9},
            False,
            "index.fidelity_at_10 is 0.9000",
        ),
    ],
)
def test_an_approximate_index_must_find_nearly_everything(home, kind, metrics, passed, says):
    index = bundle.read_manifest(folder(home, "large")).index
    change(home, "large", index=replace(index, kind=kind), metrics=metrics)
    found = checks(home, "large", None)["fidelity"]
    assert (found.passed, says in found.says) == (passed, True)


def test_what_was_measured_of_an_index_is_kept_until_there_is_another(home):
    measured = fidelity_step(FidelityRequest("large", k=5, queries=20), home, NullProgress())
    manifest = bundle.verify(folder(home, "large"))
    assert manifest.metrics["index.fidelity_at_5"] == measured["fidelity"]
    other = manifest.with_index(replace(manifest.index, generation=2))
    assert manifest.metrics.keys() - other.metrics.keys() == {"index.fidelity_at_5"}


def test_golden_queries_of_its_catalogue_are_asked_of_the_candidate(home):
    import pyarrow.parquet as pq

    gallery = pq.read_table(folder(home, "large") / bundle.GALLERY, columns=["product_id", "label", "thumbnail"])
    row = gallery.slice(0, 1).to_pylist()[0]
    good = GoldenQuery("itself", "wardrobe", row["thumbnail"], (row["product_id"],), (row["label"],), 3)
    approve(home.home, good)
    approve(home.home, replace(good, catalogue="another", image=row["thumbnail"] + b" ", products=("nowhere",)))
    assert checks(home, "large", None)["golden queries"].says == "All 1 give the approved answer."
    approve(home.home, replace(good, labels=("Nonsense",)))
    found = checks(home, "large", None)["golden queries"]
    assert not found.passed
    assert found.says.startswith("1 of 1 do not give the approved answer: itself:")


def test_what_is_marked_as_not_similar_stops_only_what_begins_to_show_it(home):
    import pyarrow.parquet as pq

    row = pq.read_table(folder(home, "large") / bundle.GALLERY, columns=["product_id", "thumbnail"]).slice(0, 1)
    image, shown = row["thumbnail"][0].as_py(), row["product_id"][0].as_py()
    approve(home.home, GoldenQuery("itself", "wardrobe", image, (), (), 3, forbidden=(shown,)))
    found = checks(home, "large", None)["golden queries"]
    assert (found.passed, "marked as not similar" in found.says) == (False, True)
    found = checks(home, "large", "large")["golden queries"]
    assert (found.passed, "as the champion does" in found.says) == (True, True)

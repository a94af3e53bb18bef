"""One photo that nothing can read, in every split: the others are trained on, found, scored and drawn, and it is counted."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from app.components.jobs.result import sentences
from backend.catalogue.schemas import PICTURED_SCHEMA
from backend.catalogue.snapshot import open_snapshot
from backend.flow.evaluate import evaluate_step
from backend.flow.index import index_step
from backend.flow.project import project_step
from backend.flow.requests import EvaluateRequest, IndexRequest, ProjectRequest
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import Gallery
from backend.training.checkpoints import EpochResult
from backend.training.data import prepare_data
from backend.training.package import describe
from backend.training.presets import preset
from tests.fixtures.evaluation import WARDROBE, _row, store_wardrobe, write_model

BROKEN = ("train", "validation", "test", "gallery-only")


@pytest.fixture
def home(settings, projection_networks):
    """A home with the wardrobe and four products more, whose bytes an earlier version may have taken for pictures."""
    store_wardrobe(settings.catalogues_dir)
    rows = [_row(f"broken-{split}", "Box", split, b"\xff\xd8\xff no picture") for split in BROKEN]
    path = settings.catalogues_dir / WARDROBE / "products"
    write_deltalake(path, pa.Table.from_pylist(rows, PICTURED_SCHEMA), mode="append")
    write_model(settings, open_snapshot(settings.catalogues_dir, WARDROBE), "mine")
    return settings


def test_the_index_holds_the_others_and_counts_what_it_lacks(home):
    result = index_step(IndexRequest("mine"), home, NullProgress())
    assert result["left_out"] == len(BROKEN)
    assert not any(name.startswith("broken") for name in Gallery.load(home.models_dir / "mine").ids)
    assert sentences("index", result)[-1] == "4 products were left out: their pictures cannot be read."


def test_the_evaluation_asks_about_the_others_and_says_it(home):
    result = evaluate_step(EvaluateRequest("mine", bootstrap=100, robustness=True), home, NullProgress())
    said = "One test product was left out: its picture cannot be read."
    assert said in result["notes"]
    assert said in sentences("evaluate", result)


def test_a_training_reads_the_others_and_its_bundle_says_it(home, tmp_path):
    snapshot = open_snapshot(home.catalogues_dir, WARDROBE)
    config = replace(preset("seed-cnn"), classes_per_batch=4, examples_per_class=4, height=16, width=16, channels=1)
    data = prepare_data(snapshot, config, tmp_path, progress=NullProgress())
    assert data.resolved.left_out == 2  # of the splits that are trained on and judged by
    assert not any(name.startswith("broken") for name in data.train.product_ids)
    best = EpochResult(1, 0.1, 0.9, 0.9)
    notes = describe("m", data.resolved, best, catalogue=snapshot.ref, run_id="", threads=1).notes
    assert notes[-1] == "2 products were left out: their pictures cannot be read."


@pytest.mark.slow
def test_the_map_shows_the_others_and_counts_what_it_lacks(home):
    result = project_step(ProjectRequest("mine"), home, NullProgress())
    assert result["left_out"] == len(BROKEN)
    assert sentences("project", result)[-1] == "4 products were left out: their pictures cannot be read."

"""A home with an unusual but allowed name, and disks that refuse, through Spark, TensorFlow and MLflow: the real ones."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import replace

import pytest

from backend.catalogue.snapshot import open_snapshot
from backend.errors import StorageFailed
from backend.files.storage import private
from backend.flow.kinds import run_request
from backend.flow.requests import CommitRequest, DeployRequest, IndexRequest, IngestRequest, TrainRequest
from backend.progress import NullProgress
from backend.registry.store import open_store
from backend.serving.served import load_champion
from tests.fixtures.base import settings_for
from tests.fixtures.models import TINY
from tests.support.disks import read_only
from tests.support.pictures import encoded

pytestmark = [pytest.mark.spark, pytest.mark.tf, pytest.mark.mlflow]
EACH = 16


def write_pictures(folder):
    """A folder with three kinds of pictures."""
    for at, label in enumerate(("bag", "hat", "shoe")):
        (folder / label).mkdir(parents=True)
        for number in range(EACH):
            (folder / label / f"{number}.png").write_bytes(encoded(at * EACH + number, side=33))
    return str(folder)


def test_a_home_with_an_unusual_name_works_from_end_to_end_and_stays_private(tmp_path, spark):
    real = tmp_path / "Zoë's 服 (new) a+b=c,d@e~f!&$^|<>;:[x]{y}"
    real.mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(real)
    settings = settings_for(tmp_path / "link")
    config = replace(TINY, epochs=1)
    source = write_pictures(tmp_path / "pictures")
    with private(settings.home):
        for request in (
            IngestRequest(source="folder", path=source, catalogue="shop"),
            TrainRequest(catalogue="shop", config=config, name="one"),
            TrainRequest(catalogue="shop", config=replace(config, reader="petastorm"), name="two"),
            IndexRequest(model="one"),
            DeployRequest(model="one"),
        ):
            run_request(request, settings, NullProgress())
    assert len(load_champion(settings).recommender.gallery.ids) == 3 * EACH
    assert {path.name for path in tmp_path.iterdir()} == {"link", "pictures", real.name}
    # What the JVM of all tests wrote, it wrote as it was started: before this home was asked for.
    made = [path for part in ("mlflow.db", "models") for path in [real / part, *(real / part).rglob("*")]]
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


@pytest.fixture
def frozen(settings, spark, tmp_path):
    """A home with a catalogue, a checked load and runs, on a disk that has become read-only."""
    source = write_pictures(tmp_path / "pictures")
    run_request(IngestRequest(source="folder", path=source, catalogue="shop"), settings, NullProgress())
    shutil.rmtree(tmp_path / "pictures" / "hat")
    with open_store(settings) as client:
        client.create_experiment("kept")
    asked = IngestRequest(source="folder", path=source, catalogue="shop", check_only=True)
    staged = run_request(asked, settings, NullProgress())["staged"]
    with read_only(settings.home):
        yield settings, staged


def test_a_disk_that_became_read_only_is_told_by_every_part_and_what_was_there_is_read(frozen):
    settings, staged = frozen
    for request in (
        CommitRequest(staged=staged, gone="delete"),
        TrainRequest(catalogue="shop", config=TINY, name="one"),
    ):
        with pytest.raises(StorageFailed, match="read-only"):
            run_request(request, settings, NullProgress())
    with pytest.raises(StorageFailed, match="read-only"), open_store(settings) as client:
        client.create_experiment("new")
    assert open_snapshot(settings.catalogues_dir, "shop").summary().rows == 3 * EACH
    assert os.statvfs(settings.home).f_flag & os.ST_RDONLY

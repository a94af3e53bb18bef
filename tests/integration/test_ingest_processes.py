"""Ingestions as processes of their own: two at once into one catalogue, and one that is killed at its worst moments."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

from backend.catalogue.delta import delta_log
from backend.catalogue.items import PRODUCTS, QUARANTINE, LoadCounts
from backend.catalogue.loading.ingest import ingest
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.pictures.listing import FolderSource
from backend.imaging.pixels import encode_png
from backend.progress import NullProgress

pytestmark = [pytest.mark.spark, pytest.mark.slow]

COUNT = 300
LIMIT_S = 240


def make_photos(folder, names, *, seed, broken=()):
    """Write pictures of noise, in two kinds."""
    rng = np.random.default_rng(seed)
    for number, name in enumerate(names):
        path = folder / ("bag", "coat")[number % 2] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no picture" if name in broken else encode_png(rng.integers(0, 256, (40, 40, 3), np.uint8)))
    return folder


@pytest.fixture
def start(settings, repository):
    """Start ``catalogue ingest`` of a folder in a process group of its own, which does not outlive the test."""
    started = []

    def run(folder):
        started.append(_start(settings, folder, repository))
        return started[-1]

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=LIMIT_S)


def _start(settings, folder, repository):
    command = [sys.executable, "-m", "backend", "catalogue", "ingest", "--path", str(folder), "--catalogue", "shop"]
    return subprocess.Popen(
        [*command, "--no-quality", "--json"],
        cwd=repository,
        env={**os.environ, **settings.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process):
    out, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors[-2000:]
    return json.loads(out.splitlines()[-1])


def versions(settings, table=PRODUCTS):
    log = settings.catalogues_dir / "shop" / table / "_delta_log"
    return sorted(int(path.stem) for path in log.glob("*.json"))


def test_two_at_once_both_succeed_and_no_row_is_lost_or_doubled(settings, tmp_path, start):
    names = [f"p{number:04d}" for number in range(COUNT)]
    sources = [
        make_photos(tmp_path / "one", names[:200], seed=1),
        make_photos(tmp_path / "two", names[100:], seed=2),  # a hundred products in both, with other pictures
    ]
    processes = [start(folder) for folder in sources]
    reports = [finished(process) for process in processes]
    assert sorted(report["version"] for report in reports) == [1, 2]
    assert versions(settings) == [0, 1, 2]
    winner, loser = sorted(reports, key=lambda report: report["version"])
    assert winner["counts"]["new"] == 200
    assert (loser["counts"]["new"], loser["counts"]["changed"]) == (100, 100)
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    ids = snapshot.columns(["product_id"])["product_id"].to_pylist()
    assert len(ids) == len(set(ids)) == COUNT
    sources_of = snapshot.columns(["source"])["source"].to_pylist()
    assert {name: sources_of.count(name) for name in set(sources_of)} == {loser["source"]: 200, winner["source"]: 100}


def _reading(settings):
    return any(settings.staging_dir.glob("*/part-*.parquet"))


def _between_the_tables(settings):
    return versions(settings, QUARANTINE)[-1:] == [1] and versions(settings) == [0, 1]


def _writing_products(settings):
    files = {path.name for path in (settings.catalogues_dir / "shop" / PRODUCTS).glob("*.parquet")}
    table = delta_log.open_table(settings.catalogues_dir / "shop" / PRODUCTS, 1)
    return bool(files - {path.name for path in delta_log.files_of(table)})


@pytest.mark.parametrize("moment", [_reading, _between_the_tables, _writing_products], ids=lambda f: f.__name__[1:])
def test_a_killed_load_leaves_the_last_version_and_the_next_load_works(spark, settings, tmp_path, start, moment):
    names = [f"p{number:04d}" for number in range(COUNT)]
    folder = make_photos(tmp_path / "shop", names[:50], seed=1)
    ingest(spark, FolderSource(folder), settings, catalogue="shop", progress=NullProgress())
    make_photos(folder, names[50:], seed=2, broken={names[60]})
    process = start(folder)
    deadline = time.monotonic() + LIMIT_S
    while not moment(settings) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)  # files make no event
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    assert (snapshot.version, snapshot.summary().rows, snapshot.summary().quarantined) == (1, 50, 0)
    assert len(list(snapshot.batches(splits=None, columns=["image"], batch_size=64))) == 1
    report = ingest(spark, FolderSource(folder), settings, catalogue="shop", progress=NullProgress())
    assert (report.version, report.counts) == (2, LoadCounts(new=COUNT - 51, unchanged=50))
    assert versions(settings) == [0, 1, 2]
    newest = open_snapshot(settings.catalogues_dir, "shop").summary()
    assert (newest.rows, newest.quarantined) == (COUNT - 1, 1)

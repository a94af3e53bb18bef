"""The figures of a home on the endpoint's /metrics, as Prometheus' own parser reads them, and as the documents list them."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backend.jobs.alerts.figures import FRESH_S, HomeFigures
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.progress import NullProgress
from backend.registry.ledger import Ledger, RegisteredVersion, write_ledger
from backend.retrieval.gallery.gallery import build_gallery
from backend.serving.gateway import build_app
from backend.serving.tokens import token_store
from tests.fixtures.endpoint import http_to, served, shop_rows, write_projection_bundle
from tests.support.changed_catalogues import ChangingShop

UNITS = ("_seconds", "_bytes", "_total", "_info")


@pytest.fixture
def home(settings, clock):
    """A home with a catalogue, an index that is one product behind, and jobs that went well, went wrong and wait."""
    shop = ChangingShop(settings.catalogues_dir, shop_rows(per_kind=2))
    folder = settings.models_dir / "m"
    build_gallery(shop.snapshot, write_projection_bundle(folder), folder, progress=NullProgress())
    shop.drop(["b001"])
    write_ledger(settings.home, Ledger("twinset", (RegisteredVersion(1, "m", ("champion",), "", "", None),)))
    jobs = JobStore(settings.jobs_db, clock=clock)
    for kind, state, seconds in [
        ("quality", JobState.FAILED, 3),
        ("quality", JobState.SUCCEEDED, 40),
        ("quality", JobState.FAILED, 7),
        ("index", None, 0),
    ]:
        job, _ = jobs.add(kind, {})
        if state is not None:
            jobs.start(job.id, pid=1)
            clock.at += seconds
            jobs.finish(job.id, state)
    return settings


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_the_endpoint_tells_the_figures_of_its_home_to_a_token_that_may_watch(
    home, clock, projection_recommender, repository
):
    token = token_store(home).issue("prometheus", scope="watch").reveal()
    app = build_app(home, load=lambda: served(projection_recommender), figures=HomeFigures(home, tick=clock.tick))
    with http_to(app) as client:
        assert client.get("/metrics").status_code == 401
        client.headers["Authorization"] = f"Bearer {token}"
        client.get("/nowhere")
        found = families(client.get("/metrics").text)
    samples = {
        (sample.name, *sample.labels.values()): sample.value for family in found.values() for sample in family.samples
    }
    assert samples["twinset_jobs", "quality", "failed"] == 2
    assert samples["twinset_jobs", "index", "queued"] == 1
    assert samples["twinset_job_last_run_seconds", "quality"] == 7
    assert samples["twinset_job_last_success_timestamp_seconds", "quality"] == 1_000_043
    assert samples["twinset_index_behind_versions", "shop"] == samples["twinset_index_behind_products", "shop"] == 1
    assert samples["twinset_catalogue_changed_timestamp_seconds", "shop"] > 1e9
    assert samples["twinset_rules_version", "shop"] == 0
    assert samples["twinset_disk_free_bytes",] > 0
    assert samples["twinset_alerts_open", "disk"] == 0

    named = {
        family.name + ("_total" if family.type == "counter" else "_info" if family.type == "info" else "")
        for family in found.values()
    }
    section = (
        (repository / "docs" / "operations.md").read_text("utf-8").partition("\n## Metrics")[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\| `(twinset_\w+)` \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    assert {name for name, _, _ in rows} == named
    for name, unit, _ in rows:
        assert unit in {"count", "version", "1"} or name.endswith(UNITS)


def test_figures_are_read_at_most_every_ten_seconds_and_what_cannot_be_read_is_left_out(home, clock, caplog):
    figures = HomeFigures(home, tick=clock.tick)
    first = figures()
    JobStore(home.jobs_db, clock=clock).add("tidy", {})
    assert figures() is first
    clock.at += FRESH_S
    assert len(figures()) == len(first) + 1
    (home.home / "alerts.json").write_text("damaged")
    clock.at += FRESH_S
    assert {one.name for one in first} - {one.name for one in figures()} == {"alerts_open"}
    assert "alerts.json is damaged" in caplog.text


def test_an_empty_home_has_figures_too(settings):
    settings.home.mkdir()
    assert {one.name for one in HomeFigures(settings)()} == {"disk_free_bytes", "alerts_open"}

"""What a home holds is measured to the byte, and only what nothing needs is said to be free to go."""

from __future__ import annotations

import json
from dataclasses import replace

from backend.bundles import bundle
from backend.cli.main import main
from backend.flow.requests import DeleteRequest
from backend.jobs import disk
from backend.jobs.store import JobStore
from backend.jobs.tidying import size_of
from backend.registry.ledger import Ledger, RegisteredVersion, write_ledger

SIZES = {
    "models/autumn/manifest.json": 10,
    "models/autumn/index.bin": 500,
    "models/winter/manifest.json": 10,
    "models/winter.checkpoints/state-1.npz": 40,
    "models/spring.checkpoints/state-1.npz": 41,
    "maps/autumn/map.bin": 30,
    "sweeps/rates/plan.json": 20,
    "sweeps/rates/trials/1.json": 20,
    "catalogues/shop/products/a.parquet": 1_000,
    "catalogues/shop/picture_bytes/a.parquet": 5_000,
    "catalogues/shop/.commit-lock": 3,
    "audit/waiting.jsonl": 70,
    "cache/pixels": 300,
    "lists/mine.json": 2,
    "app-token": 4,
}


def filled(settings):
    for name, size in SIZES.items():
        path = settings.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    version = RegisteredVersion(1, "autumn", ("champion",), "2026-11-28T10:00:00+00:00", "run", None)
    write_ledger(settings.home, Ledger(settings.model_name, (version,)))
    JobStore(settings.jobs_db).add("train", {"name": "spring"})


def test_all_is_measured_and_what_something_needs_says_so(settings):
    filled(settings)
    found = disk.disk_use(settings)
    held = {(one.what, one.name): one for one in found.held}
    assert [one.n_bytes for one in found.held] == sorted((one.n_bytes for one in found.held), reverse=True)
    assert 0 <= size_of(settings.home) - found.total <= SIZES["catalogues/shop/.commit-lock"] + 10_000
    assert held["Catalogue", "shop: picture_bytes"].n_bytes == 5_000
    assert (held["Model", "autumn"].n_bytes, held["Model", "autumn"].may_go) == (510, False)
    assert held["Model", "autumn"].note == "Version 1 of it is champion."
    assert held["Model", "winter"].request == DeleteRequest(model="winter")
    assert (held["Checkpoints", "winter"].may_go, held["Checkpoints", "winter"].request) == (True, None)
    assert held["Unfinished training", "spring"].may_go is False
    assert "is using it" in held["Unfinished training", "spring"].note
    assert held["Sweep", "rates"].request == DeleteRequest(sweep="rates")
    assert held["Map", "autumn"].note == "Deleted with its model."
    assert held["Audit", ""].may_go is False
    assert held["Cache of decoded pictures", ""].may_go
    assert not disk.disk_use(replace(settings, alert_disk_mb=0)).is_low
    assert disk.disk_use(replace(settings, alert_disk_mb=found.free // 1_000_000 + 10_000)).is_low


def test_a_home_that_is_not_there_holds_nothing(settings):
    found = disk.disk_use(settings)
    assert (found.held, found.total) == ([], 0)
    assert found.free > 0


def test_the_command_says_the_same(settings, monkeypatch, capsys):
    filled(settings)
    monkeypatch.setenv("TWINSET_HOME", str(settings.home))
    assert main(["disk", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == sum(one["n_bytes"] for one in told["held"])
    assert main(["disk"]) == 0
    assert "Model autumn" in capsys.readouterr().out


def test_every_folder_of_a_home_is_one_that_is_known(settings):
    """A folder that nobody described would be a small file that Twinset needs."""
    small = {"mappings", "spaces", "lists", "runs", "remembered"}
    folders = {
        value.name
        for name in dir(type(settings))
        if name.endswith("_dir") and (value := getattr(settings, name)) and value.parent == settings.home
    }
    assert folders - disk.KINDS.keys() <= small
    assert bundle.MANIFEST == "manifest.json"

"""The app as a user meets it, without a browser: real store, catalogue, bundle and gateway; nothing that needs a JVM."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import services
from backend import bundle
from backend.bundle import CatalogueRef
from backend.jobs.runner import JobRunner
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.endpoint import http_to, served, shop_rows

if TYPE_CHECKING:
    from backend.settings import Settings

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
SHOP_VERSION = 4  # the version that the bundle of the endpoint fixtures quotes
WORKER = (sys.executable, "-m", "tests.support.worker")
METRICS = {"test.precision_at_1": 0.912, "test.map_at_r": 0.644, "val.precision_at_1": 0.9}
_TYPES = {"image": pa.binary(), "price": pa.float64(), "stock": pa.int32(), "channels": pa.int32()}


@dataclass
class Screen:
    """One session of the app in a home of its own; ``settings`` can be replaced before a page is opened."""

    settings: Settings
    runner: JobRunner
    sessions: list[AppTest] = field(default_factory=list)

    def open(self, page: str = "recommend", **address: str) -> AppTest:
        """Open a page, with these values in the address line."""
        test = AppTest.from_file(str(MAIN), default_timeout=60)
        if page != "recommend":
            test.switch_page(f"../pages/{page}.py")
        for name, value in address.items():
            test.query_params[name] = value
        return test.run()


@pytest.fixture
def screen(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """The app in an empty home, where nobody answers at the endpoint's address."""
    found = Screen(settings, JobRunner(settings, command=WORKER))
    # The one door: whatever the screens use is built from these two.
    monkeypatch.setattr(services, "settings", lambda: found.settings)
    monkeypatch.setattr(services, "jobs", lambda: found.runner)
    _forget()
    yield found
    for job in found.runner.list(active=True):
        found.runner.cancel(job.id)
        found.runner.wait(job.id, 30)
    _forget()


def _forget() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def shop_catalogue(screen: Screen) -> CatalogueRef:
    """60 products and 2 rejected rows, at the version that the served bundle quotes."""
    return write_catalogue(screen.settings, "shop")


def write_catalogue(settings: Settings, name: str) -> CatalogueRef:
    """Write the products of the shop as a catalogue of Delta tables, without a JVM."""
    from deltalake import CommitProperties, write_deltalake

    folder = settings.catalogues_dir / name
    rows = [{**row, "channels": 1} for row in shop_rows()]
    table = pa.table({name: pa.array([row[name] for row in rows], _TYPES.get(name, pa.string())) for name in rows[0]})
    rejected = pa.table({"product_id": ["x1", "x2"], "label": ["blob", None], "reason": ["It is damaged."] * 2})
    rejected = rejected.append_column("split", pa.array(["train"] * 2))
    rejected = rejected.append_column("source", pa.array(["shop"] * 2))
    rejected = rejected.append_column("ingested_at", pa.array([None] * 2, pa.timestamp("us", "UTC")))
    write_deltalake(folder / "quarantine", rejected.slice(0, 0))
    write_deltalake(folder / "quarantine", rejected, mode="append")
    write_deltalake(folder / "products", table.slice(0, 0))
    note = CommitProperties(custom_metadata={"userMetadata": json.dumps({"quarantine_version": 1})})
    for _ in range(SHOP_VERSION):
        write_deltalake(folder / "products", table, mode="overwrite", commit_properties=note)
    return CatalogueRef(name, SHOP_VERSION)


@pytest.fixture
def shop_model(screen: Screen, projection_bundle: Path) -> bundle.Manifest:
    """A bundle with an index and test metrics in the home."""
    folder = screen.settings.models_dir / projection_bundle.name
    shutil.copytree(projection_bundle, folder)
    return bundle.write_manifest(folder, replace(bundle.read_manifest(folder), metrics=METRICS))


@pytest.fixture
def shop_endpoint(screen: Screen, shop_catalogue: CatalogueRef, projection_recommender):
    """The real gateway over the shop, behind a real server, with the app's token; yields its address."""
    ensure_app_token(screen.settings)
    app = build_app(screen.settings, load=lambda: served(projection_recommender))
    with http_to(app) as client:
        address = str(client.base_url).rstrip("/")
        screen.settings = replace(screen.settings, endpoint_url=address)
        yield address


def grid(test: AppTest, position: int = 0) -> list[dict[str, Any]]:
    """The cards of a product grid as they were sent to the browser."""
    return json.loads(test.get("bidi_component")[position].proto.json)["cards"]


def texts(test: AppTest) -> str:
    """All that can be read on a screen but tables, charts and cards."""
    kinds = ("title", "subheader", "caption", "markdown", "info", "warning", "error", "success", "code", "metric")
    return "\n".join(
        f"{getattr(element, 'label', '')} {element.value}" for kind in kinds for element in getattr(test, kind)
    )


def assert_calm(test: AppTest) -> None:
    """Nothing is said to be wrong."""
    assert not test.exception
    assert [error.value for error in test.error] == []

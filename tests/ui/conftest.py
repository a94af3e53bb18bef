"""The app as a user meets it, without a browser: real store, catalogue, bundle and gateway; nothing that needs a JVM."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.services import common
from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.catalogue.quality.measures import measure
from backend.catalogue.schemas import PICTURED_SCHEMA, QUALITY_SCHEMA, QUARANTINE_SCHEMA
from backend.catalogue.snapshot import open_snapshot
from backend.errors import IllegalTransition
from backend.flow.requests import to_json
from backend.jobs.runner import JobRunner
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import http_to, served, shop_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltalake import CommitProperties

    from backend.flow.requests import Request
    from backend.jobs.store import Job
    from backend.settings import Settings

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
SHOP_VERSION = 4  # the version that the bundle of the endpoint fixtures quotes
WORKER = (sys.executable, "-m", "tests.support.worker")
METRICS = {"test.precision_at_1": 0.912, "test.map_at_r": 0.644, "val.precision_at_1": 0.9}
_BROKEN = b"\x89PNG, and then no more"
# What a load left in quarantine: a picture that cannot be decoded, and one that is fine but came twice.
_SHARED = {"split": "train", "source": "shop", "ingested_at": datetime(2026, 11, 22, tzinfo=UTC)}
REJECTED = [
    {"product_id": "x1", "label": "blob", "reason": "damaged: It is damaged.", "image": _BROKEN, **_SHARED},
    {"product_id": "x2", "reason": "duplicate_id: Its id is taken.", "image": shop_rows(1)[0]["image"], **_SHARED},
]


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


PAGES_IN_SHORT = "test_a_page_shows_what_there_is["  # every page once; runs before each commit


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what draws whole pages time and again: `make test` runs it on all cores, `make check` leaves it out."""
    folder = Path(__file__).parent
    for item in items:
        if item.path.parent == folder and not item.name.startswith(PAGES_IN_SHORT):
            item.add_marker(pytest.mark.ui)


@pytest.fixture
def screen(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """The app in an empty home, where nobody answers at the endpoint's address."""
    found = Screen(settings, JobRunner(settings, command=WORKER))
    # The one door: whatever the screens use is built from these two.
    monkeypatch.setattr(common, "settings", lambda: found.settings)
    monkeypatch.setattr(common, "jobs", lambda: found.runner)
    _forget()
    yield found
    for job in found.runner.list(active=True):
        with suppress(IllegalTransition):  # it has just ended by itself
            found.runner.cancel(job.id)
        found.runner.wait(job.id, 30)
    _forget()


def _forget() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the shop's catalogue; to be copied, as its seven commits take longer than most pages."""
    made = settings_for(tmp_path_factory.mktemp("shop") / "home")
    write_catalogue(made, "shop")
    return made


@pytest.fixture
def shop_catalogue(screen: Screen, shop_template: Settings) -> CatalogueRef:
    """60 products and 2 rejected rows, at the version that the served bundle quotes."""
    shutil.copytree(shop_template.catalogues_dir, screen.settings.catalogues_dir, dirs_exist_ok=True)
    return CatalogueRef("shop", SHOP_VERSION)


def write_catalogue(settings: Settings, name: str, rows: list[dict[str, Any]] | None = None) -> CatalogueRef:
    """Write the products of the shop, or others, as a catalogue of Delta tables, without a JVM."""
    from deltalake import write_deltalake

    folder = settings.catalogues_dir / name
    quarantine = pa.Table.from_pylist(REJECTED, QUARANTINE_SCHEMA)
    write_deltalake(folder / "quarantine", quarantine.slice(0, 0))
    write_deltalake(folder / "quarantine", quarantine, mode="append")
    table = products_table(rows or shop_rows())
    write_deltalake(folder / "products", table.slice(0, 0), configuration={"delta.enableChangeDataFeed": "true"})
    note = _note(action="ingest", source="shop", quarantine_version=1, new=len(table), changed=0, unchanged=0, gone=0)
    for _ in range(SHOP_VERSION):
        write_deltalake(folder / "products", table, mode="overwrite", commit_properties=note)
    return CatalogueRef(name, SHOP_VERSION)


def add_version(settings: Settings, name: str, *rows: dict[str, Any], gone: tuple[str, ...] = (), job: str = "") -> int:
    """Put rows into a catalogue in place of those with the same id, and take others out; returns the new version."""
    from deltalake import write_deltalake

    snapshot = open_snapshot(settings.catalogues_dir, name)
    held = snapshot.columns(PICTURED_SCHEMA.names).to_pylist()
    replaced = {row["product_id"] for row in rows} | {*gone}
    table = products_table([*(row for row in held if row["product_id"] not in replaced), *rows])
    counts = {"new": 0, "changed": len(rows), "unchanged": len(held) - len(rows), "gone": len(gone)}
    note = _note(action="ingest", source="autumn.zip", job=job, **counts)
    write_deltalake(settings.catalogues_dir / name / "products", table, mode="overwrite", commit_properties=note)
    return snapshot.version + 1


def write_quality(settings: Settings, name: str, *, leave_out: tuple[str, ...] = ()) -> None:
    """Measure the pictures of a catalogue's newest version, but those of a few products, without a JVM."""
    from deltalake import write_deltalake

    rows = open_snapshot(settings.catalogues_dir, name).columns(["product_id", "image_sha256", "image"]).to_pylist()
    pictures = {row["image_sha256"]: row["image"] for row in rows if row["product_id"] not in leave_out}
    found = [{"image_sha256": sha256, **asdict(measure(image))} for sha256, image in pictures.items()]
    folder = settings.catalogues_dir / name / "quality"
    write_deltalake(folder, QUALITY_SCHEMA.empty_table())
    write_deltalake(folder, pa.Table.from_pylist(found, QUALITY_SCHEMA), mode="append")


def products_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows of products, with what a load adds to them, as the table has them."""
    added = {
        "width": 16,
        "height": 16,
        "channels": 1,
        "source": "shop",
        "ingested_at": datetime(2026, 11, 22, tzinfo=UTC),
    }
    full = [{**added, "image_sha256": hashlib.sha256(row["image"]).hexdigest(), **row} for row in rows]
    return pa.Table.from_pylist(full, PICTURED_SCHEMA)


def shop_row(product_id: str, /, **changes: Any) -> dict[str, Any]:
    """One product of the shop, changed."""
    return {**next(row for row in shop_rows() if row["product_id"] == product_id), **changes}


def _note(**entries: Any) -> CommitProperties:
    from deltalake import CommitProperties

    return CommitProperties(custom_metadata={"userMetadata": json.dumps(entries)})


def finished(screen: Screen, request: Request, result: dict[str, Any]) -> Job:
    """A job that has ended well with this result, without a process."""
    store = JobStore(screen.settings.jobs_db, logs_dir=screen.settings.logs_dir)
    job, _ = store.add(request.kind, to_json(request))
    store.start(job.id, pid=os.getpid())
    store.finish(job.id, JobState.SUCCEEDED, result=result)
    return store.get(job.id)


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
    return grid_data(test, position)["cards"]


def grid_data(test: AppTest, position: int = 0) -> dict[str, Any]:
    """All that a product grid was sent; other elements of ours are passed over."""
    return sent_to(test, "cards", position)


def sent_to(test: AppTest, name: str, position: int = 0) -> dict[str, Any]:
    """What an element of ours was sent, one of those that are sent a value of this name."""
    sent = [json.loads(one.proto.json) for one in test.get("bidi_component")]
    return [data for data in sent if name in data][position]


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


def open_popover(test: AppTest, key: str) -> AppTest:
    """Open a popover, or an expander that the page is told of, as a click on it does."""
    test.session_state[key] = True
    return test.run()


def press(test: AppTest, label: str) -> AppTest:
    """Press the button with this label."""
    return next(button for button in test.button if button.label == label).click().run()

"""The main job on a table of one's own products, as a user walks it in a real browser, by what each page offers.

Nothing is faked: Spark checks and stores, TensorFlow trains, MLflow registers, the endpoint process answers. Pictures are
photo-like and of many sizes, and what is searched is no multiple of anything.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from backend.progress import NullProgress
from backend.registry.promotion import promote
from backend.serving.clients import local_client
from tests.fixtures.registry import register_projection
from tests.fixtures.stored import STORED
from tests.support.browsing import app_running, free_port
from tests.support.pages import answers, expect_ids, expect_pictures, upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from backend.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.spark, pytest.mark.tf, pytest.mark.mlflow]
JOB_MS = 300_000  # a job starts a JVM or TensorFlow first
SIZES = ((90, 120), (120, 90), (80, 80), (60, 150))
COLOURS = {"bag": (150, 90, 40), "hat": (30, 60, 140), "shoe": (40, 40, 40), "vest": (170, 40, 60)}
EACH = 41  # of four kinds: 164 products


@dataclass(frozen=True)
class Shop:
    """A file to upload, a photo to ask with, and what is right: the photo's product, and how many are searched."""

    name: str
    archive: bytes
    photo: bytes
    product: str
    usable: int
    rejected: int


def photo_like(kind: str, number: int) -> bytes:
    """A garment on paper under uneven light, with noise, as a JPEG in one of four shapes; the same every time."""
    rng = np.random.default_rng([sorted(COLOURS).index(kind), number])
    width, height = SIZES[number % len(SIZES)]
    rows, columns = np.mgrid[0:height, 0:width]
    light = 225 + 20 * columns / width + rng.normal(0, 4, (height, width))
    pixels = np.repeat(light[:, :, None], 3, axis=2)
    y, x = rng.uniform(0.4, 0.6, 2) * (height, width)
    along, across = np.abs(rows - y) / height, np.abs(columns - x) / width
    size = rng.uniform(0.28, 0.4)
    inside = {
        "bag": np.maximum(along, across) < size,
        "hat": along**2 + across**2 < size**2,
        "shoe": along + across < size,
        "vest": np.minimum(along, across) < size / 3,
    }[kind]
    pixels[inside] = np.asarray(COLOURS[kind]) + rng.normal(0, 12, (int(inside.sum()), 3)) + rng.uniform(-25, 25, 3)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def pictures(each: int, between: str = "/") -> dict[str, bytes]:
    """Pictures by name, so many of each kind."""
    return {f"{kind}{between}{number:03d}.jpg": photo_like(kind, number) for kind in COLOURS for number in range(each)}


@pytest.fixture(scope="module")
def shop_of_a_table() -> Shop:
    """A zip of a table and its pictures; one row names a file that is not there."""
    files = pictures(EACH, "-")
    text = io.StringIO()
    table = csv.writer(text, delimiter=";")
    table.writerow(["Artikelnummer", "Title", "Category", "Price", "Image"])
    for at, name in enumerate(files):
        kind = name.partition("-")[0]
        table.writerow([f"A{at:04d}", f"{kind.title()} {at}", kind, f"{10 + at},90", f"photos/{name}"])
    table.writerow(["A9999", "Lost", "hat", "1,00", "photos/lost.jpg"])
    archive = zipped({"products.csv": text.getvalue().encode(), **{f"photos/{name}": files[name] for name in files}})
    at = list(files).index("shoe-011.jpg")
    return Shop("prices.zip", archive, files["shoe-011.jpg"], f"A{at:04d}", len(files), 1)


def walk(page: Page, address: str, shop: Shop, *, epochs: int, replaces: str = "", look: Callable[[str], None]) -> None:
    """Go from an upload to an answer; whatever a page offers as the next step is followed. ``look`` is called on the way."""
    name = load(page, address, shop, look, has_catalogues=bool(replaces))
    train(page, name, epochs, look)
    publish(page, name, replaces, look)
    ask(page, name, shop, look)


def load(page: Page, address: str, shop: Shop, look: Callable[[str], None], *, has_catalogues: bool) -> str:
    """Upload, check and commit; returns the name of the catalogue."""
    page.goto(f"{address}/catalogue")
    if has_catalogues:
        page.locator("summary").get_by_text("Load products").click()
    page.get_by_text("Upload a file").click()
    upload(page, {"name": shop.name, "mimeType": "application/zip", "buffer": shop.archive})
    page.get_by_role("button", name="Check", exact=True).wait_for(timeout=JOB_MS)
    expect_pictures(page.locator(".st-key-source_preview ol.grid img"))
    look("preview")
    page.get_by_role("button", name="Check", exact=True).click()
    commit = page.get_by_role("button", name=re.compile("^.*Commit to "))
    commit.wait_for(timeout=JOB_MS)
    name = commit.inner_text().rpartition("Commit to ")[2].strip()
    expect(metric(page, "Rejected")).to_have_text(re.compile(rf"Rejected\s*{shop.rejected}$"))
    look("checked")
    commit.click()
    page.get_by_text(f"{shop.usable:,} products; click one").wait_for(timeout=JOB_MS)
    expect(page.get_by_role("combobox", name="Catalogue")).to_have_value(name)
    expect(metric(page, "Rejected")).to_have_text(re.compile(rf"Rejected\s*{shop.rejected}$"))
    expect_pictures(page.locator(".st-key-catalogue_grid ol.grid img"))
    look("loaded")
    return name


def train(page: Page, name: str, epochs: int, look: Callable[[str], None]) -> None:
    page.get_by_role("link", name="Next: learn from it").click()
    page.get_by_role("heading", name="Train", exact=True).wait_for()
    expect(page.get_by_role("combobox", name="Catalogue")).to_have_value(name)
    if epochs:
        page.get_by_label("Epochs", exact=True).fill(str(epochs))
        page.get_by_label("Epochs", exact=True).press("Enter")
    look("train")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("link", name="Next: build its index and deploy it").click(timeout=2 * JOB_MS)


def publish(page: Page, name: str, replaces: str, look: Callable[[str], None]) -> None:
    page.get_by_role("heading", name="Deploy", exact=True).wait_for()
    page.get_by_role("button", name="Build the index", exact=True).click()
    page.get_by_text("Deploying waits for it").wait_for()
    look("building")
    page.get_by_role("button", name="Deploy as champion").click()  # without waiting for the index: it waits itself
    if replaces:
        page.get_by_text(f"This replaces the {replaces} catalogue by {name}. Publish?").wait_for()
        look("question")
        page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="Next: find similar products").wait_for(timeout=JOB_MS)
    look("published")
    page.get_by_role("link", name="Next: find similar products").click()


def ask(page: Page, name: str, shop: Shop, look: Callable[[str], None]) -> None:
    """Ask with a product's own photo: it finds itself, among all products that can be used."""
    page.get_by_role("heading", name="Find similar", exact=True).wait_for()
    expect_pictures(page.locator(".st-key-examples ol.grid img"))
    look("ready")
    upload(page, {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": shop.photo})
    expect(answers(page).first).to_have_attribute("data-product-id", shop.product)
    expect_pictures(answers(page).locator("img"))
    page.get_by_text(f"Catalogue {name} version 1 · {shop.usable:,} products searched").wait_for()
    look("answer")


def metric(page: Page, title: str):
    return page.get_by_test_id("stMetric").filter(has_text=title).first


def _nothing(_step: str) -> None:
    """Nobody looks."""


@pytest.fixture
def running(mlflow_settings):
    """Starts the app and the endpoint over a home; returns the app's address and the settings of both."""
    from contextlib import ExitStack

    from backend.machine.supervisor import endpoint_service
    from backend.machine.supervisor import running as process_running

    with ExitStack() as stack:

        def start() -> tuple[str, Settings]:
            settings = replace(mlflow_settings, endpoint_port=free_port())
            stack.enter_context(process_running(endpoint_service(settings), settings))
            return stack.enter_context(app_running(settings))[0], settings

        yield start


def test_a_table_and_pictures_in_a_zip_become_answers_in_place_of_what_there_was(
    page, mlflow_settings, running, shop_of_a_table
):
    shutil.copytree(STORED / "without-test-split", mlflow_settings.home, dirs_exist_ok=True)
    champion = register_projection(mlflow_settings, mlflow_settings.models_dir / "stored")
    promote(mlflow_settings, champion, progress=NullProgress())
    assert shop_of_a_table.usable % 64
    address, settings = running()
    walk(page, address, shop_of_a_table, epochs=2, replaces="wardrobe", look=_nothing)
    found = local_client(settings).recommend(shop_of_a_table.photo, k=12).neighbours
    expect_ids(answers(page), [neighbour.product_id for neighbour in found])

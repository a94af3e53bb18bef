"""The real thing throughout: Spark's catalogue, a trained network, the registry, the endpoint process, the browser."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.fixtures.endpoint import deploy
from tests.support.browsing import app_running, free_port
from tests.support.pages import answers, expect_ids, expect_pictures, upload

pytestmark = [pytest.mark.browser, pytest.mark.spark, pytest.mark.tf, pytest.mark.mlflow]


@pytest.fixture
def deployed(mlflow_settings, shared_settings, sample_snapshot, bundle_with_index):
    """A home with the sample catalogue and a champion, and the endpoint process that serves it."""
    from backend.machine.supervisor import endpoint_service, running

    settings = replace(mlflow_settings, endpoint_port=free_port())
    shutil.copytree(shared_settings.catalogues_dir, settings.catalogues_dir)
    deploy(settings, bundle_with_index)
    with running(endpoint_service(settings), settings):
        yield settings


def test_a_photo_of_a_product_finds_what_the_endpoint_finds(page, deployed, sample_snapshot):
    from backend.serving.clients import local_client

    (product,), _ = sample_snapshot.page(offset=0, limit=1, split="test")
    expected = [neighbour.product_id for neighbour in local_client(deployed).recommend(product.image, k=12).neighbours]
    with app_running(deployed) as (address, _):
        page.goto(address)
        page.locator("ol.grid > li").first.wait_for()
        upload(page, {"name": "product.png", "mimeType": "image/png", "buffer": product.image})
        expect_ids(answers(page), expected)
        expect_pictures(answers(page).locator("img"))
        expect(page.get_by_text("Catalogue sample version 1")).to_have_count(1)

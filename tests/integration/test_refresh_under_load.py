"""Answers while an index is refreshed and swapped in: each is of one version, and what is gone is in none after it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.retrieval.refresh import refresh_gallery
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.endpoint import (
    encoded,
    http_to,
    load_projection,
    picture,
    served,
    shop_rows,
    write_projection_bundle,
)
from tests.support.changed_catalogues import ChangingShop

ROUNDS, ASKERS = 6, 3
PHOTO = encoded(picture("checks", 3))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exact", "approximate"])
def test_every_answer_is_of_one_version_while_products_come_and_go(settings, kind):
    shop = ChangingShop(settings.catalogues_dir, (row for row in shop_rows() if row["split"] != "test"))
    folder = settings.models_dir / "m"
    embedder = write_projection_bundle(folder)
    build_gallery(shop.snapshot, embedder, folder, kind=kind, progress=NullProgress())
    of_version = {shop.snapshot.version: set(shop.rows)}
    token = ensure_app_token(settings).reveal()
    unlimited = replace(settings, endpoint_rate=0.0)
    app = build_app(unlimited, load=lambda: served(Recommender.load(folder, embedder_loader=load_projection)))
    answers, stop, failures = [], threading.Event(), []

    with http_to(app, headers={"Authorization": f"Bearer {token}"}) as client:

        def ask():
            while not stop.is_set():
                response = client.post("/v1/recommend?k=200&include_images=false", content=PHOTO)
                if response.status_code != 200:
                    failures.append(response.text)
                    return
                body = response.json()
                ids = {n["product_id"] for n in body["neighbours"]}
                answers.append((body["catalogue"]["version"], ids))

        threads = [threading.Thread(target=ask) for _ in range(ASKERS)]
        for thread in threads:
            thread.start()
        try:
            for number in range(ROUNDS):
                gone = sorted(shop.rows)[number]
                shop.drop([gone])
                shop.put(
                    {**shop.rows["c013"], "product_id": f"new{number}", "image": encoded(picture("blob", 50 + number))}
                )
                refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
                of_version[shop.snapshot.version] = set(shop.rows)
                assert client.post("/v1/reload").status_code == 200
                fresh = client.post("/v1/recommend?k=200&include_images=false", content=PHOTO).json()
                assert {n["product_id"] for n in fresh["neighbours"]} == set(shop.rows)
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
    assert failures == []
    assert len({version for version, _ in answers}) > 1
    assert all(ids == of_version[version] for version, ids in answers)

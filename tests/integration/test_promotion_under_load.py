"""The champion changes under load, through a real registry, its gate and the endpoint: no answer fails or is mixed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from backend.progress import NullProgress
from backend.registry.fetching import fetch_champion
from backend.registry.promotion import promote
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.serving.gateway import build_app
from backend.serving.served import Served
from backend.serving.tokens import ensure_app_token
from tests.fixtures.endpoint import encoded, http_to, load_projection, picture, write_projection_bundle
from tests.fixtures.registry import register_projection
from tests.support.load import Storm, ask_while_promoting

pytestmark = pytest.mark.mlflow
PHOTOS = [encoded(picture(kind, number)) for number in range(4) for kind in ("blob", "checks", "stripes")]


def recommender(folder):
    return Recommender.load(folder, embedder_loader=load_projection)


@pytest.fixture
def versions(mlflow_settings, shop, tmp_path):
    """Two registered versions whose answers differ, and what each answers."""
    expected = {}
    for name, seed in (("first", 3), ("second", 11)):
        folder = tmp_path / name
        build_gallery(shop, write_projection_bundle(folder, seed=seed), folder, progress=NullProgress())
        number = register_projection(mlflow_settings, folder)
        answers = recommender(folder).recommend(PHOTOS, k=6)
        expected[number] = [[one.product_id for one in answer.neighbours] for answer in answers]
    assert all(a != b for a, b in zip(*expected.values(), strict=True))
    return expected


def test_every_answer_is_whole_while_the_champion_changes(mlflow_settings, versions):
    settings = replace(mlflow_settings, endpoint_rate=0.0)
    token = ensure_app_token(settings)
    numbers = sorted(versions)
    promote(settings, numbers[0], progress=NullProgress())

    def load():
        version, folder = fetch_champion(settings)
        return Served(version, recommender(folder))

    with http_to(build_app(settings, load=load), headers={"Authorization": f"Bearer {token.reveal()}"}) as client:

        def change(number):
            following = numbers[(number + 1) % 2]
            promote(settings, following, reason="Under load.", progress=NullProgress())
            assert client.post("/v1/reload").json()["model"]["version"] == following

        address = str(client.base_url).rstrip("/")
        storm = Storm(address, token, PHOTOS, versions, queries=800)
        found = ask_while_promoting(storm, change, promotions=8)
    assert found.wrong == ()
    assert (found.answered, found.promotions) == (800, 8)
    assert Counter(found.by_version).total() == 800
    assert all(found.by_version.values()), "both versions answered"

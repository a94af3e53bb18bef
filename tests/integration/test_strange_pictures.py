"""Pictures of things that no shop here sells are no match, to a small network that learnt clothes, and to the ready-made one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.flow.ready_made import make_ready_made
from backend.flow.requests import ReadyMadeRequest
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.sample.shop import draw, sample_products
from backend.training.embedder import load_query_embedder
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import encoded
from tests.fixtures.models import StoredProduct, store_catalogue
from tests.support.colour_config import COLOUR
from tests.support.strange_pictures import strange_pictures

pytestmark = [pytest.mark.tf, pytest.mark.slow]
SPLITS = ("train",) * 8 + ("validation", "test")


@pytest.fixture(scope="module")
def products():
    """Of every ten products, eight to learn from, one to check with, and one that is in no gallery."""
    sample = enumerate(sample_products(360))
    return [StoredProduct(one.product_id, one.label, SPLITS[at % 10], draw(one)) for at, one in sample]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return settings_for(tmp_path_factory.mktemp("strange"))


@pytest.fixture(scope="module")
def snapshot(products, settings):
    return store_catalogue(settings.catalogues_dir, [product for product in products if product.split != "test"])


@pytest.fixture(scope="module")
def learnt(snapshot, settings):
    """The folder of a small network that was trained from scratch."""
    from backend.bundles import bundle
    from backend.training.fit import train
    from backend.training.preparation import ModelPlace
    from backend.training.tracking import NullTracker

    config = replace(COLOUR, epochs=1, examples_per_class=4, classes_per_batch=8, steps_per_epoch=60)
    place = ModelPlace(settings.models_dir, "clothes")
    train(snapshot, config, place=place, tracker=NullTracker(), progress=NullProgress())
    folder = place.models_dir / place.name
    embedder = load_query_embedder(folder, bundle.read_manifest(folder), threads=1)
    build_gallery(snapshot, embedder, folder, splits=("train", "validation"), progress=NullProgress())
    return folder


@pytest.fixture(scope="module")
def ready_made(snapshot, settings):
    """The folder of the network that is there without any training."""
    return make_ready_made(ReadyMadeRequest(snapshot.name), settings, NullProgress())


@pytest.fixture(scope="module", params=["learnt", "ready_made"])
def recommender(request):
    """Not calibrated: what is close is told by the gallery alone."""
    found = Recommender.load(request.getfixturevalue(request.param), embedder_loader=load_query_embedder)
    found.calibration = None
    return found


def test_ten_pictures_of_other_things_have_no_match(recommender):
    pictures = strange_pictures()
    assert (len(pictures), {image.size for image in pictures.values()}) == (10, {(300, 400)})
    answers = {name: recommender.recommend([encoded(image)], k=12)[0] for name, image in pictures.items()}
    assert {name: answer.has_match for name, answer in answers.items()} == dict.fromkeys(pictures, False)
    far = [answer for answer in answers.values() if {one.closeness for one in answer.neighbours} == {"not close"}]
    is_ready_made = recommender.manifest.config["preset"] == "ready-made"
    assert len(far) >= (10 if is_ready_made else 6)  # nothing close; the others are related at most


def test_products_that_the_gallery_does_not_have_are_close_to_what_it_has(recommender, products):
    held = [product for product in products if product.split == "test"]
    words = [recommender.recommend([product.image], k=1)[0].neighbours[0].closeness for product in held]
    assert words.count("not close") <= len(held) / 4  # of 36: chance is wide, and the network barely trained
    assert words.count("close") + words.count("very close") >= len(held) / 2

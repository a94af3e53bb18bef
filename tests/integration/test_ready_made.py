"""A catalogue answers without training: features of a ready-made network, fitted to its own pictures, and indexed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.bundles import bundle
from backend.errors import Cancelled, ConfigurationError, RetrievalError
from backend.feeding.content_cache import cache_folder
from backend.flow.index import index_step, refresh_index
from backend.flow.ready_made import make_ready_made
from backend.flow.rebuild import rebuild_step
from backend.flow.requests import IndexRequest, ReadyMadeRequest, RebuildRequest, RefreshRequest
from backend.imaging import pixels
from backend.progress import NullProgress
from backend.retrieval.calibration import CALIBRATION, Calibration
from backend.retrieval.gallery.gallery import Gallery, load_vectors
from backend.retrieval.recommend import Recommender
from backend.training.embedder import NetworkEmbedder, load_query_embedder
from backend.training.heads import load_embedder
from backend.training.network import lite_weights, weights
from backend.training.package import write_bundle
from backend.training.presets import READY_MADE
from tests.fixtures.endpoint import encoded, picture, shop_rows
from tests.support.changed_catalogues import ChangingShop
from tests.support.pictures import encoded as coloured

pytestmark = [pytest.mark.tf, pytest.mark.slow]


@pytest.fixture
def make(settings):
    """Make the ready-made model of a catalogue; returns its folder."""

    def made(shop, progress=None, **asked):
        request = ReadyMadeRequest(shop.name, **asked)
        return make_ready_made(request, settings, progress or NullProgress())

    return made


def products(count, *, split="train", label=lambda number: "", image=lambda number: coloured(number + 1)):
    return [
        {"product_id": f"p{number:03d}", "label": label(number), "split": split, "image": image(number)}
        for number in range(count)
    ]


def test_what_is_made_finds_its_products_and_a_refresh_brings_in_what_is_new(make, settings, monkeypatch):
    shop = ChangingShop(settings.catalogues_dir, shop_rows())
    folder = make(shop)
    assert (folder.name, bundle.verify(folder).index.size) == ("shop-ready-made", 60)
    assert Calibration.load(folder).queries == 54  # of three labels, but for the test products

    # What answers sees a product as the index holds it, and needs neither package nor cache of weights.
    with monkeypatch.context() as without:
        without.setattr(lite_weights, "lite_weights", lambda *_: pytest.fail("weights are in the bundle"))
        recommender = Recommender.load(folder, embedder_loader=load_query_embedder)
        query = shop.rows["c013"]["image"]
        assert recommender.recommend([query], k=1)[0].neighbours[0].product_id == "c013"
        alone = load_query_embedder(folder, bundle.read_manifest(folder), threads=1)
        found = alone.embed(pixels.decode(query, READY_MADE.pixels).pixels[None])
        row = Gallery.load(folder).ids.index("c013")
        assert found[0] @ load_vectors(folder)[row] == pytest.approx(1.0, abs=1e-4)

    # The second time, nothing is made.
    before = (folder / bundle.MANIFEST).stat().st_mtime_ns
    assert make(shop) == folder
    assert (folder / bundle.MANIFEST).stat().st_mtime_ns == before

    shop.put({"product_id": "new", "label": "", "split": "train", "image": encoded(picture("checks", 77))})
    done = refresh_index(RefreshRequest(folder.name), settings, NullProgress())
    assert (done["embedded"], done["gallery_size"]) == (1, 61)
    refreshed = np.array(load_vectors(folder))
    cache_folder(settings).clear()
    monkeypatch.setattr(lite_weights, "_kept", lambda *_: None)
    monkeypatch.setattr(lite_weights, "_converted", missing)
    index_step(IndexRequest(folder.name), settings, NullProgress())
    np.testing.assert_array_equal(load_vectors(folder), refreshed)


def missing(name):
    raise ConfigurationError(f"The weights of {name} are missing.", next_step="Install the package.")


@pytest.fixture
def looked_at(monkeypatch):
    """How many pictures any network looked at."""
    real, counts = NetworkEmbedder.embed, []

    def counted(embedder, pixels):
        counts.append(len(pixels) if pixels.ndim == 4 else 0)
        return real(embedder, pixels)

    monkeypatch.setattr(NetworkEmbedder, "embed", counted)
    return lambda: sum(counts)


def test_a_network_looks_at_each_picture_once_whoever_asks_for_what_it_saw(make, settings, looked_at):
    shop = ChangingShop(settings.catalogues_dir, products(48))
    folder = make(shop)
    assert looked_at() == 48  # in three batches of one size
    before = np.array(load_vectors(folder))
    index_step(IndexRequest(folder.name), settings, NullProgress())
    assert looked_at() == 48
    np.testing.assert_array_equal(load_vectors(folder), before)
    # What another network sees is not kept under the name of this one.
    manifest = bundle.read_manifest(folder)
    arrays = weights.unpack(folder / bundle.WEIGHTS)
    arrays[0] = arrays[0] * 1.01
    other = settings.models_dir / "other"
    write_bundle(other, replace(manifest, name="other", index=None, files={}), arrays)
    embedder = load_embedder(other, bundle.read_manifest(other), threads=1, cache=cache_folder(settings))
    image = shop.rows["p000"]["image"]
    found = embedder.embed_pictures(pixels.decode(image, READY_MADE.pixels).pixels[None], [image])
    assert looked_at() == 48 + 16
    assert found[0] @ before[Gallery.load(folder).ids.index("p000")] < 0.99999


def test_three_photos_without_labels_in_one_split_are_enough(make, settings):
    shop = ChangingShop(settings.catalogues_dir, products(3, split="test"))
    folder = make(shop)
    manifest = bundle.verify(folder)
    assert (manifest.classes, manifest.index.size) == ((), 3)
    assert not (folder / CALIBRATION).exists()
    vectors = load_vectors(folder)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert (vectors @ vectors.T)[~np.eye(3, dtype=bool)].max() < 0.9
    # The catalogue changes: the next one would be fitted to what it has become, under a name of its own.
    shop.put(*products(4))
    with pytest.raises(ConfigurationError, match="already a model"):
        make(shop, name=folder.name)
    again = rebuild_step(RebuildRequest(model=folder.name, name="again"), settings, NullProgress())
    assert (again["same_network"], again["largest_weight_difference"]) == (True, 0.0)
    np.testing.assert_array_equal(load_vectors(settings.models_dir / "again"), vectors)


def test_equal_photos_are_found_however_many_labels_there_are(make, settings):
    shop = ChangingShop(
        settings.catalogues_dir, products(40, label=lambda number: f"label {number}", image=lambda _: coloured(5))
    )
    folder = make(shop)
    assert bundle.verify(folder).classes == ()  # a label that only one product has is no kind
    vectors = load_vectors(folder)
    assert np.isfinite(vectors).all()
    assert (vectors @ vectors.T).min() > 0.999


class Stops(NullProgress):
    """Cancels once it has heard of a step."""

    def __init__(self, step):
        self._step, self.heard = step, []

    def report(self, done, total, *, unit="", note=""):
        self.heard.append(note)

    def check_cancelled(self):
        if any(self._step in note for note in self.heard):
            raise Cancelled("The user asked to stop.")


def test_what_is_cancelled_or_fails_leaves_nothing_behind(make, settings, tmp_path, monkeypatch):
    shop = ChangingShop(settings.catalogues_dir, products(3))
    with pytest.raises(Cancelled):
        make(shop, Stops("Preparing the search"))
    unreadable = ChangingShop(settings.catalogues_dir, products(3, image=lambda _: b"no picture"), name="broken")
    with pytest.raises(RetrievalError, match="No picture of broken can be read"):
        make(unreadable)
    monkeypatch.setattr(lite_weights, "_SOURCES", {
        "efficientnet-lite0": lite_weights._Source("no-such-package", "0" * 64, "0" * 64)
    })  # fmt: skip
    with pytest.raises(ConfigurationError, match="are not on this machine") as refused:
        make(shop)
    assert "Install them again" in refused.value.next_step
    assert [path.name for path in settings.models_dir.iterdir() if path.name != ".locks"] == []

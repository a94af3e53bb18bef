"""With a cache, every reader gives the same table to the last bit, and nothing is made twice, whatever was made before."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.feeding import arrow
from backend.feeding.arrow import decode_split
from backend.feeding.content_cache import CacheFolder, keys_of
from backend.feeding.readers import READERS
from backend.feeding.shards import Shard
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from backend.retrieval.features import feature_cache, features_of
from tests.support.stored_catalogues import hide, picture_rows, store

SPEC = PixelSpec(24, 24, 3, "any")  # not the pictures' own size, so that every one goes through the decoder
ROWS = picture_rows(("bag", "coat", "shoe") * 10)
BAD = {**ROWS[7], "image": b"no picture"}


@pytest.fixture(params=READERS)
def reader(request):
    return request.param


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "home").mkdir()
    return CacheFolder(tmp_path / "home" / "cache", 10**9)


def table(snapshot, path, spec=SPEC, **options):
    return decode_split(snapshot, "train", spec, path, progress=NullProgress(), **options)


def assert_same(found, expected):
    assert found.product_ids.tolist() == expected.product_ids.tolist()
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.unreadable == expected.unreadable
    assert found.pixels.dtype == expected.pixels.dtype
    np.testing.assert_array_equal(found.pixels, expected.pixels)


def test_a_second_training_decodes_nothing_whichever_reads_and_however_rows_are_stored(
    reader, cache, decoded, tmp_path
):
    (tmp_path / "turned").mkdir()
    one = store(tmp_path, ROWS[:17], ROWS[17:])
    other = store(tmp_path / "turned", ROWS[::-1], rows_per_group=4, name="other")
    plain = table(one, tmp_path / "plain")
    decoded.clear()
    assert_same(table(one, tmp_path / "first", cache=cache), plain)
    assert sum(decoded.values()) == 30
    assert_same(table(one, tmp_path / "second", cache=cache, reader=reader), plain)
    assert_same(table(other, tmp_path / "third", cache=cache, reader=reader), plain)
    assert sum(decoded.values()) == 30


def test_pictures_that_cannot_be_read_are_never_kept(reader, cache, decoded, tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "BATCH", 4)
    snapshot = store(tmp_path, [BAD if row is ROWS[7] else row for row in ROWS])
    plain = table(snapshot, tmp_path / "plain")
    assert plain.unreadable == ("p0007",)
    decoded.clear()
    for turn in (1, 2):
        assert_same(table(snapshot, tmp_path / f"{turn}", cache=cache, reader=reader), plain)
        assert decoded[keys_of([BAD["image"]])[0]] == turn
    assert sum(decoded.values()) == 31


def test_shards_and_the_whole_split_share_what_was_decoded(reader, cache, decoded, tmp_path):
    snapshot = store(tmp_path, ROWS)
    for rank in range(2):
        plain = table(snapshot, tmp_path / f"plain-{rank}", shard=Shard(rank, 2))
        shard = table(snapshot, tmp_path / f"{rank}", shard=Shard(rank, 2), cache=cache, reader=reader)
        assert_same(shard, plain)
    decoded.clear()
    whole = table(snapshot, tmp_path / "whole", cache=cache, reader=reader)
    assert sum(decoded.values()) == 0
    assert_same(whole, table(snapshot, tmp_path / "plain"))


def test_a_changed_catalogue_decodes_what_is_new(reader, cache, decoded, tmp_path):
    table(store(tmp_path, ROWS), tmp_path / "before", cache=cache)
    fresh = {**ROWS[3], "image": picture_rows(["any"], first=999)[0]["image"]}
    changed = hide(store(tmp_path, ROWS, [fresh], name="changed"), tmp_path, [fresh["product_id"]])
    decoded.clear()
    found = table(changed, tmp_path / "after", cache=cache, reader=reader)
    assert decoded == {keys_of([fresh["image"]])[0]: 1}
    assert_same(found, table(changed, tmp_path / "plain"))


@pytest.mark.parametrize("other", [{"background": "light"}, {"height": 23}, {"channels": 1}], ids=str)
def test_another_spec_is_another_space(cache, tmp_path, other):
    snapshot, spec = store(tmp_path, ROWS), replace(SPEC, **other)
    table(snapshot, tmp_path / "one", cache=cache)
    assert_same(table(snapshot, tmp_path / "other", spec, cache=cache), table(snapshot, tmp_path / "plain", spec))


def test_where_nothing_can_be_kept_the_table_is_the_same(tmp_path):
    snapshot = store(tmp_path, ROWS)
    plain = table(snapshot, tmp_path / "plain")
    for number, folder in enumerate((tmp_path / "no home" / "cache", tmp_path / "cache")):
        for turn in range(2):
            kept = CacheFolder(folder, 0)
            assert_same(table(snapshot, tmp_path / f"{number}-{turn}", cache=kept), plain)
            assert kept.n_bytes == 0


# ------------------------------------------------------------------------------------------------- features


class Colours:
    """A network of a kind: the mean colour of each ninth of a picture."""

    spec, size, batch = PixelSpec(12, 12, 3, "any"), 27, 256

    def __init__(self):
        self.batches = []

    def embed(self, pixels):
        self.batches.append(len(pixels))
        parts = pixels.reshape(len(pixels), 3, 4, 3, 4, 3).astype(np.float32)
        return parts.mean(axis=(2, 4)).reshape(len(pixels), self.size) / 255


def features(snapshot, path, network, **options):
    return features_of(snapshot, "train", network, path, progress=NullProgress(), **options)


def test_features_that_are_kept_are_neither_decoded_nor_computed(reader, cache, decoded, tmp_path):
    snapshot = store(tmp_path, [BAD if row is ROWS[7] else row for row in ROWS])
    network, pixels = Colours(), table(snapshot, tmp_path / "pixels", Colours.spec)
    expected = Colours().embed(pixels.pixels).astype(np.float16)
    decoded.clear()
    for turn in range(2):
        kept = feature_cache(cache, "colours-1", network)
        found = features(snapshot, tmp_path / f"{turn}", network, cache=kept, reader=reader)
        assert_same(found, replace(pixels, pixels=expected))
    assert decoded[keys_of([BAD["image"]])[0]] == 2
    assert sum(decoded.values()) == 31
    assert len(set(network.batches)) == 1


def test_other_weights_are_another_space(cache, tmp_path):
    snapshot, network = store(tmp_path, ROWS), Colours()
    for name in ("colours-1", "colours-2"):
        features(snapshot, tmp_path / name, network, cache=feature_cache(cache, name, network))
    assert len(network.batches) == 2


@pytest.mark.tf
@pytest.mark.slow
def test_features_of_a_real_network_are_the_same_whichever_were_kept(tmp_path_factory):
    from backend.training.config import TrainConfig
    from backend.training.embedder import NetworkEmbedder
    from backend.training.network.network import build_network
    from backend.training.runtime import prepare_similarity, prepare_tensorflow

    prepare_tensorflow(2)
    prepare_similarity()
    config = TrainConfig(height=28, width=28, channels=3, embedding_size=16, detail_share=0.5)
    network = NetworkEmbedder(build_network(config), config.pixels)
    home = tmp_path_factory.mktemp("home")
    snapshot = store(home, ROWS)
    plain = features(snapshot, home / "plain", network)

    @given(st.lists(st.sets(st.sampled_from(range(30)), min_size=1), max_size=2))
    @hypothesis_settings(max_examples=6)
    def check(kept_before):
        cache = CacheFolder(home / "cache", 10**9)
        for number, places in enumerate(kept_before):
            some = store(home, [ROWS[place] for place in places], name=f"some-{number}")
            features(some, home / "some", network, cache=feature_cache(cache, "net", network))
            shutil.rmtree(home / some.name)
        assert_same(features(snapshot, home / "found", network, cache=feature_cache(cache, "net", network)), plain)
        cache.clear()

    check()

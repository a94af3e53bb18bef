"""A picture is answered with its neighbours, everything that is shown of them, and what was done to it."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from backend.bundles import bundle
from backend.errors import BundleError, ImageRejected, RetrievalError
from backend.imaging import pixels
from backend.retrieval.recommend import NOTHING_FITS, Recommender
from tests.fixtures.endpoint import encoded, load_projection, picture


def test_a_gallery_picture_finds_itself_first(projection_recommender, shop):
    row = next(row for row in shop.rows if row["product_id"] == "c013")
    (answer,) = projection_recommender.recommend([row["image"]], k=5)
    first = answer.neighbours[0]
    assert [n.rank for n in answer.neighbours] == [1, 2, 3, 4, 5]
    assert (first.product_id, first.label, first.title, first.brand) == ("c013", "checks", row["title"], row["brand"])
    assert first.distance == pytest.approx(0.0, abs=1e-6)
    assert all(n.similarity == 1.0 - n.distance for n in answer.neighbours)
    assert [n.distance for n in answer.neighbours] == sorted(n.distance for n in answer.neighbours)


def test_a_picture_of_a_kind_finds_its_kind(projection_recommender, shop):
    for row in (row for row in shop.rows if row["split"] == "test"):
        (answer,) = projection_recommender.recommend([row["image"]], k=3)
        assert {n.label for n in answer.neighbours} == {row["label"]}


def test_every_picture_is_answered_as_if_it_were_alone(projection_recommender):
    images = [encoded(picture("blob", number)) for number in range(5)] + [encoded(picture("stripes", 3))]
    together = projection_recommender.recommend(images, k=4)
    alone = [projection_recommender.recommend([image], k=4)[0] for image in images]
    assert len(together) == 6
    assert [a.neighbours for a in together] == [a.neighbours for a in alone]


def test_the_answer_shows_what_the_network_saw_and_how_long_it_took(projection_recommender):
    image = picture("blob", 2, side=40)
    (answer,) = projection_recommender.recommend([encoded(image)], k=1)
    seen = np.asarray(Image.open(io.BytesIO(answer.seen_png)))
    expected = pixels.decode(encoded(image), projection_recommender.manifest.pixels).pixels
    np.testing.assert_array_equal(seen, expected[..., 0])
    assert answer.timings_ms.keys() == {"decode", "embed", "search"}
    assert all(value > 0 for value in answer.timings_ms.values())


def test_what_was_done_to_the_picture_is_said(projection_recommender):
    see_through = picture("blob", 2).convert("RGBA")
    see_through.putalpha(100)
    (answer,) = projection_recommender.recommend([encoded(see_through)], k=1)
    assert answer.notes == ("Its transparent areas were filled with white.",)


def test_filters_apply_before_ranking(projection_recommender):
    (answer,) = projection_recommender.recommend([encoded(picture("stripes", 0))], k=4, filters={"label": "blob"})
    assert [n.label for n in answer.neighbours] == ["blob"] * 4


def test_filters_that_nothing_passes_are_answered_with_a_sentence(projection_recommender):
    (answer,) = projection_recommender.recommend([encoded(picture("blob", 2))], k=4, filters={"brand": "Nobody"})
    assert answer.neighbours == ()
    assert answer.notes[-1] == NOTHING_FITS


def test_k_beyond_the_gallery_gives_the_whole_gallery(projection_recommender):
    (answer,) = projection_recommender.recommend([encoded(picture("blob", 2))], k=500)
    assert len({n.product_id for n in answer.neighbours}) == len(answer.neighbours) == 60


def test_a_bad_picture_among_good_ones_is_named_by_its_place(projection_recommender):
    good = encoded(picture("blob", 2))
    with pytest.raises(ImageRejected, match="Picture 2 of 3: This is not a PNG") as caught:
        projection_recommender.recommend([good, b"BM6 bitmap", good], k=3)
    assert (caught.value.code, caught.value.status) == ("not_an_image", 415)
    with pytest.raises(ImageRejected, match=r"^This is not a PNG"):
        projection_recommender.recommend([b"BM6 bitmap"], k=3)


def test_no_picture_or_no_neighbour_wanted_is_refused(projection_recommender):
    with pytest.raises(RetrievalError, match="no picture"):
        projection_recommender.recommend([], k=3)
    with pytest.raises(RetrievalError, match="at least 1"):
        projection_recommender.recommend([encoded(picture("blob", 2))], k=0)


def test_the_pixel_limit_is_the_one_it_was_given(projection_bundle):
    strict = Recommender.load(projection_bundle, embedder_loader=load_projection, max_pixels=100)
    with pytest.raises(ImageRejected, match="16 x 16"):
        strict.recommend([encoded(picture("blob", 2))], k=1)


@pytest.mark.parametrize("name", [bundle.WEIGHTS, bundle.VECTORS, bundle.GALLERY])
def test_a_damaged_bundle_is_not_loaded(projection_bundle, tmp_path, name):
    folder = shutil.copytree(projection_bundle, tmp_path / "m")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} of m is damaged"):
        Recommender.load(folder, embedder_loader=load_projection)

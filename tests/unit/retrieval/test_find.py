"""Several pictures, weights, what to stay away from, variety, and products that are shown once."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from backend.errors import ImageRejected, RetrievalError
from backend.progress import NullProgress
from backend.retrieval.arrange import away_from, combined, variant_of, varied
from backend.retrieval.gallery.gallery import GalleryItem, build_gallery
from backend.retrieval.recommend import Recommender
from backend.retrieval.wishes import Wishes, read_wishes
from tests.fixtures.endpoint import (
    ShopSnapshot,
    encoded,
    load_projection,
    picture,
    shop_rows,
    write_projection_bundle,
)

CHECKS, BLOB, STRIPES = (encoded(picture(kind, 3)) for kind in ("checks", "blob", "stripes"))


def ids(answer):
    return [neighbour.product_id for neighbour in answer.neighbours]


def unit(*rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_question_without_wishes_is_the_plain_one(projection_recommender):
    plain = projection_recommender.recommend([CHECKS], k=7)[0]
    assert projection_recommender.find([CHECKS], k=7).neighbours == plain.neighbours


def test_several_pictures_are_searched_for_at_their_weighted_middle(projection_recommender):
    both = projection_recommender.find([CHECKS, BLOB], k=12)
    assert {neighbour.label for neighbour in both.neighbours} >= {"checks", "blob"}
    assert len(both.seen_others) == 1
    checks = projection_recommender.find([CHECKS, BLOB], k=5, wishes=Wishes(weights=(50.0, 1.0)))
    assert ids(checks) == ids(projection_recommender.find([CHECKS], k=5))
    similarities = [neighbour.similarity for neighbour in both.neighbours]
    assert similarities == sorted(similarities, reverse=True)


def test_a_product_can_be_one_of_the_pictures(projection_recommender):
    by_id = projection_recommender.find([CHECKS], k=9, wishes=Wishes(like=("b017",)))
    by_picture = projection_recommender.find([CHECKS, BLOB], k=9)
    assert ids(by_id) == ids(by_picture)


def test_what_is_not_liked_is_left_out_and_turned_away_from(projection_recommender):
    plain = projection_recommender.find([CHECKS], k=12)
    away = projection_recommender.find([CHECKS], k=12, wishes=Wishes(unlike=(plain.neighbours[1].product_id,)))
    assert plain.neighbours[1].product_id not in ids(away)
    assert ids(away) != [name for name in ids(plain) if name != plain.neighbours[1].product_id]
    assert all(-1.0 <= neighbour.similarity <= 1.0 for neighbour in away.neighbours)
    by_picture = projection_recommender.find([CHECKS], k=12, unlike=[BLOB])
    assert ids(by_picture) != ids(plain)


def test_turning_away_lowers_the_similarity_to_what_is_not_liked():
    wanted, bad = unit([1.0, 0.2])[0], unit([0.0, 1.0])
    turned = away_from(wanted, bad)
    assert turned @ bad[0] < wanted @ bad[0]
    assert np.linalg.norm(turned) == pytest.approx(1.0)
    np.testing.assert_array_equal(away_from(wanted, bad[:0]), wanted)


def test_the_middle_of_opposites_is_no_direction():
    with pytest.raises(RetrievalError, match="too different to combine"):
        combined(unit([1.0, 0.0], [-1.0, 0.0]))
    with pytest.raises(RetrievalError, match="3 weights for 2 pictures"):
        combined(unit([1.0, 0.0], [0.0, 1.0]), (1.0, 2.0, 3.0))
    np.testing.assert_allclose(combined(unit([1, 0], [0, 1]), (3.0, 1.0)), unit([3, 1])[0], atol=1e-6)


def test_variety_takes_near_ones_that_are_unlike_each_other():
    vectors = unit([1, 0, 0], [1, 0.01, 0], [1, 0, 0.5], [0.2, 1, 0])
    similarities = vectors @ unit([1, 0, 0])[0]
    assert varied(similarities, vectors, k=2, diversity=0.0).tolist() == [0, 1]
    assert varied(similarities, vectors, k=2, diversity=0.6).tolist() == [0, 3]
    assert varied(similarities, vectors, k=9, diversity=1.0).tolist() == [0, 3, 2, 1]


def test_an_answer_with_variety_begins_with_the_nearest_and_repeats_nothing(projection_recommender):
    plain, mixed = (projection_recommender.find([CHECKS], k=8, wishes=Wishes(diversity=d)) for d in (0.0, 0.7))
    assert ids(mixed)[0] == ids(plain)[0]
    assert len(set(ids(mixed))) == 8
    vectors = [
        projection_recommender.index.embeddings(np.array([n.position for n in a.neighbours])) for a in (plain, mixed)
    ]
    alike = [float((rows @ rows.T).mean()) for rows in vectors]
    assert alike[1] < alike[0]
    filtered = projection_recommender.find([CHECKS], k=8, filters={"label": "blob"}, wishes=Wishes(diversity=0.7))
    assert {neighbour.label for neighbour in filtered.neighbours} == {"blob"}


@pytest.fixture(scope="module")
def shop_with_copies(tmp_path_factory):
    """The shop with three copies of one picture, and two colours of one product."""
    rows = shop_rows()
    base = next(row for row in rows if row["product_id"] == "c013")
    copies = [{**base, "product_id": f"copy{n}", "title": f"Copy {n}"} for n in range(3)]
    colours = [
        {
            **base,
            "product_id": f"shirt-{colour}",
            "title": f"Shirt, {colour}",
            "colour": colour,
            "brand": "Ada",
            "image": encoded(picture("blob", 60 + at)),
        }
        for at, colour in enumerate(("red", "blue"))
    ]
    folder = tmp_path_factory.mktemp("copies") / "m"
    embedder = write_projection_bundle(folder)
    build_gallery(ShopSnapshot([*rows, *copies, *colours]), embedder, folder, progress=NullProgress())
    return Recommender.load(folder, embedder_loader=load_projection), base


def test_copies_are_shown_once_and_the_answer_still_has_k(shop_with_copies):
    recommender, base = shop_with_copies
    plain = recommender.find([base["image"]], k=6)
    assert ids(plain)[:4] == ["c013", "copy0", "copy1", "copy2"]
    once = recommender.find([base["image"]], k=6, wishes=Wishes(collapse="duplicates"))
    assert len(once.neighbours) == 6
    assert once.neighbours[0].hidden == ("copy0", "copy1", "copy2")
    assert not {"copy0", "copy1", "copy2"} & {*ids(once)}
    everything = recommender.find([base["image"]], k=500, wishes=Wishes(collapse="duplicates"))
    assert len(everything.neighbours) + sum(len(n.hidden) for n in everything.neighbours) == recommender.size


def test_colours_of_one_product_are_shown_once(shop_with_copies):
    recommender, _ = shop_with_copies
    image = encoded(picture("blob", 60))
    assert {"shirt-red", "shirt-blue"} <= {*ids(recommender.find([image], k=30, wishes=Wishes(collapse="duplicates")))}
    once = recommender.find([image], k=30, wishes=Wishes(collapse="variants"))
    shirts = [n for n in once.neighbours if n.product_id.startswith("shirt")]
    assert [(n.product_id, n.hidden) for n in shirts] == [("shirt-red", ("shirt-blue",))]


@pytest.fixture(scope="module")
def shop_with_groups(tmp_path_factory):
    """The shop with three products of one group, whose titles and pictures tell nothing of it."""
    rows = shop_rows()
    base = next(row for row in rows if row["product_id"] == "c013")
    near = [
        {
            **base,
            "product_id": f"g{at}",
            "title": f"Name {at}",
            "group_id": "G",
            "image": encoded(picture("checks", at)),
        }
        for at in range(3)
    ]
    folder = tmp_path_factory.mktemp("groups") / "m"
    build_gallery(ShopSnapshot([*rows, *near]), write_projection_bundle(folder), folder, progress=NullProgress())
    return Recommender.load(folder, embedder_loader=load_projection)


def test_variants_of_one_group_are_shown_once_unless_all_are_wished_for(shop_with_groups):
    image = encoded(picture("checks", 1))
    for wishes in (Wishes(), Wishes(collapse="groups"), Wishes(diversity=0.0, weights=(2.0,))):
        once = shop_with_groups.find([image], k=60, wishes=wishes)
        found = {n.product_id: set(n.hidden) for n in once.neighbours if n.product_id.startswith("g")}
        assert found == {"g1": {"g0", "g2"}}
        assert len(once.neighbours) == min(60, shop_with_groups.size - 2)
    every = shop_with_groups.find([image], k=60, wishes=Wishes(collapse="none"))
    assert {"g0", "g1", "g2"} <= {*ids(every)}
    few = shop_with_groups.find([image], k=5)
    assert len(few.neighbours) == 5
    similarities = [neighbour.similarity for neighbour in few.neighbours]
    assert similarities == sorted(similarities, reverse=True)


def test_a_variant_is_told_by_label_brand_and_title_without_colour_and_size():
    item = GalleryItem(0, "1", "Shirt", title="Crew Neck Navy, XL", brand="Ada", colour="navy")
    assert variant_of(item) == ("Shirt", "ada", ("crew", "neck"))
    assert variant_of(GalleryItem(0, "1", "Shirt", brand="Ada", colour="navy")) is None


def test_a_picture_that_cannot_be_used_is_named_by_its_place(projection_recommender):
    with pytest.raises(ImageRejected, match="Picture 3 of 3"):
        projection_recommender.find([CHECKS, BLOB], unlike=[b"GIF89a"], k=3)
    with pytest.raises(RetrievalError, match="no picture"):
        projection_recommender.find([], k=3)
    with pytest.raises(RetrievalError, match="no product 'nobody' in the gallery"):
        projection_recommender.find([CHECKS], k=3, wishes=Wishes(unlike=("nobody",)))


def test_filters_that_nothing_passes_are_said_with_wishes_too(projection_recommender):
    answer = projection_recommender.find([CHECKS], k=3, filters={"brand": "Nobody"}, wishes=Wishes(diversity=0.5))
    assert answer.neighbours == ()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"weight": ["-1"]}, "above 0"),
        ({"weight": ["heavy"]}, "weight needs a number"),
        ({"weight": ["inf"]}, "weight needs a number"),
        ({"diversity": ["2"]}, "between 0 and 1"),
        ({"collapse": ["most"]}, "collapse"),
        ({"colour_weight": ["1.1"]}, "between 0 and 1"),
        ({"colour_weight": ["nan"]}, "colour_weight needs a number"),
        ({"like": ["x"] * 51}, "More than 50"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(values, says):
    with pytest.raises(RetrievalError, match=says):
        read_wishes(values)


def test_wishes_are_read_as_they_are_written():
    from backend.serving.client import _query
    from backend.serving.further import wishes_as_query

    at = datetime(2026, 12, 24, 10, tzinfo=UTC)
    wishes = Wishes((1.0, 2.5), ("a",), ("b", "c"), 0.25, "variants", 0.4, "price", True, "7", at)
    values = {}
    for name, value in _query(wishes_as_query(wishes)):
        values.setdefault(name, []).append(value)
    assert read_wishes(values) == wishes
    assert _query(wishes_as_query(Wishes())) == []

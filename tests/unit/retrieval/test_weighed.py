"""Colour weighed against shape at search time: the index alone, and whole answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.bundles.colours import COLOURS, colour_share
from backend.errors import RetrievalError
from backend.imaging import pixels as imaging
from backend.retrieval.calibration import Calibration
from backend.retrieval.fidelity import share_found
from backend.retrieval.indexes.approximate import ApproximateIndex
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.weighed import WeighedIndex, weighed
from backend.retrieval.recommend import Recommender
from backend.retrieval.wishes import Wishes
from tests.fixtures.colours import COLOUR_PICTURES, SHARE, coloured, embeddings, unit
from tests.fixtures.endpoint import encoded, picture

SHAPES = 6


def parts(count, *, seed):
    """Shapes around a few middles, and colours as histograms are, none below 0: unit vectors."""
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((5, SHAPES))
    shapes = middles[rng.integers(0, 5, count)] + 0.4 * rng.standard_normal((count, SHAPES))
    return unit(shapes), unit(np.abs(rng.standard_normal((count, COLOURS))) ** 3)


def by_the_formula(asked, stored, weight):
    return (1 - weight) * (asked[0] @ stored[0].T) + weight * (asked[1] @ stored[1].T)


def ask(index, queries, *, share, weight, k):
    one = WeighedIndex(index, share=share, weight=weight)
    return one.search(one.weigh(queries), k=k)


shares = st.floats(0.01, 0.9)
weights = st.floats(0.0, 1.0)


@hypothesis_settings(max_examples=40, deadline=None)
@given(share=shares, weight=weights, seed=st.integers(0, 999), k=st.integers(1, 12))
def test_order_and_similarity_are_those_of_the_formula(share, weight, seed, k):
    stored, asked = parts(40, seed=seed), parts(3, seed=seed + 1_000)
    found = ask(ExactIndex(embeddings(*stored, share)), embeddings(*asked, share), share=share, weight=weight, k=k)
    expected = by_the_formula(asked, stored, weight)
    got = np.take_along_axis(expected, found.positions, axis=1)
    np.testing.assert_allclose(1.0 - found.distances, got.clip(-1.0, 1.0), atol=2e-6)
    np.testing.assert_allclose(got, -np.sort(-expected, axis=1)[:, :k], atol=2e-6)


@hypothesis_settings(max_examples=20, deadline=None)
@given(share=shares, seed=st.integers(0, 999))
def test_with_shape_only_colours_do_not_count_and_the_other_way_round(share, seed):
    (shapes, colours), (_, other), (others, _) = (
        parts(30, seed=seed),
        parts(30, seed=seed + 1),
        parts(30, seed=seed + 2),
    )
    queries = embeddings(shapes[:3], colours[:3], share)
    for weight, changed in ((0.0, (shapes, other)), (1.0, (others, colours))):
        one, two = (
            ask(ExactIndex(embeddings(*stored, share)), queries, share=share, weight=weight, k=9)
            for stored in ((shapes, colours), changed)
        )
        np.testing.assert_array_equal(one.positions, two.positions)
        np.testing.assert_array_equal(one.distances, two.distances)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_an_approximate_index_misses_nothing_with_another_weight(weight):
    stored, asked = parts(6_007, seed=1), parts(50, seed=2)
    vectors, queries = embeddings(*stored, SHARE), embeddings(*asked, SHARE)
    index = ApproximateIndex(vectors)
    assert len(index.cells.centres) > 1
    found = ask(index, queries, share=SHARE, weight=weight, k=10)
    truth = np.argsort(-by_the_formula(asked, stored, weight), axis=1)[:, :10]
    assert share_found(found.positions, truth) > 0.999


# ----------------------------------------------------------------------------------------------- whole answers

RED_CHECKS, BLUE_BLOB = coloured("checks", 3, "red"), coloured("blob", 3, "blue")


def ids(answer):
    return [neighbour.product_id for neighbour in answer.neighbours]


def colours_of(answer):
    return [neighbour.colour for neighbour in answer.neighbours]


def find(recommender, weight, *, k=8, images=(RED_CHECKS,), unlike=(), filters=None, **wishes):
    return recommender.find(
        list(images), k=k, unlike=list(unlike), filters=filters, wishes=Wishes(colour_weight=weight, **wishes)
    )


def test_the_same_colour_comes_first_or_does_not_count(shop_in_colours):
    assert set(colours_of(find(shop_in_colours, 1.0))) == {"red"}
    shape = find(shop_in_colours, 0.0)
    assert len(set(colours_of(shape))) > 1
    in_blue = find(shop_in_colours, 0.0, images=[coloured("checks", 3, "blue")])
    assert ids(in_blue) == ids(shape)
    similarities = [neighbour.similarity for neighbour in shape.neighbours]
    assert similarities == sorted(similarities, reverse=True)


def test_the_models_own_share_is_the_plain_answer(shop_in_colours):
    for more in ({"diversity": 0.5}, {"like": ("b017",), "unlike": [BLUE_BLOB]}):
        own, plain = (find(shop_in_colours, weight, k=20, **more) for weight in (SHARE, None))
        assert own.neighbours == plain.neighbours
    assert ids(find(shop_in_colours, SHARE)) == ids(find(shop_in_colours, None))
    assert find(shop_in_colours, None).neighbours == shop_in_colours.recommend([RED_CHECKS], k=8)[0].neighbours


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_filters_products_to_stay_away_from_and_several_pictures_go_with_a_weight(shop_in_colours, weight):
    everything = find(shop_in_colours, weight, k=60)
    filtered = find(shop_in_colours, weight, k=60, filters={"brand": "Ada"})
    assert ids(filtered) == [one.product_id for one in everything.neighbours if one.brand == "Ada"]
    away = find(shop_in_colours, weight, k=60, unlike=[BLUE_BLOB])
    assert {*ids(away)} == {*ids(everything)}
    once = find(shop_in_colours, weight, k=60, collapse="duplicates")
    assert len(once.neighbours) + sum(len(one.hidden) for one in once.neighbours) == 60
    by_id = find(shop_in_colours, weight, k=60, like=("b017",))
    liked = shop_in_colours.gallery.thumbnail(shop_in_colours.gallery.position("b017"))
    assert ids(by_id) == ids(find(shop_in_colours, weight, k=60, images=[RED_CHECKS, liked]))
    for answer in (everything, filtered, away, by_id):
        assert all(-1.0 <= one.similarity <= 1.0 for one in answer.neighbours)


def test_several_pictures_count_as_a_model_of_that_weight_would_count_them(shop_in_colours):
    weight, index = 0.4, shop_in_colours.index
    stored = index.embeddings(np.arange(shop_in_colours.size)).astype(float)
    decoded = [imaging.decode(image, COLOUR_PICTURES) for image in (RED_CHECKS, BLUE_BLOB)]
    asked = shop_in_colours.embedder.embed(np.stack([one.pixels for one in decoded])).astype(float)

    def of_weight(rows):
        apart = unit(rows[:, :-COLOURS]), unit(rows[:, -COLOURS:])
        return np.hstack([np.sqrt(1 - weight) * apart[0], np.sqrt(weight) * apart[1]])

    middle = unit(of_weight(asked).mean(axis=0, keepdims=True))[0]
    expected = of_weight(stored) @ middle
    answer = find(shop_in_colours, weight, k=60, images=[RED_CHECKS, BLUE_BLOB])
    found = {one.position: one.similarity for one in answer.neighbours}
    np.testing.assert_allclose([found[at] for at in range(60)], expected, atol=1e-5)


def test_variety_looks_at_the_weight_too(shop_in_colours):
    plain, mixed = (find(shop_in_colours, 1.0, k=6, diversity=d) for d in (0.0, 0.9))
    assert set(colours_of(plain)) == {"red"}
    assert len(set(colours_of(mixed))) > 1


def test_every_picture_of_a_batch_is_asked_with_the_weight(shop_in_colours):
    both = shop_in_colours.recommend_each([RED_CHECKS, b"none", BLUE_BLOB], k=8, colour_weight=0.7)
    for answer, image in ((both[0], RED_CHECKS), (both[2], BLUE_BLOB)):
        alone = find(shop_in_colours, 0.7, images=[image])
        assert ids(answer) == ids(alone)
        assert [one.closeness for one in answer.neighbours] == [one.closeness for one in alone.neighbours]
        np.testing.assert_allclose(
            [one.similarity for one in answer.neighbours], [one.similarity for one in alone.neighbours], atol=1e-6
        )


def test_closeness_is_that_of_the_model_as_it_is_and_no_probability_is_given(shop_in_colours):
    manifest = replace(shop_in_colours.manifest, weights_hash="w")
    known = Calibration((0.2, 0.8), (0.1, 0.95), 0.5, 0.9, 100, weights_hash="w", lowest=0.0, base_rate=0.1)
    calibrated = Recommender(
        manifest, shop_in_colours.embedder, shop_in_colours.index, shop_in_colours.gallery,
        max_pixels=10_000, calibration=known,
    )  # fmt: skip
    plain = {one.product_id: one for one in calibrated.recommend([RED_CHECKS], k=60)[0].neighbours}
    assert {one.probability is None for one in plain.values()} == {False}
    for weight in (0.0, 0.6, 1.0):
        answer = find(calibrated, weight, k=60)
        assert {one.probability for one in answer.neighbours} == {None}
        assert all(one.closeness == plain[one.product_id].closeness for one in answer.neighbours)
        assert answer.has_match == any(one.is_match for one in answer.neighbours)


def test_a_model_without_colours_says_so(projection_recommender):
    with pytest.raises(RetrievalError, match="cannot weigh colour"):
        find(projection_recommender, 0.5, images=[encoded(picture("checks", 3))])
    with pytest.raises(RetrievalError, match="cannot weigh colour"):
        projection_recommender.recommend_each([encoded(picture("checks", 3))], k=3, colour_weight=0.5)
    assert colour_share(projection_recommender.manifest) is None


@pytest.mark.parametrize("said", ["0.2", float("nan"), 1.0, 0.0, -0.1, None, True, [0.2]])
def test_a_manifest_that_says_no_share_has_no_colours(shop_in_colours, said):
    manifest = replace(shop_in_colours.manifest, config={"colour_share": said})
    assert colour_share(manifest) is None
    assert weighed(shop_in_colours.index, manifest, None) is shop_in_colours.index

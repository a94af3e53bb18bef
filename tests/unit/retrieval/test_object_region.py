"""Where in a photo the product is, by how much a network sees where: a guess, or none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backend.imaging.region import Region
from backend.retrieval.object_region import LEAST, region_of, suggested
from tests.fixtures.endpoint import encoded, picture


def seen(*cells, ground=5.0, thing=60.0, side=7):
    """A map with a thing in these cells: row and column."""
    found = np.full((side, side), ground, np.float32)
    for cell in cells:
        found[cell] = thing
    return found


def test_a_thing_is_framed_where_it_is():
    found = region_of(seen((2, 4), (2, 5), (3, 4), (3, 5)), (700, 700))
    assert found is not None
    assert found.edges == pytest.approx((4 / 7, 2 / 7, 6 / 7, 4 / 7), abs=0.1)


def test_of_two_things_the_one_that_is_seen_most_is_framed():
    two = seen((1, 1), (5, 5))
    two[5, 5] = 80.0
    found = region_of(two, (700, 700))
    assert found.left > 0.5
    assert found.top > 0.5


@pytest.mark.parametrize(("size", "expected"), [((700, 350), (0.5, 0.5)), ((350, 700), (0.5, 0.5))])
def test_the_padding_of_a_photo_that_is_no_square_is_taken_off(size, expected):
    found = region_of(seen((3, 3)), size)
    middle = ((found.left + found.right) / 2, (found.top + found.bottom) / 2)
    assert middle == pytest.approx(expected, abs=0.02)
    across, down = found.right - found.left, found.bottom - found.top
    assert across * size[0] == pytest.approx(down * size[1], rel=0.05)


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param(seen(), id="nothing"),
        pytest.param(seen((3, 3), thing=LEAST - 1), id="hardly anything"),
        pytest.param(seen(*np.ndindex(7, 7)), id="all of it"),
        pytest.param(np.full((7, 7), np.nan, np.float32), id="no numbers"),
    ],
)
def test_without_a_thing_nothing_is_offered(cells):
    assert region_of(cells, (600, 400)) is None


def test_what_lies_on_the_padding_is_not_offered():
    assert region_of(seen((0, 3)), (700, 100)) is None


@given(
    hnp.arrays(np.float32, st.integers(1, 9).map(lambda side: (side, side)), elements=st.floats(0, 1e6, width=32)),
    st.tuples(st.integers(8, 9_000), st.integers(8, 9_000)),
)
def test_any_map_of_any_photo_is_a_region_or_none(cells, size):
    found = region_of(cells, size)
    assert found is None or isinstance(found, Region)


def test_an_answer_suggests_the_part_that_its_network_sees(projection_recommender):
    answer = projection_recommender.find([encoded(picture("blob", 5).resize((64, 64)))], k=1)
    found = suggested(answer, projection_recommender.embedder)
    assert found is not None
    rows, columns = np.mgrid[0:16, 0:16]
    light = np.asarray(picture("blob", 5), dtype=np.float64) ** 4
    middle = (light * columns).sum() / light.sum() / 16, (light * rows).sum() / light.sum() / 16
    assert found.left < middle[0] < found.right
    assert found.top < middle[1] < found.bottom


def test_an_even_picture_suggests_nothing(projection_recommender):
    answer = projection_recommender.find([encoded(picture("blob", 5).point(lambda _: 128))], k=1)
    assert suggested(answer, projection_recommender.embedder) is None

"""The word, the match, the probability and the banner come from one judgement, and cannot contradict each other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app import words
from backend.progress import NullProgress
from backend.retrieval.calibration import Calibration
from backend.retrieval.closeness import SURE, Judge, Spread
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.recommend import Recommender
from backend.serving.answers import Answer, AnswerNeighbour
from tests.fixtures.endpoint import (
    ShopSnapshot,
    encoded,
    load_projection,
    picture,
    shop_rows,
    write_projection_bundle,
)

ORDER = {"not close": 0, "related": 1, "close": 2, "very close": 3}
unit = st.floats(0, 1)
similarity = st.floats(-1, 1)


@st.composite
def calibrations(draw):
    """Any that could have been fitted, and some of earlier versions, whose threshold lies anywhere."""
    knots = sorted(draw(st.lists(similarity, min_size=1, max_size=6, unique=True)))
    rising = sorted(draw(st.lists(unit, min_size=len(knots), max_size=len(knots))))
    lowest = draw(st.floats(-1, knots[0]))
    return Calibration(
        tuple(knots), tuple(rising), draw(st.none() | similarity), 0.9, 50, lowest=lowest, base_rate=draw(unit)
    )


spreads = st.lists(similarity, min_size=4, max_size=4).map(sorted).map(lambda found: Spread(*found[1:], found[0]))
judges = st.builds(Judge, st.none() | calibrations(), st.none() | spreads)


@given(judges, st.lists(similarity, min_size=1, max_size=12), st.sampled_from([None, False, True]))
@hypothesis_settings(max_examples=150)
def test_no_answer_contradicts_itself(judge, similarities, is_strange):
    ranked = sorted(similarities, reverse=True)
    verdicts = [judge.verdict(one, nearest=ranked[0], is_strange=is_strange) for one in ranked]
    for verdict in verdicts:
        assert verdict.is_match == (None if verdict.closeness is None else ORDER[verdict.closeness] >= 2)
        if judge.calibration is None:
            assert verdict.probability is None
        elif verdict.closeness == "not close":
            assert verdict.probability <= judge.calibration.base_rate  # of no kind until shown otherwise
        elif verdict.is_match:
            assert verdict.probability >= (SURE if verdict.closeness == "very close" else 0.5)
    known = [ORDER[verdict.closeness] for verdict in verdicts if verdict.closeness is not None]
    assert known == sorted(known, reverse=True)  # a nearer product is never called less close,
    probabilities = [verdict.probability for verdict in verdicts if verdict.probability is not None]
    assert all(more >= less - 1e-12 for more, less in pairwise(probabilities))  # nor less likely, but for rounding
    answer = answered(ranked, verdicts)
    if answer.has_nothing_close:
        assert not answer.match
        assert {neighbour.closeness for neighbour in answer.neighbours} == {"not close"}
    assert answer.has_nothing_close or not (is_strange and ranked)


def answered(similarities, verdicts):
    neighbours = tuple(
        AnswerNeighbour(
            rank=rank,
            product_id=f"p{rank}",
            label="",
            distance=1 - one,
            similarity=one,
            image=b"",
            probability=verdict.probability,
            is_match=verdict.is_match,
            closeness=verdict.closeness,
        )
        for rank, (one, verdict) in enumerate(zip(similarities, verdicts, strict=True), 1)
    )
    match = any(neighbour.is_match for neighbour in neighbours)
    return Answer(neighbours, b"", (), "m", 1, "b", "shop", 1, 60, {}, match=match)


def vectors_of(count, *, seed=0, dimensions=16):
    found = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def spread_of(vectors, splits=None):
    return Spread.of(ExactIndex(vectors), np.asarray(splits if splits is not None else ["gallery-only"] * len(vectors)))


def test_all_but_one_in_twenty_products_are_no_strangers_to_the_others():
    vectors = vectors_of(200)
    table = vectors @ vectors.T
    np.fill_diagonal(table, -1)
    nearest = table.max(axis=1)
    spread = spread_of(vectors)
    assert (nearest < spread.floor).mean() == pytest.approx(0.05, abs=0.005)
    assert (nearest < spread.upper).mean() == pytest.approx(0.75, abs=0.005)
    assert spread.floor < spread.lower < spread.upper


def test_products_that_share_a_picture_do_not_make_all_others_strangers():
    vectors = vectors_of(100)
    assert spread_of(np.repeat(vectors, 3, axis=0)).floor == pytest.approx(spread_of(vectors).floor, abs=0.02)


def test_products_that_the_network_learnt_from_are_not_asked_where_there_are_others():
    learnt = np.repeat(vectors_of(10, seed=1), 20, axis=0) + vectors_of(200, seed=2) * 0.05
    learnt /= np.linalg.norm(learnt, axis=1, keepdims=True)
    both = np.concatenate([learnt, vectors_of(40, seed=3)])
    splits = ["train"] * 200 + ["validation"] * 40
    assert spread_of(both, splits).upper < 0.9 < spread_of(learnt, splits[:200]).floor


@pytest.mark.parametrize(
    "vectors",
    [vectors_of(3), np.repeat(vectors_of(1), 60, axis=0), vectors_of(60) * 0],
    ids=["three", "equal", "empty"],
)
def test_of_three_photos_or_of_sixty_equal_ones_nothing_is_known_but_that_a_picture_is_the_same(vectors):
    assert spread_of(vectors) is None
    judge = Judge()
    assert judge.verdict(1.0).closeness == "very close"
    assert judge.verdict(0.98).closeness is judge.verdict(0.98).is_match is None


def test_a_calibrated_model_calls_close_what_its_evaluation_calls_a_match():
    judge = Judge(Calibration((0.0, 0.5, 1.0), (0.1, 0.4, 0.95), 0.7, 0.9, 100), Spread(0.3, 0.4, 0.5))
    assert [judge.verdict(one).closeness for one in (0.2, 0.5, 0.69, 0.71, 0.99)] == [
        *("not close", "related", "related", "close", "very close")
    ]


@pytest.mark.parametrize("made", ["three", "equal"])
def test_a_gallery_of_three_photos_or_of_equal_ones_answers_and_claims_nothing_of_other_pictures(made, tmp_path):
    rows = shop_rows()[:: 20 if made == "three" else 1]
    rows = [{**row, "image": rows[0]["image"]} for row in rows] if made == "equal" else rows
    embedder = write_projection_bundle(tmp_path / "m")
    build_gallery(ShopSnapshot(rows), embedder, tmp_path / "m", progress=NullProgress())
    recommender = Recommender.load(tmp_path / "m", embedder_loader=load_projection)
    (same,) = recommender.recommend([rows[0]["image"]], k=2)
    assert (same.neighbours[0].closeness, same.has_match) == ("very close", True)
    (other,) = recommender.recommend([encoded(picture("blob", 99))], k=2)
    assert {(one.closeness, one.is_match, one.probability) for one in other.neighbours} == {(None, None, None)}
    assert other.has_match is None


@given(st.text(max_size=40))
def test_a_name_made_of_an_id_is_never_a_path_and_ends_in_no_picture_format(text):
    for form in ("jpg", "JPEG", "png", "heic"):
        name = words.from_id(f"a/{text}0.{form}")
        assert name
        assert not name.lower().endswith(f".{form.lower()}")
        assert "/" not in name
    assert words.from_id(text) or not text


def test_what_comes_after_a_close_product_need_only_be_nearer_than_chance():
    judge = Judge(None, Spread(0.8, 0.85, 0.9, 0.3))
    words = [judge.verdict(one, nearest=0.95).closeness for one in (0.95, 0.86, 0.7, 0.31, 0.29)]
    assert words == ["very close", "close", "related", "related", "not close"]
    assert judge.verdict(0.79, nearest=0.79).closeness == "not close"


def test_chance_is_what_pairs_taken_at_random_have():
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(4, 16))
    vectors = (centres[np.arange(200) % 4] + 0.3 * rng.normal(size=(200, 16))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    spread = Spread.of(ExactIndex(vectors), np.full(200, "gallery"))
    between = (vectors[::4] @ vectors[1::4].T).max()
    assert between < spread.chance <= spread.floor

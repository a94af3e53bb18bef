"""Similarity to probability: rising, honest where the truth is known, with a threshold that keeps its word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.errors import BundleError, EvaluationError
from backend.evaluation import calibrate
from backend.evaluation.similarity import base_rate
from backend.retrieval.calibration import CALIBRATION, Calibration

BASE_RATE = 0.1


def answers(count, seed):
    """Similarities in [0.5, 1], right with a probability that is their own square."""
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(0.5, 1.0, count).astype(np.float32)
    return similarity, rng.random(count) < similarity**2


@pytest.fixture(scope="module")
def fitted():
    return calibrate.fit(*answers(6_000, 1), precision_target=0.75, base_rate=BASE_RATE, weights_hash="w")


def test_probabilities_rise_and_come_true_on_others(fitted):
    assert list(fitted.probabilities) == sorted(fitted.probabilities)
    for similarity in (0.6, 0.75, 0.9):
        assert fitted.probability(similarity) == pytest.approx(similarity**2, abs=0.05)
    similarity, is_right = answers(6_000, 2)
    bins = calibrate.reliability(fitted.probabilities_of(similarity), is_right)
    assert sum(found.queries for found in bins) == 6_000
    assert calibrate.expected_calibration_error(bins) < 0.03


def test_beyond_the_knots_nothing_is_certain(fitted):
    assert 0 < fitted.probability(-1.0) < fitted.probability(1.0) < 1


def test_below_what_was_seen_the_probability_falls_to_the_base_rate(fitted):
    similarity, _ = answers(6_000, 1)
    assert fitted.lowest == similarity.min()
    width = fitted.similarities[0] - fitted.lowest
    assert fitted.probability(fitted.lowest) == pytest.approx(fitted.probabilities[0])
    middle = (BASE_RATE + fitted.probabilities[0]) / 2
    assert fitted.probability(fitted.lowest - width / 2) == pytest.approx(middle)
    for beyond in (fitted.lowest - width, 0.3, 0.0, -1.0):
        assert fitted.probability(beyond) == pytest.approx(BASE_RATE)


@given(st.lists(st.floats(-1, 1, width=32), min_size=30, max_size=80), st.floats(0, 1), st.integers(0, 2**30))
@hypothesis_settings(max_examples=60)
def test_the_probability_never_falls_with_the_similarity(similarities, base_rate, seed):
    asked = np.asarray(similarities, dtype=np.float32)
    is_right = np.random.default_rng(seed).random(len(asked)) < 0.5
    calibration = calibrate.fit(asked, is_right, precision_target=0.9, base_rate=base_rate)
    found = calibration.probabilities_of(np.linspace(-1, 1, 400))
    assert np.all(np.diff(found) >= -1e-9)
    assert np.all((found >= 0) & (found <= 1))
    if calibration.threshold is not None:  # a match is never beyond what was seen
        assert calibration.threshold >= calibration.lowest


def test_the_base_rate_is_the_share_of_other_products_with_the_label():
    labels = np.array(["hat"] * 3 + ["bag"] * 8)
    assert base_rate(labels, np.array([0])) == pytest.approx(2 / 10)
    assert base_rate(labels, np.array([0, 5])) == pytest.approx((2 / 10 + 7 / 10) / 2)
    assert base_rate(labels[:1], np.array([0])) == base_rate(labels, np.array([], dtype=np.int64)) == 0.0


def test_the_threshold_is_the_smallest_that_keeps_its_word(fitted):
    similarity, is_right = answers(6_000, 1)
    above = similarity >= fitted.threshold
    assert is_right[above].mean() >= 0.75
    assert is_right[similarity >= fitted.threshold - 0.02].mean() < 0.75
    assert fitted.is_match(fitted.threshold)
    assert not fitted.is_match(fitted.threshold - 1e-4)


def test_without_a_threshold_nothing_is_a_match():
    calibration = calibrate.fit(np.linspace(0, 1, 50, dtype=np.float32), np.zeros(50, bool), precision_target=0.9)
    assert calibration.threshold is None
    assert not calibration.is_match(1.0)


def test_equal_similarities_stand_or_fall_together():
    similarity = np.array([0.9] * 20 + [0.5] * 20, dtype=np.float32)
    is_right = np.array([True] * 20 + [True] * 10 + [False] * 10)
    assert calibrate.threshold(similarity, is_right, 0.75) == pytest.approx(0.5)  # 30 of 40
    assert calibrate.threshold(similarity, is_right, 0.76) == pytest.approx(0.9)


def test_too_few_lucky_answers_make_no_threshold():
    assert calibrate.threshold(np.linspace(0, 1, 9, dtype=np.float32), np.ones(9, bool), 0.9) is None


def test_a_constant_similarity_has_one_probability():
    calibration = calibrate.fit(np.full(90, 0.7, dtype=np.float32), np.arange(90) < 60, precision_target=0.9)
    assert len(calibration.similarities) == 1
    assert 0 < calibration.probability(0.7) < 1


def test_too_few_products_are_said():
    with pytest.raises(EvaluationError, match="Only 5 validation products"):
        calibrate.fit(*answers(5, 1), precision_target=0.9)


def test_pooling_gives_the_nearest_rising_values():
    falling = np.array([0.9, 0.5, 0.1])
    assert calibrate.pooled(falling, np.array([1.0, 1.0, 2.0])) == pytest.approx(np.full(3, 0.4))
    assert calibrate.pooled(np.array([0.1, 0.2]), np.ones(2)).tolist() == [0.1, 0.2]


def test_auroc_equals_counting_pairs():
    rng = np.random.default_rng(5)
    known, unknown = rng.integers(0, 9, 40) / 9, rng.integers(0, 7, 30) / 9
    counted = np.mean([(k > u) + 0.5 * (k == u) for k in known for u in unknown])
    assert calibrate.auroc(known, unknown) == pytest.approx(counted)


def pooled_by_hand(values, weights):
    """Pool adjacent violators, as it stands in the books; how it was computed before scikit-learn did."""
    blocks = []  # mean, weight, members
    for value, weight in zip(values, weights, strict=True):
        blocks.append([float(value), float(weight), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, heavy, many), (last, light, few) = blocks[-2:]
            blocks[-2:] = [[(mean * heavy + last * light) / (heavy + light), heavy + light, many + few]]
    return np.concatenate([np.full(many, mean) for mean, _, many in blocks])


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 400)), min_size=1, max_size=60))
@hypothesis_settings(max_examples=100)
def test_the_isotonic_fit_is_that_of_pooling_by_hand(bins):
    values, weights = np.array(bins, dtype=np.float64).T
    found = calibrate.pooled(values, weights)
    assert found == pytest.approx(pooled_by_hand(values, weights), abs=1e-12)
    assert np.all(np.diff(found) >= 0)


@given(*[st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=60)] * 2)  # half precision: many are equal
@hypothesis_settings(max_examples=100)
def test_auroc_is_that_of_mean_ranks(known, unknown):
    both = np.array(known + unknown, dtype=np.float32)
    _, codes, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    above = ranks[codes[: len(known)]].sum() - len(known) * (len(known) + 1) / 2
    found = calibrate.auroc(both[: len(known)], both[len(known) :])
    assert found == pytest.approx(above / (len(known) * len(unknown)), abs=1e-12)


def test_a_calibration_survives_its_file(fitted, tmp_path):
    assert Calibration.load(tmp_path) is None
    (tmp_path / CALIBRATION).write_text(fitted.to_json(), encoding="utf-8")
    assert Calibration.load(tmp_path) == fitted


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 9}', '{"format_version": 1, "similarities": []}'])
def test_what_is_no_calibration_is_refused(tmp_path, text):
    (tmp_path / CALIBRATION).write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match="cannot be read"):
        Calibration.load(tmp_path)

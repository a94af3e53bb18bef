"""A calibrated model says how likely its answers are, and when none of them is a match."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from PIL import Image

from app.components.shared import product_grid
from backend.bundles import bundle
from backend.errors import BundleError
from backend.retrieval.calibration import CALIBRATION, Calibration
from backend.retrieval.recommend import Recommender
from backend.retrieval.recommendation import NOTHING_SHOWN
from backend.retrieval.wishes import Wishes
from backend.serving.client import EndpointClient
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.endpoint import encoded, http_to, load_projection, picture, served

KNOWN = Calibration((0.0, 0.5, 1.0), (0.1, 0.4, 0.9), 0.8, 0.9, 100, weights_hash="w")
PHOTO = encoded(picture("checks", 3))


@pytest.fixture
def calibrated(projection_bundle, tmp_path):
    """Builds a recommender whose bundle has a calibration."""

    def build(calibration, *, weights_hash="w"):
        folder = tmp_path / f"m{len(list(tmp_path.iterdir()))}"
        shutil.copytree(projection_bundle, folder)
        (folder / CALIBRATION).write_text(calibration.to_json(), encoding="utf-8")
        bundle.write_manifest(folder, replace(bundle.read_manifest(folder), weights_hash=weights_hash))
        return Recommender.load(folder, embedder_loader=load_projection)

    return build


def test_similarities_come_with_what_they_are_worth(calibrated):
    (answer,) = calibrated(KNOWN).recommend([PHOTO], k=5)
    near = [n for n in answer.neighbours if n.closeness != "not close"]
    assert [n.probability for n in near] == [KNOWN.probability(n.similarity) for n in near]
    assert {n.probability for n in answer.neighbours[len(near) :]} == {KNOWN.base_rate}
    assert [n.closeness for n in answer.neighbours] == ["very close", "close", "close", "not close", "not close"]
    assert answer.neighbours[0].probability == pytest.approx(0.9, abs=1e-4)  # the picture itself is in the gallery
    assert (answer.has_match, answer.notes) == (True, ())
    assert [n.is_match for n in answer.neighbours] == [n.similarity >= 0.8 for n in answer.neighbours]


def test_below_the_threshold_the_honest_answer_is_no_good_match(calibrated):
    (answer,) = calibrated(replace(KNOWN, threshold=1.5)).recommend([PHOTO], k=2)
    assert answer.has_match is False
    assert len(answer.neighbours) == 2  # they are shown all the same
    assert answer.notes == ()
    assert [n.is_match for n in answer.neighbours] == [False, False]


def test_without_a_threshold_nothing_is_called_a_match_as_the_evaluation_says(calibrated):
    (answer,) = calibrated(replace(KNOWN, threshold=None)).recommend([PHOTO], k=2)
    assert (answer.has_match, answer.notes) == (False, ())
    assert [n.is_match for n in answer.neighbours] == [False, False]
    assert answer.neighbours[0].probability == pytest.approx(0.9, abs=1e-4)


def test_the_calibration_of_another_network_is_not_used(calibrated):
    (answer,) = calibrated(replace(KNOWN, threshold=1.5), weights_hash="another").recommend([PHOTO], k=2)
    assert (answer.has_match, answer.neighbours[0].probability) == (True, None)


def test_without_a_calibration_no_probability_is_claimed_and_the_gallery_tells_what_is_close(projection_recommender):
    (answer,) = projection_recommender.recommend([PHOTO], k=2)
    assert (answer.has_match, answer.neighbours[0].probability) == (True, None)
    assert answer.neighbours[0].closeness == "very close"


def test_a_damaged_calibration_is_said(projection_bundle, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(projection_bundle, folder)
    (folder / CALIBRATION).write_text("{}", encoding="utf-8")
    bundle.write_manifest(folder, bundle.read_manifest(folder))
    with pytest.raises(BundleError, match="cannot be read"):
        Recommender.load(folder, embedder_loader=load_projection)


@pytest.mark.parametrize(("threshold", "says"), [(0.8, "Very close"), (1.5, "Related"), (None, "Related")])
def test_it_travels_to_the_card_on_the_screen_in_words_and_with_its_figures_where_they_are_wanted(
    calibrated, settings, threshold, says
):
    app = build_app(settings, load=lambda: served(calibrated(replace(KNOWN, threshold=threshold))))
    with http_to(app) as http:
        client = EndpointClient(str(http.base_url).rstrip("/"), ensure_app_token(settings))
        answer = client.recommend(PHOTO, k=1)
        client.close()
    assert answer.match is (threshold == 0.8)
    assert answer.neighbours[0].probability == pytest.approx(0.9, abs=1e-4)
    card = product_grid.neighbour_card(answer.neighbours[0])
    assert card.closeness == says
    assert not [line for line in card.lines if "likely" in line]
    assert "percent" not in card.as_data()
    card = product_grid.neighbour_card(answer.neighbours[0], figures=True)
    assert card.lines[-1] == "90% likely the same kind"
    assert card.as_data()["percent_text"] == "100.0%"


@pytest.mark.parametrize("colour", [0, 128, 255, "jpeg"])
def test_a_picture_with_nothing_on_it_has_no_match_whatever_it_is_similar_to(calibrated, colour):
    grey = Image.new("RGB", (90, 120), (128, 128, 128))
    blank = encoded(grey, "JPEG") if colour == "jpeg" else encoded(Image.new("L", (90, 120), colour))
    recommender = calibrated(replace(KNOWN, threshold=0.0, base_rate=0.3))
    (answer,) = recommender.recommend([blank], k=3)
    assert (answer.has_match, answer.notes[-1]) == (False, NOTHING_SHOWN)
    assert [(n.probability, n.is_match) for n in answer.neighbours] == [(0.3, False)] * 3
    liked = recommender.find([blank], k=3, wishes=Wishes(like=("c003",)))
    assert liked.has_match is True  # a product shows what is looked for


def test_a_picture_with_nothing_on_it_has_no_match_before_anything_is_calibrated(projection_recommender):
    (answer,) = projection_recommender.recommend([encoded(Image.new("L", (90, 120), 200))], k=1)
    assert (answer.has_match, answer.neighbours[0].probability) == (False, None)


def test_a_calibration_of_an_earlier_version_falls_beyond_what_it_saw(home_without_test_split):
    """It does not say how low its products came; the first knot and the threshold were seen, and the classes are known."""
    folder = home_without_test_split.models_dir / "stored"
    found = Calibration.load(folder, classes=len(bundle.read_manifest(folder).classes))
    assert found.threshold == pytest.approx(found.lowest)
    assert found.base_rate == 0.25
    assert found.probability(found.threshold) == found.probabilities[0]
    assert found.probability(0.5) == found.probability(-1.0) == 0.25
    assert Calibration.from_json(found.to_json()) == found

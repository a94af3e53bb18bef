"""Baselines, changed pictures, and near duplicates."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from backend.errors import EvaluationError, ImageRejected
from backend.evaluation.baselines import Principal, RawPixels, baseline_spec
from backend.evaluation.duplicates import near_any
from backend.evaluation.robustness import CHANGES, changed
from backend.imaging import pixels as imaging
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress

SPEC = PixelSpec(8, 6, 3)


@pytest.fixture
def pixels():
    return np.random.default_rng(4).integers(0, 256, (60, 8, 6, 3), dtype=np.uint8)


def encoded(image, image_format="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, format=image_format)
    return buffer.getvalue()


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.int16)


def test_raw_pixels_are_compared_by_cosine(pixels):
    found = RawPixels(SPEC).embed(pixels)
    flat = pixels.reshape(60, -1).astype(np.float64)
    expected = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-6)
    assert np.isfinite(RawPixels(SPEC).embed(np.zeros_like(pixels))).all()  # a black picture is no division by zero


def test_pca_is_the_singular_vectors_of_the_train_rows_alone(pixels):
    rows = np.arange(0, 60, 2)
    spoilt = pixels.copy()
    spoilt[1::2] = 255  # whatever is not to be learnt from makes no difference
    fitted = Principal.fit(SPEC, spoilt, rows, progress=NullProgress())
    train = imaging.to_float(pixels[rows]).reshape(len(rows), -1)
    _, _, directions = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)
    assert fitted.size == 29  # thirty pictures vary in as many directions
    agreement = np.abs((directions[:5] @ fitted.directions)[:, :5])
    assert np.allclose(agreement, np.eye(5), atol=1e-2)
    assert np.allclose(np.linalg.norm(fitted.embed(pixels), axis=1), 1, atol=1e-5)


def test_pca_needs_two_pictures(pixels):
    with pytest.raises(EvaluationError, match="two products"):
        Principal.fit(SPEC, pixels, np.array([0]), progress=NullProgress())


def test_baselines_see_small_pictures():
    assert baseline_spec(PixelSpec(96, 96, 3, "light")) == PixelSpec(32, 32, 3, "light")
    assert baseline_spec(PixelSpec(28, 28, 1)) == PixelSpec(28, 28, 1)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_can_be_decoded(change, mode):
    data = encoded(Image.effect_noise((40, 30), 60).convert(mode))
    assert imaging.decode(changed(data, change), PixelSpec(16, 16, 3)).pixels.shape == (16, 16, 3)
    assert changed(data, change) == changed(data, change)


def test_every_change_does_what_its_name_says():
    image = Image.new("RGB", (100, 60), (200, 200, 200))
    image.paste((10, 20, 30), (10, 10, 30, 50))  # a bar on the left
    plain = decoded(encoded(image))
    assert np.allclose(decoded(changed(encoded(image), "darker")), plain * 0.6, atol=1)
    assert decoded(changed(encoded(image), "cropped")).shape == (54, 90, 3)
    left, right = (decoded(changed(encoded(image), f"turned-{side}")) for side in ("left", "right"))
    assert left.shape == right.shape == plain.shape
    assert (left[0, 0] == 200).all()  # no black corners come in
    assert np.abs(left - right).max() > 100
    assert changed(encoded(image), "jpeg").startswith(b"\xff\xd8")


def test_what_is_no_picture_is_refused():
    with pytest.raises(ImageRejected):
        changed(b"no picture", "darker")


def test_near_hashes_are_found_and_lengths_kept_apart():
    asked = ["ffff", "0000", "00", "", "f0f0"]
    assert near_any(asked, ["fffe", "f0"], 1).tolist() == [True, False, False, False, False]
    assert near_any(asked, [], 16).tolist() == [False] * 5

"""What augmentation does to pictures, kind by kind."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from backend.feeding import augment as module
from backend.feeding.augment import Augmentation, augment
from backend.training import config

KINDS = get_args(Augmentation)
COLOUR = np.random.default_rng(3).integers(0, 256, (64, 24, 20, 3), dtype=np.uint8)


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_configuration_offers_just_these_kinds():
    assert get_args(config.Augmentation) == KINDS == tuple(module._STEPS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type_stay_the_seed_decides_and_the_original_is_left_alone(kind, channels):
    pixels = COLOUR[..., :channels].copy()
    changed = augment(pixels, kind, draw())
    assert (changed.shape, changed.dtype) == (pixels.shape, np.uint8)
    np.testing.assert_array_equal(changed, augment(pixels, kind, draw()))
    np.testing.assert_array_equal(pixels, COLOUR[..., :channels])
    assert np.array_equal(changed, pixels) == (kind == "none")
    assert np.array_equal(changed, augment(pixels, kind, draw(1))) == (kind == "none")


def test_colour_changes_brightness_and_contrast_within_bounds_and_never_wraps_around():
    grey = np.full((200, 8, 8, 3), 100, dtype=np.uint8)
    means = augment(grey, "flip-shift-colour", draw())[:, 0, 0].astype(float)  # (N, 3)
    low, high = module.BRIGHTNESS
    assert means.min() >= np.floor(100 * low * (1 - module.TINT))
    assert means.max() <= np.ceil(100 * high * (1 + module.TINT))
    assert np.ptp(means.mean(axis=1)) > 20
    white = augment(np.full((50, 8, 8, 3), 255, dtype=np.uint8), "flip-shift-colour", draw())
    assert white.min() > 150


def test_a_grey_picture_gets_no_tint():
    assert augment(COLOUR[..., :1], "flip-shift-colour", draw()).shape[-1] == 1


def test_a_crop_enlarges_a_part_of_the_picture():
    """A ramp from left to right: what stays of it is at least the smallest crop, in order, mirrored or not."""
    ramp = np.broadcast_to((np.arange(100, dtype=np.uint8) * 2)[None, None, :, None], (100, 10, 100, 1)).copy()
    rows = augment(ramp, "flip-crop", draw())[:, 5, :, 0].astype(int)
    steps = np.diff(rows, axis=1)
    assert all((step >= 0).all() or (step <= 0).all() for step in steps)
    shown = (rows.max(axis=1) - rows.min(axis=1)) / 198
    assert shown.min() >= module.CROP_SIDE[0] * module.CROP_STRETCH[0] ** 0.5 - 0.03
    assert shown.max() <= 1.0
    assert np.ptp(shown) > 0.1


def test_erasing_hides_one_rectangle_of_about_half_the_pictures():
    black = np.zeros((400, 20, 20, 1), dtype=np.uint8)
    hidden = augment(black, "flip-crop-erase", draw())[..., 0] > 0
    share = hidden.any(axis=(1, 2)).mean()
    assert 0.4 < share < 0.6
    low, high = module.ERASED_SIDE
    for rectangle in hidden[hidden.any(axis=(1, 2))]:
        rows, columns = np.flatnonzero(rectangle.any(axis=1)), np.flatnonzero(rectangle.any(axis=0))
        assert rectangle[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert low * 20 - 1 <= len(rows) <= high * 20 + 1

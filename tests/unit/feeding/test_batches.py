"""What a feed makes of pixels: scaled once, changed only as asked, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from backend.feeding.augment import augment
from backend.feeding.batches import BatchPlan, PixelFeed
from backend.imaging import pixels as imaging

RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (30, 28, 28, 3), dtype=np.uint8)
LABELS = np.repeat(np.arange(3, dtype=np.int32), 10)


def feed(**changes):
    asked = {"classes": 3, "examples": 2, "steps": 0, "augmentation": "none", "seed": 7, **changes}
    return PixelFeed(PIXELS, LABELS, BatchPlan(**asked))


def test_pixels_are_scaled_exactly_once():
    """The original design divided by 255 twice, in training and again in serving."""
    white = PixelFeed(np.full((30, 4, 4, 1), 255, dtype=np.uint8), LABELS, BatchPlan(3, 2, 1, "none", 7))
    (batch,) = white.epoch(0)
    assert batch.pixels.dtype == np.float32
    assert (batch.pixels == 1.0).all()


def test_a_batch_holds_the_pictures_of_its_labels():
    known = {imaging.to_float(picture).tobytes(): label for picture, label in zip(PIXELS, LABELS, strict=True)}
    for batch in feed().epoch(0):
        assert [known[pixels.tobytes()] for pixels in batch.pixels] == batch.labels.tolist()


def test_zero_steps_mean_one_pass():
    assert feed().steps == 5
    assert feed(steps=3).steps == 3
    assert len(list(feed(steps=3).epoch(0))) == 3


@pytest.mark.parametrize("kind", ["none", "flip", "flip-shift"])
def test_batches_repeat_with_their_seed(kind):
    first, again = (list(feed(augmentation=kind).epoch(1)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
    different = next(feed(augmentation=kind, seed=8).epoch(1))
    assert not np.array_equal(first[0].pixels, different.pixels)


def test_flipping_gives_each_picture_or_its_mirror_image():
    changed = augment(PIXELS, "flip", np.random.default_rng(0))
    mirrored = [np.array_equal(new, old[:, ::-1]) for new, old in zip(changed, PIXELS, strict=True)]
    same = [np.array_equal(new, old) for new, old in zip(changed, PIXELS, strict=True)]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert 0 < sum(mirrored) < len(PIXELS)


def test_shifting_moves_a_picture_by_at_most_two_of_28_pixels():
    spot = np.zeros((200, 28, 28, 1), dtype=np.uint8)
    spot[:, 13, 13] = 255
    moved = augment(spot, "flip-shift", np.random.default_rng(0))
    _, rows, columns, _ = np.nonzero(moved)
    assert len(rows) == 200
    assert (rows.min(), rows.max()) == (11, 15)
    assert (columns.min(), columns.max()) == (11, 16)  # a mirrored spot starts at 14


def test_augmentation_leaves_the_stored_pixels_alone():
    before = PIXELS.copy()
    augment(PIXELS, "flip-shift", np.random.default_rng(0))
    np.testing.assert_array_equal(PIXELS, before)

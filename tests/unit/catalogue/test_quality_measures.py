"""What is measured of a picture: by hand-sized pictures, by canaries, and by near duplicates against other products."""

from __future__ import annotations

import hashlib
import io

import imagehash
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from backend.catalogue.quality.measures import (
    HASH_SIZE,
    MEASURED_SCHEMA,
    NO_HASH,
    SIDE,
    measure,
    measure_batches,
    perceptual_hash,
)
from backend.catalogue.quality.view import NEAR_DISTANCE
from backend.catalogue.sources.built_in import SampleSource
from backend.errors import ImageRejected
from backend.imaging.pixels import MAX_PIXELS, encode_png

ORIENTATION = 0x0112


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def scene(width=300, height=400, seed=5):
    """A picture with soft light, hard edges and fine texture, as a photo of a garment has."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = 110 + 60 * np.sin(x / 90) + 40 * np.cos(y / 70)
    picture[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] -= 60
    picture += 25 * ((x // 6 + y // 6) % 2) + rng.normal(0, 6, picture.shape)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def distance(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.fixture(scope="module")
def sample():
    """120 drawn products: picture and label."""
    source = SampleSource(120)
    entries = source.entries().combine_chunks()
    return list(zip(source.read(entries.to_batches()[0]), entries["label"].to_pylist(), strict=True))


# ---------------------------------------------------------------------------------------------- by hand


def test_one_grey_tells_nothing():
    found = measure(encode_png(np.full((20, 30), 51, np.uint8)))
    assert (found.brightness, found.entropy, found.sharpness) == pytest.approx((0.2, 0.0, 0.0), abs=1e-7)
    assert found.contrast == pytest.approx(0.0, abs=1e-7)
    assert found.phash == NO_HASH


def test_a_chessboard_is_as_sharp_as_it_gets():
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = measure(encode_png(board))
    assert (found.brightness, found.contrast, found.entropy, found.sharpness) == pytest.approx((0.5, 0.5, 1.0, 16.0))


def test_sharpness_is_the_variance_of_the_laplacian():
    pixels = np.random.default_rng(3).integers(0, 256, (12, 9), np.uint8)
    grey = pixels / np.float64(255)
    around = [
        grey[y - 1, x] + grey[y + 1, x] + grey[y, x - 1] + grey[y, x + 1] - 4 * grey[y, x]
        for y in range(1, 11)
        for x in range(1, 8)
    ]
    assert measure(encode_png(pixels)).sharpness == pytest.approx(np.var(around), rel=1e-5)


def test_the_hash_is_that_of_imagehash():
    picture = scene(120, 90)
    assert perceptual_hash(picture) == str(imagehash.phash(picture, hash_size=HASH_SIZE))
    assert len(measure(encoded(picture)).phash) == HASH_SIZE**2 // 4


def test_small_pictures_are_measured_as_they_are_and_large_ones_at_one_size():
    small, large = scene(90, 120), scene(900, 1200)
    assert measure(encoded(small)) == measure(encoded(small.resize((90, 120))))
    reduced = large.resize((SIDE * 3 // 4, SIDE), Image.Resampling.BOX)
    assert measure(encoded(large)) == measure(encoded(reduced))


@pytest.mark.parametrize("size", [(8, 800), (800, 8)])
def test_the_longest_strip_is_measured(size):
    assert measure(encoded(Image.new("RGB", size, "teal"))).contrast == pytest.approx(0.0, abs=1e-7)


# ---------------------------------------------------------------------------------------------- how it is decoded


def test_a_photo_decoded_at_reduced_size_measures_as_in_full():
    picture = scene(1200, 1600).convert("RGB")
    jpeg, png = measure(encoded(picture, "JPEG", quality=95)), measure(encoded(picture))
    assert jpeg.brightness == pytest.approx(png.brightness, abs=0.01)
    assert jpeg.contrast == pytest.approx(png.contrast, abs=0.01)
    assert jpeg.entropy == pytest.approx(png.entropy, abs=0.1)
    assert jpeg.sharpness == pytest.approx(png.sharpness, rel=0.4)  # among photos it differs by a hundred times
    assert distance(jpeg.phash, png.phash) <= NEAR_DISTANCE


def test_camera_data_turn_a_picture_before_it_is_measured(sample):
    upright = Image.open(io.BytesIO(sample[0][0])).convert("RGB")
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # to be turned a quarter to the right
    plain, turned, told_nothing = (
        measure(encoded(image, "JPEG", quality=95, **options))
        for image, options in ((upright, {}), (lying, {"exif": exif}), (lying, {}))
    )
    assert distance(turned.phash, plain.phash) <= 6
    assert distance(told_nothing.phash, plain.phash) > NEAR_DISTANCE


def test_transparent_parts_are_white():
    ring = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    ring.paste((0, 0, 0, 255), (10, 10, 30, 30))
    assert measure(encoded(ring)).brightness == pytest.approx(0.75)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_has_the_same_grey(mode):
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:, :4] = 255
    image = Image.fromarray(pixels)
    made = Image.fromarray(pixels.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    found = measure(encoded(made))
    assert (found.brightness, found.entropy) == pytest.approx((0.25, 0.8113), abs=1e-3)


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"no picture", "not_an_image"), (b"", "empty"), (encoded(scene())[:2000], "damaged")],
)
def test_what_is_no_picture_is_refused(data, code):
    with pytest.raises(ImageRejected) as refused:
        measure(data)
    assert refused.value.code == code


def test_a_picture_with_too_many_pixels_is_refused():
    with pytest.raises(ImageRejected) as refused:
        measure(encoded(scene(40, 50)), max_pixels=1999)
    assert refused.value.code == "too_many_pixels"
    assert measure(encoded(scene(40, 50)), max_pixels=2000).contrast > 0


# ---------------------------------------------------------------------------------------------- canaries


def test_canaries_move_their_measure_and_no_other_far():
    picture = scene()
    plain = measure(encoded(picture))
    blurred = measure(encoded(picture.filter(ImageFilter.GaussianBlur(4))))
    assert blurred.sharpness < plain.sharpness / 10
    assert blurred.brightness == pytest.approx(plain.brightness, abs=0.01)
    dark = measure(encoded(ImageEnhance.Brightness(picture).enhance(0.3)))
    assert dark.brightness == pytest.approx(0.3 * plain.brightness, abs=0.01)
    pale = measure(encoded(Image.blend(picture, Image.new("L", picture.size, 255), 0.8)))
    assert pale.brightness > 0.85
    assert pale.contrast < plain.contrast / 4
    flat = measure(encoded(Image.new("L", picture.size, 200)))
    assert flat.entropy == 0.0 < plain.entropy


# ---------------------------------------------------------------------------------------------- near duplicates

NEAR = {
    "saved anew": lambda image: encoded(image, "JPEG", quality=70),
    "smaller": lambda image: encoded(image.resize([round(0.6 * side) for side in image.size])),
    "larger": lambda image: encoded(image.resize([2 * side for side in image.size])),
    "brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.2)),
    "darker": lambda image: encoded(ImageEnhance.Brightness(image).enhance(0.8)),
    "cropped": lambda image: encoded(image.crop((2, 2, image.width - 2, image.height - 2))),
}


@pytest.mark.slow
@pytest.mark.parametrize(("change", "least"), list(zip(NEAR, (1.0, 1.0, 1.0, 0.95, 1.0, 0.75), strict=True)))
def test_the_hash_finds_the_same_picture_again(sample, change, least):
    found = []
    for data, _ in sample:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        found.append(distance(measure(data).phash, measure(NEAR[change](image)).phash) <= NEAR_DISTANCE)
    assert np.mean(found) >= least


@pytest.mark.slow
def test_the_hash_keeps_products_of_one_kind_apart(sample):
    """The drawn range holds the same model in two colours here and there, which are near duplicates in grey."""
    hashes = [(measure(data).phash, label) for data, label in sample]
    apart = [
        distance(one, other)
        for at, (one, label) in enumerate(hashes)
        for other, other_label in hashes[at + 1 :]
        if label == other_label
    ]
    assert len(apart) > 300
    assert np.mean(np.array(apart) <= NEAR_DISTANCE) < 0.01
    assert np.median(apart) > 2 * NEAR_DISTANCE


# ---------------------------------------------------------------------------------------------- on the executors


def test_batches_measure_every_hash_once_and_say_what_fails():
    pictures = [encoded(scene(seed=seed)) for seed in (1, 2)] + [b"broken"]
    hashes = [hashlib.sha256(picture).hexdigest() for picture in pictures]
    rows = pa.table({"image_sha256": hashes * 2, "image": pa.array(pictures * 2, pa.binary())})
    batches = list(measure_batches(rows.to_batches(max_chunksize=2), max_pixels=MAX_PIXELS))
    assert all(batch.schema == MEASURED_SCHEMA for batch in batches)
    found = [row for batch in batches for row in batch.to_pylist()]
    assert [row["image_sha256"] for row in found] == hashes
    assert found[0]["phash"] == measure(pictures[0]).phash
    assert found[0]["sharpness"] == pytest.approx(measure(pictures[0]).sharpness, rel=1e-6)
    assert [row["reason"] for row in found[:2]] == [None, None]
    assert found[2]["reason"].startswith("not_an_image: ")
    assert found[2]["brightness"] is None

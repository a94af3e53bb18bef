"""The steps of the pixel contract: scaled before padded, colours as sRGB, and no negative of a colour photo."""

from __future__ import annotations

import io
import resource
import subprocess
import sys

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backend.catalogue.quality.measures import measure
from backend.errors import ImageRejected
from backend.imaging.colour import to_srgb
from backend.imaging.pixels import decode, decode_batch, encode_png, thumbnail, verify
from backend.imaging.spec import PixelSpec
from backend.imaging.steps import fitted, is_grey
from tests.support import icc

pillow_heif.register_heif_opener()  # so that Pillow writes HEIC, too
COLOUR = PixelSpec(16, 16, 3)
GREY_ON_BLACK, GREY_ON_WHITE = PixelSpec(28, 28, 1, "dark"), PixelSpec(28, 28, 1, "light")
RED = (200, 60, 40)


def encoded(pixels, kind="PNG", **options):
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def padded_first(image, spec):
    """The order of earlier versions, which took memory by the square of the longer side."""
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    colour = tuple(np.median(border, axis=0).astype(np.uint8).tolist())
    side = max(image.size)
    square = Image.new(image.mode, (side, side), colour if len(colour) > 1 else colour[0])
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    size = (spec.width, spec.height)
    return square if square.size == size else square.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


@given(
    width=st.integers(8, 400),
    height=st.integers(8, 400),
    target=st.sampled_from([(28, 28), (16, 16), (64, 64), (20, 32)]),
    mode=st.sampled_from(["L", "RGB"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=80)
def test_scaling_before_padding_gives_what_padding_first_gave(width, height, target, mode, seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 5, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    spec = PixelSpec(*target, 1 if mode == "L" else 3)
    before, after = padded_first(image, spec), fitted(image, spec)
    assert after.size == (spec.width, spec.height)
    difference = np.abs(np.asarray(before, dtype=int) - np.asarray(after))
    assert difference.max() <= (0 if width == height else 3)


def test_real_photos_give_what_they_gave(clothing_photos):
    spec = PixelSpec(64, 64, 3)
    for path in sorted(clothing_photos.rglob("*.jpg"))[::50]:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as photo:
            if photo.getexif().get(0x0112, 1) == 1:
                before = np.asarray(padded_first(photo.convert("RGB"), spec), dtype=int)
                assert np.abs(decode(data, spec).pixels - before).max() <= 3


# 3 GB of address space holds the interpreter and its libraries, and neither 14 GB nor 2.4.
LIMITED = """
import os, resource, sys
from pathlib import Path
from backend.imaging import apart as imaging_apart, pixels as imaging
from backend.catalogue.quality.measures import measure
from backend.imaging.spec import PixelSpec
from tests.support.benchmarking import peak_mb
data = Path(sys.argv[1]).read_bytes()
before = peak_mb(os.getpid())  # not getrusage, which counts what the forking process had
for spec in (PixelSpec(28, 28, 1, "dark"), PixelSpec(224, 224, 3)):
    imaging.decode(data, spec)
imaging.verify(data), imaging.thumbnail(data), measure(data)
imaging_apart.readers().close()
apart = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # some 45 MB of it are Python and numpy
print(round(max(peak_mb(os.getpid()) - before, apart - 45)))
"""


MOST_MB = 160  # the largest takes 58 MB as it stands in Pillow; a copy, and what the allocator of a machine keeps


def peak_mb(path):
    """Megabytes that reading a picture in every way took in a process of its own."""
    limit = 3_000_000_000
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        check=True,
        env={"OPENBLAS_NUM_THREADS": "1", "PATH": ""},
        text=True,
    )
    return int(done.stdout)


def strip(width, height):
    return np.linspace(0, 255, height * width * 3).astype(np.uint8).reshape(height, width, 3)


@pytest.mark.parametrize(
    ("name", "width", "height", "kind"),
    [
        ("strip.png", 90, 9_000, "PNG"),
        pytest.param("flat.png", 38_000, 380, "PNG", marks=pytest.mark.slow),
        pytest.param("page.jpg", 1_000, 20_000, "JPEG", marks=pytest.mark.slow),
    ],
)
def test_memory_follows_the_result_however_long_a_picture_is(tmp_path, name, width, height, kind):
    """Regression: a strip of 8.7 kB was padded to 60,000 x 60,000 pixels, and asked for 14 GB."""
    (tmp_path / name).write_bytes(encoded(strip(width, height), kind))
    assert peak_mb(tmp_path / name) < MOST_MB


@pytest.mark.slow
def test_a_photo_of_a_phone_at_the_limit_is_read_in_bounded_memory(tmp_path):
    """48 megapixels and 25 MB, of which the pixels alone would be 146 MB."""
    grain = np.random.default_rng(1).integers(64, 192, (504, 504, 3), np.uint8)
    data = encoded(Image.fromarray(np.tile(grain, (12, 16, 1))), "JPEG", quality=80)
    assert 20e6 < len(data) <= 25e6
    (tmp_path / "phone.jpg").write_bytes(data)
    assert peak_mb(tmp_path / "phone.jpg") < MOST_MB


@pytest.mark.slow
def test_the_strips_of_a_bug_report_take_little_memory(shared_case):
    assert peak_mb(shared_case("01-long-strip") / "detail-page-1000x20000.jpg") < MOST_MB
    data = (shared_case("01-long-strip") / "strip-16x60000.png").read_bytes()
    for read in (verify, thumbnail, measure, lambda given: decode(given, PixelSpec(64, 64, 3))):
        with pytest.raises(ImageRejected, match="too long and narrow"):
            read(data)


def test_a_long_strip_keeps_its_colours_in_the_middle():
    tall = np.full((1_600, 16, 3), 255, np.uint8)
    tall[:, 4:12] = RED
    pixels = decode(encoded(tall), PixelSpec(64, 64, 3)).pixels
    assert (pixels[:, 5] == 255).all()
    assert pixels[32].min() < 255


SPACES = {
    "display p3": (icc.DISPLAY_P3, 2.2),
    "adobe": (icc.ADOBE, 2.2),
    "linear": (icc.SRGB, 1.0),
}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_colours_of_another_space_are_taken_to_srgb(space, kind):
    primaries, gamma = SPACES[space]
    there = np.full((64, 64, 3), icc.in_space(RED, primaries, gamma=gamma), np.uint8)
    data = encoded(there, kind, icc_profile=icc.profile(primaries, gamma=gamma))
    assert verify(data)
    assert np.abs(decode(data, COLOUR).pixels[8, 8].astype(int) - RED).max() <= 6
    shown = np.asarray(Image.open(io.BytesIO(thumbnail(data, side=32))).convert("RGB"))
    assert np.abs(shown[16, 16].astype(int) - RED).max() <= 8
    assert measure(data).brightness > 0


def test_channels_in_another_order_are_put_in_order():
    swapped = np.full((16, 16, 3), RED[::-1], np.uint8)
    data = encoded(swapped, icc_profile=icc.profile(icc.SRGB, order="bgr"))
    assert np.abs(decode(data, COLOUR).pixels[8, 8].astype(int) - RED).max() <= 12  # a plain curve of 2.2


def test_a_profile_that_says_srgb_changes_nothing():
    from PIL import ImageCms

    pixels = np.random.default_rng(4).integers(0, 256, (16, 16, 3), np.uint8)
    said = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (decode(encoded(pixels, icc_profile=said), COLOUR).pixels == pixels).all()


def test_greys_with_a_curve_of_their_own_are_read_by_it():
    grey = np.full((32, 32), 55, np.uint8)
    linear = decode(encoded(grey, icc_profile=icc.grey_profile(1.0)), PixelSpec(28, 28, 1))
    assert abs(int(linear.pixels[14, 14, 0]) - 128) <= 3  # 55/255 of the light is half way to white, as seen


@pytest.mark.parametrize(
    "broken", [b"no profile", icc.profile(icc.ADOBE)[:200], icc.grey_profile(2.2)[:-8], icc.profile(icc.ADOBE)[:128]]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_broken_profile_never_costs_a_picture(broken, mode):
    image = Image.new("RGB", (16, 16), RED).convert(mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    plain, profiled = encoded(image, kind), encoded(image, kind, icc_profile=broken)
    assert verify(profiled)
    assert (decode(profiled, COLOUR).pixels == decode(plain, COLOUR).pixels).all()


@given(st.binary(max_size=200), st.integers(0, 400), st.sampled_from(["L", "RGB", "CMYK"]))
@settings(max_examples=60)
def test_a_profile_of_any_bytes_is_used_or_passed_over(noise, at, mode):
    whole = icc.profile(icc.DISPLAY_P3)
    change = to_srgb(whole[:at] + noise + whole[at + len(noise) :], mode)
    assert change is None or change(Image.new(mode, (4, 4))).size == (4, 4)


def test_wide_colours_of_a_bug_report_are_those_of_the_plain_picture(shared_case):
    for path in sorted(shared_case("06-wide-gamut-icc").glob("*.png")):
        assert np.abs(decode(path.read_bytes(), COLOUR).pixels[8, 8].astype(int) - RED).max() <= 3, path.name


def on_ground(ground, garment, side=28):
    pixels = np.full((side, side, 3), ground, np.uint8)
    pixels[side // 4 : -side // 4, side // 4 : -side // 4] = garment
    return pixels


@given(
    ground=st.tuples(*[st.integers(0, 255)] * 3),
    garment=st.tuples(*[st.integers(0, 255)] * 3),
    background=st.sampled_from(["dark", "light", "any"]),
)
def test_a_gallery_in_colour_never_has_a_picture_inverted(ground, garment, background):
    """Regression: 17 of 100 real photos were shown to the model as negatives, 38 with a catalogue of one's own."""
    pixels = on_ground(ground, garment, side=16)
    answer = decode(encode_png(pixels), PixelSpec(16, 16, 3, background))
    assert (answer.pixels == pixels).all()
    assert answer.notes == ()


@given(hue=st.integers(0, 2), ground=st.sampled_from([0, 255]))
def test_a_colour_photo_is_never_inverted_for_a_grey_gallery_either(hue, ground):
    garment = np.full(3, 40)
    garment[hue] = 200
    data = encode_png(on_ground((ground,) * 3, garment, side=40))
    for spec in (GREY_ON_BLACK, GREY_ON_WHITE):
        answer = decode(data, spec)
        assert abs(int(answer.pixels[0, 0, 0]) - ground) < 30  # as it came
        assert answer.notes == ()


@pytest.mark.parametrize("stored", ["L", "RGB", "RGBA", "P", "CMYK", "JPEG", "WEBP"])
def test_a_grey_photo_is_inverted_for_a_grey_gallery_however_it_is_stored(stored):
    image = Image.fromarray(on_ground((250,) * 3, (20,) * 3, side=80))
    kind = {"CMYK": "JPEG", "JPEG": "JPEG", "WEBP": "WEBP"}.get(stored, "PNG")
    data = encoded(image if stored in {"JPEG", "WEBP"} else image.convert(stored), kind)
    answer = decode(data, GREY_ON_BLACK)
    assert answer.pixels[0, 0, 0] < 20
    assert "inverted" in answer.notes[0]
    assert (decode_batch([data], GREY_ON_BLACK)[0][0] == answer.pixels).all()
    assert decode(data, GREY_ON_WHITE).pixels[0, 0, 0] > 235


def test_a_photo_with_a_tint_and_noise_is_grey_and_one_with_a_coloured_label_is_not():
    rng = np.random.default_rng(1)
    scanned = np.clip(on_ground((240,) * 3, (60,) * 3, side=200) + rng.integers(-3, 4, (200, 200, 3)), 0, 255)
    scanned[..., 2] = np.clip(scanned[..., 2] - 5, 0, 255)
    assert is_grey(Image.fromarray(scanned.astype(np.uint8)))
    labelled = scanned.copy()
    labelled[:40, :40] = (200, 30, 30)
    assert not is_grey(Image.fromarray(labelled.astype(np.uint8)))


def test_no_real_photo_is_inverted_by_a_gallery_in_colour(clothing_photos):
    data = [path.read_bytes() for path in sorted(clothing_photos.rglob("*.jpg"))[::40]]
    spec = PixelSpec(32, 32, 3, "light")
    assert not any("inverted" in note for one in data for note in decode(one, spec).notes)

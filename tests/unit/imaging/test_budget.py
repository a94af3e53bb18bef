"""No picture costs more than one picture may: refused by its header, or read in a process that can be killed."""

from __future__ import annotations

import io
import random
import threading

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backend.catalogue.quality.measures import measure
from backend.errors import ImageRejected
from backend.imaging import apart as imaging_apart
from backend.imaging import budget
from backend.imaging.apart import Readers
from backend.imaging.budget import Budget
from backend.imaging.outline import outline
from backend.imaging.pixels import decode, encode_png, thumbnail, verify
from backend.imaging.spec import PixelSpec
from tests.support.hostile_pictures import BOMBS, encoded, lossless_webp, many_scans, mutated, png, resized_header

# Pillow warns of metadata that it cannot make sense of; a picture is read all the same.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

COLOUR = PixelSpec(16, 16, 3)
READINGS = {
    "verify": verify,
    "decode": lambda data: decode(data, COLOUR),
    "thumbnail": thumbnail,
    "measure": measure,
}


def outcomes(data):
    """What every way to read a picture says: ``ok`` or the code of the refusal; nothing else may be raised."""
    found = set()
    for read in READINGS.values():
        try:
            read(data)
            found.add("ok")
        except ImageRejected as refused:
            found.add(refused.code if refused.message and refused.next_step else "without a word")
    assert "without a word" not in found
    return found


REFUSED = {
    "a strip": (lambda: png(65_500, 8), "too_narrow"),
    "a strip that stands": (lambda: png(16, 60_000), "too_narrow"),
    "a strip that wanted 4.8 GB": (lambda: resized_header(encoded(tile(), "JPEG"), "JPEG", 32_800, 33), "too_narrow"),
    "a lossless canvas": (lambda: lossless_webp(16_383, 2_400), "too_costly"),
    "the largest canvas": (lambda: lossless_webp(16_383, 16_383), "too_many_pixels"),
    "two thousand scans": (lambda: many_scans(2_000, 2_000, 2_000), "too_costly"),
    "a large animation": (BOMBS["animation.webp"], "too_costly"),
    "coefficients of all colours": (BOMBS["progressive-all-colours.jpg"], "too_costly"),
    "chunks without end": (BOMBS["many-chunks.png"], "too_costly"),
    "segments without end": (BOMBS["many-segments.jpg"], "too_costly"),
}


def test_a_heic_of_a_phone_is_within_the_budget_and_a_larger_one_is_not():
    Budget().check((5_712, 4_284), "HEIC")
    with pytest.raises(ImageRejected, match="at most 32 million"):
        Budget().check((8_064, 6_048), "HEIC")
    with pytest.raises(ImageRejected, match="at most 16 million"):
        Budget().check((5_712, 4_284), "AVIF")


def tile():
    return Image.new("RGB", (64, 64), "teal")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name.startswith(("a large", "coeff")) else name for name in REFUSED],
)
def test_what_costs_too_much_by_its_header_is_refused_before_anything_is_decoded(name, monkeypatch):
    monkeypatch.setattr("backend.imaging.codecs.header", lambda *_: pytest.fail("a decoder was asked"))
    make, code = REFUSED[name]
    assert outcomes(make()) == {code}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("afl_324B_4.8GB.jpg", "too_narrow"),
        ("progressive_scans_16mp.jpeg", "too_costly"),
        ("strip_65500x8.png", "too_narrow"),
        ("webp_ll_16383.webp", "too_costly"),
    ],
)
def test_pictures_of_an_attack_are_refused(security_case, name, code):
    assert outcomes(security_case(name).read_bytes()) == {code}


def test_an_outline_says_what_a_decoder_would_go_through():
    jpeg = encoded(Image.new("RGB", (100, 60), "teal"), "JPEG", progressive=True)
    found = outline(jpeg, "JPEG")
    blocks = 13 * 8 + 2 * 7 * 4  # luma in full, both colours at half
    assert found.size == (100, 60)
    assert found.held == 2 * 64 * blocks
    assert 2 * blocks < found.block_scans < 10 * blocks
    plain = outline(encoded(Image.new("RGB", (100, 60)), "JPEG"), "JPEG")
    assert (plain.held, plain.block_scans) == (0, blocks)
    for kind, options in (
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0II*\0"}),
    ):
        assert outline(encoded(Image.new("RGB", (100, 60), "teal"), kind, **options), kind).size == (100, 60)


@given(st.sampled_from(["PNG", "JPEG", "WEBP"]), st.binary(max_size=200))
def test_an_outline_of_any_bytes_is_drawn(kind, data):
    head = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff", "WEBP": b"RIFF\0\0\0\0WEBP"}[kind]
    assert outline(head + data, kind).parts >= 0


def test_scans_are_counted_past_what_only_looks_like_an_end():
    data = many_scans(64, 64, 50)
    at = data.rindex(b"\xff\xda")
    hidden = data[:at] + b"\xff\xfe\0\6\xff\xd9\xff\xd9" + data[at:]
    assert outline(hidden, "JPEG").block_scans == outline(data, "JPEG").block_scans


@pytest.mark.slow
def test_a_large_picture_gives_the_pixels_of_a_small_one_whatever_it_is_stored_as():
    rng = np.random.default_rng(3)
    scene = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((2_400, 1_800), Image.Resampling.BICUBIC)
    right = decode(encoded(scene.resize((400, 300), Image.Resampling.BOX), "PNG"), COLOUR).pixels.astype(int)
    for kind, options in (("PNG", {"compress_level": 1}), ("JPEG", {"quality": 95}), ("WEBP", {"method": 0})):
        data = encoded(scene, kind, **options)
        assert np.abs(decode(data, COLOUR).pixels - right).max() <= 6, kind
        info = verify(data)
        assert (info.format, info.width, info.height, info.channels) == (kind, 2_400, 1_800, 3)


@pytest.mark.slow
def test_a_large_heic_gives_the_pixels_that_all_of_it_gives():
    rng = np.random.default_rng(3)
    scene = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((2_403, 1_801), Image.Resampling.BICUBIC)
    data = encoded(scene, "HEIF", quality=30)
    whole = Image.open(io.BytesIO(data))
    right = decode(encoded(whole, "PNG", compress_level=1), COLOUR)
    assert (decode(data, COLOUR).pixels == right.pixels).all()
    assert Image.open(io.BytesIO(thumbnail(data))).size == (160, 120)
    assert verify(data).channels == 3


def test_a_large_picture_that_is_clear_lies_on_white_and_says_so():
    clear = Image.new("RGBA", (2_400, 1_800), (0, 0, 0, 0))
    answer = decode(encoded(clear, "PNG", compress_level=1), COLOUR)
    assert (answer.pixels == 255).all()
    assert answer.notes == ("Its transparent areas were filled with white.",)


def test_small_simple_pictures_need_no_other_process(monkeypatch):
    monkeypatch.setattr(imaging_apart, "LimitedProcess", lambda *_: pytest.fail("a process was started"))
    readers = Readers(1)
    monkeypatch.setattr(imaging_apart, "readers", lambda: readers)
    for kind in ("PNG", "JPEG", "WEBP"):
        assert outcomes(encoded(Image.new("RGB", (640, 480), "teal"), kind)) == {"ok"}


def test_what_is_read_apart_is_what_is_read_here(monkeypatch):
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 256, (40, 30, 3), np.uint8))
    for kind in ("TIFF", "GIF", "AVIF", "HEIF"):
        data = encoded(noise, kind)
        apart = [read(data) for read in READINGS.values()]
        with monkeypatch.context() as patch:
            patch.setattr(budget, "is_simple", lambda *_: True)
            here = [read(data) for read in READINGS.values()]
        assert apart[0] == here[0]
        assert (apart[1].pixels == here[1].pixels).all()
        assert (apart[1].notes, apart[1].info) == (here[1].notes, here[1].info)
        assert apart[2:] == here[2:]


@pytest.mark.slow
def test_a_reader_that_overruns_its_limit_is_gone_before_its_slot_is_free_and_the_next_one_reads():
    readers = Readers(1)
    hurried = Budget().limits.__class__(memory_bytes=1_600_000_000, cpu_s=0.05, wall_s=60)
    question = b'["backend.imaging.pixels:verify", [], {}]\n'
    ended = []
    taken = readers._taken

    def noting(limits):
        process = taken(limits)
        ended.extend(pid for pid in seen if psutil.pid_exists(pid))
        seen.append(process.pid)
        return process

    seen = []
    readers._taken = noting
    with pytest.raises(ImageRejected) as refused:
        readers.ask(question + BOMBS["16-megapixels-alpha.png"](), hurried)
    assert refused.value.code == "too_costly"
    assert readers.ask(question + encoded(tile(), "TIFF"), Budget().limits)
    assert not ended
    readers.close()
    assert not [pid for pid in seen if psutil.pid_exists(pid)]


@pytest.mark.slow
def test_readers_end_with_the_process_that_started_them_however_it_ends(tmp_path):
    import subprocess
    import sys

    file = tmp_path / "picture.tif"
    file.write_bytes(encoded(tile(), "TIFF"))
    code = (
        "import sys, time; from pathlib import Path; from backend.imaging import apart as imaging_apart, pixels as imaging;"
        "imaging.verify(Path(sys.argv[1]).read_bytes());"
        "print(imaging_apart.readers()._idle[0][1].pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True) as parent:
        reader = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert not psutil.wait_procs([reader], timeout=30)[1]


@pytest.mark.slow
def test_no_more_readers_at_once_than_slots():
    readers = Readers(2)
    most, lock, running = [0], threading.Lock(), set()
    limits = Budget().limits
    question = b'["backend.imaging.pixels:verify", [], {}]\n' + BOMBS["16-megapixels.gif"]()

    def ask():
        with readers._one(limits) as process:
            with lock:
                running.add(process.pid)
                most[0] = max(most[0], len(running))
            process.ask(question)
            with lock:
                running.discard(process.pid)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    readers.close()
    assert most == [2]


@pytest.mark.parametrize("number", [10, 10_000])
def test_pictures_of_a_tiff_are_counted_without_reading_them(number):
    from tests.support.hostile_pictures import many_directories

    assert verify(many_directories(number - 1)).frames == number


@given(st.integers(0, 2**32))
@settings(max_examples=15)
def test_a_mutated_picture_is_read_or_refused_alike_everywhere(seed):
    _, data = mutated(random.Random(seed))
    assert len(outcomes(data)) == 1


@pytest.mark.slow
@given(st.integers(0, 2**32))
@settings(max_examples=400)
def test_many_mutated_pictures_are_read_or_refused_alike_everywhere(seed):
    _, data = mutated(random.Random(seed))
    assert len(outcomes(data)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*BOMBS} - {"12-megapixels.heic"}))  # which takes 8 s to be made
def test_every_bomb_is_read_or_refused_alike_everywhere(name):
    assert len(outcomes(BOMBS[name]())) == 1


def test_a_strip_of_a_black_line_is_no_picture_either():
    assert outcomes(encode_png(np.zeros((8, 801), np.uint8))) == {"too_narrow"}
    assert outcomes(encode_png(np.zeros((8, 800), np.uint8))) == {"ok"}

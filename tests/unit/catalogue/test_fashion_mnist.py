"""IDX files are read exactly, and a wrong one is named with what is wrong about it."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.catalogue.sources import fashion_mnist
from backend.errors import DatasetDamaged, DatasetUnavailable
from backend.progress import NullProgress


def test_pictures_and_labels_come_back_as_they_were_written(idx_folder):
    images = fashion_mnist.read_images(idx_folder.path / fashion_mnist.TRAIN_IMAGES)
    labels = fashion_mnist.read_labels(idx_folder.path / fashion_mnist.TRAIN_LABELS)
    assert (images.shape, images.dtype) == ((300, 28, 28), np.uint8)
    assert (images == idx_folder.train_images).all()
    assert (labels == idx_folder.train_labels).all()


def test_there_are_four_files_and_ten_names():
    assert sorted(fashion_mnist.CHECKSUMS.values()) == [
        "25c81989df183df01b3e8a0aad5dffbe",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "bb300cfdad3c16e7a12a480ee83cd310",
        "bef4ecab320f06d8554ea6380940ec79",
    ]
    assert len(fashion_mnist.LABELS) == len(fashion_mnist.CATEGORIES) == 10
    assert (fashion_mnist.LABELS[0], fashion_mnist.LABELS[9]) == ("T-shirt/top", "Ankle boot")


HEADER = struct.pack(">iiii", 0x803, 2, 28, 28)
WHOLE = gzip.compress(HEADER + bytes(2 * 28 * 28))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(HEADER + bytes(1000)), "has 1,000 bytes, but its header says 1,568"),
        (gzip.compress(struct.pack(">ii", 0x801, 2) + bytes(1000)), "starts with 0x00000801, not 0x00000803"),
        (gzip.compress(b"\0\0"), "starts with 0x00000000"),
        (WHOLE[:-20], "cannot be unpacked"),
        (WHOLE[:40] + b"\xff" + WHOLE[41:], "cannot be unpacked"),
        (b"<html>not found</html>", "cannot be unpacked"),
    ],
    ids=["short", "labels", "empty", "truncated", "flipped", "page"],
)
def test_a_damaged_file_is_named_with_its_damage(tmp_path, content, said):
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DatasetDamaged, match=said) as caught:
        fashion_mnist.read_images(path)
    assert str(path) in caught.value.message


def test_a_label_without_a_name_is_damage(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(struct.pack(">ii", 0x801, 3) + bytes([1, 10, 2])))
    with pytest.raises(DatasetDamaged, match="label 10; the largest valid one is 9"):
        fashion_mnist.read_labels(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(DatasetUnavailable, match=r"nowhere\.gz does not exist"):
        fashion_mnist.read_labels(tmp_path / "nowhere.gz")


def test_verify_names_the_file_and_both_checksums(idx_folder, tmp_path):
    folder = shutil.copytree(idx_folder.path, tmp_path / "copy")
    fashion_mnist.verify(folder, idx_folder.checksums)
    victim = folder / fashion_mnist.TEST_LABELS
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    found = fashion_mnist.md5_of(victim)
    with pytest.raises(DatasetDamaged) as caught:
        fashion_mnist.verify(folder, idx_folder.checksums)
    for part in (victim.name, idx_folder.checksums[victim.name], found):
        assert part in caught.value.message
    victim.unlink()
    with pytest.raises(DatasetUnavailable, match=victim.name):
        fashion_mnist.verify(folder, idx_folder.checksums)


def test_the_users_folder_comes_first_then_the_cache(settings, idx_folder, tmp_path):
    settings = replace(settings, cache_dir=tmp_path)
    assert fashion_mnist.find_locally(settings) is None
    shutil.copytree(idx_folder.path, tmp_path / "fashion-mnist")
    assert fashion_mnist.find_locally(settings) == tmp_path / "fashion-mnist"
    settings = replace(settings, fashion_mnist_dir=str(idx_folder.path))
    assert fashion_mnist.find_locally(settings) == idx_folder.path


def test_the_users_folder_is_never_silently_replaced_by_a_download(settings, tmp_path):
    settings = replace(settings, fashion_mnist_dir=str(tmp_path))
    with pytest.raises(DatasetUnavailable, match=r"train-images-idx3-ubyte\.gz is not in it"):
        fashion_mnist.obtain(settings, NullProgress())


def test_obtain_checks_what_it_finds(settings, idx_folder):
    settings = replace(settings, fashion_mnist_dir=str(idx_folder.path))
    assert fashion_mnist.obtain(settings, NullProgress(), checksums=idx_folder.checksums) == idx_folder.path
    with pytest.raises(DatasetDamaged, match="8d4fb7e6c68d591d4c3dfef9ec88bf0d"):
        fashion_mnist.obtain(settings, NullProgress())


@pytest.mark.dataset
@pytest.mark.skipif("TWINSET_FASHION_MNIST_DIR" not in os.environ, reason="TWINSET_FASHION_MNIST_DIR is not set")
def test_the_official_files_are_read():
    folder = Path(os.environ["TWINSET_FASHION_MNIST_DIR"])
    fashion_mnist.verify(folder)
    for count, images, labels in (
        (60_000, fashion_mnist.TRAIN_IMAGES, fashion_mnist.TRAIN_LABELS),
        (10_000, fashion_mnist.TEST_IMAGES, fashion_mnist.TEST_LABELS),
    ):
        assert fashion_mnist.read_images(folder / images).shape == (count, 28, 28)
        assert np.bincount(fashion_mnist.read_labels(folder / labels)).tolist() == [count // 10] * 10

"""Sources list without pictures, read by part, and pickle small."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest

from backend.catalogue.sources import fashion_mnist
from backend.catalogue.sources.built_in import FashionMnistSource, SampleSource
from backend.catalogue.sources.sources import ENTRY_SCHEMA, Source
from backend.imaging.pixels import decode
from backend.imaging.spec import PixelSpec
from backend.sample.shop import draw, sample_products
from tests.fixtures.catalogue import write_idx


@pytest.fixture
def source(idx_folder):
    return FashionMnistSource(idx_folder.path)


def test_fashion_mnist_lists_both_files_with_official_names(source, idx_folder):
    entries = source.entries()
    assert entries.schema == ENTRY_SCHEMA
    assert entries["product_id"].to_pylist()[299:301] == ["fm-train-00299", "fm-test-00000"]
    assert entries["split"].to_pylist() == ["train"] * 300 + ["test"] * 100
    labels = np.concatenate([idx_folder.train_labels, idx_folder.test_labels])
    assert entries["label"].to_pylist() == [fashion_mnist.LABELS[label] for label in labels]
    assert entries["title"][0].as_py() == f"{fashion_mnist.LABELS[labels[0]]} 00000"
    assert set(entries["category"].to_pylist()) == set(fashion_mnist.CATEGORIES)
    assert entries["price"].null_count == entries["brand"].null_count == 400


def test_fashion_mnist_pictures_are_lossless_in_any_order_and_part(source, idx_folder):
    entries = source.entries().take([301, 5, 399, 0]).combine_chunks()
    # A drawn product has changed its split, and its picture still lies in the train file.
    entries = entries.set_column(2, "split", pa.array(["validation"] * 4))
    pictures = source.read(entries.to_batches()[0])
    pixels = [decode(picture, PixelSpec(28, 28, 1)).pixels[..., 0] for picture in pictures]
    expected = [idx_folder.test_images[1], idx_folder.train_images[5], idx_folder.test_images[99]]
    assert (np.stack(pixels) == np.stack([*expected, idx_folder.train_images[0]])).all()


def test_a_label_without_a_picture_has_none(tmp_path):
    write_idx(tmp_path / fashion_mnist.TRAIN_LABELS, np.array([1, 2, 3], np.uint8))
    write_idx(tmp_path / fashion_mnist.TRAIN_IMAGES, np.zeros((3, 28, 28), np.uint8))
    write_idx(tmp_path / fashion_mnist.TEST_LABELS, np.array([1, 2], np.uint8))
    write_idx(tmp_path / fashion_mnist.TEST_IMAGES, np.zeros((1, 28, 28), np.uint8))
    source = FashionMnistSource(tmp_path)
    pictures = source.read(source.entries().to_batches()[0])
    assert [picture is None for picture in pictures] == [False, False, False, False, True]


def test_a_changed_file_is_read_anew(tmp_path):
    for images, labels in (
        (fashion_mnist.TRAIN_IMAGES, fashion_mnist.TRAIN_LABELS),
        (fashion_mnist.TEST_IMAGES, fashion_mnist.TEST_LABELS),
    ):
        write_idx(tmp_path / labels, np.array([1], np.uint8))
        write_idx(tmp_path / images, np.zeros((1, 28, 28), np.uint8))
    source = FashionMnistSource(tmp_path)
    batch = source.entries().to_batches()[0]
    before = source.read(batch)
    write_idx(tmp_path / fashion_mnist.TRAIN_IMAGES, np.full((1, 28, 28), 9, np.uint8))
    after = source.read(batch)
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_the_sample_lists_and_draws_its_own_products():
    source = SampleSource(40)
    entries = source.entries()
    products = sample_products(40)
    assert entries.schema == ENTRY_SCHEMA
    assert entries["product_id"].to_pylist() == [product.product_id for product in products]
    assert entries["price"].to_pylist() == [product.price for product in products]
    batch = entries.slice(37, 2).combine_chunks().to_batches()[0]
    assert source.read(batch) == [draw(products[37]), draw(products[38])]


def test_the_whole_sample_is_listed_when_no_count_is_given():
    assert SampleSource().entries().num_rows == len(sample_products()) >= 1200


def test_sources_are_small_when_shipped(source):
    for each in (source, SampleSource()):
        assert isinstance(each, Source)
        each.read(each.entries().slice(0, 1).combine_chunks().to_batches()[0])
        assert len(pickle.dumps(each)) < 1000

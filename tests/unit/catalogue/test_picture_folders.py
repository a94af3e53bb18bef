"""Folders that are called train, validation or test are splits, never labels."""

from __future__ import annotations

import zipfile
from collections import Counter

import pytest

from backend.catalogue.loading.entries import check_entries
from backend.catalogue.sources.pictures.folders import FolderFacts, read_folders
from backend.catalogue.sources.pictures.listing import FolderSource, ZipSource
from backend.catalogue.sources.preview import preview
from backend.catalogue.splits import SplitPlan
from tests.support.pictures import put


def said(*paths):
    return [tuple(each) for each in read_folders([tuple(path.split("/")) if path else () for path in paths])]


SPLITS = {
    **dict.fromkeys(["train", "Train", "TRAINING"], "train"),
    **dict.fromkeys(["val", "Valid", "validation", "dev"], "validation"),
    **dict.fromkeys(["test", "Testing"], "test"),
}


@pytest.mark.parametrize("name", SPLITS)
def test_a_folder_of_a_split_is_no_label(name):
    assert said(f"{name}/bag", name) == [(SPLITS[name], "bag"), (SPLITS[name], None)]


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["bag", "hat", ""], [(None, "bag"), (None, "hat"), (None, None)]),
        (["ds/train/bag/red", "ds/test/bag"], [("train", "red"), ("test", "bag")]),
        (["ds/train", "ds/test"], [("train", None), ("test", None)]),
        (["bag/train", "hat/test"], [("train", "bag"), ("test", "hat")]),
        (["ds/bag/train", "ds/hat/test"], [("train", "bag"), ("test", "hat")]),
        (["train/bag", "test/hat", "unsorted"], [("train", "bag"), ("test", "hat"), (None, "unsorted")]),
        (["train/test", "train/bag"], [("train", None), ("train", "bag")]),
        (["running", "training", "football"], [(None, "running"), (None, "training"), (None, "football")]),
        (["training/bag", "testing/bag"], [("train", "bag"), ("test", "bag")]),
        (["training/bag"], [("train", "bag")]),
    ],
)
def test_labels_are_below_the_splits_or_above_them(paths, found):
    assert said(*paths) == [FolderFacts(*each) for each in found]


@pytest.mark.parametrize("top", ["", "ds/"])
def test_stated_splits_are_kept_in_folder_and_zip(tmp_path, top):
    names = [
        f"{top}{split}/{label}/{n}.png"
        for split, many in (("train", 4), ("Val", 2), ("test", 2))
        for label in ("bag", "hat")
        for n in range(many)
    ]
    files = put(tmp_path / "shop", *names)
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    for source in (FolderSource(tmp_path / "shop"), ZipSource(tmp_path / "shop.zip")):
        checked = check_entries(source.entries(), SplitPlan())
        assert Counter(checked["split"].to_pylist()) == {"train": 8, "validation": 4, "test": 4}
        assert Counter(checked["label"].to_pylist()) == {"bag": 8, "hat": 8}
    notes = preview("zip", tmp_path / "shop.zip").notes
    assert (
        "The source states how products are used, and that is kept: learning 8, progress check 4, final check 4."
        in notes
    )
    assert set(FolderSource(tmp_path / "shop", "none").entries()["split"].to_pylist()) == {
        "train",
        "validation",
        "test",
    }


def test_pictures_right_below_a_split_have_no_label(tmp_path):
    put(tmp_path / "flat", *(f"train/{n}.png" for n in range(6)), *(f"test/{n}.png" for n in range(3)))
    seen = preview("folder", tmp_path / "flat")
    assert seen.labels == {}
    assert "No labels were found" in seen.notes[0]


def test_split_folders_of_a_public_report(shared_case):
    place = shared_case("18-split-folders")
    checked = check_entries(FolderSource(place / "ds").entries(), SplitPlan())
    assert Counter(checked["split"].to_pylist()) == {"train": 8, "validation": 4, "test": 4}
    assert set(checked["label"].to_pylist()) == {"bag", "hat"}
    assert preview("folder", place / "flat").labels == {}

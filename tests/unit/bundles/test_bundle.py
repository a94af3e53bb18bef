"""A bundle is complete, hashed and trusted for nothing it does not name."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from backend.bundles import bundle
from backend.errors import BundleError
from backend.files.storage import write_atomically
from backend.imaging.spec import PixelSpec


def manifest(**changes) -> bundle.Manifest:
    plain = bundle.Manifest(
        name="shoes-1",
        created_at="2026-11-22T10:00:00+00:00",
        config={"preset": "resnet"},
        pixels=PixelSpec(28, 28, 1, "dark"),
        embedding_size=4,
        catalogue=bundle.CatalogueRef("shoes", 3),
        classes=("boot", "sandal"),
        seed=7,
        git_commit="unknown",
        libraries={"tensorflow": "2.18.1"},
    )
    return replace(plain, **changes)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "shoes-1"
    path.mkdir()
    (path / bundle.WEIGHTS).write_bytes(b"weights")
    (path / bundle.GALLERY).write_bytes(b"gallery")
    bundle.write_manifest(path, manifest())
    return path


def test_what_is_written_is_read_back(folder):
    index = bundle.IndexInfo("exact", 12, ("train", "test"), bundle.CatalogueRef("shoes", 3), 9, ("train",))
    written = bundle.write_manifest(folder, manifest(index=index, metrics={"test.precision_at_1": 0.9}))
    assert bundle.verify(folder) == written
    assert set(written.files) == {bundle.WEIGHTS, bundle.GALLERY}


def test_a_changed_file_is_named_with_both_checksums(folder):
    (folder / bundle.GALLERY).write_bytes(b"other")
    with pytest.raises(BundleError, match=r"gallery\.parquet.*expected=.*found="):
        bundle.verify(folder)


def test_a_missing_file_is_named(folder):
    (folder / bundle.WEIGHTS).unlink()
    with pytest.raises(BundleError, match=r"lacks its file weights\.npz"):
        bundle.verify(folder)


@pytest.mark.parametrize("name", ["extra.pkl", "below/saved_model.pb"])
def test_a_file_that_the_manifest_does_not_name_is_refused(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"code")
    with pytest.raises(BundleError, match="does not name"):
        bundle.verify(folder)


def test_a_link_is_refused_even_to_the_right_bytes(folder, tmp_path):
    elsewhere = tmp_path / "weights"
    elsewhere.write_bytes(b"weights")
    (folder / bundle.WEIGHTS).unlink()
    (folder / bundle.WEIGHTS).symlink_to(elsewhere)
    with pytest.raises(BundleError, match="lacks"):
        bundle.verify(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json", "not valid JSON"),
        ('["a list"]', "not valid JSON"),
        ('{"format_version": 99}', "format 99"),
        ('{"format_version": 1}', "does not fit"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(folder, text, says):
    (folder / bundle.MANIFEST).write_text(text)
    with pytest.raises(BundleError, match=says):
        bundle.verify(folder)


def test_a_manifest_from_before_threads_were_recorded_still_opens(folder):
    raw = json.loads((folder / bundle.MANIFEST).read_text())
    del raw["threads"]
    (folder / bundle.MANIFEST).write_text(json.dumps(raw))
    assert bundle.verify(folder).threads == 0


def test_a_folder_without_manifest_is_no_model(tmp_path):
    with pytest.raises(BundleError, match=r"no manifest\.json"):
        bundle.verify(tmp_path)


def test_the_manifest_holds_plain_json(folder):
    raw = json.loads((folder / bundle.MANIFEST).read_text())
    assert raw["catalogue"] == {"name": "shoes", "version": 3}
    assert raw["pixels"]["background"] == "dark"


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "state"
    versions = [bytes([n]) * 50_000 for n in range(2)]
    write_atomically(path, versions[0])
    writer = threading.Thread(target=lambda: [write_atomically(path, versions[n % 2]) for n in range(40)])
    writer.start()
    seen = {path.read_bytes() for _ in range(400)}
    writer.join()
    assert seen <= set(versions)
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_bundles_are_listed_newest_first_without_what_cannot_be_read(folder, caplog):
    models = folder.parent
    for name, created in (("newer", "2026-11-23T10:00:00+00:00"), (".writing", "2026-11-24T10:00:00+00:00")):
        (models / name).mkdir()
        bundle.write_manifest(models / name, manifest(name=name, created_at=created))
    (models / "damaged").mkdir()
    (models / "damaged" / bundle.MANIFEST).write_text("{}")
    (models / "newer.checkpoints").mkdir()
    assert [found.name for found in bundle.list_bundles(models)] == ["newer", "shoes-1"]
    assert "damaged" in caplog.text
    assert bundle.list_bundles(models / "none") == []

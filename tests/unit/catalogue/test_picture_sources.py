"""Folders and zips of pictures: what is listed, what is read, and that nothing outside is ever touched."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest

from backend.catalogue.sources.pictures import files as picture_files
from backend.catalogue.sources.pictures.files import FOREIGN_SUFFIXES, PICTURE_SUFFIXES, PictureFolder, product_ids
from backend.catalogue.sources.pictures.listing import FolderSource, ZipSource
from backend.catalogue.sources.pictures.zipped import PictureZip
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.sources import ENTRY_SCHEMA, Source
from backend.errors import CatalogueError, DatasetUnavailable, ImageRejected
from backend.imaging.pixels import verify
from tests.support.pictures import by_id, codes_of, encoded, pictures_of, put


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def locked(path):
    """Mark all members as encrypted, in both of their headers, as a zip with a password has them."""
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := data.find(mark, start)) >= 0:
            data[start + at] |= 1
            start += 4
    path.write_bytes(bytes(data))
    return path


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    put(folder, "bag/1.jpg", "bag/2.PNG", "coat/long/3.webp", "4.jpeg")
    return folder


def test_the_folder_above_a_picture_is_its_label(shop):
    entries = FolderSource(shop).entries()
    assert entries.schema == ENTRY_SCHEMA
    assert {name: row["label"] for name, row in by_id(entries).items()} == {
        "4": None,
        "bag/1": "bag",
        "bag/2": "bag",
        "coat/long/3": "long",
    }
    assert entries["locator"].to_pylist() == ["4.jpeg", "bag/1.jpg", "bag/2.PNG", "coat/long/3.webp"]
    assert entries["position"].to_pylist() == [0, 1, 2, 3]
    assert entries["split"].null_count == entries["reason"].null_count == entries["source_row"].null_count == 4


def test_labels_may_be_left_out(shop):
    assert FolderSource(shop, "none").entries()["label"].null_count == 4


def test_folder_and_zip_agree(shop, tmp_path):
    folder = FolderSource(shop)
    members = {name: (shop / name).read_bytes() for name in folder.entries()["locator"].to_pylist()}
    archive = ZipSource(zipped(tmp_path / "shop.zip", dict(reversed(members.items()))))
    assert archive.entries().equals(folder.entries())
    assert (
        pictures_of(archive)
        == pictures_of(folder)
        == {name: members[row["locator"]] for name, row in by_id(folder.entries()).items()}
    )


def test_sources_are_named_and_small_when_shipped(shop, tmp_path):
    archive = zipped(tmp_path / "spring.zip", {"a.png": encoded()})
    for source, name in ((FolderSource(shop), "shop"), (ZipSource(archive), "spring.zip")):
        assert isinstance(source, Source)
        assert source.name == name
        source.read(source.entries().to_batches()[0])
        assert len(pickle.dumps(source)) < 1000
        assert pickle.loads(pickle.dumps(source)) == source
    assert FolderSource(shop, name="mine").name == "mine"


def test_a_relative_folder_is_found_from_elsewhere(shop, monkeypatch):
    monkeypatch.chdir(shop.parent)
    source = FolderSource(Path("shop"))
    monkeypatch.chdir("/")
    assert len(pictures_of(source)) == 4


def test_files_that_share_an_id_keep_their_suffix(shop):
    put(shop, "bag/1.png", "coat/5.bmp", "coat/5.png")
    assert {"bag/1.jpg", "bag/1.png", "coat/5", "coat/5.bmp"} <= set(by_id(FolderSource(shop).entries()))
    assert product_ids(["v1.2/a", "b.tiff"]) == ["v1.2/a", "b"]


def test_other_formats_are_listed_and_clutter_is_not(shop, tmp_path):
    put(shop, "bag/moving.psd", ".hidden/x.jpg", "__MACOSX/x.jpg", "bag/._1.jpg", "bag/Thumbs.db", "bag/.DS_Store")
    (shop / "notes.txt").write_text("x")
    entries = FolderSource(shop).entries()
    assert entries.num_rows == 5
    assert codes_of(entries)["bag/moving"] == "unsupported_format"
    assert "save it as PNG" in by_id(entries)["bag/moving"]["reason"]
    names = {"a/1.png": encoded(), "__MACOSX/a/._1.png": b"x", "a/Thumbs.db": b"x", "a/2.jxl": b"x", "a/": b""}
    archive = ZipSource(zipped(tmp_path / "x.zip", names))
    assert codes_of(archive.entries()) == {"a/1": None, "a/2": "unsupported_format"}


def test_links_out_of_the_folder_are_listed_and_never_read(shop, tmp_path):
    put(tmp_path / "secret", "1.png")
    (shop / "bag" / "out.png").symlink_to(tmp_path / "secret" / "1.png")
    (shop / "bag" / "in.png").symlink_to(shop / "bag" / "2.PNG")
    (shop / "linked").symlink_to(tmp_path / "secret")
    (shop / "loop").symlink_to(shop)
    entries = FolderSource(shop).entries()
    assert entries.num_rows == 6
    assert codes_of(entries)["bag/out"] == "outside"
    pictures = pictures_of(FolderSource(shop))
    assert pictures["bag/out"] is None
    assert pictures["bag/in"] == pictures["bag/2"]


@pytest.mark.parametrize("locator", ["../secret/1.png", "bag/../../secret/1.png", "/etc/hostname", "sub/1.png"])
def test_a_locator_cannot_lead_out(shop, tmp_path, locator):
    put(tmp_path / "secret", "1.png")
    (shop / "sub").symlink_to(tmp_path / "secret")
    assert PictureFolder(shop).reader()(locator).code == "outside"


def test_a_folder_that_is_itself_a_link_is_fine(shop, tmp_path):
    (tmp_path / "link").symlink_to(shop)
    assert set(pictures_of(FolderSource(tmp_path / "link"))) == {"4", "bag/1", "bag/2", "coat/long/3"}


def test_pictures_that_cannot_be_had_say_why(shop, monkeypatch):
    source = FolderSource(shop)
    entries = source.entries()
    (shop / "4.jpeg").unlink()
    (shop / "bag" / "1.jpg").unlink()
    os.mkfifo(shop / "bag" / "1.jpg")
    monkeypatch.setattr(picture_files, "MAX_PICTURE_BYTES", len((shop / "bag" / "2.PNG").read_bytes()) - 1)
    pictures = pictures_of(source, entries)
    assert pictures["4"] is None
    assert pictures["bag/1"].code == "unreadable"
    assert pictures["bag/2"].code == "too_large"


def test_a_folder_that_vanished_is_said(shop):
    source = FolderSource(shop)
    batch = source.entries().to_batches()[0]
    shop.rename(shop.with_name("moved"))
    with pytest.raises(DatasetUnavailable, match="does not exist"):
        source.read(batch)


def test_a_name_that_is_no_text_is_listed_with_a_reason(shop):
    (shop / os.fsdecode(b"caf\xe9.jpg")).write_bytes(encoded())
    assert codes_of(FolderSource(shop).entries())["caf?"] == "bad_name"


def test_sources_without_pictures_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 but no zip")
    zipped(tmp_path / "empty.zip", {"notes.txt": "x"})
    for source, error, words in (
        (FolderSource(tmp_path / "empty"), CatalogueError, "no picture"),
        (FolderSource(tmp_path / "none"), DatasetUnavailable, "no folder"),
        (ZipSource(tmp_path / "none.zip"), DatasetUnavailable, "does not exist"),
        (ZipSource(tmp_path / "no.zip"), CatalogueError, "not a zip"),
        (ZipSource(tmp_path / "empty.zip"), CatalogueError, "no picture"),
    ):
        with pytest.raises(error, match=words) as caught:
            source.entries()
        assert caught.value.next_step


def test_a_folder_that_may_not_be_looked_into_is_not_passed_over(shop, monkeypatch):
    def refusing(_root, onerror):
        onerror(PermissionError(13, "Permission denied", "bag"))
        return iter(())

    monkeypatch.setattr(os, "walk", refusing)
    with pytest.raises(CatalogueError, match="bag cannot be read: Permission denied"):
        FolderSource(shop).entries()


def test_locked_members_say_so(tmp_path):
    source = ZipSource(locked(zipped(tmp_path / "x.zip", {"bag/1.png": encoded()})))
    assert codes_of(source.entries()) == {"bag/1": "encrypted"}
    assert pictures_of(source)["bag/1"].code == "encrypted"


def test_damaged_members_say_so_and_leave_the_others(tmp_path):
    names = {f"bag/{number}.png": encoded(number, side=80) for number in range(3)}
    path = zipped(tmp_path / "x.zip", names, compression=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as archive:
        header = archive.getinfo("bag/1.png").header_offset
    data = bytearray(path.read_bytes())
    data[header + 42 : header + 60] = b"\xff" * 18
    path.write_bytes(bytes(data))
    pictures = pictures_of(ZipSource(path))
    assert pictures["bag/1"].code == "damaged"
    assert [pictures["bag/0"], pictures["bag/2"]] == [names["bag/0.png"], names["bag/2.png"]]


def test_members_that_claim_to_be_huge_are_not_unpacked(tmp_path, monkeypatch):
    path = zipped(tmp_path / "bomb.zip", {"1.png": b"\0" * 100_000}, compression=zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(picture_files, "MAX_PICTURE_BYTES", 99_999)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    assert codes_of(ZipSource(path).entries()) == {"1": "too_large"}
    assert pictures_of(ZipSource(path))["1"].code == "too_large"


def test_names_in_a_zip_lead_nowhere_else(tmp_path):
    names = {"../../evil.png": encoded(), "/etc/evil.png": encoded(), "windows\\bag\\1.png": encoded()}
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in names.items():
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, data)
    entries = ZipSource(path).entries()
    assert codes_of(entries) == {"../../evil": "outside", "/etc/evil": "outside", "windows/bag/1": None}
    assert by_id(entries)["windows/bag/1"]["label"] == "bag"
    pictures = pictures_of(ZipSource(path))
    assert isinstance(pictures["windows/bag/1"], bytes)
    assert pictures["../../evil"] is None


def test_names_are_read_as_utf8_where_the_zip_does_not_say_so(tmp_path):
    path = zipped(tmp_path / "x.zip", {"Hüte/1.png": encoded()})
    data = path.read_bytes()
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.index(mark) + at + 1
        data = data[:start] + bytes([data[start] & ~0x8]) + data[start + 1 :]
    path.write_bytes(data)
    assert by_id(ZipSource(path).entries())["Hüte/1"]["label"] == "Hüte"
    assert pictures_of(ZipSource(path))["Hüte/1"] == encoded()


def test_a_changed_zip_is_opened_anew_and_a_missing_member_is_none(tmp_path):
    path = zipped(tmp_path / "x.zip", {"1.png": encoded(1), "2.png": encoded(2)})
    source = ZipSource(path)
    entries = source.entries()
    assert pictures_of(source, entries) == {"1": encoded(1), "2": encoded(2)}
    zipped(path, {"1.png": encoded(3)})
    os.utime(path, ns=(1, 1))
    assert pictures_of(source, entries) == {"1": encoded(3), "2": None}
    path.unlink()
    with pytest.raises(DatasetUnavailable):
        pictures_of(source, entries)


def test_what_is_read_is_a_picture_or_why_not(shop, tmp_path):
    assert isinstance(PictureFolder(shop).reader()("bag"), ImageRejected)
    assert PictureFolder(shop).reader()("4.jpeg/none") is None
    archive = zipped(tmp_path / "shop.zip", {"2.png": encoded()})
    assert PictureZip(archive).finder()("http://x/1.png").reason.startswith("address")


def everything_a_shop_has(folder):
    """Pictures of every name that is read, of names that are not, and files that are none."""
    read = put(
        folder, *(f"bag/{suffix[1:]}{suffix}" for suffix in sorted(PICTURE_SUFFIXES)), "bag/JFIF.JFIF", "bag/none"
    )
    named = put(folder, *(f"hat/{suffix[1:]}{suffix}" for suffix in sorted(FOREIGN_SUFFIXES)))
    (folder / "bag" / "LICENSE").write_text("Do as you please.")
    (folder / "bag" / "empty").write_bytes(b"")
    return read, named


def test_a_picture_of_any_name_is_read_or_listed_with_a_reason(tmp_path):
    """Regression: Windows saves JPEGs as .jfif, and they were passed over, as was all that nobody had thought of."""
    read, named = everything_a_shop_has(tmp_path / "shop")
    files = {name: (tmp_path / "shop" / name).read_bytes() for name in (*read, *named, "bag/LICENSE", "bag/empty")}
    for source in (FolderSource(tmp_path / "shop"), ZipSource(zipped(tmp_path / "shop.zip", files))):
        entries = source.entries()
        codes = codes_of(entries)
        assert len(codes) == len(read) + len(named)
        assert {code for name, code in codes.items() if name.startswith("hat/")} == {"unsupported_format"}
        pictures = pictures_of(source, entries)
        usable = [name for name in codes if name.startswith("bag/")]
        assert len(usable) == len(read)
        assert all(codes[name] is None and verify(pictures[name]) for name in usable)


def test_files_of_windows_and_phones_are_not_passed_over(shared_case):
    codes = codes_of(FolderSource(shared_case("12-jfif-suffix") / "ds").entries())
    assert len(codes) == 14
    unsupported = {name for name, code in codes.items() if code == "unsupported_format"}
    assert unsupported == {f"bag/save{n}" for n in (5, 6, 7, 8, 9)}  # .jxl .jp2 .svg .psd .cr2


def test_what_windows_and_macs_leave_in_a_zip_is_no_product_and_costs_none(tmp_path):
    shop = {"shop\\bag\\1.png": encoded(1), "shop/bag/2.PNG": encoded(2), "shop/hat/3.png": encoded(3)}
    clutter = (
        "__MACOSX/shop/bag/._1.png",
        "shop/.DS_Store",
        "shop/bag/Thumbs.db",
        "shop/desktop.ini",
        "shop/@eaDir/x.png",
    )
    path = zipped(tmp_path / "x.zip", {**shop, **dict.fromkeys(clutter, b"x")})
    assert codes_of(ZipSource(path).entries()) == dict.fromkeys(("shop/bag/1", "shop/bag/2", "shop/hat/3"))
    table = zipped(
        tmp_path / "t.zip", {**shop, "shop\\t.csv": b"sku,image\nA,bag\\1.png\nB,./BAG/2.png\n", clutter[0]: b"x"}
    )
    seen = preview("zip", table)
    assert [(row.product_id, row.thumbnail) for row in seen.rows] == [("A", encoded(1)), ("B", encoded(2))]

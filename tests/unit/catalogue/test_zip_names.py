"""Names in zips that do not say their code page: guessed over the whole zip, or told by the table beside them."""

from __future__ import annotations

import zipfile
import zlib

import pytest

from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.zip_names import names_of
from tests.support.pictures import encoded

JAPANESE = ("帽子/0.png", "靴/1.png", "鞄/2.png", "ワンピース/白.png", "セーター.png")
CHINESE = ("短靴/1.png", "草帽/2.png", "红色T恤/白色.png")
TRADITIONAL = ("帽子/紅色.png", "鞋子/黑色運動鞋.png", "裙子/長裙.png")
KOREAN = ("가방/빨간색.png", "신발/운동화.png", "모자/검정.png")
GERMAN = ("Tasche für Ü.png", "Mütze/Größe.png", "Röcke/Ärmel.png")
FRENCH = ("Été/crème à rayures.png", "chaussures/légère.png", "Bottes à talon/noël.png")


def members(names, page, *, flagged=()):
    """Members as a zip gives them whose names are in a code page, without a word about it."""
    found = []
    for name in names:
        info = zipfile.ZipInfo("x")
        info.flag_bits = 0x800 if name in flagged else 0
        info.filename = info.orig_filename = name if name in flagged else name.encode(page).decode("cp437")
        found.append(info)
    return found


def legacy_zip(path, page, files):
    """Write a zip as Windows does: names in a code page, not marked as UTF-8."""
    stand_ins = {f"~{number:04d}~".ljust(len(name.encode(page)), "~"): name for number, name in enumerate(files)}
    with zipfile.ZipFile(path, "w") as archive:
        for stand_in, name in stand_ins.items():
            archive.writestr(stand_in[: len(name.encode(page))], files[name])
    data = path.read_bytes()
    for stand_in, name in stand_ins.items():
        data = data.replace(stand_in[: len(name.encode(page))].encode(), name.encode(page))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("names", "page", "title"),
    [
        (JAPANESE, "cp932", "Japanese"),
        (CHINESE, "gbk", "Chinese (GBK)"),
        (TRADITIONAL, "big5", "Chinese (Big5)"),
        (KOREAN, "cp949", "Korean"),
        (GERMAN, "cp850", "Western"),
        (GERMAN, "cp1252", "Western (CP1252)"),
        (FRENCH, "cp850", "Western"),
        (FRENCH, "cp1252", "Western (CP1252)"),
        (("Sac à main.png", "Élégant.png"), "cp850", "Western"),
        (("naïve/piñata.png", "Ñandú.png"), "cp437", "Western"),
    ],
)
def test_a_code_page_is_guessed_over_all_names(names, page, title):
    usable = [name for name in names if name.encode(page, "ignore").decode(page) == name]
    found = names_of(members(usable, page))
    assert list(found.shown) == usable
    assert found.guessed.startswith(title)


@pytest.mark.parametrize("names", [JAPANESE, CHINESE, TRADITIONAL, KOREAN, GERMAN, FRENCH], ids="JCTKGF")
def test_utf8_is_read_with_or_without_its_mark(names):
    for flagged in ((), names, names[:1]):
        found = names_of(members(names, "utf-8", flagged=flagged))
        assert found.shown == names
        assert found.guessed == ""
        assert not any(found.others)


def test_a_zip_that_two_systems_filled_is_read_by_both():
    infos = [*members(GERMAN, "cp850"), *members(("Hüte/schön.png",), "utf-8"), *members(("plain.png",), "ascii")]
    assert names_of(infos).shown == (*GERMAN, "Hüte/schön.png", "plain.png")


def test_a_name_that_is_repeated_in_utf8_is_believed():
    (info,) = members(("帽子.png",), "cp932")
    raw = info.filename.encode("cp437")
    field = b"\x01" + zlib.crc32(raw).to_bytes(4, "little") + "帽子.png".encode()
    info.extra = b"\x55\x54\x01\x00\x00" + (0x7075).to_bytes(2, "little") + len(field).to_bytes(2, "little") + field
    assert names_of([info]).shown == ("帽子.png",)
    assert names_of([info]).guessed == ""
    info.extra = info.extra[:-1]  # cut off: not believed, and no error
    assert names_of([info]).shown == ("帽子.png",)


def test_a_backslash_inside_a_japanese_letter_is_no_folder():
    assert names_of(members(("表/ソ.png", "表\\帽子.png"), "cp932")).shown == ("表/ソ.png", "表/帽子.png")


def test_labels_of_a_japanese_zip_are_readable_and_the_guess_is_said(tmp_path):
    files = {name: encoded(number) for number, name in enumerate(JAPANESE[:3])}
    seen = preview("zip", legacy_zip(tmp_path / "ja.zip", "cp932", files))
    assert seen.labels == {"帽子": 1, "靴": 1, "鞄": 1}
    assert [row.thumbnail for row in seen.rows] == list(files.values())
    assert "Japanese (CP932)" in seen.notes[0]


@pytest.mark.parametrize(
    ("name", "page"),
    [("短靴.png", "gbk"), ("가.png", "cp949"), ("é.png", "cp1252"), ("ð.png", "cp850"), ("靴.png", "big5")],
)
def test_the_table_decides_where_one_name_says_too_little(tmp_path, name, page):
    raw = name.encode(page, "ignore").decode(page)
    if raw != name:
        pytest.skip("the code page lacks the letter")
    table = f"sku,image,label\nZ0,{name.upper()},shoe\n".encode()
    seen = preview("zip", legacy_zip(tmp_path / "x.zip", page, {name: encoded(), "products.csv": table}))
    assert [(row.product_id, row.reason) for row in seen.rows] == [("Z0", None)]


def test_zips_of_windows_in_three_languages(shared_case):
    place = shared_case("15-legacy-zip-names")
    assert set(preview("zip", place / "windows-ja.zip").labels) == {"帽子", "靴", "鞄"}
    for name in ("windows-zh.zip", "windows-de.zip"):
        assert [row.reason for row in preview("zip", place / name).rows] == [None, None]

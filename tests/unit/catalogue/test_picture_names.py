"""The file that a table names is found, whatever system wrote the name: in a folder and in a zip alike."""

from __future__ import annotations

import random
import unicodedata
import zipfile
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.catalogue.loading.load_warnings import counted, sentences
from backend.catalogue.sources.pictures.files import PictureFolder
from backend.catalogue.sources.pictures.names import Finder, Name, Place
from backend.catalogue.sources.pictures.zipped import PictureZip
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.tables.listing import TableSource
from tests.support.pictures import encoded

WORDS = ("Café-Tasche", "Mütze", "Plátano", "ブーツガ", "Ångström", "각")


@pytest.fixture(params=["folder", "zip"])
def finder(request, tmp_path):
    """What finds names among these files, in a folder and in a zip."""

    def make(*paths):
        if request.param == "folder":
            for path in paths:
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_bytes(b"x")
            return PictureFolder(tmp_path).finder()
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for path in paths:
                archive.writestr(path, b"x")
        return PictureZip(tmp_path / "x.zip").finder()

    return make


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_are_found_in_either_form(finder, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    find = finder(*(unicodedata.normalize(form, f"fotos/{word}.png") for word in WORDS))
    for word in WORDS:
        place = find(unicodedata.normalize(other, f"fotos/{word}.png"))
        assert place.locator is not None
        assert place.warning is None


@pytest.mark.parametrize(
    ("named", "path", "warning"),
    [
        ("photos/Bag One.JPG", "photos/Bag One.JPG", None),
        ("./photos//Bag One.JPG", "photos/Bag One.JPG", None),
        ("photos\\Bag One.JPG", "photos/Bag One.JPG", None),
        ("PHOTOS/bag one.jpg", "photos/Bag One.JPG", None),
        ("photos/Bag%20One.JPG", "photos/Bag One.JPG", None),
        (".\\Photos\\bag%20one.jpg", "photos/Bag One.JPG", None),
        ("Bag One.JPG", "photos/Bag One.JPG", None),
        ("C:\\Users\\me\\bag one.jpg", "photos/Bag One.JPG", "found_by_name"),
        ("/media/catalog/Bag One.JPG", "photos/Bag One.JPG", "found_by_name"),
        ("https://cdn.example.org/a/Bag%20One.JPG?v=3", "photos/Bag One.JPG", "found_by_name"),
        ("old/Bag One.JPG", "photos/Bag One.JPG", "found_by_name"),
        ("0108775015", "images/010/0108775015.jpg", None),
        ("/images/010/0108775015.jpg", "images/010/0108775015.jpg", None),
    ],
)
def test_a_name_is_found_as_other_systems_write_it(finder, named, path, warning):
    find = finder("photos/Bag One.JPG", "images/010/0108775015.jpg", "a/twice.png", "b/twice.png")
    place = find(named)
    assert (place.path, place.reason, place.warning) == (path, None, warning)


def test_the_very_name_comes_before_those_that_are_alike(finder):
    find = finder("a%20b.png", "a b.png", "A.png", "a.png", "x/a.png")
    assert [find(name).path for name in ("a%20b.png", "a b.png", "A.png", "a.png")] == [
        "a%20b.png",
        "a b.png",
        "A.png",
        "a.png",
    ]
    assert find("A b.png").locator is None  # it may be either


def test_what_is_not_there_names_what_was_looked_for(finder):
    find = finder("a/twice.png", "b/twice.png", "one.png")
    assert find("fotos\\Hut.png").reason == "no_picture: There is no file fotos/Hut.png."
    doubtful = find("twice.png").reason
    assert doubtful == "no_picture: There is no file twice.png. Several files in other folders have that name."
    assert find("https://example.org/none.png").reason.startswith("address")
    assert find("../one.png").reason.startswith("outside")
    assert find("/etc/passwd").reason.startswith(("outside", "no_picture"))


def test_of_several_pictures_in_a_cell_the_first_there_is_is_taken(finder):
    find = finder("media/w0.jpg", "media/w1.jpg", "with, comma.jpg")
    for named in (
        "media/w0.jpg, media/w1.jpg",
        "media/w0.jpg|media/w1.jpg",
        "media/w0.jpg;media/w1.jpg;",
        "no.jpg,w0.jpg",
    ):
        place = find(named)
        assert (place.path, place.warning) == ("media/w0.jpg", "several_pictures")
        assert place.lacking == (("no.jpg",) if named.startswith("no") else ())
    assert find("with, comma.jpg") == Place("with, comma.jpg", path="with, comma.jpg")
    assert find("a.jpg, b.jpg").reason == "no_picture: There is no file a.jpg."
    assert find("a, b.jpg").reason == "no_picture: There is no file a, b.jpg."


def test_nothing_is_listed_while_every_name_is_right():
    def never():
        raise AssertionError

    assert Finder(lambda path: Place(path, path=path), never).find("a.png").locator == "a.png"


LETTERS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\%:"), min_size=1, max_size=12)


@given(st.lists(LETTERS, min_size=1, max_size=3), st.sampled_from(["NFC", "NFD"]), st.integers(0, 2**32))
@hypothesis_settings(max_examples=150)
def test_any_name_is_found_in_any_spelling(parts, form, seed):
    assume(not {".", ".."} & set(parts))
    file = unicodedata.normalize(form, "/".join(parts)) + ".png"
    draw = random.Random(seed)
    spelled = unicodedata.normalize(draw.choice(["NFC", "NFD"]), file)
    spelled = "".join(draw.choice(_cases(letter)) for letter in spelled)
    spelled = "".join(quote(letter) if draw.random() < 0.2 and letter != "/" else letter for letter in spelled)
    spelled = draw.choice(["", "./"]) + spelled.replace("/", draw.choice("/\\"))
    place = Finder(lambda path: Place(path) if path == file else None, lambda: [Name(file, "it"), Name("b.jpg", "b")])
    assert place.find(spelled).locator in {"it", spelled}


def _cases(letter):
    """Spellings of a letter that differ by case only, by Unicode's own folding."""
    return [other for other in (letter, letter.upper(), letter.lower()) if other.casefold() == letter.casefold()]


def test_a_zip_of_a_mac_and_a_table_of_another_system(shared_case):
    place = shared_case("13-nfd-names")
    for kind, path in (("zip", place / "mac.zip"), ("csv", place / "folder" / "products.csv")):
        seen = preview(kind, path)
        assert [row.reason for row in seen.rows] == [None] * 4
        assert seen.labels == {"bag": 1, "fruit": 1, "hat": 1, "shoe": 1}


def test_names_of_a_mac_become_ids_and_labels_that_a_keyboard_can_write(tmp_path):
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
        archive.writestr(unicodedata.normalize("NFD", "Mütze/Größe.png"), encoded())
    (row,) = preview("zip", tmp_path / "mac.zip").rows
    assert (row.product_id, row.label) == ("Mütze/Größe", "Mütze")


def test_what_was_found_by_its_name_alone_is_counted(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.png").write_bytes(encoded(number))
    (tmp_path / "t.csv").write_text('sku,image\nA,old/0.png\nB,old/1.png\nC,"photos/2.png,photos/0.png"\n')
    entries = TableSource(tmp_path / "t.csv", (("product_id", "sku"), ("image", "image")), "csv").entries()
    assert counted(entries) == {"found_by_name": 2, "several_pictures": 1}
    assert sentences(entries)[1] == "One product names several pictures; the first one is its main picture."

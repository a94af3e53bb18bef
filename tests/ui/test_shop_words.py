"""The pages that merchandisers read have no word of machine learning, no command and no setting."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from PIL import Image

from app.components.search.answer_view import as_csv
from app.navigation import PAGES
from app.services import common
from backend.catalogue.sources.mapping import FIELDS
from backend.merchandising.collections.collection import Collection
from backend.merchandising.collections.store import CollectionStore
from backend.merchandising.rule_store import RuleStore
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.retrieval.rules.rule import Rule, Scope, conditions
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.endpoint import (
    ShopSnapshot,
    encoded,
    http_to,
    load_projection,
    picture,
    served,
    shop_rows,
    write_projection_bundle,
)
from tests.support.pictures import encoded as coloured
from tests.ui.conftest import add_version, grid, open_popover, shop_row, write_catalogue, write_quality
from tests.ui.test_catalogue_load import checked, choose, upload, zipped

# pyarrow 14 makes pandas' tables with times by a name that pandas 2.2 calls private.
pytestmark = pytest.mark.filterwarnings("ignore:DatetimeTZBlock is deprecated:DeprecationWarning")
BANNED = (
    *("model", "models", "neural", "network", "embedding", "embeddings", "vector", "vectors", "index", "indexed"),
    *("train", "trains", "trained", "training", "validation", "test split", "split", "splits", "epoch", "epochs"),
    *("champion", "challenger", "golden", "gallery", "cosine", "similarity", "distance", "neighbour", "neighbours"),
    *("endpoint", "token", "alias", "calibration", "calibrated", "threshold", "precision", "recall", "inference"),
    *("seed", "hyperparameter", "MLflow", "Spark", "JVM", "TensorFlow", "checkpoint", "overfit", "TWINSET_\\w+"),
)
WORD = re.compile(rf"\b(?:{'|'.join(BANNED)})\b|`(?:python|make|twinset|models)\b", re.IGNORECASE)
# Where one of them has to stand: what a column of the user's own file must hold, and the two small figures of a card.
EXEMPT = (
    FIELDS["split"],
    "columns seed, pinned",
    "train · tset",
    re.compile(r"similarity -?\d\.\d{3}\ndistance \d\.\d{3}"),
)
NOT_SHOWN = {
    "id",
    "form_id",
    "url",
    "element_id",
    "user_key",
    "key",
    "json",
    "page",
    "query_string",
    "component_name",
    *("css_content", "js_content", "html_content"),
}


def said(test) -> set[str]:
    """All that a page shows: its elements' texts, labels, options, helps and captions, cards, charts and tables."""
    found: set[str] = set()
    for element in test.main:
        if element.proto is not None:
            _collect(element.proto, found)
    for component in test.get("bidi_component"):
        _strings(json.loads(component.proto.json), found)
    for table in test.dataframe:
        found.update(table.value.columns)
        found.update(cell for name in table.value for cell in table.value[name] if isinstance(cell, str))
    return found


def _collect(proto, found):
    for field, value in proto.ListFields():
        if field.name in NOT_SHOWN:
            continue
        values = value if field.label == field.LABEL_REPEATED else [value]
        if field.type == field.TYPE_STRING:
            found.update(values)
        elif field.type == field.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for one in values:
                _collect(one, found)


def _strings(value, found):
    if isinstance(value, dict):
        for name, one in value.items():
            _strings(one, found) if name not in {"src", "id", "query"} else None
    elif isinstance(value, list):
        for one in value:
            _strings(one, found)
    elif isinstance(value, str):
        found.add(value)


def assert_plain(test):
    """No banned word on the page, which shows something."""
    assert not test.exception
    texts = said(test)
    assert len(texts) > 5
    wrong = {}
    for text in texts:
        rest = text
        for exempt in EXEMPT:
            rest = exempt.sub("", rest) if isinstance(exempt, re.Pattern) else rest.replace(exempt, "")
        if words := WORD.findall(rest):
            wrong[text] = words
    assert wrong == {}


def test_the_pages_for_merchandisers_are_known():
    assert [page.name for page in PAGES if page.is_for_shop] == [
        "recommend",
        "rules",
        "substitutes",
        "collections",
        "product",
        "story",
        "catalogue",
    ]


def test_the_menu_beside_them_says_in_plain_words_what_every_page_is_for():
    assert [found for page in PAGES if (found := WORD.findall(page.help))] == []


def test_what_is_looked_through_is_found(screen, shop_endpoint, shop_model):
    """The same look at a page for engineers finds such words, in texts, helps and options."""
    assert WORD.findall(" ".join(said(screen.open("deploy"))))
    catalogue = said(screen.open("catalogue"))
    assert {"Search", "Title or product id", "Blob no. 1"} <= catalogue
    assert any("measure how it is doing" in text for text in catalogue)  # the help of a figure
    assert {"Version", "Loaded"} <= said(screen.open("catalogue", view="History"))  # a table's heading and a cell


@pytest.mark.parametrize("name", ["recommend", "rules", "substitutes", "collections", "product", "story", "catalogue"])
def test_an_empty_home(screen, name):
    assert_plain(screen.open(name))


def test_find_similar_from_the_first_look_to_an_answer(screen, shop_endpoint, shop_model):
    test = screen.open()
    assert_plain(test)
    assert_plain(test.file_uploader[0].upload("photo.png", encoded(picture("checks", 3)), "image/png").run())
    assert_plain(test.file_uploader[0].upload("blank.png", encoded(Image.new("L", (60, 80), 128)), "image/png").run())
    assert_plain(test.file_uploader[0].upload("text.png", b"this is no picture", "image/png").run())
    assert_plain(screen.open(product="gone"))


def test_find_similar_when_nobody_answers(screen, shop_catalogue, shop_model):
    assert_plain(screen.open())
    screen.settings = replace(screen.settings, endpoint_url="http://127.0.0.1:9/scoring/invocations")
    assert_plain(screen.open(product="b017"))


@pytest.mark.parametrize("view", ["Products", "Labels", "Quality", "Changes", "History", "Rejected"])
def test_every_view_of_the_catalogue(screen, shop_endpoint, shop_model, view):
    twin = shop_row("b001", product_id="twin", split="test")
    add_version(screen.settings, "shop", twin, shop_row("b002", split="validation"), shop_row("b003", title="New"))
    write_quality(screen.settings, "shop", leave_out=("b005",))
    test = screen.open("catalogue", view=view)
    assert_plain(test)
    if view == "Quality":
        assert_plain(test.segmented_control(key="quality_view").set_value("Duplicates").run())


@pytest.mark.parametrize("view", ["Rules", "History", "Import and export"])
def test_every_view_of_the_rules_and_a_rule_being_made(screen, shop_endpoint, view):
    store = RuleStore(screen.settings.rules_dir, "shop")
    found = [
        Rule("sold", "bury", where=conditions({"sold_out": True, "brand": ["Ada"]}), strength=1.0),
        Rule("pin", "pin", Scope("picture", ("0" * 64,), 0.1), ("gone",), slot=1, ends="2020-01-01T00:00"),
    ]
    store.publish(found, base=0, by="Ada")
    test = screen.open("rules")
    test.session_state["note_person"] = "Ada"
    test.session_state["rules_view"] = view
    test.query_params["rule"] = "pin" if view == "History" else "sold"
    assert_plain(test.run())
    test = screen.open(product="b017")
    test.session_state["note_rule_product"] = grid(test)[3]["id"]
    assert_plain(test.run())


def test_collections_and_products_being_added(screen, shop_endpoint):
    store = CollectionStore(screen.settings.collections_dir, "shop")
    store.put(Collection("picks", "Picks", ("b003", "gone")), base=0, by="Ada")
    test = screen.open("collections", collection="picks")
    test.session_state["note_person"] = "Ada"
    test.session_state["note_collection_edited"] = (1, "b003")
    assert_plain(open_popover(test, "collection_history"))
    test = screen.open(product="b017")
    test.session_state["note_collect"] = ("b003",)
    assert_plain(test.run())


@pytest.mark.parametrize("source", ["sample", "fashion-mnist", "upload"])
def test_the_form_that_loads(screen, source):
    assert_plain(choose(screen, source))


def test_a_look_at_an_upload(screen):
    data = zipped(bag__one=coloured(1), Bag__two=coloured(2), hat__three=coloured(3))
    assert_plain(open_popover(upload(screen, "autumn.zip", data), "source_options"))
    assert_plain(upload(screen, "t.csv", b"product_id,image,subset,price\na,1.png,train,x\na,2.png,tset,2\n"))


def test_a_finished_check(screen, shop_catalogue):
    checked(screen, by_split={"train": 40, "validation": 5, "test": 8, "gallery-only": 5})
    assert_plain(screen.open("catalogue"))


# ------------------------------------------------------------------------------------------- a catalogue without labels

OF_KINDS = re.compile(r"\b(?:kinds?|probabilit\w+|likely)\b", re.IGNORECASE)
OF_LABELS = re.compile(rf"{OF_KINDS.pattern}|\blabels?\b", re.IGNORECASE)


@pytest.fixture
def unlabelled(screen, tmp_path_factory):
    """The shop without any label, indexed and served; yields the screen."""
    rows = [{**row, "label": "", "split": "gallery-only"} for row in shop_rows()]
    write_catalogue(screen.settings, "shop", rows)
    folder = tmp_path_factory.mktemp("unlabelled") / "projection"
    build_gallery(ShopSnapshot(rows), write_projection_bundle(folder), folder, progress=NullProgress())
    recommender = Recommender.load(folder, embedder_loader=load_projection)
    ensure_app_token(screen.settings)
    with http_to(build_app(screen.settings, load=lambda: served(recommender))) as client:
        screen.settings = replace(screen.settings, endpoint_url=str(client.base_url).rstrip("/"))
        yield screen


def assert_no_word_of_labels(test):
    assert_plain(test)
    assert [text for text in said(test) if OF_LABELS.search(text)] == []


def test_without_labels_find_similar_says_how_close_and_no_word_of_kinds_and_probabilities(unlabelled):
    test = unlabelled.open()
    assert_no_word_of_labels(test)
    photo = encoded(picture("checks", 3))
    test = test.file_uploader[0].upload("photo.png", photo, "image/png").run()
    assert_no_word_of_labels(test)
    test.toggle(key="figures").set_value(True).run()
    assert_no_word_of_labels(test)
    assert grid(test)[0]["closeness"] == "Very close"
    assert grid(test)[0]["lines"] == ["c017", "Ada · grey"]
    assert "filter_label" not in [element.key for element in test.multiselect]
    answer = common.recommend(photo, k=3, filters={}).answer
    assert {neighbour.probability for neighbour in answer.neighbours} == {None}
    columns = as_csv(answer).splitlines()[0].split(",")
    assert not {"label", "probability"} & {*columns}
    assert "closeness" in columns


@pytest.mark.parametrize("view", ["Products", "Changes", "History"])
def test_without_labels_the_catalogue_has_no_word_of_them(unlabelled, view):
    test = unlabelled.open("catalogue", view=view)
    assert not test.exception
    assert [text for text in said(test) if OF_KINDS.search(text)] == []
    assert "Label" not in [box.label for box in test.selectbox]
    assert "Labels" not in [tab.label for tab in test.tabs]
    assert "Labels" not in [metric.label for metric in test.metric]

"""The Explore page on a wardrobe with a map: empty, typical, changed in the meantime, and failing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from app.components.explore import charts, form, insight, payload, selection
from app.components.explore import map as explore_map
from app.components.explore.view import first_match
from backend.bundles import bundle
from backend.flow.requests import ProjectRequest, SplitsRequest, to_json
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.projection import lists
from backend.projection.columns import Column
from backend.projection.insight import Overlap
from backend.projection.lists import ListedProduct, SavedList
from backend.projection.maps import list_maps
from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.rules.rule import Scope
from tests.fixtures.endpoint import encoded, picture
from tests.fixtures.evaluation import WARDROBE
from tests.fixtures.projection import write_map
from tests.ui.conftest import assert_calm, finished, grid, press, texts


@pytest.fixture
def mapped(screen, mapped_template):
    """The app in a home with two models of the wardrobe and a map of ``mine``."""
    for part in ("models", "catalogues", "maps"):
        shutil.copytree(mapped_template.home / part, screen.settings.home / part)
    return screen


@pytest.fixture
def info(mapped_template):
    return list_maps(mapped_template.maps_dir / "mine")[0]


@pytest.fixture
def ids(mapped_template):
    return Gallery.load(mapped_template.models_dir / "mine").ids


def opened(mapped, view="Map", model="mine", **address):
    test = mapped.open("explore", view=view, model=model, **address)
    assert_calm(test)
    return test


def components(test):
    return [element.proto for element in test.get("bidi_component")]


def map_data(test, position=0):
    found = [proto for proto in components(test) if proto.component_name.endswith("twinset_explore_map")]
    return json.loads(found[position].mixed.json), found[position].mixed


def cards(test, key):
    found = next(proto for proto in components(test) if key in proto.id)
    return json.loads(found.json)["cards"]


# ------------------------------------------------------------------------------------------------- before there is a map


def test_without_a_model_it_says_where_models_come_from(screen):
    test = screen.open("explore")
    assert_calm(test)
    assert "There is no model yet" in texts(test)


def test_a_model_without_an_index_points_to_where_it_is_built(mapped):
    folder = mapped.settings.models_dir / "mine"
    bundle.write_manifest(folder, replace(bundle.read_manifest(folder), index=None))
    assert "no index yet" in texts(opened(mapped))


def test_before_a_map_is_drawn_there_is_a_first_look(mapped):
    test = opened(mapped, model="other")
    data, _ = map_data(test)
    assert data["map"].startswith("pca-")
    assert "first look" in texts(test)
    assert "There is no map of other yet" in mapped.open("explore", view="Hubs", model="other").error[0].value


def test_the_form_asks_for_a_map(mapped):
    test = opened(mapped, model="other")
    test.slider(key="project_neighbours").set_value(9)
    test.toggle(key="project_supervised").set_value(True)
    assert test.radio(key="project_engine").value == "twinset"
    test.radio(key="project_engine").set_value("umap-learn")
    press(test, "Draw")
    (job,) = mapped.runner.list()
    asked = ProjectRequest("other", 9, 0.1, supervised=True, engine="umap-learn")
    assert job.request == json.loads(json.dumps(to_json(asked)))


def test_a_job_that_failed_is_a_sentence_and_the_map_stays(mapped):
    store = JobStore(mapped.settings.jobs_db, logs_dir=mapped.settings.logs_dir)
    job, _ = store.add("project", to_json(ProjectRequest("mine")))
    store.start(job.id, pid=1)
    store.finish(job.id, JobState.FAILED, error="The ink is dry.", next_step="Fill it.")
    test = mapped.open("explore", model="mine")
    assert [error.value for error in test.error] == ["The ink is dry.\n\nFill it."]
    assert map_data(test)


def test_a_finished_job_says_so_and_leaves_its_link_out(mapped, info):
    finished(
        mapped, ProjectRequest("mine"), {"model": "mine", "map": info.key, "products": info.size, "was_there": False}
    )
    said = texts(opened(mapped))
    assert "**Drawing a map**" in said
    assert "See the map" not in said


# ------------------------------------------------------------------------------------------------- the map


def test_the_map_is_sent_as_small_integers(mapped, info):
    data, mixed = map_data(opened(mapped))
    (blob,) = mixed.arrow_blobs.values()
    table = pa.ipc.open_stream(blob.data).read_all()
    assert data["map"] == info.key
    assert data["plotly"].startswith("component/")
    assert {name: str(table.schema.field(name).type) for name in table.schema.names} == {
        "x": "uint16",
        "y": "uint16",
        "code": "uint8",
        "mark": "uint8",
    }
    assert table.num_rows == info.size
    assert data["column"]["names"][:1] == [data["column"]["names"][0]]
    assert data["splits"] == ["Train", "Validation", "Test", "Gallery only"]


def test_it_says_what_the_map_is_worth(mapped, info):
    said = texts(opened(mapped)).replace("\\", "")
    assert f"Trustworthiness {info.worth['2'].trustworthiness:.3f}" in said
    sampled = replace(info.worth["2"], asked=50, trustworthiness=0.5)
    told = form.worth_sentence(replace(info, options=replace(info.options, supervised=True)), sampled)
    assert "trust the neighbours, not the map" in told
    assert "The labels were used" in told
    assert "Measured on an even sample of 50 products" in told
    assert "Drawn with" not in told
    theirs = replace(info, options=replace(info.options, engine="umap-learn"))
    assert "Drawn with umap-learn." in form.worth_sentence(theirs, sampled)
    few = replace(sampled, trustworthiness=None, accuracy=None, full_accuracy=None)
    told = form.worth_sentence(info, few)
    assert told.startswith("There are too few products to assess how faithful this map is.")
    assert "Ten neighbours" not in told
    assert "Trustworthiness" not in told


@pytest.mark.parametrize("colour", ["Label", "Split", "Seen in training", "Nearest product"])
def test_it_is_coloured_by_texts(mapped, colour):
    data, _ = map_data(opened(mapped, colour=colour))
    assert (data["column"]["title"], data["column"]["kind"]) == (colour, "texts")
    assert len(data["column"]["names"]) == len(data["column"]["light"]) == len(data["column"]["dark"])


def test_it_is_coloured_by_numbers(mapped):
    data, _ = map_data(opened(mapped, colour="Distance to the centre of its label"))
    assert data["column"]["kind"] == "numbers"
    assert 0 <= data["column"]["low"] < data["column"]["high"]


def test_in_space_there_is_a_third_coordinate(mapped):
    data, mixed = map_data(opened(mapped, size="3-D"))
    (blob,) = mixed.arrow_blobs.values()
    assert "z" in pa.ipc.open_stream(blob.data).read_all().schema.names
    assert len(data["low"]) == 3


def test_the_link_brings_selection_point_and_camera_back(mapped, ids):
    short = lists.keep_selection(mapped.settings.lists_dir, ids[:30])
    test = opened(mapped, selection=short, point=ids[3], camera="0,5,0,6")
    data, _ = map_data(test)
    assert data["selected"] == list(range(30))
    assert data["camera"] == "0,5,0,6"
    assert data["rings"][0]["at"] == 3
    assert len(data["lines"]) == 2
    assert "**30 products selected**" in texts(test)
    shown = cards(test, "explore_selected")
    assert [card["id"] for card in shown] == list(ids[:24])
    assert all(card["src"].startswith("data:image") for card in shown)
    groups = {card["group"] for card in cards(test, "explore_neighbours")}
    assert groups == {"True neighbours", "Neighbours on the map"}


def test_a_selection_begins_a_rule(mapped, ids):
    short = lists.keep_selection(mapped.settings.lists_dir, ids[:30])
    for name, begun in {
        "block": ("block", None, tuple(ids[:30])),
        "nearest": ("pin", Scope("nearest", tuple(ids[:30])), ()),
    }.items():
        test = opened(mapped, selection=short)
        test.button(key=f"explore_rule_{name}").click().run()
        form = test.session_state["note_rule_form"]
        assert (form.action, form.scope, form.products) == begun
        assert [one.value for one in test.title] == ["Rules"]


def test_a_selection_that_is_not_kept_any_more_is_a_sentence(mapped):
    test = mapped.open("explore", model="mine", selection="0123456789ab")
    assert not test.exception
    assert "no longer stored" in test.error[0].value
    assert map_data(test)[0]["selected"] == []


def test_a_point_that_is_not_in_the_gallery_is_said(mapped):
    assert "has no product nobody" in texts(opened(mapped, point="nobody"))


def test_the_search_flies_to_a_product(mapped, ids):
    test = opened(mapped)
    test.text_input(key="explore_search").set_value(ids[7]).run()
    data, _ = map_data(test)
    assert data["fly"] == {"at": 7, "turn": 1}
    assert test.query_params["point"] in (ids[7], [ids[7]])
    test.text_input(key="explore_search").set_value("unheard of").run()
    assert_calm(test)
    assert map_data(test)[0]["fly"] == {"at": 7, "turn": 1}


def test_the_search_finds_ids_before_titles_and_labels(mapped_template, ids):
    class Found:
        class points:  # noqa: N801 - stands in for the points of a gallery
            pass

    Found.points.ids = np.asarray(["a1", "b2", "c3"])
    Found.points.titles = np.asarray(["", "A1 shirt", "hat"])
    Found.points.labels = np.asarray(["coat", "shirt", "hat"])
    assert [first_match(Found, text) for text in ("a1", "HAT", "shirt", "nothing", " ")] == [0, 2, 1, None, None]


def test_new_products_look_different_until_the_map_is_drawn_again(mapped, ids):
    folder = mapped.settings.models_dir / "mine"
    manifest = bundle.read_manifest(folder)
    gallery, vectors = Gallery.load(folder), np.load(folder / bundle.VECTORS)
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / bundle.GALLERY)
    twin = rows.slice(4, 1).set_column(0, "product_id", pa.array(["zz-new"]))
    pq.write_table(pa.concat_tables([rows.slice(1), twin.cast(rows.schema)]), folder / bundle.GALLERY)
    np.save(folder / bundle.VECTORS, np.vstack([vectors[1:], vectors[4:5]]))
    bundle.write_manifest(folder, manifest)
    test = opened(mapped)
    _, mixed = map_data(test)
    (blob,) = mixed.arrow_blobs.values()
    marks = pa.ipc.open_stream(blob.data).read_all()["mark"].to_numpy()
    assert marks[-1] >= payload.PLACED
    assert (marks[:-1] < payload.PLACED).all()
    assert "1 product added, 1 removed" in texts(test).replace("\\", "")
    assert gallery.size == len(marks)


def test_a_map_that_was_damaged_is_a_sentence(mapped, info):
    (mapped.settings.maps_dir / "mine" / info.key / "map.npz").write_bytes(b"nothing")
    test = mapped.open("explore", model="mine")
    assert not test.exception
    assert "cannot be read" in test.error[0].value


def test_a_model_deleted_meanwhile_is_a_sentence(mapped):
    test = opened(mapped)
    shutil.rmtree(mapped.settings.models_dir / "mine")
    test.session_state["colour"] = "Split"
    import streamlit as st

    st.cache_resource.clear()
    test.run()
    assert not test.exception
    assert test.error or "There is no model" in texts(test) or map_data(test)


# ------------------------------------------------------------------------------------------------- a photo


def test_a_photo_lands_on_the_map_with_lines_to_its_neighbours(screen, shop_endpoint, shop_model):
    write_map(screen.settings, shop_model.name)
    test = screen.open("explore")
    test.file_uploader[0].upload("stripes.png", encoded(picture("stripes", 3)), "image/png").run()
    assert_calm(test)
    data, _ = map_data(test)
    (ring,) = data["rings"]
    assert ring["symbol"] == "x"
    assert all(low - 2 <= at <= high + 2 for at, low, high in zip(ring["at"], data["low"], data["high"], strict=True))
    assert 1 <= len(data["lines"][0]["to"]) <= 10
    assert "stripes.png is drawn as a cross" in texts(test).replace("\\", "")


def test_a_photo_that_is_none_is_a_sentence_and_the_map_stays(screen, shop_endpoint, shop_model):
    write_map(screen.settings, shop_model.name)
    test = screen.open("explore")
    test.file_uploader[0].upload("torn.png", b"nothing", "image/png").run()
    assert not test.exception
    assert len(test.error) == 1
    assert map_data(test)[0]["rings"] == []


def test_without_an_endpoint_a_photo_says_how_to_start_it(mapped):
    test = opened(mapped)
    test.file_uploader[0].upload("stripes.png", encoded(picture("stripes", 3)), "image/png").run()
    assert not test.exception
    assert "make run" in test.error[0].value


# ------------------------------------------------------------------------------------------------- the other views


def test_outliers_overlap_hubs_and_duplicates(mapped):
    assert cards(opened(mapped, "Outliers"), "explore_outliers")
    assert "10 nearest neighbours" in texts(opened(mapped, "Overlap"))
    hubs = opened(mapped, "Hubs")
    assert "never appear among another product's" in texts(hubs)
    assert cards(hubs, "explore_hubs_most")
    assert "No two products" in texts(opened(mapped, "Near duplicates")) or grid(opened(mapped, "Near duplicates"))


def test_hubs_are_said_in_words():
    assert "crowd out" in insight.hubs_sentence(10, 4, 100, 2.0)
    assert "fairly evenly" in insight.hubs_sentence(10, 0, 100, 0.3)


def test_very_many_labels_are_drawn_in_part():
    labels = tuple(f"l{number:03}" for number in range(60))
    square = np.eye(60)
    found = Overlap(labels, tuple(range(60)), square, square)
    assert charts.drawn_labels(found) == list(range(20, 60))
    assert len(charts.overlap(found).data[0].x) == 40


def test_without_lists_it_says_how_they_come_about(mapped):
    assert "No list is saved yet" in texts(opened(mapped, "Lists"))


def test_a_list_of_an_unseen_class_keeps_its_labels_out_of_training(mapped):
    products = (ListedProduct("box-00", "Box"), ListedProduct("ring-00", "Ring"))
    lists.save_list(mapped.settings.lists_dir, SavedList("new kinds", "unseen", "mine", WARDROBE, 1, products))
    test = opened(mapped, "Lists")
    assert "Box, Ring" in texts(test)
    press(test, "Exclude 2 labels from training")
    (job,) = mapped.runner.list()
    wanted = SplitsRequest(WARDROBE, "redraw", unseen=("Box", "Ring"))
    assert job.request == json.loads(json.dumps(to_json(wanted)))


def test_a_list_can_be_selected_again_and_deleted(mapped, ids):
    products = tuple(ListedProduct(name) for name in ids[:3])
    lists.save_list(mapped.settings.lists_dir, SavedList("three", "list", "mine", WARDROBE, 1, products))
    test = press(opened(mapped, "Lists"), "Select on the map")
    assert_calm(test)
    assert test.query_params["selection"]
    press(test, "Delete")
    assert "No list is saved yet" in texts(test)


def test_a_selection_is_saved_under_a_name(mapped, ids):
    short = lists.keep_selection(mapped.settings.lists_dir, ids[:4])
    test = opened(mapped, selection=short)
    test.text_input(key="explore_list_name").set_value("four of them")
    press(test, "Save")
    assert_calm(test)
    kept = lists.load_list(mapped.settings.lists_dir, "four of them")
    assert [product.product_id for product in kept.products] == list(ids[:4])
    assert all(product.label for product in kept.products)


def test_two_models_show_one_selection(mapped, ids):
    short = lists.keep_selection(mapped.settings.lists_dir, ids[:5])
    test = opened(mapped, "Two models", selection=short)
    first, second = map_data(test, 0)[0], map_data(test, 1)[0]
    assert first["selected"] == second["selected"] == [0, 1, 2, 3, 4]
    assert first["map"] != second["map"]


# ------------------------------------------------------------------------------------------------- pure parts


def test_coordinates_come_back_from_their_steps():
    positions = np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32) * 8
    column = Column("Label", "texts", ("a", "b"), np.zeros(200, np.int32))
    found = payload.payload("m", positions, np.zeros(200, np.uint8), np.zeros(200, np.bool_), column)
    for axis, name in enumerate("xy"):
        steps = found.table[name].to_numpy().astype(np.float64)
        back = found.low[axis] + steps * (found.high[axis] - found.low[axis]) / payload.STEPS
        assert np.abs(back - positions[:, axis]).max() < (found.high[axis] - found.low[axis]) / 65_000
    assert found.table.nbytes / 200 <= 12


def test_more_texts_than_colours_are_others_and_unknown_numbers_are_grey():
    names = tuple(f"n{number}" for number in range(50))
    many = Column("Brand", "texts", names, np.arange(50, dtype=np.int32))
    codes, told = payload._codes(many)
    assert told["names"][-1] == "Others"
    assert codes.max() == len(told["names"]) - 1 == len(told["light"]) - 1 == len(told["dark"]) - 1
    numbers = Column("Price", "numbers", numbers=np.asarray([1.0, np.nan, 3.0], np.float32))
    steps, told = payload._codes(numbers)
    assert steps[1] == payload.UNKNOWN
    assert told["low"] < told["high"]


def test_points_that_are_all_the_same_are_sent_all_the_same():
    column = Column("Label", "texts", ("a",), np.zeros(3, np.int32))
    found = payload.payload("m", np.zeros((3, 2), np.float32), np.zeros(3, np.uint8), np.zeros(3, bool), column)
    assert found.high[0] > found.low[0]


def test_a_selection_is_counted_by_label():
    said = selection.counts_sentence(["hat", "hat", "", *[f"l{number}" for number in range(14)]])
    assert said.startswith("hat 2 · No label 1")
    assert said.endswith("4 more labels")


def test_what_is_drawn_above_names_its_places():
    above = explore_map.Above(fly_to=(2, 1))
    above.link(3, [1, 2], explore_map.TRUE_COLOUR)
    above.ring([0.5, 1.5], "x")
    assert above.lines[0]["to"] == [1, 2]
    assert above.rings == [{"at": [0.5, 1.5], "symbol": "x"}]

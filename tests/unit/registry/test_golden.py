"""What a merchandiser approved is kept with its picture, and asked of every model of that catalogue."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import RegistryError
from backend.registry.golden import FOLDER, GoldenQuery, approve, golden_queries, golden_query_of, mark, remove, replay
from tests.fixtures.endpoint import encoded, picture

PHOTO = encoded(picture("checks", 3))
QUERY = GoldenQuery("The checked one", "shop", PHOTO, ("c017",), ("checks",), 5)


def test_an_approved_query_is_listed_until_it_is_given_up(tmp_path):
    kept = approve(tmp_path, QUERY)
    assert kept.approved_at
    assert golden_queries(tmp_path) == golden_queries(tmp_path, "shop") == [kept]
    assert golden_queries(tmp_path, "another") == []
    again = approve(tmp_path, replace(QUERY, name="The same picture", products=("c016", "c017")))
    assert golden_queries(tmp_path) == [again]
    assert golden_query_of(tmp_path, PHOTO) == again
    assert golden_query_of(tmp_path, PHOTO + b" ") is None
    remove(tmp_path, again.id)
    assert golden_queries(tmp_path) == []
    with pytest.raises(RegistryError, match="no golden query"):
        remove(tmp_path, again.id)
    with pytest.raises(RegistryError, match="no golden query"):
        remove(tmp_path, f"../{again.id}")


@pytest.mark.parametrize(
    "wrong", [{"products": (), "labels": ()}, {"k": 0}, {"k": 101}, {"k": 1, "products": ("a", "b")}]
)
def test_what_expects_nothing_or_too_much_is_refused(tmp_path, wrong):
    with pytest.raises(RegistryError):
        approve(tmp_path, replace(QUERY, **wrong))
    assert golden_queries(tmp_path) == []


def damage_picture(raw):
    raw["image"] = raw["image"][:-8] + "AAAAAAA="


@pytest.mark.parametrize("damage", [lambda raw: raw.pop("k"), damage_picture, lambda raw: raw.update(image="?")])
def test_a_damaged_file_stops_the_gate_instead_of_being_overlooked(tmp_path, damage):
    kept = approve(tmp_path, QUERY)
    path = tmp_path / FOLDER / f"{kept.id}.json"
    raw = json.loads(path.read_text())
    damage(raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(RegistryError, match="damaged") as caught:
        golden_queries(tmp_path)
    assert f"golden remove {kept.id}" in caught.value.next_step


@pytest.mark.parametrize(
    ("changes", "passed", "says"),
    [
        ({}, True, "The checked one: as approved."),
        ({"labels": ()}, True, "as approved"),
        ({"products": ("b005",)}, False, "b005 not among the first 5"),
        ({"labels": ("blob",)}, False, "the nearest product is checks instead of blob"),
        ({"products": ("c017", "gone-for-good")}, True, "1 of its products are no longer in the gallery"),
        ({"products": ("b005",), "labels": ("blob", "stripes")}, False, "and the nearest product is checks instead of"),
    ],
)
def test_an_answer_is_held_against_what_was_approved(projection_recommender, changes, passed, says):
    (found,) = replay(projection_recommender, [replace(QUERY, **changes)])
    assert (found.passed, says in found.says) == (passed, True), found.says


def test_every_query_is_looked_at_to_its_own_depth(projection_recommender):
    (answer,) = projection_recommender.recommend([PHOTO], k=9)
    seventh = answer.neighbours[6].product_id
    shallow = replace(QUERY, products=(seventh,), k=5)
    deep = replace(QUERY, products=(seventh,), k=9)
    assert [one.passed for one in replay(projection_recommender, [shallow, deep])] == [False, True]
    assert replay(projection_recommender, []) == []


MARKS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=6)


@settings(max_examples=12, deadline=None)
@given(MARKS)
def test_a_mark_is_taken_back_by_a_second_and_replaced_by_the_other(tmp_path_factory, marks):
    home, known = tmp_path_factory.mktemp("marked"), {}
    for product, is_similar in marks:
        mark(home, QUERY, product, is_similar=is_similar)
        known = {**known, product: None if known.get(product) is is_similar else is_similar}
    found = golden_query_of(home, PHOTO)
    wanted = [{name for name, one in known.items() if one is is_similar} for is_similar in (True, False)]
    assert [set(found.products), set(found.forbidden)] == wanted if found else wanted == [set(), set()]


def test_a_mark_is_added_to_what_was_approved_and_belongs_to_its_catalogue(tmp_path):
    approve(tmp_path, QUERY)
    found = mark(tmp_path, replace(QUERY, k=9), "c016", is_similar=True)
    assert (found.products, found.labels, found.k) == (("c017", "c016"), ("checks",), 9)
    with pytest.raises(RegistryError, match="catalogue shop"):
        mark(tmp_path, replace(QUERY, catalogue="another"), "c016", is_similar=True)


def test_what_is_marked_as_not_similar_must_not_be_shown(projection_recommender):
    (found,) = replay(projection_recommender, [replace(QUERY, forbidden=("c017", "b005"), products=())])
    assert (found.passed, found.misses, found.unwanted) == (False, False, ("c017",))
    assert "c017 among the first 5, but marked as not similar" in found.says


def test_an_example_of_an_earlier_version_opens_and_one_of_a_later_version_is_refused(tmp_path):
    kept = approve(tmp_path, QUERY)
    path = tmp_path / FOLDER / f"{kept.id}.json"
    raw = json.loads(path.read_text())
    earlier = {name: value for name, value in raw.items() if name != "forbidden"} | {"format": 1}
    path.write_text(json.dumps(earlier))
    assert golden_queries(tmp_path) == [kept]
    path.write_text(json.dumps(raw | {"format": 3}))
    with pytest.raises(RegistryError, match="newer version"):
        golden_queries(tmp_path)

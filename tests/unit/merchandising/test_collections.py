"""Collections: an order that nothing confuses, two people who lose nothing, and files that give everything back."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.catalogue.items import Product
from backend.errors import CatalogueError, CatalogueNotFound, ChangedMeanwhile
from backend.merchandising.collections.as_pins import with_pins
from backend.merchandising.collections.asked import AskedCollections
from backend.merchandising.collections.collection import Collection, as_plain, begun, from_plain, in_order
from backend.merchandising.collections.exports import as_csv, from_csv, gone
from backend.merchandising.collections.sheet import as_sheet
from backend.merchandising.collections.store import CollectionStore
from backend.merchandising.collections.together import together
from backend.retrieval.rules.rule import MAX_SLOT, Rule, Scope
from tests.fixtures.endpoint import encoded, picture

IDS = list("abcdefgh")
HOSTILE = ["=1+1", "</style><script>alert(1)</script>", '"\\"a, b', "-é|ü", "'@x", "日本 \u202e", "a;b", "&amp;"]
PICTURE = encoded(picture("stripes", 3))
ABC = Collection("one", "One", ("a", "b", "c"), (("b", "why"),))


@st.composite
def edits(draw, base, *, only=None):
    """What somebody does to a collection in up to four steps, to these products if only these are given."""
    one = base
    for _ in range(draw(st.integers(0, 4))):
        touched = [name for name in one.products if only is None or name in only]
        steps = ["add", *(["remove", "move", "comment"] if touched else [])]
        step, name = draw(st.sampled_from(steps)), draw(st.sampled_from(touched)) if touched else ""
        if step == "add":
            one = one.added([draw(st.sampled_from([x for x in IDS if only is None or x in only]))])
        elif step == "remove":
            one = one.without(name)
        elif step == "move":
            one = one.moved(name, draw(st.integers(1, 9)))
        else:
            one = one.commented(name, draw(st.sampled_from(["", "x", "y"])))
    return one


@st.composite
def three(draw):
    base = Collection("one", "One", tuple(draw(st.permutations(IDS)))[: draw(st.integers(0, 6))])
    return base, draw(edits(base)), draw(edits(base))


@settings(max_examples=60)
@given(three())
def test_two_peoples_changes_are_merged_whole_or_said_to_be_torn(found):
    base, mine, theirs = found
    assert together(base, mine, base) == mine
    assert together(base, base, theirs) == theirs
    merged = together(base, mine, theirs)
    if merged is None:
        touched = [_touched(base, one) for one in (mine, theirs)]
        assert touched[0] & touched[1], "torn, though they touched different products"
        return
    added = {name for one in (mine, theirs) for name in one.products} - set(base.products)
    removed = {name for name in base.products if name not in mine.products or name not in theirs.products}
    assert set(merged.products) == (set(base.products) | added) - removed
    for one in (mine, theirs):
        for name in merged.products:
            if one.comment_of.get(name, "") != base.comment_of.get(name, ""):
                assert merged.comment_of.get(name, "") == one.comment_of.get(name, "")


def _touched(base, one):
    """Every product that could have been moved, and those added, removed or with another comment."""
    common = [[name for name in x.products if name in y.products] for x, y in ((base, one), (one, base))]
    moved = {name for pair in zip(*common, strict=True) if pair[0] != pair[1] for name in pair}
    comments = {name for name in IDS if base.comment_of.get(name) != one.comment_of.get(name)}
    return moved | comments | (set(base.products) ^ set(one.products))


@settings(max_examples=60)
@given(st.permutations(IDS), st.data())
def test_my_order_is_kept_where_the_other_only_adds(order, data):
    base = Collection("one", "One", tuple(order[:6]))
    mine = base.moved(data.draw(st.sampled_from(order[:6])), data.draw(st.integers(1, 6)))
    merged = together(base, mine, base.added(order[6:]))
    assert [name for name in merged.products if name in base.products] == list(mine.products)
    assert set(order[6:]) < set(merged.products)


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_edited_is_a_draft_and_lasts(data):
    base = Collection("one", "One", tuple(IDS[:5]), (("a", "x"),)).approved("Ann")
    one = data.draw(edits(base))
    assert one.is_approved == (one == base)
    assert len(set(one.products)) == len(one.products)
    assert from_plain(as_plain(one)) == one


def test_moving_goes_to_the_ends_and_no_further():
    assert ABC.moved("c", 0).products == ("c", "a", "b")
    assert ABC.moved("a", 99).products == ("b", "c", "a")
    assert ABC.moved("z", 1) == ABC.moved("b", 2) == ABC
    assert ABC.without("b").comments == ()


def test_what_cannot_be_a_collection_is_a_sentence():
    with pytest.raises(CatalogueError, match="needs a name"):
        begun("  ", "Ann")
    with pytest.raises(CatalogueError, match="invalid product id"):
        begun("One", "Ann", ["a", "b\x00"])
    with pytest.raises(CatalogueError, match="5,001 products"):
        begun("One", "Ann", map(str, range(5001)))
    with pytest.raises(CatalogueError, match="comment or note"):
        ABC.commented("a", "x" * 1001)
    for raw in ([], {"id": "a"}, {"id": "a", "name": 3}, {"id": "a", "name": "b", "more": "c"}, "x"):
        with pytest.raises(CatalogueError, match="cannot be read"):
            from_plain(raw)
    for name in ("Été à Paris!", "日本", "x" * 120, *HOSTILE[:2]):
        assert begun(name, "Ann").id != begun(name, "Ann").id


# ------------------------------------------------------------------------------------------------ kept


@pytest.fixture
def store(tmp_path):
    return CollectionStore(tmp_path / "collections", "shop")


def test_two_editors_are_merged_or_the_second_is_told_who_and_nothing_is_lost(store):
    first = store.put(ABC, base=0, by="Ann")
    second = store.put(ABC.moved("c", 1), base=first.version, by="Bob")
    merged = store.put(ABC.commented("a", "mine"), base=first.version, by="Ann")
    assert merged.get("One") == ABC.moved("c", 1).commented("a", "mine")
    with pytest.raises(ChangedMeanwhile, match=r"since version 1: One \(by Ann on .+ UTC, version 3\)") as told:
        store.put(ABC.commented("a", "other"), base=second.version - 1, by="Bob")
    assert "still here" in told.value.next_step
    assert store.read() == merged
    other = begun("Two", "Bob", ["z"])
    both = store.put(other, base=0, by="Bob")
    assert {one.name for one in both.collections} == {"One", "Two"}
    with pytest.raises(ChangedMeanwhile):
        store.remove("one", base=first.version, by="Bob")
    with pytest.raises(CatalogueError, match="already a collection"):
        store.put(begun("TWO", "Bob"), base=both.version, by="Bob")


def test_approved_is_what_was_seen_and_no_more(store):
    version = store.put(ABC, base=0, by="Ann").version
    store.put(ABC.commented("a", "new"), base=version, by="Bob")
    with pytest.raises(ChangedMeanwhile):
        store.put(ABC.approved("Ann"), base=version, by="Ann")
    now = store.read()
    approved = store.put(now.get("one").approved("Ann"), base=now.version, by="Ann")
    assert approved.get("one").is_approved
    late = store.put(ABC.commented("c", "late"), base=version, by="Bob")
    assert not late.get("one").is_approved


def test_every_change_of_one_is_in_its_history_and_can_be_undone_alone(store):
    first = store.put(ABC, base=0, by="Ann", note="begun")
    store.put(replace(ABC, id="two", name="Two"), base=first.version, by="Bob")
    moved = store.put(ABC.moved("c", 1), base=first.version, by="Bob")
    assert [(one.version, one.by) for one in store.history_of("one")] == [(3, "Bob"), (1, "Ann")]
    gone_now = store.remove("one", base=moved.version, by="Bob")
    with pytest.raises(CatalogueNotFound, match="no collection one"):
        gone_now.get("one")
    back = store.bring_back("one", 1, by="Ann")
    assert (back.get("one"), back.get("two").name) == (ABC, "Two")
    assert store.asked("one@3") == (ABC.moved("c", 1), 3)
    assert store.asked("One") == (ABC, 5)


def test_a_question_gets_the_products_and_says_what_it_does_not_know(store):
    store.put(ABC, base=0, by="Ann")
    store.put(replace(ABC, id="none", name="None", products=(), comments=()), base=1, by="Ann")
    asked = AskedCollections(store.folder.parent)
    assert asked.as_filters("shop", ["one"], {"brand": ("x",)}) == {"brand": ("x",), "product_id": ("a", "b", "c")}
    assert asked.as_filters("shop", ["One", "none"], {"product_id": ("c", "z")})["product_id"] == ("c",)
    assert asked.as_filters("shop", ["none"], {})["product_id"] == ("",)
    store.put(ABC.without("a"), base=2, by="Ann")
    assert asked.as_filters("shop", ["one"], {})["product_id"] == ("b", "c")
    assert asked.as_filters("shop", ["one@1"], {})["product_id"] == ("a", "b", "c")
    for wrong in ("nobody", "one@9", "one@0", "@", ""):
        with pytest.raises(CatalogueNotFound):
            asked.as_filters("shop", [wrong], {})


# ------------------------------------------------------------------------------------------------ as files and rules


def shop(products):
    held = {one.product_id: one for one in products}
    return SimpleNamespace(name="shop", version=1, products=lambda ids: [held[name] for name in ids if name in held])


def product(name, **details):
    return Product(product_id=name, label="", split="gallery-only", image=PICTURE, **details)


@settings(max_examples=25)
@given(st.lists(st.sampled_from([*HOSTILE, *IDS]), unique=True), st.data())
def test_a_csv_gives_order_and_comments_back(tmp_path_factory, ids, data):
    comments = {name: data.draw(st.sampled_from(["", *HOSTILE, "two\nlines"])) for name in ids}
    one = Collection("one", "One", tuple(ids), in_order(comments, ids))
    path = tmp_path_factory.getbasetemp() / "one.csv"
    path.write_text(as_csv(one, shop([product(name, title=name, price=1.0) for name in ids[::2]])), "utf-8-sig")
    assert from_csv(path) == {name: comments[name] for name in ids}


def test_a_csv_without_ids_or_with_an_empty_one_is_a_sentence(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("name,comment\na,b\n")
    with pytest.raises(CatalogueError, match="no column of product ids"):
        from_csv(path)
    path.write_text("sku,comment\na,b\n ,c\n")
    with pytest.raises(CatalogueError, match="Row 3"):
        from_csv(path)


def test_a_sheet_shows_everything_and_runs_nothing():
    one = Collection("one", HOSTILE[1], (*HOSTILE, "lost"), in_order(dict.fromkeys(HOSTILE, HOSTILE[1]), HOSTILE))
    text = as_sheet(one, shop([product(name, title=HOSTILE[1], brand=HOSTILE[1], price=1.5) for name in HOSTILE]))
    assert "<script" not in text.lower()
    assert text.count("</style>") == 1
    assert text.count("data:image/jpeg;base64,") == len(HOSTILE)
    assert text.count("No longer in the catalogue") == 1
    assert "1 no longer in the catalogue" in text
    assert text.index("&lt;script&gt;") > 0
    assert [text.index(f'"place">{place}<') for place in range(1, 10)] == sorted(
        text.index(f'"place">{place}<') for place in range(1, 10)
    )


def test_pins_are_in_order_replace_the_former_ones_and_count_what_is_left_out():
    ids = [f"p{number}" for number in range(MAX_SLOT + 5)]
    one, scope = Collection("one", "One", (*ids, "lost")), Scope("label", ("dress",))
    mine = Rule("mine", "block", products=("x",))
    rules, pinned, left_out = with_pins([mine], one, scope, "Ann", set(ids))
    assert (pinned, left_out) == (MAX_SLOT, 6)
    assert [rule.products[0] for rule in rules[1:]] == ids[:MAX_SLOT]
    assert [rule.slot for rule in rules[1:]] == list(range(1, MAX_SLOT + 1))
    fewer, *_ = with_pins(rules, replace(one, products=("p2", "p1")), scope, "Ann", set(ids))
    assert [(rule.products[0], rule.slot) for rule in fewer[1:]] == [("p2", 1), ("p1", 2)]
    both, *_ = with_pins(fewer, one, Scope(), "Ann", {"p1"})
    assert len(both) == len(fewer) + 1
    assert gone(one, frozenset(ids)) == ["lost"]

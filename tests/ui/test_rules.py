"""Rules on screens: made from a result, tried in a draft, published, undone, and brought in and out as files."""

from __future__ import annotations

from datetime import date

import pytest

from app.services import rules
from backend.merchandising.draft import Drafts
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.rules.rule import Rule, Scope, conditions
from tests.fixtures.endpoint import encoded, picture
from tests.ui.conftest import assert_calm, grid, press, sent_to, texts


@pytest.fixture
def store(screen):
    return RuleStore(screen.settings.rules_dir, "shop")


@pytest.fixture
def named(screen, shop_endpoint):
    """Opens a page as Ada."""

    def opened(page="rules", *, view="Rules", **address):
        test = screen.open(page, **address)
        test.session_state["rules_view"] = view
        test.session_state["note_person"] = "Ada"
        return test.run()

    return opened


def publish(store, *found, by="Bo"):
    return store.publish(found, base=store.newest(), by=by)


def key_of(test, kind, ending):
    """The widget whose key ends so: a form's keys begin with its number."""
    return next(one for one in getattr(test, kind) if (one.key or "").endswith(ending))


def ids(test):
    return [card["id"] for card in grid(test)]


def shown_rules(test):
    return list(test.dataframe[0].value["Rule"])


def test_a_rule_from_a_result_is_previewed_published_and_undone(named, store, screen):
    test = named("recommend", product="b017")
    plain = ids(test)
    assert sent_to(test, "cards")["small"] == [
        "Similar",
        "Not similar",
        "Less like this",
        "Add rule",
        "Add to collection",
        "Details",
    ]
    test.session_state["note_rule_product"] = plain[7]
    test.run()
    assert "of 20 results change" in texts(test)
    test.button(key="menu_save").click().run()
    assert_calm(test)
    assert "**1 change in your draft**" in texts(test)
    assert ids(test) == plain, "a draft changes nothing before its preview"
    test.toggle(key="preview").set_value(True).run()
    assert ids(test) == [plain[7], *plain[:7], *plain[8:]]
    assert grid(test)[0]["moved"] == "Moved from 8 to 1: pinned"
    assert "8 of 12 results change" in texts(test)
    assert "Rules that touch this answer (1)" in [one.label for one in test.expander]
    test.button(key="simulate").click().run()
    (tried,) = screen.runner.list(kind="simulate")
    assert tried.request["draft"] == "Ada"
    test.text_input(key="publish_note").set_value("spring").run()
    test.button(key="publish_now").click().run()
    assert_calm(test)
    assert ids(test)[0] == plain[7]
    (rule,) = store.read().rules
    assert (rule.action, rule.slot, rule.scope, rule.owner) == ("pin", 1, Scope("product", ("b017",)), "Ada")
    assert (store.read().by, store.read().note) == ("Ada", "spring")
    history = named(view="History")
    history.button(key="undo_now").click().run()
    assert_calm(history)
    assert store.read().rules == ()
    assert ids(named("recommend", product="b017")) == plain


def test_a_photo_is_kept_for_its_rule_and_a_block_says_that_it_touches_the_answer(named, store):
    photo = encoded(picture("checks", 3))
    test = named("recommend")
    test.file_uploader[0].upload("photo.png", photo, "image/png").run()
    plain = ids(test)
    test.session_state["note_rule_product"] = plain[1]
    test.run()
    key_of(test, "button_group", "-action").set_value("block").run()
    test.button(key="menu_save").click().run()
    test.toggle(key="preview").set_value(True).run()
    assert_calm(test)
    assert plain[1] not in ids(test)
    assert "Rules that touch this answer (1)" in [one.label for one in test.expander]
    (rule,) = Drafts(store).open("Ada").put
    assert (rule.action, rule.scope.kind) == ("block", "picture")
    assert store.pictures.read(rule.scope.values[0]) == photo
    test.file_uploader[0].upload(
        "alike.png", encoded(picture("checks", 3).point(lambda value: value // 2 * 2)), "image/png"
    ).run()
    assert "Rules that touch this answer (1)" in [one.label for one in test.expander]


def test_the_form_makes_a_boost_and_says_at_once_what_moves_and_what_is_wrong(named, store):
    publish(store, Rule("old", "bury", products=("b001",), strength=1.0))
    test = press(named(), "New rule")
    assert "Choose products" in texts(test)
    key_of(test, "selectbox", "_action").set_value("boost").run()
    key_of(test, "multiselect", "_products").set_value(["b001"]).run()
    assert "boost and bury b001 in the same answers" in texts(test).replace("\\", "")
    assert "of 20 results" in texts(test)
    key_of(test, "slider", "_strength").set_value(2.5)
    key_of(test, "text_input", "_reason").set_value("new arrivals").run()
    press(test, "Save to draft")
    assert_calm(test)
    assert "**1 change in your draft**" in texts(test)
    (rule,) = Drafts(store).open("Ada").put
    assert (rule.action, rule.products, rule.strength, rule.reason) == ("boost", ("b001",), 2.5, "new arrivals")
    assert shown_rules(test) == sorted([rule.id, "old"])


def test_rules_are_found_by_text_action_and_by_what_is_live_on_a_date(named, store):
    publish(
        store,
        Rule("advent", "pin", Scope("product", ("b017",)), ("c001",), slot=1, starts="2030-12-01T00:00"),
        Rule("sold", "bury", where=conditions({"sold_out": True}), strength=1.0, reason="full shelves"),
        Rule("summer", "block", products=("s001",), ends="2020-09-01T00:00"),
    )
    test = named()
    assert shown_rules(test) == ["advent", "sold", "summer"]
    assert list(test.dataframe[0].value["State"]) == ["Scheduled", "Live", "Ended"]
    test.text_input(key="rules_text").set_value("SHELVES").run()
    assert shown_rules(test) == ["sold"]
    test.text_input(key="rules_text").set_value("").run()
    test.multiselect(key="rules_states").set_value(["Live"]).run()
    assert shown_rules(test) == ["sold"]
    test.date_input(key="rules_day").set_value(date(2030, 12, 24)).run()
    assert shown_rules(test) == ["advent", "sold"]
    test.multiselect(key="rules_actions").set_value(["boost"]).run()
    assert "No rule matches" in texts(test)


def test_two_editors_of_one_rule_the_second_is_told_and_nothing_is_lost(named, store):
    first = Rule("sale", "pin", products=("b001",), slot=1)
    publish(store, first)
    mine, theirs = (Rule("sale", "pin", products=("b001",), slot=slot) for slot in (2, 3))
    drafts = Drafts(store)
    drafts.save(drafts.open("Ada").of([mine], store.read()))
    publish(store, theirs)
    test = named()
    assert "These rules were also changed by Bo. Nothing is lost" in texts(test)
    assert "place 2" in texts(test)
    assert "place 3" in texts(test)
    press(test, "Keep mine")
    assert_calm(test)
    assert Drafts(store).open("Ada").put == (mine,)
    assert Drafts(store).open("Ada").base == 2
    test.button(key="publish_now").click().run()
    assert store.read().rules == (mine,)


def test_a_rule_that_changed_while_its_form_was_open_keeps_what_was_typed(named, store):
    publish(store, Rule("sale", "pin", products=("b001",), slot=1))
    test = named(rule="sale")
    key_of(test, "text_input", "_reason").set_value("my reason").run()
    publish(store, Rule("sale", "pin", products=("b001",), slot=4))
    press(test, "Save to draft")
    assert "The rule sale was changed in another window, or by another person" in test.error[0].value
    assert key_of(test, "text_input", "_reason").value == "my reason"
    assert store.read().rules[0].slot == 4


def test_what_another_window_did_since_it_was_shown_is_neither_published_nor_undone(named, store):
    first, second = (Rule(name, "pin", products=(name,), slot=1) for name in ("b001", "b002"))
    drafts = Drafts(store)
    drafts.save(drafts.open("Ada").of([first], store.read()))
    test = named()
    drafts.save(drafts.open("Ada").of([first, second], store.read()))
    test.button(key="publish_now").click().run()
    assert "The draft of Ada was changed in another window" in test.error[0].value
    assert store.newest() == 0
    test.button(key="publish_now").click().run()
    assert len(store.read().rules) == 2
    history = named(view="History")
    publish(store, first)
    history.button(key="undo_now").click().run()
    assert "Another version was published after version 1" in history.error[0].value
    assert store.read().rules == (first,)


def test_a_file_comes_in_by_way_of_the_draft_and_says_what_it_passed_over(named, store):
    publish(store, Rule("sold", "bury", where=conditions({"sold_out": True}), strength=1.0))
    test = named(view="Import and export")
    assert "1 rule is not in the CSV" in texts(test)
    test.file_uploader(key="rules_file").upload("rules.csv", b"seed,pinned,blocked\nb017,c001|nowhere,\n", "text/csv")
    test.run()
    assert "**2 added, 0 changed, 0 removed**, 1 unchanged" in texts(test)
    assert "1 id in the file is not in the catalogue shop, and kept: nowhere" in texts(test).replace("\\", "")
    press(test, "Add to my draft")
    assert_calm(test)
    assert "**2 changes in your draft**" in texts(test)
    test.file_uploader(key="rules_file").upload("rules.yaml", b"rules: [", "text/yaml").run()
    assert "The file is no YAML" in test.error[0].value


def test_damaged_rules_are_said_and_the_history_is_the_way_back(named, store):
    publish(store, Rule("a", "pin", products=("b001",), slot=1))
    publish(store, Rule("b", "pin", products=("b002",), slot=1))
    log = store.table / "_delta_log" / f"{2:020d}.json"
    log.write_text(log.read_text().replace("rules-00000000000000000002", "rules-lost"))
    rules._set.clear()
    test = named(view="History")
    assert not test.exception
    assert "The files of the table cannot be read" in test.error[0].value
    test.button(key="undo_now").click().run()
    assert_calm(test)
    assert [rule.id for rule in store.read().rules] == ["a"]
    assert grid(named("recommend", product="b017"))


def test_a_damaged_draft_is_said_and_can_be_dropped(named, store):
    drafts = Drafts(store)
    publish(store, Rule("sale", "pin", products=("b001",), slot=1))
    drafts.save(drafts.open("Ada").of([], store.read()))
    (file,) = (store.folder / "drafts").glob("*.json")
    file.write_text("{broken", encoding="utf-8")
    test = named()
    assert "cannot be read" in test.error[0].value
    assert shown_rules(test) == ["sale"]
    press(test, "Discard the draft")
    assert_calm(test)
    assert "New rule" in [one.label for one in test.button]


def test_a_rule_for_a_photo_is_edited_with_that_photo_as_the_example(named, store):
    photo = encoded(picture("checks", 3))
    rule = Rule("photo", "block", Scope("picture", (store.pictures.keep(photo),), 0.1), ("c017",))
    publish(store, rule)
    test = named(rule="photo")
    assert_calm(test)
    assert "20 of 20 results change" in texts(test)  # the first one is gone, and all others move up
    key_of(test, "text_input", "_reason").set_value("recalled").run()
    press(test, "Save to draft")
    (saved,) = Drafts(store).open("Ada").put
    assert (saved.scope, saved.reason) == (rule.scope, "recalled")


def test_without_a_catalogue_a_name_or_an_endpoint_the_page_says_so(screen, shop_catalogue):
    assert "Enter your name" in texts(screen.open("rules"))
    test = screen.open("rules")
    test.session_state["note_person"] = "Ada"
    press(test.run(), "New rule")
    key_of(test, "selectbox", "_product").set_value("b001").run()
    assert_calm(test)
    assert "the search service is not running" in texts(test)

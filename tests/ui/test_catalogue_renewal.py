"""Keeping a catalogue up to date from the page: saying where from, loading again, and forgetting it."""

from __future__ import annotations

from dataclasses import replace

from backend.flow.current.renew import remembered
from backend.flow.requests import RenewRequest
from backend.jobs import earlier
from tests.support.pictures import put
from tests.ui.conftest import assert_calm, finished, press, texts


def place(test, text):
    next(box for box in test.text_input if box.label == "Where the products come from").set_value(text)
    return press(test, "Save")


def test_a_feed_is_remembered_loaded_again_and_forgotten(screen, shop_catalogue):
    name = shop_catalogue.name
    test = place(screen.open("catalogue"), "https://shop.example/feed.xml")
    assert_calm(test)
    kept = remembered(screen.settings, name)
    assert (kept.address, kept.load.catalogue, kept.load.gone) == ("https://shop.example/feed.xml", name, "keep")
    assert any("shop.example" in expander.label for expander in test.expander)
    assert "nothing is stored before you decide" in texts(test)
    press(test, "Load again now")
    assert (screen.runner.list()[0].kind, screen.runner.list()[0].request["catalogue"]) == ("renew", name)
    press(test, "Stop keeping it up to date")
    assert remembered(screen.settings, name) is None


def test_of_two_who_change_it_the_second_is_told_and_neither_is_lost(screen, shop_catalogue):
    name = shop_catalogue.name
    ann, ben = (screen.open("catalogue") for _ in range(2))
    assert_calm(place(ben, "https://ben.example/feed.xml"))
    ann = place(ann, "https://ann.example/feed.xml")
    assert "ben.example/feed.xml, only when I ask." in ann.warning[0].value
    assert remembered(screen.settings, name).address == "https://ben.example/feed.xml"
    ann.button(key=f"renewal_{name}_mine").click().run()
    assert_calm(press(ann, "Save"))
    assert remembered(screen.settings, name).address == "https://ann.example/feed.xml"
    kept = [one.content["address"] for one in earlier.versions(screen.settings, "source", name)]
    assert kept == ["https://ann.example/feed.xml", "https://ben.example/feed.xml"]
    ben.run()
    ben.button(key=f"renewal_{name}_theirs").click().run()
    assert_calm(ben)
    box = next(box for box in ben.text_input if box.label == "Where the products come from")
    assert box.value == "https://ann.example/feed.xml"


def test_a_place_that_may_not_be_used_is_a_sentence(screen, shop_catalogue, tmp_path):
    test = place(screen.open("catalogue"), "https://user:secret@shop.example/feed.xml")
    assert "user name or password" in test.error[0].value
    put(tmp_path / "photos", "bag/1.jpg")
    test = place(screen.open("catalogue"), str(tmp_path / "photos"))
    assert "not in a folder from which products may be loaded" in test.error[0].value
    screen.settings = replace(screen.settings, source_roots=str(tmp_path))
    place(screen.open("catalogue"), str(tmp_path / "photos"))
    assert remembered(screen.settings, shop_catalogue.name).load.source == "folder"


def test_a_feed_in_which_nothing_is_new_is_one_sentence(screen, shop_catalogue):
    sentence = "The feed and its pictures are unchanged since 27 November 2026, 10:00 UTC, so nothing was loaded."
    result = {
        "catalogue": shop_catalogue.name,
        "staged": "",
        "unchanged_since": "2026-11-27T10:00:00+00:00",
        "notes": [sentence],
        "fetched": {"fetched": 0, "unchanged": 30, "failed": {}},
    }
    finished(screen, RenewRequest(shop_catalogue.name), result)
    test = screen.open("catalogue")
    assert_calm(test)
    assert "The feed and its pictures are unchanged since 27 November 2026" in texts(test)

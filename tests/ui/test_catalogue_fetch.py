"""Loading a table whose pictures are on the web: what there is, which hosts, and why some could not be fetched."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from app.components.search import photo_address
from app.services import fetching
from backend.catalogue.fetch.records import Fetched, records_of, store_of
from backend.catalogue.fetch.shared import SharedPictures
from backend.errors import IllegalTransition
from backend.flow.requests import from_json
from tests.support.picture_host import HOST, picture_host
from tests.support.pictures import encoded
from tests.ui.conftest import assert_calm, finished, grid, press, texts

FEED = (
    b"id,title,image_link,kind\n1,Boot,https://cdn.test/1.jpg,boot\n2,Hat,https://cdn.test/2.jpg,hat\n"
    b"3,Bag,https://other.test/3.jpg,bag\n"
)
HOSTS = [
    {"host": "cdn.test", "addresses": 2, "due": 2, "allowed": True, "can_be_asked": True},
    {"host": "other.test", "addresses": 1, "due": 1, "allowed": False, "can_be_asked": True},
    {"host": "10.0.0.1", "addresses": 1, "due": 1, "allowed": False, "can_be_asked": False},
]


@pytest.fixture
def opened(screen):
    def upload(hosts="cdn.test"):
        screen.settings = replace(screen.settings, picture_hosts=hosts)
        test = screen.open("catalogue").radio(key="ingest_source").set_value("upload").run()
        return test.file_uploader[0].upload("feed.csv", FEED, "text/csv").run()

    return upload


def answered(screen, test, result):
    """What the page shows once the job that it started has ended with this result."""
    job = screen.runner.list()[0]
    with suppress(IllegalTransition):  # it has just ended by itself
        screen.runner.cancel(job.id)
    finished(screen, from_json(job.kind, job.request), result)
    return test.run()


def test_where_no_host_is_allowed_the_page_says_whom_to_ask(opened):
    test = opened(hosts="")
    assert_calm(test)
    assert "Ask your Twinset administrator to allow the hosts" in texts(test)
    assert not [button for button in test.button if "fetch" in button.label.lower()]


def test_what_there_is_is_counted_confirmed_fetched_and_retried(screen, opened):
    test = opened()
    assert "The pictures of 3 products are named by their web addresses" in texts(test)
    press(test, "Count the pictures to fetch")
    assert screen.runner.list()[0].request["check_only"]
    assert screen.runner.list()[0].request["columns"]["image"] == "image_link"

    test = answered(screen, test, {"hosts": HOSTS, "due": 2, "n_bytes": 210_000, "seconds": 65.0, "source": "x"})
    assert "2 pictures to fetch: about 210 kB, in about 1 min 5 s" in texts(test)
    assert list(test.dataframe[0].value["Allowed"]) == ["Yes", "Not yet", "No"]
    (box,) = (box for box in test.checkbox if "new host" in box.label)
    assert "other.test" in box.label
    assert "10.0.0.1" not in box.label
    press(box.check().run(), "Fetch the pictures")
    assert screen.runner.list()[0].request["confirm"] == ["other.test"]

    result = {
        "source": "x",
        "addresses": 3,
        "asked": 3,
        "fetched": 2,
        "n_bytes": 9000,
        "unchanged": 0,
        "ready": 2,
        "failed": {"not_found": 1},
        "placeholders": 0,
        "hosts": HOSTS,
        "seconds": 1.0,
        "rows": [{"address": "https://other.test/3.jpg", "reason": "The server does not have this picture (404)."}],
    }
    test = answered(screen, test, result)
    assert "1 picture could not be fetched" in texts(test)
    assert "Not found: 1" in texts(test)
    press(test, "Retry only those")
    assert screen.runner.list()[0].request["only_failed"]


def test_a_picture_that_many_products_share_is_said_to_be_a_real_one_and_that_is_taken_back(screen, opened):
    screen.settings = replace(screen.settings, picture_hosts="cdn.test")
    store, feed = store_of(screen.settings), "many"
    sha256, records = store.put(encoded(1)), records_of(store_of(screen.settings))
    records.add(Fetched(f"https://cdn.test/{number}.jpg", sha256=sha256, kind="PNG", n_bytes=9) for number in range(25))
    records.want(feed, (("cdn.test", f"https://cdn.test/{number}.jpg", str(number)) for number in range(25)))
    shared = [one._asdict() for one in SharedPictures(store).find(feed)]
    test = opened()
    press(test, "Count the pictures to fetch")
    done = {"source": "x", "ready": 25, "failed": {}, "rows": [], "shared": shared, "placeholders": 25}
    test = answered(screen, test, {**done, "fetched": 25, "n_bytes": 9, "unchanged": 0, "hosts": HOSTS})
    assert_calm(test)
    assert "25 products: left out" in texts(test)
    assert "Unusable" in str(grid(test))
    press(test, "These are real pictures")
    assert SharedPictures(store).real([sha256]) == {sha256}
    assert "25 products: loaded with this picture" in texts(test)
    assert "Unusable" not in str(grid(test))
    press(test, "These are placeholders")
    assert SharedPictures(store).real([sha256]) == set()
    assert "25 products: left out" in texts(test)


def test_fetched_pictures_are_seen_in_the_preview(screen, opened):
    screen.settings = replace(screen.settings, picture_hosts="cdn.test")
    store = store_of(screen.settings)
    sha256 = store.put(encoded(1))
    records_of(store).add([Fetched("https://cdn.test/1.jpg", sha256=sha256, kind="PNG", n_bytes=9)])
    cards = {card["id"]: card for card in grid(opened())}
    assert cards["1"]["src"]
    assert "Unusable" not in str(cards["1"])
    assert cards["2"]["badges"] == ["On the web"]


def ask(test, address):
    next(box for box in test.text_input if box.label == "Web address of a photo").set_value(address)
    press(test, "Use this photo")


def test_a_photo_is_asked_about_by_its_address(screen, shop_endpoint, monkeypatch):
    with picture_host() as host:
        host.more["/boot.png"] = lambda asked: asked.say(200, encoded(3), "image/png")
        monkeypatch.setattr(fetching, "network", host.network)
        screen.settings = replace(screen.settings, picture_hosts=HOST)
        test = screen.open()
        ask(test, f"http://{HOST}/boot.png")
        assert_calm(test)
        assert "**boot.png**" in texts(test)
        assert grid(test)
        assert not store_of(screen.settings).folder.exists()
        ask(test, "http://169.254.169.254/latest/")
        assert "leads to a machine that is not on the open network" in test.error[0].value


def test_without_hosts_the_address_of_a_photo_is_not_asked_for(screen, shop_endpoint):
    test = screen.open()
    assert photo_address.OFF in texts(test)
    assert not [button for button in test.button if button.label == "Use this photo"]

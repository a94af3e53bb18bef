"""A feed at an address: loaded, loaded again with what changed alone, and not believed when much is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.catalogue.fetch.records import Fetched
from backend.catalogue.fetch.store import hash_of
from backend.catalogue.snapshot import open_snapshot
from backend.errors import CatalogueError
from backend.flow.current import fetch as fetching
from backend.flow.current.renew import Remembered, forget, remember, remembered, renew_step, update
from backend.flow.requests import IngestRequest, RenewRequest
from backend.progress import NullProgress
from tests.support.picture_host import HOST, picture, picture_host

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def feed(numbers, *, version=1, price="9.90"):
    """Paths of pictures are relative to where the feed is."""
    rows = ["id,title,kind,image_link,price"]
    for number in numbers:
        link = f"../ok.jpg?p={number}&v={version if number == 3 else 1}"
        rows.append(
            f"p{number},Thing {number},{'bag' if number % 2 else 'hat'},{link},{price if number == 5 else '9.90'}"
        )
    return "\n".join(rows).encode()


@pytest.fixture
def host(monkeypatch):
    with picture_host() as server:
        monkeypatch.setattr(fetching, "network", server.network)
        yield server


def test_a_feed_is_loaded_again_and_asks_before_it_withdraws_much(spark, settings, host):
    settings = replace(settings, picture_hosts=HOST)
    load = IngestRequest(
        source="csv",
        catalogue="shop",
        gone="mark",
        measure_quality=False,
        columns={"product_id": "id", "image": "image_link", "label": "kind", "price": "price"},
    )
    remember(settings, "shop", Remembered(load, f"http://{HOST}/feed.csv", every_hours=24.0))
    host.more["/feed.csv"] = lambda asked: asked.say(302, Location="/shop/feed.csv")

    def renew(data, *, confirmed=False):
        sign = f'"{hash_of(data)[:8]}"'
        host.more["/shop/feed.csv"] = lambda asked: (
            asked.say(304)
            if asked.headers.get("If-None-Match") == sign
            else asked.say(200, data, "text/csv", ETag=sign)
        )
        host.sent.clear()
        result = renew_step(RenewRequest("shop", confirmed), settings, NullProgress())
        return result, {path for path in host.sent if path != "/shop/feed.csv"}

    first, sent = renew(feed(range(30)))
    assert (first["counts"]["new"], first["staged"], len(sent)) == (30, "", 30)
    assert remembered(settings, "shop").due_at > 0
    assert remembered(settings, "shop").feed.final == f"http://{HOST}/shop/feed.csv"

    host.asked.clear()
    same, sent = renew(feed(range(30)))
    assert (sent, host.sent["/shop/feed.csv"], host.asked["/shop/feed.csv"]) == (set(), 0, 1)
    assert same["fetched"]["unchanged"] == 30, "a picture may change though the feed does not"
    assert same["notes"][0].startswith("The feed and its pictures are unchanged since ")
    assert ("counts" in same, same["staged"]) == (False, "")

    host.more["/ok.jpg"] = lambda asked: (
        asked.say(200, picture(seed=77), ETag='"new"') if "p=7&" in asked.path else asked.say(304)
    )
    changed, sent = renew(feed(range(30)))
    del host.more["/ok.jpg"]
    assert (changed["counts"]["changed"], changed["counts"]["unchanged"], sent) == (1, 29, {"/ok.jpg?p=7&v=1"})

    second, sent = renew(feed(range(29), version=2, price="7.50"))
    assert {name: second["counts"][name] for name in ("new", "changed", "unchanged", "gone")} == {
        "new": 0,
        "changed": 3,
        "unchanged": 26,
        "gone": 1,
    }
    assert sent == {"/ok.jpg?p=3&v=2", "/ok.jpg?p=7&v=1"}
    version = open_snapshot(settings.catalogues_dir, "shop").version

    doubtful, _ = renew(feed(range(20)))
    assert doubtful["staged"]
    assert "more than a tenth" in doubtful["notes"][0]
    assert open_snapshot(settings.catalogues_dir, "shop").version == version

    stored, _ = renew(feed(range(20)), confirmed=True)
    assert stored["staged"] == "", "the feed is the same, but it was not loaded yet"
    assert stored["counts"]["gone"] > 1
    assert open_snapshot(settings.catalogues_dir, "shop").version > version


def test_what_nothing_is_remembered_of_is_said(settings):
    with pytest.raises(CatalogueError, match="not known what shop is loaded from"):
        renew_step(RenewRequest("shop"), settings, NullProgress())


def test_what_was_forgotten_during_a_load_stays_forgotten(settings):
    kept = Remembered(IngestRequest("csv", "shop", columns={"product_id": "id"}), f"http://{HOST}/feed.csv")
    remember(settings, "shop", kept)
    loaded = replace(kept, loaded="1", feed=Fetched(kept.address, etag='"1"', fetched_at=1764.25))
    update(settings, "shop", kept, loaded)
    assert remembered(settings, "shop") == loaded
    update(settings, "shop", kept, replace(kept, loaded="2"))
    assert remembered(settings, "shop") == loaded, "it is another by now"
    forget(settings, "shop")
    update(settings, "shop", loaded, replace(loaded, loaded="3"))
    assert remembered(settings, "shop") is None

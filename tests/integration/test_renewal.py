"""A feed at an address: loaded, loaded again with what changed alone, and not believed when much is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.catalogue.snapshot import open_snapshot
from backend.errors import CatalogueError
from backend.flow.current import fetch as fetching
from backend.flow.current.renew import Remembered, remember, remembered, renew_step
from backend.flow.requests import IngestRequest, RenewRequest
from backend.progress import NullProgress
from tests.support.picture_host import HOST, picture_host

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def feed(numbers, *, version=1, price="9.90"):
    rows = ["id,title,kind,image_link,price"]
    for number in numbers:
        link = f"http://{HOST}/ok.jpg?p={number}&v={version if number == 3 else 1}"
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

    def renew(data, *, confirmed=False):
        host.more["/feed.csv"] = lambda asked: asked.say(200, data, "text/csv")
        host.sent.clear()
        result = renew_step(RenewRequest("shop", confirmed), settings, NullProgress())
        return result, {path for path in host.sent if path != "/feed.csv"}

    first, sent = renew(feed(range(30)))
    assert (first["counts"]["new"], first["staged"], len(sent)) == (30, "", 30)
    assert remembered(settings, "shop").due_at > 0

    second, sent = renew(feed(range(29), version=2, price="7.50"))
    assert {name: second["counts"][name] for name in ("new", "changed", "unchanged", "gone")} == {
        "new": 0,
        "changed": 2,
        "unchanged": 27,
        "gone": 1,
    }
    assert sent == {"/ok.jpg?p=3&v=2"}
    version = open_snapshot(settings.catalogues_dir, "shop").version

    doubtful, _ = renew(feed(range(20)))
    assert doubtful["staged"]
    assert "more than a tenth" in doubtful["notes"][0]
    assert open_snapshot(settings.catalogues_dir, "shop").version == version

    stored, _ = renew(feed(range(20)), confirmed=True)
    assert stored["staged"] == ""
    assert stored["counts"]["gone"] > 1
    assert open_snapshot(settings.catalogues_dir, "shop").version > version


def test_what_nothing_is_remembered_of_is_said(settings):
    with pytest.raises(CatalogueError, match="not known what shop is loaded from"):
        renew_step(RenewRequest("shop"), settings, NullProgress())

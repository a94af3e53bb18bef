"""A whole table: fetched once, interrupted and gone on with, asked again without a byte, and loaded from the store."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from backend.catalogue.fetch.fetcher import Fetcher
from backend.catalogue.fetch.finding import AddressBook
from backend.catalogue.fetch.gate import Hosts, Network
from backend.catalogue.fetch.manners import Manners
from backend.catalogue.fetch.records import UNSIGNED_DAYS, Which, records_of, store_of
from backend.catalogue.fetch.run import fetch_due, fetch_sample
from backend.catalogue.fetch.shared import PLACEHOLDER_FROM, SharedPicture, SharedPictures
from backend.catalogue.fetch.store import PictureStore
from backend.catalogue.fetch.wanted import wanted_of
from backend.catalogue.sources.locations import open_source, with_addresses
from backend.catalogue.sources.tables.listing import TableSource
from backend.errors import Cancelled, CatalogueError, ImageRejected
from backend.jobs import tidy_home
from backend.progress import NullProgress
from tests.support.picture_host import HOST, connections, picture, picture_host
from tests.unit.catalogue.fetch.test_fetcher import LIMITS, Hurried

pytestmark = pytest.mark.slow
FRESH, AGAIN = Which(0.0), Which(4e9)
MODIFIED = "Wed, 01 Jul 2026 10:00:00 GMT"
COLUMNS = (("product_id", "id"), ("image", "image_link"), ("title", "title"))


@pytest.fixture(scope="module")
def host():
    with picture_host() as server:
        yield server


@pytest.fixture
def store(tmp_path):
    return PictureStore(tmp_path / "home" / "fetched")


@pytest.fixture
def table(tmp_path):
    def write(links, titles=None):
        path = tmp_path / "feed.csv"
        with path.open("w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["id", "image_link", "title"])
            titles = titles or [f"title {number}" for number in range(len(links))]
            rows.writerows((f"p{number:04d}", *row) for number, row in enumerate(zip(links, titles, strict=True)))
        return TableSource(path, COLUMNS, "csv")

    return write


@pytest.fixture
def fetch(host, store):
    def run(source, which=FRESH, *, progress=None, hosts=frozenset({HOST}), how=fetch_due):
        records = records_of(store)
        records.want(source.name, wanted_of(source))
        records.forget_lost(source.name, store)
        with Fetcher(
            Hosts(hosts),
            store,
            max_pixels=1_000_000,
            network=host.network(),
            limits=LIMITS,
            manners=Manners(Hurried()),
        ) as fetcher:
            return how(fetcher, records, source.name, which, progress or NullProgress()), records

    return run


def links(paths):
    return [f"http://{HOST}{path}" for path in paths]


def test_a_table_is_fetched_asked_again_without_a_byte_and_loaded(table, fetch, host, store):
    paths = [f"/ok.jpg?v={number}" for number in range(40)]
    source = table(
        [*links(paths), f"http://{HOST}/octet.jpg", f"http://{HOST}/404.jpg", "https://u:s3cret@h.test/x.jpg"]
    )
    with connections() as seen:
        tally, records = fetch(source)
    assert set(seen) == {("127.0.0.1", host.port)}
    assert (tally.fetched, tally.failed) == (41, {"not_found": 1})
    assert records.counts(source.name) == {"": 41, "not_found": 1}
    host.sent.clear()
    again, _ = fetch(source, AGAIN)
    assert (again.unchanged, again.fetched, again.failed) == (40, 0, {"not_found": 1})
    assert sum(host.sent.values()) == 0, "what has no sign to ask by is not asked again, and the rest sends nothing"
    nothing, _ = fetch(source)
    assert nothing.asked == 0

    loaded = TableSource(source.path, COLUMNS, "csv", addresses=AddressBook(store))
    with connections() as seen:
        entries = loaded.entries()
        pictures = loaded.read(entries.to_batches()[0])
    assert seen == []
    assert [type(picture) for picture in pictures[:41]] == [bytes] * 41
    reasons = entries["reason"].to_pylist()
    assert set(reasons[:41]) == {None}
    assert reasons[41].startswith("not_fetched: The server does not have this picture (404).")
    assert reasons[42].startswith("password: ")
    assert "s3cret" not in str(reasons)


def test_a_table_that_was_not_fetched_says_what_to_do(table, store):
    source = TableSource(table(links(["/ok.jpg"])).path, COLUMNS, "csv", addresses=AddressBook(store))
    (reason,) = source.entries()["reason"].to_pylist()
    assert reason.startswith("not_fetched: ")
    assert "Fetch the pictures" in reason
    assert not store.folder.exists()


def test_a_picture_that_is_damaged_in_the_store_is_none_and_is_fetched_again(table, fetch, store):
    source = table(links(["/ok.jpg?damaged"]))
    fetch(source)
    loaded = TableSource(source.path, COLUMNS, "csv", addresses=AddressBook(store))
    entries = loaded.entries()
    (path,) = store.files()
    path.write_bytes(b"\xff\xd8\xff torn")
    (found,) = loaded.read(entries.to_batches()[0])
    assert isinstance(found, ImageRejected)
    assert fetch(source)[0].fetched == 1
    assert isinstance(loaded.read(entries.to_batches()[0])[0], bytes)


class Stopping(NullProgress):
    """Cancels once some pictures are noted."""

    def __init__(self, host, after):
        self._host, self._after = host, after

    def check_cancelled(self):
        if sum(self._host.sent.values()) and len(self._host.sent) >= self._after:
            raise Cancelled("Stopped.")


def test_what_was_fetched_before_a_stop_is_not_fetched_again(table, fetch, host):
    source = table(links([f"/ok.jpg?stop={number}" for number in range(300)]))
    host.sent.clear()
    host.asked.clear()
    with pytest.raises(Cancelled):
        fetch(source, progress=Stopping(host, 50))
    done = len(host.sent)
    assert 50 <= done < 300
    fetch(source)
    assert len(host.sent) == 300
    twice = [path for path, count in host.asked.items() if count > 1]
    assert len(twice) <= 8, "at most those under way on the connections of a host"


KILLED = """
import os, signal, sys
from pathlib import Path
from backend.catalogue.fetch.fetcher import Fetcher
from backend.catalogue.fetch.gate import Hosts, Network
from backend.catalogue.fetch.records import Records, Which, records_of
from backend.catalogue.fetch.run import fetch_due
from backend.catalogue.fetch.store import PictureStore
from backend.progress import NullProgress
from tests.support.picture_host import HOST, network_to

store, port, at = PictureStore(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
records, put, add = records_of(store), PictureStore.put, Records.add

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def note(self, found):
    die() if any(one.sha256 for one in found) else add(self, found)

if at == "before the record":
    Records.add = note
else:
    PictureStore.put = lambda self, data: die()
records.want("feed", [(HOST, f"http://{HOST}/ok.jpg?killed", "p")])
with Fetcher(Hosts(frozenset({HOST})), store, max_pixels=1_000_000, network=network_to(port)) as fetcher:
    fetch_due(fetcher, records, "feed", Which(0.0), NullProgress())
"""


@pytest.mark.parametrize(("at", "asked_again"), [("before the record", 0), ("before the store", 1)])
def test_a_picture_that_a_killed_fetch_had_stored_is_not_asked_for_again(host, store, at, asked_again):
    """Between store and record the line of its thread tells of it; what was not stored yet has to be sent once more."""
    host.asked.clear()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(store.folder), str(host.port), at], check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    address, records = f"http://{HOST}/ok.jpg?killed", records_of(store)
    assert records.get(address) is None
    assert len(list(store.files())) == 1 - asked_again
    with Fetcher(Hosts(frozenset({HOST})), store, max_pixels=1_000_000, network=host.network()) as fetcher:
        fetch_due(fetcher, records, "feed", FRESH, NullProgress())
    assert store.read(records.get(address).sha256)
    assert host.asked["/ok.jpg?killed"] == 1 + asked_again
    assert list((store.folder / "notes").iterdir()) == []


def test_only_what_failed_is_asked_again_and_what_is_gone_never(table, fetch, host):
    source = table(links(["/ok.jpg?x", "/404.jpg", "/410.jpg", "/html.jpg"]))
    fetch(source)
    host.asked.clear()
    tally, records = fetch(source, Which(0.0, only_failed=True))
    assert tally.asked == 2
    assert host.asked["/410.jpg"] == host.asked["/ok.jpg?x"] == 0
    fetch(source, AGAIN)
    assert host.asked["/410.jpg"] == 0
    assert [one.address.rpartition("/")[2] for one in records.failed(source.name, limit=9)] == [
        *("404.jpg", "410.jpg"),
        "html.jpg",
    ]


def test_what_has_a_date_alone_is_asked_by_it(table, fetch, host):
    def dated(asked):
        if asked.headers.get("If-Modified-Since") == MODIFIED:
            asked.say(304)
        else:
            asked.say(200, picture(seed=21), Last_Modified=MODIFIED)

    host.more["/dated.jpg"] = dated
    source = table(links([f"/dated.jpg?v={number}" for number in range(5)]))
    assert fetch(source)[0].fetched == 5
    host.sent.clear()
    again, _ = fetch(source, AGAIN)
    assert (again.asked, again.unchanged, sum(host.sent.values())) == (5, 5, 0)


def test_what_has_no_sign_is_asked_again_after_a_while_and_compared(table, fetch, host, store):
    seeds = {"/bare.jpg?a": 31, "/bare.jpg?b": 32}
    host.more["/bare.jpg"] = lambda asked: asked.say(200, picture(seed=seeds[asked.path]))
    source = table(links(seeds))
    _, records = fetch(source)
    before = {path: records.get(address) for path, address in zip(seeds, links(seeds), strict=True)}
    seeds["/bare.jpg?b"] = 33
    assert fetch(source, Which.older_than(0.0))[0].asked == 0, "it is younger than the days that are given to it"
    day_s = UNSIGNED_DAYS * 86_400.0
    records.add(replace(one, fetched_at=one.fetched_at - day_s - 60) for one in before.values())
    assert fetch(source, Which.older_than(UNSIGNED_DAYS * 24 + 1))[0].asked == 0
    tally, _ = fetch(source, Which.older_than(0.0))
    assert (tally.asked, tally.unchanged, tally.fetched) == (2, 1, 1)
    same, changed = (records.get(address) for address in links(seeds))
    assert (same.sha256, same.status) == (before["/bare.jpg?a"].sha256, 304)
    assert changed.sha256 != before["/bare.jpg?b"].sha256
    assert store.has(changed.sha256)
    assert fetch(source, Which.older_than(0.0))[0].asked == 0


def codes(source, store):
    entries = TableSource(source.path, COLUMNS, "csv", addresses=AddressBook(store)).entries()
    return [str(reason).partition(":")[0] for reason in entries["reason"].to_pylist()]


def test_one_picture_of_many_products_is_a_placeholder_unless_somebody_says_that_it_is_none(table, fetch, host, store):
    paths = [f"/placeholder.png?{number}" for number in range(PLACEHOLDER_FROM)]
    sizes = links(["/octet.jpg"] * PLACEHOLDER_FROM)
    titles = [*(f"title {number}" for number in range(PLACEHOLDER_FROM)), *["Boot"] * PLACEHOLDER_FROM]
    source = table([*links(paths), *sizes], titles)
    _, records = fetch(source)
    shared = SharedPictures(store)
    sha256 = records.get(links(paths)[0]).sha256
    found = SharedPicture(sha256, PLACEHOLDER_FROM, PLACEHOLDER_FROM, is_real=False)
    state = records.state(source.name)
    assert shared.find(source.name) == [found]
    assert records.state(source.name) != state
    out = [*["placeholder"] * PLACEHOLDER_FROM, *["None"] * PLACEHOLDER_FROM]
    assert codes(source, store) == out, "the sizes of one boot may share a picture"

    shared.say([sha256], is_real=True)
    assert set(codes(source, store)) == {"None"}
    fetch(source, AGAIN)
    assert shared.find(source.name) == [found._replace(is_real=True)], "the next run keeps what was said"
    assert set(codes(source, store)) == {"None"}
    assert shared.real([sha256, "0" * 64]) == {sha256}
    with pytest.raises(CatalogueError, match="No placeholder picture"):
        shared.say([sha256, "0" * 64], is_real=False)
    assert shared.real([sha256]) == {sha256}, "all or nothing"

    shared.say([sha256], is_real=False)
    assert codes(source, store) == out


def test_a_product_whose_further_picture_is_a_real_one_is_not_kept_out(table, fetch, store):
    paths = [f"/placeholder.png?{number}" for number in range(PLACEHOLDER_FROM)]
    cells = links(paths)
    cells[0] += ", " + links(["/ok.jpg?further"])[0]
    source = table(cells)
    fetch(source)
    SharedPictures(store).find(source.name)
    assert codes(source, store) == ["None", *["placeholder"] * (PLACEHOLDER_FROM - 1)]


def test_a_sample_says_how_much_there_is(table, fetch):
    source = table([*links([f"/ok.jpg?s={number}" for number in range(50)]), "http://other.test/1.jpg"])
    told, _ = fetch(source, how=fetch_sample)
    assert told["hosts"] == [
        {"host": HOST, "addresses": 50, "due": 50, "allowed": True, "can_be_asked": True},
        {"host": "other.test", "addresses": 1, "due": 1, "allowed": False, "can_be_asked": True},
    ]
    assert told["due"] == 44
    assert told["n_bytes"] > 0
    assert told["seconds"] > 0
    assert fetch(source)[0].asked == 44, "the sample is not fetched twice, and the host that nobody allowed not at all"


def test_several_addresses_in_one_cell_are_the_first_and_a_warning(table, fetch, store):
    source = table([", ".join(links(["/cdn-cgi/image/w=500,q=75,f=auto,/p/1.jpg", "/ok.jpg?second"]))])
    fetch(source)
    entries = TableSource(source.path, COLUMNS, "csv", addresses=AddressBook(store)).entries()
    assert entries["reason"].to_pylist() == [None]
    assert entries["warning"].to_pylist() == ["several_pictures: "]


def test_a_table_without_addresses_names_none(table, store):
    assert list(wanted_of(table(["a.jpg", "b.jpg"]))) == []
    assert records_of(store).want("feed", []) == 0


def test_an_error_below_ends_the_fetch_and_is_raised(table, host, store, monkeypatch):
    def full(self, data):
        raise CatalogueError("The disk is full.")

    monkeypatch.setattr(PictureStore, "put", full)
    source = table(links([f"/ok.jpg?full={number}" for number in range(30)]))
    records = records_of(store)
    records.want(source.name, wanted_of(source))
    with (
        Fetcher(Hosts(frozenset({HOST})), store, max_pixels=1_000_000, network=host.network()) as fetcher,
        pytest.raises(CatalogueError, match="full"),
    ):
        fetch_due(fetcher, records, source.name, FRESH, NullProgress())


def test_a_host_that_does_not_answer_costs_others_nothing(table, host, store):
    """The lanes of a host are its own; a host that is not found fails at once."""
    source = table([*links(["/ok.jpg?there"]), "http://nowhere.test/1.jpg"])
    records = records_of(store)
    records.want(source.name, wanted_of(source))
    known = host.network()

    def resolve(name, port):
        if name != HOST:
            raise OSError("not known")
        return known.resolve(name, port)

    started = time.time()
    with Fetcher(
        Hosts(frozenset({HOST, "nowhere.test"})), store, max_pixels=1_000_000, network=Network(resolve, known.dial)
    ) as fetcher:
        tally = fetch_due(fetcher, records, source.name, FRESH, NullProgress())
    assert (tally.fetched, tally.failed) == (1, {"no_host": 1})
    assert records.get("http://nowhere.test/1.jpg").fetched_at >= started


def test_tidy_removes_pictures_that_no_table_names(table, fetch, settings, host):
    store = store_of(settings)
    records = records_of(store)
    with Fetcher(Hosts(frozenset({HOST})), store, max_pixels=1_000_000, network=host.network()) as fetcher:
        for paths in (["/ok.jpg?1", "/ok.jpg?2"], ["/ok.jpg?2", "/ok.jpg?3"]):
            records.want("feed", wanted_of(table(links(paths))))
            fetch_due(fetcher, records, "feed", FRESH, NullProgress())
    counted = tidy_home._unnamed(settings, remove=False)
    assert [one.what for one in counted] == [tidy_home.FETCHED]
    assert len(list(store.files())) == 3
    tidy_home._unnamed(settings, remove=True)
    assert {path.name for path in store.files()} == records.named()
    assert len(records.named()) == 2


def test_further_pictures_are_fetched_and_found_too(fetch, store, tmp_path):
    path = tmp_path / "merchant.csv"
    first, second, third = links(["/ok.jpg?m=1", "/ok.jpg?m=2&amp;n=1", "/404.jpg?m=3"])
    path.write_text(
        "id,title,description,link,image_link,additional_image_link,price,availability,brand\n"
        f'1,Boot,A boot,,{first},"{second},{third}",9.90 EUR,in stock,B\n'
    )
    source = open_source("csv", path, columns=None, label_from="none", version=None)
    tally, _ = fetch(source)
    assert (tally.fetched, tally.failed) == (2, {"not_found": 1})
    entries = with_addresses(source, AddressBook(store)).entries()
    assert entries["reason"].to_pylist() == [None]
    located = [*entries["locator"].to_pylist(), *entries["more_pictures"].to_pylist()[0]]
    assert [store.has(locator.removeprefix("fetched:")) for locator in located] == [True, True]

"""A whole table: fetched once, interrupted and gone on with, asked again without a byte, and loaded from the store."""

from __future__ import annotations

import csv
import time

import pytest

from backend.catalogue.fetch.fetcher import Fetcher
from backend.catalogue.fetch.finding import AddressBook
from backend.catalogue.fetch.gate import Hosts, Network
from backend.catalogue.fetch.manners import Manners
from backend.catalogue.fetch.records import PLACEHOLDER_FROM, Which, records_of, store_of
from backend.catalogue.fetch.run import fetch_due, fetch_sample
from backend.catalogue.fetch.store import PictureStore
from backend.catalogue.fetch.wanted import wanted_of
from backend.catalogue.sources.locations import open_source, with_addresses
from backend.catalogue.sources.tables.listing import TableSource
from backend.errors import Cancelled, CatalogueError, ImageRejected
from backend.jobs import tidy_home
from backend.progress import NullProgress
from tests.support.picture_host import HOST, connections, picture_host
from tests.unit.catalogue.fetch.test_fetcher import LIMITS, Hurried

pytestmark = pytest.mark.slow
FRESH, AGAIN = Which(0.0), Which(4e9)
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


def test_one_picture_of_many_products_is_a_placeholder(table, fetch, host, store):
    paths = [f"/placeholder.png?{number}" for number in range(PLACEHOLDER_FROM)]
    sizes = links(["/octet.jpg"] * PLACEHOLDER_FROM)
    titles = [*(f"title {number}" for number in range(PLACEHOLDER_FROM)), *["Boot"] * PLACEHOLDER_FROM]
    source = table([*links(paths), *sizes], titles)
    _, records = fetch(source)
    assert records.mark_placeholders(source.name) == PLACEHOLDER_FROM
    reasons = TableSource(source.path, COLUMNS, "csv", addresses=AddressBook(store)).entries()["reason"].to_pylist()
    assert [str(reason).partition(":")[0] for reason in reasons[:PLACEHOLDER_FROM]] == [
        "placeholder"
    ] * PLACEHOLDER_FROM
    assert set(reasons[PLACEHOLDER_FROM:]) == {None}, "the sizes of one boot may share a picture"


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

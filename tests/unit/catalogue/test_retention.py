"""What a vacuum may remove: never what the newest, a young or a named version needs."""

from __future__ import annotations

import base64
import os
import time
import uuid
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.catalogue.items import PRODUCTS, QUALITY, QUARANTINE
from backend.catalogue.upkeep.retention import plan_vacuum
from backend.errors import CatalogueError, CatalogueNotFound
from tests.support.delta_logs import VECTOR_FILE, add, commit, remove, write_log

DAY = 86_400.0
NOW = time.time()


def put(table, *names, days_old, size=10):
    for name in names:
        path = table / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        os.utime(path, (NOW - days_old * DAY,) * 2)


def days_ago(days):
    return {"at_s": NOW - days * DAY}


@pytest.fixture
def shop(tmp_path):
    """Versions 1 to 5 of 100, 60, 40, 20 and 10 days ago, each with a file of its own beside base.parquet."""
    folder = tmp_path / "shop"
    products, quarantine = folder / PRODUCTS, folder / QUARANTINE
    write_log(
        products,
        commit(**days_ago(101)),
        commit(add("base.parquet", 9), add("v1.parquet", 1), note={"quarantine_version": 1}, **days_ago(100)),
        commit(
            *(remove("v1.parquet"), add("v2.parquet", 1), {"cdc": {"path": "_change_data/c2.parquet"}}),
            note={"quarantine_version": 2},
            **days_ago(60),
        ),
        commit(remove("v2.parquet"), remove("base.parquet"), add("base.parquet", 9, deleted=3), **days_ago(40)),
        commit(remove("base.parquet"), add("v4.parquet", 6), note={"quarantine_version": 3}, **days_ago(20)),
        commit(
            *(remove("v4.parquet"), add("v5.parquet", 7), {"cdc": {"path": "_change_data/c5.parquet"}}),
            **days_ago(10),
        ),
    )
    put(products, "base.parquet", "v1.parquet", days_old=100)
    put(products, "v2.parquet", "_change_data/c2.parquet", days_old=60)
    put(products, VECTOR_FILE, days_old=40)
    put(products, "v4.parquet", days_old=20)
    put(products, "v5.parquet", "_change_data/c5.parquet", days_old=10)
    write_log(
        quarantine,
        commit(**days_ago(100)),
        commit(add("q1.parquet", 1), **days_ago(100)),
        commit(remove("q1.parquet"), add("q2.parquet", 1), **days_ago(60)),
        commit(remove("q2.parquet"), add("q3.parquet", 1), **days_ago(20)),
    )
    put(quarantine, "q1.parquet", "q2.parquet", "q3.parquet", days_old=60)
    write_log(
        folder / QUALITY,
        commit(add("m0.parquet", 1), **days_ago(90)),
        commit(remove("m0.parquet"), add("m1.parquet", 1), **days_ago(50)),
    )
    put(folder / QUALITY, "m0.parquet", "m1.parquet", days_old=90)
    return folder


def removable(folder, keep_days, protected=()):
    plan = plan_vacuum(folder, keep_days=keep_days, protected=protected)
    return {name: [file.path for file in files] for name, files in plan.files.items()}, plan


def test_only_the_newest_stays_where_nothing_is_young_or_named(shop):
    files, plan = removable(shop, 0)
    assert files == {
        PRODUCTS: [
            "_change_data/c2.parquet",
            "_change_data/c5.parquet",
            "base.parquet",
            VECTOR_FILE,
            "v1.parquet",
            "v2.parquet",
            "v4.parquet",
        ],
        QUARANTINE: ["q1.parquet", "q2.parquet"],
        QUALITY: ["m0.parquet"],
    }
    assert (plan.lost, plan.oldest_readable, plan.protected) == ((1, 2, 3, 4), 5, ())
    assert (plan.count, plan.bytes) == (10, 100)


def test_a_named_version_keeps_its_files_its_vector_and_its_quarantine(shop):
    files, plan = removable(shop, 0, protected={3})
    assert files[PRODUCTS] == [
        *("_change_data/c2.parquet", "_change_data/c5.parquet", "v1.parquet", "v2.parquet", "v4.parquet"),
    ]
    assert files[QUARANTINE] == ["q1.parquet"]  # version 3 says nothing of it, so that of version 2 is its own
    assert (plan.lost, plan.oldest_readable, plan.protected) == ((1, 2, 4), 3, (3,))


def test_a_version_that_was_the_newest_within_the_days_stays(shop):
    files, plan = removable(shop, 30)
    # Version 3 was the newest until 20 days ago.
    assert files[PRODUCTS] == ["_change_data/c2.parquet", "v1.parquet", "v2.parquet"]
    assert files[QUARANTINE] == ["q1.parquet"]
    assert (plan.lost, plan.oldest_readable) == ((1, 2), 3)
    assert removable(shop, 1000)[0] == {}


def test_what_no_commit_names_stays_a_day_in_case_somebody_is_about_to(shop):
    put(shop / PRODUCTS, "half-written.parquet", days_old=0.5)
    put(shop / PRODUCTS, "left-behind.parquet", days_old=1.5)
    files, _ = removable(shop, 0)
    assert "left-behind.parquet" in files[PRODUCTS]
    assert "half-written.parquet" not in files[PRODUCTS]
    assert "left-behind.parquet" not in removable(shop, 2)[0][PRODUCTS]


def test_what_is_gone_already_is_neither_lost_nor_protected(shop):
    (shop / PRODUCTS / "v1.parquet").unlink()
    _, plan = removable(shop, 0, protected={1, 2, 77, -1, 0})
    assert (plan.lost, plan.protected, plan.oldest_readable) == ((3, 4), (2,), 2)


@pytest.mark.parametrize("days", [-1, float("nan")])
def test_days_out_of_range_are_refused(shop, days):
    with pytest.raises(CatalogueError, match="cannot be kept for"):
        plan_vacuum(shop, keep_days=days, protected=())


def test_a_log_that_does_not_tell_what_is_in_use_stops_the_vacuum(shop):
    (shop / PRODUCTS / "_delta_log" / f"{0:020d}.json").unlink()
    with pytest.raises(CatalogueError, match="does not show which files are in use"):
        plan_vacuum(shop, keep_days=0, protected=())


def test_an_absent_catalogue_is_said_to_be_absent(tmp_path):
    with pytest.raises(CatalogueNotFound):
        plan_vacuum(tmp_path / "nowhere", keep_days=0, protected=())


# ------------------------------------------------------------------------------------- any sequence of commits

_Z85 = bytes.maketrans(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
)
UNNAMED = {"half-written.parquet": 0.5, "left-behind.parquet": 40}  # days old
PLACES = st.integers(0, 99)
STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "rewrite", "hide", "restore", "feed"]), PLACES, PLACES),
    min_size=1,
    max_size=9,
)


class Told:
    """A catalogue whose files and log are written side by side, and what each version needs, kept without the log.

    ``needs`` holds the files of the products at each version, ``feeds`` those of the Change Data Feed that each wrote.
    """

    def __init__(self, folder, steps):
        self.products, self.quarantine = folder / PRODUCTS, folder / QUARANTINE
        self.needs, self.feeds, self.quarantines, self.ages = [frozenset()], [()], [0], [100.0]
        self._files = [{}]  # of each version: vector by file, empty without one
        write_log(self.products, commit(**days_ago(100)))
        write_log(self.quarantine, commit(**days_ago(100)))
        for at, (kind, one, other) in enumerate(steps, 1):
            self._take(at, kind, one, age=(len(steps) - at) * 10 + other % 10 + 1)

    def _take(self, at, kind, one, *, age):
        files, feed, note = dict(self._files[-1]), (), {}
        if kind == "append" or not files:
            files[f"f{at}.parquet"], note = "", {"note": {"quarantine_version": self._reject(at, age)}}
        elif kind == "rewrite":
            del files[sorted(files)[one % len(files)]]
            files[f"f{at}.parquet"] = ""
        elif kind == "hide":
            files[sorted(files)[one % len(files)]] = f"{at:032x}"
        elif kind == "restore":
            version = one % len(self._files)
            files, note = dict(self._files[version]), {"note": {"quarantine_version": self.quarantines[version]}}
        else:
            feed, files[f"f{at}.parquet"] = (f"_change_data/c{at}.parquet",), ""
        self._commit(at, files, feed, note, age)

    def _reject(self, at, age):
        version = len(list((self.quarantine / "_delta_log").iterdir()))
        before = [remove(f"q{version - 1}.parquet")] if version > 1 else []
        write_log(self.quarantine, commit(*before, add(f"q{version}.parquet", 1), **days_ago(age)), first=version)
        put(self.quarantine, f"q{version}.parquet", days_old=100 - at)
        return version

    def _commit(self, at, files, feed, note, age):
        old = self._files[-1]
        gone = [remove(path) for path in old if files.get(path) != old[path]]
        come = [_added(path, vector) for path, vector in files.items() if old.get(path) != vector]
        cdc = [{"cdc": {"path": path}} for path in feed]
        write_log(self.products, commit(*gone, *come, *cdc, **note, **days_ago(age)), first=at)
        needs = frozenset(files) | {_vector_file(vector) for vector in files.values() if vector}
        fresh = [path for path in (*needs, *feed) if not (self.products / path).exists()]
        put(self.products, *fresh, days_old=age + 0.7)  # a writer commits what it has written before
        self._files.append(files)
        self.needs.append(needs)
        self.feeds.append(feed)
        self.ages.append(age)
        self.quarantines.append(note["note"]["quarantine_version"] if note else self.quarantines[-1])

    def readable(self):
        """Versions whose files are all there, without the empty first."""
        return {
            at for at, needs in enumerate(self.needs) if at and all((self.products / path).exists() for path in needs)
        }

    def kept(self, days, named):
        """Versions that are the newest, were so within the days, or are named and can be read."""
        until = {at for at, (_, age) in enumerate(pairwise(self.ages)) if age <= days}
        return until | {len(self.needs) - 1} | {*named} & self.readable()


def _added(path, vector):
    action = add(path, 9)
    if vector:
        name = base64.b85encode(uuid.UUID(vector).bytes).translate(_Z85).decode()
        told = {"storageType": "u", "pathOrInlineDv": name, "offset": 1, "sizeInBytes": 31, "cardinality": 1}
        action["add"]["deletionVector"] = told
    return action


def _vector_file(vector):
    return f"deletion_vector_{uuid.UUID(vector)}.bin"


@given(STEPS, st.sampled_from([0, 5.5, 15.5, 31.5, 500]), st.sets(st.integers(-1, 11), max_size=3), PLACES, PLACES)
@profile(max_examples=50)
def test_no_file_of_a_kept_version_is_ever_listed_and_all_others_are(tmp_path_factory, steps, days, named, lost, at):
    told = Told(tmp_path_factory.mktemp("any") / "shop", steps)
    present = sorted(path for path in set().union(*told.needs) if path not in told.needs[-1])
    if present and lost % 2:
        (told.products / present[at % len(present)]).unlink()  # by an earlier vacuum
    for path, age in UNNAMED.items():
        put(told.products, path, days_old=age)
    before, kept = told.readable(), told.kept(days, named)
    files, plan = removable(told.products.parent, days, named)
    needed = set().union(*(told.needs[version] for version in kept))
    needed |= {path for feed, age in zip(told.feeds, told.ages, strict=True) if age <= days for path in feed}
    known = set().union(*told.needs, *told.feeds)
    ages = {path: _age(told.products / path) for path in (*known, *UNNAMED) if (told.products / path).exists()}
    listed = {*files.get(PRODUCTS, ())}
    assert not listed & needed
    assert listed == {p for p, age in ages.items() if p not in needed and age > (days if p in known else max(days, 1))}
    assert not {*files.get(QUARANTINE, ())} & {f"q{told.quarantines[version]}.parquet" for version in kept}
    for path in listed:
        (told.products / path).unlink()
    assert plan.protected == tuple(sorted({*named} & before))
    assert {*plan.lost} == before - told.readable()
    assert kept & before <= told.readable()
    assert plan.oldest_readable == min(told.readable(), default=len(steps))


def _age(path):
    return (NOW - path.stat().st_mtime) / DAY

"""The table of similar products: made by partition on Spark, refreshed by change, read by others, given away as a file."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import zipfile
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from backend.bundles import bundle
from backend.catalogue.delta import delta_log
from backend.catalogue.loading.load_warnings import counted
from backend.catalogue.sources.locations import detect, open_source
from backend.catalogue.sources.tables.reading import reading_of
from backend.cli.main import main
from backend.errors import Cancelled, CatalogueNotFound, RetrievalError
from backend.flow.kinds import run_request
from backend.flow.requests import SimilarRequest
from backend.merchandising.rule_store import RuleStore
from backend.merchandising.similar.exports import export
from backend.merchandising.similar.making import Wanted, make, table_of
from backend.merchandising.similar.ruled import RulesAt
from backend.merchandising.similar.stand import made_of, stand
from backend.merchandising.similar.table import SCHEMA
from backend.progress import NullProgress
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.retrieval.refresh import refresh_gallery
from backend.retrieval.rules.rule import Rule, Scope
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import Wishes
from tests.fixtures.endpoint import encoded, load_projection, picture, shop_rows, write_projection_bundle
from tests.support.changed_catalogues import ChangingShop

pytestmark = pytest.mark.spark
K = 4
SEED = "b012"
RULES = RulesAt(RuleSet.of([Rule("pin-1", "pin", Scope("product", (SEED,)), products=("s003",), slot=2)], version=1))


MORE = [Rule("pin-2", "pin", Scope("product", ("c001",)), products=("s003",), slot=1)]


class Listener(NullProgress):
    def __init__(self, stop_at=""):
        self.notes, self.stop_at = [], stop_at

    def report(self, done, total, *, unit="", note=""):
        self.notes.append(note)

    def check_cancelled(self):
        if self.stop_at and self.stop_at in self.notes:
            raise Cancelled("Stopped at your request.")


@pytest.fixture
def shop(settings):
    groups = {f"c{number:03d}": "set" for number in (3, 4, 5)}
    rows = [
        {**row, "group_id": groups.get(row["product_id"]), "title": f"={row['title']}, blue"} for row in shop_rows()
    ]
    return ChangingShop(settings.catalogues_dir, rows)


@pytest.fixture
def built(shop, settings):
    folder = settings.models_dir / "m"
    embedder = write_projection_bundle(folder)
    build_gallery(shop.snapshot, embedder, folder, progress=NullProgress())
    return folder, embedder


@pytest.fixture
def session(spark):
    @contextmanager
    def opened():
        yield spark

    return opened


def wanted(rules=None, k=K):
    return Wanted(k, "m", 3, "shop", *([rules] if rules else []))


def rows_at(table, version=None):
    found = delta_log.rows_of(delta_log.open_table(table, version)).table(SCHEMA.names)
    return found.sort_by([("product_id", "ascending"), ("rank", "ascending")])


def said(rows):
    names = ["product_id", "rank", "similar_id", "similarity", "rank_before", "rules"]
    return rows.select(names).to_pylist()


def feed(table, first, last):
    """The Change Data Feed as any reader of Delta gives it."""
    from arro3.core import Array, DataType

    kept = []
    for batch in delta_log.open_table(table, last).load_cdf(starting_version=first, ending_version=last):
        columns = [Array.from_arrow(batch.column(name)) for name in ("product_id", "_change_type")]
        kept += zip(*(pa.array(one.cast(DataType.string())).to_pylist() for one in columns), strict=True)
    return kept


def test_it_is_made_refreshed_read_and_ruled(shop, built, settings, session, spark):
    folder, embedder = built
    heard = Listener()
    made = make(settings.similar_dir, folder, wanted(), session, heard)
    table = table_of(settings.similar_dir, "shop")
    rows = rows_at(table)
    assert (made.products, made.is_whole, made.inserted, made.version) == (60, True, len(rows), 1)
    assert "Finding similar products" in heard.notes
    as_the_endpoint_answers(folder, rows)
    assert set(rows["model_version"].to_pylist()) == {3}

    # A price touches nothing; the versions are noted, no row is written.
    shop.change("c003", price=1.5)
    refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
    priced = make(settings.similar_dir, folder, wanted(), session, NullProgress())
    assert (priced.is_whole, priced.searched, priced.inserted + priced.updated + priced.deleted) == (False, 0, 0)
    assert rows_at(table).equals(rows)
    assert made_of(settings.similar_dir, "shop")["index_generation"] == 2

    # Products come, change and go: the feed names the rows that differ, and no other.
    shop.change("c007", image=encoded(picture("blob", 77)))
    shop.drop(["s006"])
    shop.put({**shop.rows["b001"], "product_id": "b999", "image": encoded(picture("blob", 78))})
    refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
    changed = make(settings.similar_dir, folder, wanted(), session, NullProgress())
    assert not changed.is_whole
    after = rows_at(table)
    as_the_endpoint_answers(folder, after)
    before = {(row["product_id"], row["rank"]): row for row in said(rows)}
    now = {(row["product_id"], row["rank"]): row for row in said(after)}
    told = feed(table, changed.version, changed.version)
    kinds = {kind: sorted(name for name, one in told if one == kind) for _, kind in told}
    assert kinds["insert"] == sorted(name for name, rank in now.keys() - before.keys())
    assert kinds["delete"] == sorted(name for name, rank in before.keys() - now.keys())
    different = sorted(key[0] for key in before.keys() & now.keys() if before[key] != now[key])
    assert kinds["update_preimage"] == kinds["update_postimage"] == different
    generations = dict(zip(after["product_id"].to_pylist(), after["index_generation"].to_pylist(), strict=True))
    assert (generations["b999"], 1 in generations.values()) == (3, True)  # a row keeps what it was found with
    by_spark = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", changed.version)
    assert by_spark.load(str(table)).count() == len(told)
    assert spark.read.format("delta").load(str(table)).count() == len(after)

    # Making everything again gives the same.
    again = make(settings.similar_dir, folder, wanted(), session, NullProgress(), again=True)
    assert (again.is_whole, again.inserted + again.updated + again.deleted) == (True, 0)

    # The first rule makes lists longer; after that, one rule is one answer.
    make(settings.similar_dir, folder, wanted(RULES), session, NullProgress())
    mine = [row for row in said(rows_at(table)) if row["product_id"] == SEED]
    assert (mine[1]["similar_id"], mine[1]["rules"]) == ("s003", "pin-1")
    assert mine[1]["rank_before"] != 2
    store = RuleStore(settings.rules_dir, "shop")
    store.publish([*RULES.rules.rules, *MORE], base=0, by="Ada")
    ruled = run_request(SimilarRequest(model="m", k=K), settings, NullProgress())
    assert (ruled["is_whole"], ruled["searched"]) == (False, 1)
    assert made_of(settings.similar_dir, "shop")["rules_version"] == store.newest() == 1
    as_the_endpoint_rules(folder, rows_at(table), store.read())
    assert said(rows_at(table, again.version)) == said(after)  # older versions stay readable


def as_the_endpoint_rules(folder, rows, rules):
    """Products that have no variants are answered as the endpoint answers by these rules."""
    recommender = Recommender.load(folder, embedder_loader=load_projection)
    compiled = RulesAt(rules).compiled(recommender.gallery)
    for at, name in enumerate(recommender.gallery.ids):
        if recommender.gallery.group(at) is None:
            answer = recommender.find([], k=K, wishes=Wishes(like=(name,)), rules=compiled).neighbours
            mine = rows.filter(pc.equal(rows["product_id"], name)).to_pylist()
            found = [(row["similar_id"], row["rank_before"], row["rules"]) for row in mine]
            assert found == [(one.product_id, one.rank_before, ",".join(one.rules) or None) for one in answer], name


def as_the_endpoint_answers(folder, rows):
    """Each product's rows are what the endpoint answers when it is asked for products like this one."""
    recommender = Recommender.load(folder, embedder_loader=load_projection)
    groups = {name: recommender.gallery.group(at) for at, name in enumerate(recommender.gallery.ids)}
    for name in recommender.gallery.ids:
        answer = recommender.find([], k=K + 3, wishes=Wishes(like=(name,)))
        expected = [one for one in answer.neighbours if not groups[name] or groups[one.product_id] != groups[name]][:K]
        mine = rows.filter(pc.equal(rows["product_id"], name))
        assert mine["similar_id"].to_pylist() == [one.product_id for one in expected], name
        np.testing.assert_allclose(mine["similarity"], [one.similarity for one in expected], atol=1e-6)


def test_cancelled_or_killed_the_table_is_the_old_one(shop, built, settings, session, repository):
    folder, embedder = built
    with pytest.raises(Cancelled):
        make(settings.similar_dir, folder, wanted(), session, Listener(stop_at="Writing the table"))
    assert stand(settings.similar_dir, "shop", model_version=3) is None
    make(settings.similar_dir, folder, wanted(), session, NullProgress())
    table = table_of(settings.similar_dir, "shop")
    rows = rows_at(table)
    found = stand(settings.similar_dir, "shop", model_version=3)
    assert (found.products, found.k, found.is_stale) == (60, K, False)
    assert stand(settings.similar_dir, "shop", model_version=4).is_stale

    shop.drop(["s006"])
    refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(settings.similar_dir), str(folder)],
        cwd=repository,
        env=os.environ,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert rows_at(table).equals(rows)
    left = len(list(table.glob("part-*.parquet")))
    done = make(settings.similar_dir, folder, wanted(), session, NullProgress())
    assert not done.is_whole
    assert done.products == 59
    as_the_endpoint_answers(folder, rows_at(table))
    assert len(list(table.glob("part-*.parquet"))) == left  # what the killed one wrote is gone
    assert len(list(table.parent.glob("kept-*"))) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from backend.merchandising.similar import making, table
from backend.progress import NullProgress
table.commit_files = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
making.make(Path(sys.argv[1]), Path(sys.argv[2]), making.Wanted(4, "m", 3, "shop"), None, NullProgress())
"""


def test_what_cannot_be_made_is_said(settings, built, session):
    with pytest.raises(CatalogueNotFound, match="no list of similar products of shop"):
        export(settings.similar_dir, settings.catalogues_dir, "shop", "wide", settings.home / "x.csv", NullProgress())
    with pytest.raises(RetrievalError, match="0 similar products"):
        wanted(k=0)
    bare = settings.models_dir / "bare"
    write_projection_bundle(bare)
    with pytest.raises(RetrievalError, match="no index"):
        run_request(SimilarRequest(model="bare"), settings, NullProgress())
    assert bundle.read_manifest(bare).index is None


def test_exports_load_again_without_a_warning(shop, built, settings, session, tmp_path, monkeypatch, capsys):
    folder, _ = built
    make(settings.similar_dir, folder, wanted(), session, NullProgress())
    rows = said(rows_at(table_of(settings.similar_dir, "shop")))
    similar = {}
    for row in rows:
        similar.setdefault(row["product_id"], []).append(row["similar_id"])

    def write(name, suffix):
        path = tmp_path / f"{name}{suffix}"
        export(settings.similar_dir, settings.catalogues_dir, "shop", name, path, NullProgress())
        return path

    def read(name):
        with write(name, ".csv").open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    wide = read("wide")
    assert {row["product_id"]: [row[f"similar_{rank}"] for rank in range(1, K + 1)] for row in wide} == similar
    assert [row["similar_id"] for row in read("long")] == [row["similar_id"] for row in rows]
    lines = [json.loads(line) for line in write("jsonl", ".jsonl").read_text("utf-8").splitlines()]
    assert {one["product_id"]: [row["similar_id"] for row in one["similar"]] for one in lines} == similar
    assert {row["SKU"]: row["Upsells"].split(", ") for row in read("woocommerce")} == similar
    shopify = {row["Handle"]: row for row in read("shopify")}
    assert len(shopify) == 58  # three variants share a handle
    related = next(value for key, value in shopify["b001"].items() if key.startswith("Related products ("))
    assert related.split("; ") == [
        {"c003": "set", "c004": "set", "c005": "set"}.get(one, one) for one in similar["b001"]
    ]

    for name, profile in {"wide": "", "jsonl": "", "shopify": "shopify", "woocommerce": "woocommerce"}.items():
        path = write(name, ".zip")
        entries = open_source(detect(path), path, columns=None, label_from="folder", version=None).entries()
        reading = reading_of(entries)
        assert (reading.profile or "") == profile, name
        assert entries["reason"].null_count == len(entries) == (58 if name == "shopify" else 60), name
        assert counted(entries) == {}, name
        titles = dict(zip(entries["product_id"].to_pylist(), entries["title"].to_pylist(), strict=True))
        assert titles["b001"] == shop.rows["b001"]["title"], name
        with zipfile.ZipFile(path) as archive:
            assert sum(one.startswith("images/") for one in archive.namelist()) == 60

    monkeypatch.setenv("TWINSET_HOME", str(settings.home))
    assert main(["similar", "export", "shop", str(tmp_path / "again.csv"), "--layout", "long", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["products"], told["left_out"]) == (60, 0)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "long.csv").read_bytes()
    assert main(["similar", "show", "shop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["products"] == 60

"""A catalogue of our own that somebody changed with the deltalake package: everything goes on, Spark included."""

from __future__ import annotations

import numpy as np
import pytest
from deltalake import DeltaTable

from backend.catalogue.items import PRODUCTS
from backend.catalogue.loading.ingest import ingest
from backend.catalogue.quality.measuring import measure_quality
from backend.catalogue.quality.view import open_quality
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.built_in import SampleSource
from backend.catalogue.upkeep.changes import changes_between
from backend.catalogue.upkeep.history import history
from backend.catalogue.upkeep.maintenance import compact, restore
from backend.merchandising.questions.question_store import QuestionStore
from backend.merchandising.rule_store import RuleStore
from backend.progress import NullProgress
from backend.retrieval.rules.rule import Rule
from tests.fixtures.base import settings_for
from tests.support.logged_rows import row

pytestmark = pytest.mark.spark

QUIET = NullProgress()


def test_a_catalogue_goes_on_after_a_foreign_delete(spark, tmp_path):
    settings = settings_for(tmp_path / "home")
    folder = settings.catalogues_dir / "shop"

    def newest():
        return open_snapshot(settings.catalogues_dir, "shop")

    ingest(spark, SampleSource(30), settings, catalogue="shop", progress=QUIET)
    gone = newest().columns(["product_id"])["product_id"][4].as_py()
    DeltaTable(folder / PRODUCTS).delete(f"product_id = '{gone}'")
    deleted = newest()
    assert deleted.summary().rows == 29
    assert history(folder)[0].is_readable
    measure_quality(spark, folder, progress=QUIET)
    table = open_quality(deleted, folder)
    assert (len(table), int(table.is_measured.sum())) == (29, 29)

    report = ingest(spark, SampleSource(30), settings, catalogue="shop", progress=QUIET)
    assert (report.counts.new, report.counts.unchanged) == (1, 29)
    assert newest().product(gone).image
    restore(spark, folder, deleted.version, progress=QUIET)
    assert newest().summary().rows == 29
    changes = changes_between(settings.catalogues_dir, "shop", deleted.version - 1, newest().version)
    assert [(change.product_id, change.kind) for change in changes.page()] == [(gone, "gone")]
    compact(spark, folder, progress=QUIET)
    assert newest().page(offset=0, limit=99)[1] == 29


def test_spark_reads_every_version_of_the_rules_keeps_their_constraints_and_may_write(spark, tmp_path):
    store = RuleStore(tmp_path / "rules", "shop")
    rules = [Rule(name, "block", products=(name.upper(),)) for name in "abc"]
    store.publish(rules, base=0, by="Ann")
    store.publish(rules[:1], base=1, by="Bob")
    place = str(store.table)
    ids = [
        sorted(row.id for row in spark.read.format("delta").option("versionAsOf", version).load(place).collect())
        for version in (1, 2)
    ]
    assert ids == [["a", "b", "c"], ["a"]]
    with pytest.raises(Exception, match="action_known"):
        spark.sql(f"UPDATE delta.`{place}` SET action = 'hide'")
    spark.sql(f"UPDATE delta.`{place}` SET owner = 'Cleo'")
    assert (store.newest(), store.read().rules, store.history()[0].added) == (3, tuple(rules[:1]), None)
    assert store.publish(rules[1:], base=3, by="Ann").rules == tuple(rules[1:])
    assert spark.read.format("delta").load(place).count() == 2


def test_spark_reads_the_log_of_questions(spark, tmp_path):
    store = QuestionStore(tmp_path / "questions", "shop")
    rows = [row(number) for number in range(3)]
    store.append(rows[:2])
    store.append(rows[2:])
    found = spark.read.format("delta").load(str(store.table)).orderBy("time").collect()
    assert [list(one.product_ids) for one in found] == [list(one.product_ids) for one in rows]
    assert [np.asarray(one.embedding, np.float32).tobytes() for one in found] == [r.embedding.tobytes() for r in rows]
    assert [one.is_strange for one in found] == [one.is_strange for one in rows]

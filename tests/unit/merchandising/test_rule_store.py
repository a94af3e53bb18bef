"""Rules that are kept: every version stays as it is, two people lose nothing, and whoever is killed leaves a whole set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.catalogue.delta import delta_log
from backend.errors import CatalogueError, CatalogueNotFound, ChangedMeanwhile, RetrievalError
from backend.merchandising.draft import Drafts
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.rules.rule import Rule, Scope
from backend.retrieval.rules.rule_set import EMPTY, RuleSet, as_plain

A, B, C = (Rule(name, "block", products=(name.upper(),)) for name in "abc")
A2, A3 = (Rule("a", "block", products=("A", other)) for other in ("X", "Y"))


@pytest.fixture
def store(tmp_path):
    return RuleStore(tmp_path / "rules", "shop")


def test_every_version_is_what_delta_reads_there(store):
    assert (store.newest(), store.read(), store.history()) == (EMPTY, RuleSet(), [])
    sets = [(A, B), (A2, B, C), (), (C,)]
    for number, rules in enumerate(sets, 1):
        done = store.publish(rules, base=store.newest(), by="Ann", note=f"no. {number}")
        assert (done.version, done.rules, done.by, done.note) == (number, rules, "Ann", f"no. {number}")
        assert done.published_at.endswith("+00:00")
    for number, rules in enumerate(sets, 1):
        rows = delta_log.rows_of(delta_log.open_table(store.table, number)).table(["id", "rule"]).to_pylist()
        assert {row["id"]: json.loads(row["rule"]) for row in rows} == {rule.id: as_plain(rule) for rule in rules}
        assert store.read(number).rules == rules
    assert RuleStore(store.folder.parent, "shop").read() == done
    assert [(one.version, one.added, one.changed, one.removed) for one in store.history()] == [
        *((4, 1, 0, 0), (3, 0, 0, 3), (2, 1, 1, 0), (1, 2, 0, 0)),
    ]
    assert [one.version for one in store.history(limit=2, before=3)] == [2, 1]
    assert store.changes(2).ids == {"a", "c"}
    with pytest.raises(CatalogueNotFound, match="no version 5"):
        store.read(5)


def test_the_same_rules_again_are_no_new_version(store):
    first = store.publish([B, A], base=EMPTY, by="Ann")
    assert store.publish([A, B], base=1, by="Bob") == first
    assert store.newest() == 1


def test_undo_publishes_an_older_version_again_and_can_be_undone(store):
    store.publish([A], base=EMPTY, by="Ann")
    store.publish([B], base=1, by="Ann")
    undone = store.restore(1, by="Bob", note="too early")
    assert (undone.version, undone.rules) == (3, (A,))
    assert undone.digest == store.read(1).digest
    assert store.history()[0].restored == 1
    assert store.restore(2, by="Bob").rules == (B,)
    assert store.restore(EMPTY, by="Bob").rules == ()
    assert [one.restored for one in store.history()] == [0, 2, 1, None, None]


def test_what_only_one_of_two_people_touched_is_merged(store):
    store.publish([A, B], base=EMPTY, by="Ann")
    store.publish([A2, B], base=1, by="Bob")  # changes a
    merged = store.publish([A, C], base=1, by="Ann")  # made of version 1: takes b out, puts c in
    assert merged.rules == (A2, C)


def test_a_rule_that_both_changed_is_refused_and_the_draft_stays(store):
    store.publish([A, B], base=EMPTY, by="Ann")
    drafts = Drafts(store)
    draft = drafts.open("Ann")
    draft = drafts.save(draft.of([A3], store.read(1)))
    store.publish([A2, B], base=1, by="Bob")
    with pytest.raises(ChangedMeanwhile, match=r"since version 1: a \(by Bob on .+ UTC, version 2\)") as refused:
        drafts.publish(draft)
    assert (refused.value.code, refused.value.status) == ("changed_meanwhile", 409)
    assert (store.newest(), drafts.open("Ann")) == (2, draft)
    assert store.publish([A2], base=1, by="Ann").rules == (A2,)  # the same change twice is none


def test_circles_are_refused_also_where_only_the_merge_makes_one(store):
    one, other = (Rule(n, "fall-back", Scope("product", (a,)), (b,)) for n, a, b in (("x", "A", "B"), ("y", "B", "A")))
    store.publish([one], base=EMPTY, by="Ann")
    with pytest.raises(RetrievalError, match="x, y lead in a circle: A to B and B to A"):
        store.publish([other], base=EMPTY, by="Bob")
    assert store.newest() == 1


def test_many_who_publish_at_once_lose_nothing(store):
    rules = [Rule(f"r{number}", "block", products=("A",)) for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda rule: store.publish([rule], base=EMPTY, by=rule.id), rules))
    assert store.read().rules == tuple(rules)
    assert {one.by for one in store.history()} == {rule.id for rule in rules}


def test_a_damaged_or_newer_table_is_a_sentence_and_an_older_version_can_take_its_place(store):
    store.publish([A], base=EMPTY, by="Ann")
    store.publish([B], base=1, by="Ann")
    file = store.table / f"rules-{2:020d}.parquet"
    file.write_bytes(b"PAR1 no")
    with pytest.raises(CatalogueError, match="cannot be read"):
        store.read()
    assert store.restore(1, by="Ann").rules == (A,)
    commit = store.table / "_delta_log" / f"{3:020d}.json"
    text = commit.read_text()
    commit.write_text(text.replace('\\"rules\\": 1', '\\"rules\\": 2'))
    with pytest.raises(CatalogueError, match="newer version of Twinset"):
        store.read()
    commit.write_text(text[:40])
    with pytest.raises(CatalogueError, match="Version 3 of the rules of shop cannot be read"):
        store.read()
    with pytest.raises(CatalogueError, match="not a valid catalogue name"):
        RuleStore(store.folder, "../x")


def test_a_commit_of_somebody_else_is_read_as_delta_tells(store):
    from backend.catalogue.delta.commit_files import commit_files

    store.publish([A, B], base=EMPTY, by="Ann")
    commit_files(store.table, [], note={"load": "elsewhere"}, operation="OPTIMIZE")
    assert (store.newest(), store.read().rules) == (2, (A, B))
    assert store.history()[0].added is None
    assert store.publish([A], base=2, by="Ann").rules == (A,)
    assert len(delta_log.rows_of(delta_log.open_table(store.table))) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from backend.catalogue.delta import commit_files
from backend.files import storage
from backend.merchandising import kept_sets, rule_store
from backend.retrieval.rules.rule import Rule
from tests.fixtures.base import an_administrator_asks
an_administrator_asks()
left = int(sys.argv[2])
def watched(what):
    def step(*words, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return what(*words, **more)
    return step
commit_files.write_atomically = watched(commit_files.write_atomically)
kept_sets.create_table = watched(kept_sets.create_table)
kept_sets.commit_files = watched(kept_sets.commit_files)
for name in ("replace", "link", "fsync", "unlink"):
    setattr(os, name, watched(getattr(os, name)))
store = rule_store.RuleStore(Path(sys.argv[1]), "shop")
store.publish([Rule("b", "block", products=("B",))], base=store.newest(), by="Ann")
"""


@pytest.mark.slow
def test_a_kill_between_any_two_steps_leaves_the_set_before_or_the_one_after(store):
    outcomes = set()
    for steps in range(12):
        before = store.newest()
        rules = store.read().rules
        command = [sys.executable, "-c", KILLED, str(store.folder.parent), str(steps)]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
        assert done.returncode in {0, -signal.SIGKILL}
        assert store.read().rules in {rules, (B,)}
        outcomes.add((done.returncode, store.newest() - before))
        if done.returncode == 0:
            break
    assert store.publish([A], base=store.newest(), by="Bob").rules == (A,)
    assert {returncode for returncode, _ in outcomes} == {0, -signal.SIGKILL}
    in_use = {file.name for version in range(1, store.newest() + 1) for file in _files(store, version)}
    assert {path.name for path in store.table.glob("rules-*.parquet")} == in_use


def _files(store, version):
    return delta_log.files_of(delta_log.open_table(store.table, version))


def test_pictures_are_kept_once_and_a_damaged_one_is_a_sentence(store):
    name = store.pictures.keep(b"some picture")
    assert store.pictures.keep(b"some picture") == name
    assert (store.pictures.read(name), store.pictures.names()) == (b"some picture", {name})
    (store.folder / "pictures" / name).write_bytes(b"another")
    for wrong in (name, "0" * 64, "../table", ""):
        with pytest.raises(RetrievalError, match="is not here, or its file is damaged"):
            store.pictures.read(wrong)
    with pytest.raises(RetrievalError):
        store.pictures.keep(b"")


def test_a_draft_survives_and_says_what_differs_from_its_base(store):
    store.publish([A, B], base=EMPTY, by="Ann")
    drafts = Drafts(store)
    base = store.read(1)
    draft = drafts.open("Ann")
    assert (draft.base, bool(draft), draft.revision) == (1, False, 0)
    draft = drafts.save(draft.of([A2, C], base))
    again = Drafts(RuleStore(store.folder.parent, "shop"))
    assert again.open("Ann") == draft
    assert [one.person for one in again.list()] == ["Ann"]
    assert draft.rules(base) == (A2, C)
    found = draft.difference(base)
    assert (found.added, found.changed, found.removed) == (("c",), ("a",), ("b",))
    assert drafts.publish(draft, note="new").rules == (A2, C)
    assert not drafts.list()


def test_a_second_window_does_not_overwrite_a_draft(store):
    drafts = Drafts(store)
    first = drafts.open("Ann")
    drafts.save(first.of([A], RuleSet()))
    with pytest.raises(ChangedMeanwhile, match="changed in another window"):
        drafts.save(first.of([B], RuleSet()))
    with pytest.raises(ChangedMeanwhile, match="changed in another window"):
        drafts.publish(first.of([B], RuleSet()))
    assert (drafts.open("Ann").put, store.newest()) == ((A,), EMPTY)
    drafts.discard("Ann")
    assert not drafts.open("Ann")
    for wrong in ("", " ", "a\nb", "x" * 501):
        with pytest.raises(RetrievalError, match="name of a person"):
            drafts.open(wrong)


def test_a_damaged_draft_is_a_sentence(store):
    drafts = Drafts(store)
    drafts.save(drafts.open("Ann").of([A], RuleSet()))
    (file,) = (store.folder / "drafts").glob("*.json")
    for wrong in (b"{", b"[]", b'{"person": 1}', b"\xff", b"[" * 200_000):
        file.write_bytes(wrong)
        with pytest.raises(RetrievalError, match="cannot be read"):
            drafts.open("Ann")

"""The list of people: what is in it wins, who changes it is told of others' changes, and tokens and jobs fall with a role."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from backend import worker
from backend.access.asking import Asking, asked_by, asking
from backend.access.edges import account, by_session
from backend.access.people import PEOPLE_FILE, People, role_of
from backend.access.person import Person, Role
from backend.access.sign_ins import Entry
from backend.errors import AccessDenied, ChangedMeanwhile, SettingsError
from backend.files.storage import keep_private
from backend.flow.requests import TrainRequest
from backend.flow.roles import JOBS
from backend.jobs.reporter import JobReporter
from backend.jobs.runner import JobRunner
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.serving.tokens import TOKENS_FILE, token_store
from tests.fixtures.base import Unwritten

TITLES = [role.title for role in Role]


def as_(name, role=Role.ADMIN):
    return asked_by(Asking(Person(name, role, "app"), Unwritten()))


@pytest.fixture
def people(settings):
    settings.home.mkdir(parents=True)
    keep_private(settings.home)
    return People(settings.home)


def test_the_list_wins_over_what_a_sign_in_claims_and_that_over_the_default(settings, people):
    with_default = replace(settings, default_role="viewer")
    assert role_of(settings, "eve@shop.example") is None
    assert role_of(with_default, "eve@shop.example") is Role.VIEWER
    assert role_of(with_default, "eve@shop.example", ["engineer", "merchandiser", "boss"]) is Role.ENGINEER
    people.set("Eve@Shop.example", "merchandiser", seen=0)
    assert role_of(with_default, "eve@shop.example", ["admin"]) is Role.MERCHANDISER
    people.set("eve@shop.example", "none", seen=1)
    assert role_of(with_default, "EVE@shop.example", ["admin"]) is None
    assert by_session(with_default, Entry("", "eve@shop.example", "admin", "2099-01-01T00:00:00+00:00")).role is None
    people.remove("eve@shop.example", seen=2)
    assert role_of(with_default, "eve@shop.example", ["admin"]) is Role.ADMIN


def test_a_change_names_the_version_that_it_was_made_of_and_is_signed(settings, people):
    with as_("ada"):
        people.set("bo", "viewer", seen=0)
    with pytest.raises(ChangedMeanwhile):
        people.set("bo", "admin", seen=0)
    (bo,) = People(settings.home).listed().people
    assert (bo.name, bo.role, bo.by) == ("bo", "viewer", "ada")
    assert (settings.home / PEOPLE_FILE).stat().st_mode & 0o77 == 0


def test_the_last_administrator_stays(people):
    people.set("ada", "admin", seen=0)
    for change in (lambda: people.remove("ada", seen=1), lambda: people.set("ADA", "engineer", seen=1)):
        with pytest.raises(SettingsError, match="last administrator"):
            change()
    people.set("bo", "admin", seen=1)
    people.remove("ada", seen=2)
    assert [one.name for one in people.listed().people] == ["bo"]


@examples(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([*TITLES, "none", "", "boss"])), max_size=8))
def test_whatever_is_changed_the_list_is_what_was_accepted(tmp_path_factory, changes):
    people, known = People(tmp_path_factory.mktemp("people")), {}
    for name, role in changes:
        was_admin = "admin" in known.values()
        after = {**known, name: role}
        if role not in [*TITLES, "none"] or (was_admin and "admin" not in after.values()):
            with pytest.raises(SettingsError):
                people.set(name, role, seen=people.listed().version)
        else:
            people.set(name, role, seen=people.listed().version)
            known = after
    assert {one.name: one.role or "none" for one in people.listed().people} == known


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a" * 201])
def test_a_name_that_is_none_is_refused(people, name):
    with pytest.raises(SettingsError, match="printable"):
        people.set(name, "viewer", seen=0)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 2, "version": 1, "people": []}'])
def test_a_list_that_cannot_be_read_lets_nobody_do_anything(settings, people, text):
    (settings.home / PEOPLE_FILE).write_text(text)
    with pytest.raises(SettingsError, match="cannot be read"):
        role_of(settings, "ada", ["admin"])


# ------------------------------------------------------------------------------------------------ tokens


def test_a_token_falls_with_the_role_of_whoever_issued_it(settings, people):
    store, elsewhere = token_store(settings), token_store(settings)
    people.set("bo", "admin", seen=0)
    people.set("ada", "admin", seen=1)
    with as_("bo"):
        token = store.issue("till", scope="ask").reveal()
    assert elsewhere.find(token).person == "bo"
    people.set("bo", "none", seen=2)
    assert elsewhere.find(token) is None
    assert elsewhere.names() == ()
    people.set("bo", "viewer", seen=3)
    assert elsewhere.find(token) is not None
    people.remove("bo", seen=4)
    assert elsewhere.find(token) is None
    assert token_store(replace(settings, default_role="viewer")).find(token) is not None


def test_a_token_of_somebody_whom_only_claims_name_is_good_until_the_list_says_no(settings, people):
    with as_("cy"):
        token = token_store(settings).issue("till").reveal()
    assert token_store(settings).find(token) is not None
    people.set("cy", "none", seen=0)
    assert token_store(settings).find(token) is None


def test_a_token_of_an_earlier_version_and_of_this_account_belong_to_the_home(settings, people):
    with as_(account()):
        token = token_store(settings).issue("till").reveal()
    path = settings.home / TOKENS_FILE
    raw = json.loads(path.read_text())
    assert raw["tokens"][0]["person"] == ""
    for name in ("person", "was_listed"):
        raw["tokens"][0].pop(name)
    path.write_text(json.dumps({**raw, "format": 1}))
    found = token_store(settings).find(token)
    assert (found.name, found.person) == ("till", "")


# ------------------------------------------------------------------------------------------------ jobs


def carried_out(settings, run):
    """Do the only job as its worker does; returns how it ended."""
    store = JobStore(settings.jobs_db)
    (job,) = store.list()
    store.start(job.id, pid=os.getpid())
    reporter = JobReporter(store, job.id, heartbeat_s=60, grace_s=60, on_overdue=lambda: None)
    return worker._carry_out(store.get(job.id), settings, reporter, run)


def test_a_job_runs_as_whoever_asked_for_it(settings, people):
    seen = []
    with as_("bo", Role.ENGINEER):
        JobRunner(settings, starts=False).submit(TrainRequest())
    carried_out(settings, lambda *_: seen.append(asking().person) or {})
    assert seen == [Person("bo", Role.ENGINEER, "job")]


def test_a_job_of_somebody_who_lost_the_role_meanwhile_is_refused(settings, people):
    with as_("bo", Role.ENGINEER):
        JobRunner(settings, starts=False).submit(TrainRequest())
    people.set("bo", "viewer", seen=0)
    job = carried_out(settings, worker._run_request)
    assert job.state is JobState.FAILED
    assert "needs the role engineer" in job.error
    with pytest.raises(AccessDenied), as_("bo", Role.VIEWER):
        JobRunner(settings, starts=False).submit(TrainRequest())
    assert JOBS["train"].role is Role.ENGINEER

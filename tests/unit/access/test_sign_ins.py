"""One-time addresses and sessions: each opens once or until it ends, is kept as a hash, and outlives the process."""

from __future__ import annotations

import json
import stat
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.access.edges import account, by_session
from backend.access.people import People
from backend.access.person import Person, Role
from backend.access.sign_ins import OF_LIST, SIGN_INS_FILE, Entry, SignIns, sign_ins
from backend.access.way_in import app_url, way_in
from backend.cli.access import sign_in
from backend.errors import AccessDenied, SettingsError
from backend.machine.hosts import app_hosts, is_known

START = datetime(2026, 11, 28, 9, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def wait(self, **span: float) -> None:
        self.time += timedelta(**span)


def store(folder, clock):
    return SignIns(folder / SIGN_INS_FILE, now=clock)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["issue", "begin"]), st.sampled_from(["ada", "bo"])),
        st.tuples(st.sampled_from(["use", "end", "find"]), st.integers(0, 7)),
        st.tuples(st.just("wait"), st.sampled_from([20, 61, 200])),
    ),
    max_size=20,
)


class Model:
    """A plain list of what should open what, beside the store, which is read anew by another process at every step."""

    def __init__(self, folder):
        self.folder, self.clock = folder, Clock()
        self.given_out, self.good = [], {}

    @property
    def signed(self):
        return store(self.folder, self.clock)

    def gives(self, kind, secret, name, hours):
        self.given_out.append(secret.reveal())
        self.good[secret.reveal()] = (kind, name, self.clock.time + timedelta(hours=hours))

    def issue(self, name):
        self.gives("address", self.signed.issue(name, ""), name, 1)

    def begin(self, name):
        self.gives("session", self.signed.begin(name, "", 3), name, 3)

    def wait(self, minutes):
        self.clock.wait(minutes=minutes)
        self.good = {secret: one for secret, one in self.good.items() if one[2] > self.clock.time}

    def secret(self, number):
        secret = self.given_out[number % len(self.given_out)] if self.given_out else "nothing"
        return secret, *self.good.get(secret, ("", ""))[:2]

    def end(self, number):
        secret, kind, _ = self.secret(number)
        self.signed.end(secret)
        if kind == "session":
            del self.good[secret]

    def find(self, number):
        secret, kind, name = self.secret(number)
        found = self.signed.find(secret)
        assert (found.name if found else "") == (name if kind == "session" else "")

    def use(self, number):
        secret, kind, name = self.secret(number)
        if kind == "address":
            assert self.signed.use(secret).name == name
            del self.good[secret]
            return
        with pytest.raises(AccessDenied, match="has been used, or has expired"):
            self.signed.use(secret)


@hypothesis_settings(max_examples=25)
@given(STEPS)
def test_what_opens_is_what_was_given_not_used_not_ended_and_not_over(tmp_path_factory, steps):
    model = Model(tmp_path_factory.mktemp("home"))
    for step, about in steps:
        getattr(model, step)(about)
    path = model.folder / SIGN_INS_FILE
    if path.exists():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not any(secret in path.read_text() for secret in model.given_out)


def test_of_one_person_the_newest_sessions_are_kept(tmp_path):
    signed = store(tmp_path, Clock())
    other = signed.begin("bo", "", 1).reveal()
    found = [signed.begin("ada", "", 1).reveal() for _ in range(25)]
    assert [signed.find(secret) is not None for secret in (other, *found)] == [True, *[False] * 5, *[True] * 20]


def test_a_session_that_another_process_ended_is_over_at_the_next_question(tmp_path):
    clock = Clock()
    ours, theirs = store(tmp_path, clock), store(tmp_path, clock)
    secret = ours.begin("ada", "admin", 1).reveal()
    assert ours.find(secret).role == "admin"
    theirs.end(secret)
    assert ours.find(secret) is None


@pytest.mark.parametrize(
    "wrong",
    [
        '{"format": 1, "addresses": [], "sess',
        '{"format": 2, "addresses": [], "sessions": []}',
        '{"addresses": [], "sessions": []}',
        json.dumps(
            {"format": 1, "addresses": [], "sessions": [{"sha256": "", "name": "", "role": "", "expires_at": ""}]}
        ),
        json.dumps({"format": 1, "addresses": [], "sessions": [{"sha256": "", "name": "", "role": ""}]}),
    ],
)
def test_a_damaged_or_a_newer_file_is_no_session(tmp_path, wrong):
    (tmp_path / SIGN_INS_FILE).write_text(wrong)
    with pytest.raises(SettingsError, match="not readable as a list of sessions"):
        store(tmp_path, Clock()).find("")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sign_in": "off", "app_host": "0.0.0.0"}, "open to everyone who can reach 0.0.0.0"),
        ({"sign_in": "off", "app_host": "::"}, "open to everyone"),
        ({"sign_in": "off", "app_host": "192.168.1.7"}, "open to everyone"),
        ({"sign_in": "off", "app_host": "twinset.example"}, "open to everyone"),
        ({"sign_in": "none"}, "TWINSET_SIGN_IN is 'none'"),
        ({"sign_in": "oidc"}, "TWINSET_OIDC_METADATA_URL, TWINSET_OIDC_CLIENT_ID, TWINSET_OIDC_CLIENT_SECRET"),
        ({"sign_in": "", "oidc_metadata_url": "https://id.example/"}, "needs TWINSET_OIDC_CLIENT_ID"),
        ({"sign_in": "address", "session_hours": 0.0}, "must be more than 0"),
    ],
)
def test_no_sign_in_no_start_on_an_address_that_others_reach(settings, changes, says):
    with pytest.raises(SettingsError, match=says) as refused:
        way_in(replace(settings, **changes))
    assert refused.value.next_step


def test_without_a_provider_it_is_an_address_and_off_is_for_this_machine(settings):
    assert way_in(replace(settings, sign_in="")) == "address"
    assert way_in(replace(settings, sign_in="", app_host="0.0.0.0")) == "address"
    assert [way_in(replace(settings, app_host=host)) for host in ("127.0.0.1", "::1", "localhost")] == ["off"] * 3


def test_the_url_that_users_open_is_a_name_of_the_app(settings):
    behind = replace(settings, app_url="https://twinset.example/", app_path="/shop")
    assert app_url(behind) == "https://twinset.example/shop"
    assert is_known("twinset.example", app_hosts(behind))
    assert not is_known("twinset.example", app_hosts(settings))
    assert app_url(replace(settings, app_host="0.0.0.0", app_port=8501, app_path="/a")) == "http://127.0.0.1:8501/a"
    assert app_url(replace(settings, app_host="::1", app_port=8501)) == "http://[::1]:8501"
    for wrong in (
        "twinset.example",
        "ftp://twinset.example",
        "https://",
        "https://ada:pw@twinset.example",
        "https://a/b",
    ):
        with pytest.raises(SettingsError, match="not the URL of the app"):
            app_url(replace(settings, app_url=wrong))


def test_the_command_gives_the_account_or_somebody_of_the_list_an_address(settings):
    def asked(name):
        printed = sign_in(Namespace(person=name), replace(settings, sign_in="address"))["address"]
        return by_session(settings, sign_ins(settings).use(printed.partition("key=")[2]))

    assert asked("") == Person(account(), Role.ADMIN, "app")
    with pytest.raises(SettingsError, match="bo is not in the list of people"):
        asked("bo")
    people = People(settings.home)
    people.set("bo", "engineer", seen=0)
    assert asked("bo") == Person("bo", Role.ENGINEER, "app")
    with pytest.raises(SettingsError, match="TWINSET_SIGN_IN is off"):
        sign_in(Namespace(person=""), settings)


@pytest.mark.parametrize("default", ["", "viewer"])
def test_a_session_has_the_role_that_its_person_has_now(settings, default):
    settings = replace(settings, default_role=default)
    listed, claimed, bare = (Entry("", "bo", role, START.isoformat()) for role in (OF_LIST, "engineer", ""))
    people = People(settings.home)

    def roles():
        found = [by_session(settings, session, "10.0.0.7") for session in (listed, claimed, bare)]
        return [one and (one.role.title if one.role else "none") for one in found]

    usual = default or "none"
    assert roles() == [None, "engineer", usual]
    people.set("Bo", "admin", seen=0)
    assert roles() == ["admin"] * 3
    people.set("ada", "admin", seen=1)
    people.set("bo", "none", seen=2)
    assert roles() == ["none"] * 3
    people.remove("bo", seen=3)
    assert roles() == [None, "engineer", usual]

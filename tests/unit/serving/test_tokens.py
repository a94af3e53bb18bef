"""Tokens are kept as hashes in private files, and what another process changes counts at once."""

from __future__ import annotations

import hmac
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backend.errors import SettingsError
from backend.serving.tokens import APP_TOKEN_FILE, TOKENS_FILE, USED_FILE, TokenStore, ensure_app_token, token_store
from backend.settings import SecretStr


@pytest.fixture
def store(tmp_path):
    return TokenStore(tmp_path / "home" / "tokens.json")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_known_by_its_name_and_nothing_else_is(store):
    first, second = store.issue("app"), store.issue("till")
    assert store.verify(first.reveal()) == "app"
    assert store.verify(second.reveal()) == "till"
    for wrong in ("", " ", first.reveal()[:-1], first.reveal() + "x", first.reveal().swapcase(), "\udcff", "€"):
        assert store.verify(wrong) is None
    assert store.names() == ("app", "till")


def test_without_any_token_nothing_is_accepted(store):
    assert store.verify("") is None
    assert store.names() == ()


def test_neither_the_file_nor_a_repr_holds_the_token(store, tmp_path):
    token = store.issue("app")
    path = tmp_path / "home" / "tokens.json"
    assert token.reveal() not in path.read_text()
    assert token.reveal() not in f"{token!r} {token} {store!r}"
    assert len(token.reveal()) >= 43
    assert mode(path) == 0o600


def test_a_name_has_one_token_and_a_revoked_one_has_none(store):
    old = store.issue("app")
    new = store.issue("app")
    assert store.verify(old.reveal()) is None
    assert store.verify(new.reveal()) == "app"
    store.revoke("app")
    store.revoke("nobody")
    assert store.verify(new.reveal()) is None


def test_what_another_process_changes_counts_at_once(store, tmp_path):
    other = TokenStore(tmp_path / "home" / "tokens.json")
    assert store.verify("x") is None
    token = other.issue("app")
    assert store.verify(token.reveal()) == "app"
    other.revoke("app")
    assert store.verify(token.reveal()) is None
    token = other.issue("app")
    (tmp_path / "home" / "tokens.json").unlink()
    assert store.verify(token.reveal()) is None


@pytest.mark.parametrize("content", ["", "[]", '{"tokens": [{"name": "app"}]}', '{"tokens": 3}'])
def test_a_damaged_file_is_said_as_such(store, tmp_path, content):
    store.issue("app")
    (tmp_path / "home" / "tokens.json").write_text(content)
    with pytest.raises(SettingsError, match=r"tokens\.json is not readable"):
        store.verify("x")


def test_the_app_gets_one_token_that_the_endpoint_knows(settings):
    token = ensure_app_token(settings)
    assert ensure_app_token(settings) == token
    assert token_store(settings).verify(token.reveal()) == "app"
    assert mode(settings.home / APP_TOKEN_FILE) == mode(settings.home / TOKENS_FILE) == 0o600
    assert {path.name for path in settings.home.iterdir() if path.name[0] != "."} == {APP_TOKEN_FILE, TOKENS_FILE}


@pytest.mark.parametrize("lost", [APP_TOKEN_FILE, TOKENS_FILE])
def test_a_lost_half_is_made_anew(settings, lost):
    old = ensure_app_token(settings)
    (settings.home / lost).unlink()
    new = ensure_app_token(settings)
    assert new != old
    assert token_store(settings).verify(new.reveal()) == "app"
    assert token_store(settings).verify(old.reveal()) is None


def test_the_token_of_the_settings_wins_and_touches_nothing(settings):
    chosen = replace(settings, endpoint_token=SecretStr("chosen-by-the-operator"))
    assert ensure_app_token(chosen).reveal() == "chosen-by-the-operator"
    assert not settings.home.exists()


def test_the_file_is_readable_json(store, tmp_path):
    store.issue("app")
    raw = json.loads((tmp_path / "home" / "tokens.json").read_text())
    assert raw["format"] == 2
    assert raw["tokens"][0].keys() == {"name", "created_at", "sha256", "scope", "expires_at", "person", "was_listed"}


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_by(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def timed(tmp_path, clock):
    return TokenStore(tmp_path / "home" / "tokens.json", now=clock)


def test_a_token_ends_when_its_days_are_over(timed, clock):
    short, endless = timed.issue("guest", days=2), timed.issue("till")
    clock.pass_by(days=1, hours=23)
    assert timed.verify(short.reveal()) == "guest"
    clock.pass_by(hours=1)
    assert timed.verify(short.reveal()) is None
    assert timed.verify(endless.reveal()) == "till"
    assert timed.names() == ("till",)
    assert [entry.name for entry in timed.entries()] == ["guest", "till"]


def test_a_scope_covers_those_below_it(store):
    for scope, may in (("watch", "watch"), ("ask", "watch ask"), ("all", "watch ask all")):
        entry = store.find(store.issue("shop", scope=scope).reveal())
        assert [one for one in ("watch", "ask", "all") if entry.may(one)] == may.split()


def test_a_token_from_before_there_were_scopes_may_do_everything(store, tmp_path):
    token = store.issue("old", scope="ask")
    path = tmp_path / "home" / "tokens.json"
    raw = json.loads(path.read_text())
    raw["tokens"] = [{name: raw["tokens"][0][name] for name in ("name", "created_at", "sha256")}]
    path.write_text(json.dumps(raw))
    assert store.find(token.reveal()).scope == "all"


@pytest.mark.parametrize("wrong", [{"scope": "everything"}, {"expires_at": "some day"}])
def test_a_damaged_entry_is_refused_rather_than_read_as_more_than_it_was(store, tmp_path, wrong):
    token = store.issue("shop")
    path = tmp_path / "home" / "tokens.json"
    raw = json.loads(path.read_text())
    raw["tokens"][0] |= wrong
    path.write_text(json.dumps(raw))
    with pytest.raises(SettingsError, match="not readable"):
        store.verify(token.reveal())


@pytest.mark.parametrize("name", ["", "a b", "../up", "x" * 61, "-dash", "name\n"])
def test_a_name_that_could_be_something_else_is_refused(store, name):
    with pytest.raises(SettingsError, match="name"):
        store.issue(name)


@pytest.mark.parametrize(
    "options", [{"scope": "root"}, {"days": 0}, {"days": -1}, {"days": 1e9}, {"days": float("nan")}]
)
def test_what_cannot_be_a_scope_or_a_time_is_refused(store, options):
    with pytest.raises(SettingsError):
        store.issue("shop", **options)


def test_the_last_use_is_noted_to_the_minute_and_forgotten_with_the_token(timed, clock, tmp_path):
    token = timed.issue("till")
    assert timed.last_used() == {}
    assert timed.is_use_due("till")
    timed.note_use("till")
    assert not timed.is_use_due("till")
    assert timed.last_used() == {"till": "2026-11-25T12:00:00+00:00"}
    assert mode(tmp_path / "home" / USED_FILE) == 0o600
    assert token.reveal() not in (tmp_path / "home" / USED_FILE).read_text()
    clock.pass_by(seconds=61)
    assert timed.is_use_due("till")
    assert timed.revoke("till")
    assert timed.last_used() == {}
    assert not timed.revoke("till")


def test_every_entry_is_compared_in_constant_time_whoever_matches(store, monkeypatch):
    first = store.issue("first")
    for name in ("second", "third"):
        store.issue(name)
    compared = []
    real = hmac.compare_digest

    def counting(a, b):
        compared.append((a, b))
        return real(a, b)

    monkeypatch.setattr("backend.serving.tokens.hmac.compare_digest", counting)
    assert store.verify(first.reveal()) == "first"
    assert len(compared) == 3
    assert not any(first.reveal() in pair for pair in compared)

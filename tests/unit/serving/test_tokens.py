"""Tokens are kept as hashes in private files, and what another process changes counts at once."""

from __future__ import annotations

import json
import stat
from dataclasses import replace

import pytest

from backend.errors import SettingsError
from backend.serving.tokens import APP_TOKEN_FILE, TOKENS_FILE, TokenStore, ensure_app_token, token_store
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
    assert raw["format"] == 1
    assert raw["tokens"][0].keys() == {"name", "created_at", "sha256"}

"""Settings come from the environment, then .env, then defaults; wrong ones are named; secrets stay masked."""

from __future__ import annotations

from dataclasses import fields

import pytest

from backend.errors import SettingsError
from backend.settings import SecretStr, Settings, load_settings


def read(tmp_path, **environ):
    return load_settings({"HOME": str(tmp_path), **environ}, dotenv=tmp_path / ".env")


def test_defaults_bind_to_loopback_and_stay_below_the_home_folder(tmp_path):
    settings = read(tmp_path)
    assert settings.host == "127.0.0.1"
    assert settings.home.is_absolute()
    assert settings.effective_tracking_uri == f"sqlite:///{settings.home}/mlflow.db"
    assert settings.cache_dir == tmp_path / ".cache" / "twinset"


def test_the_cache_follows_xdg(tmp_path):
    assert read(tmp_path, XDG_CACHE_HOME="/somewhere").cache_dir.as_posix() == "/somewhere/twinset"


def test_environment_wins_over_dotenv(tmp_path):
    (tmp_path / ".env").write_text('# comment\nTWINSET_APP_PORT=9001\nTWINSET_MODEL_NAME="shoes"\n')
    settings = read(tmp_path, TWINSET_APP_PORT="9002")
    assert (settings.app_port, settings.model_name) == (9002, "shoes")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TWINSET_APP_PORT", "many", "whole number"),
        ("TWINSET_APP_PORT", "70000", "port in 0..65535"),
        ("TWINSET_ENDPOINT_TIMEOUT_S", "soon", "number"),
        ("TWINSET_MAX_ROWS", "0", "at least 1"),
        ("TWINSET_ENDPOINT_RATE", "-1", "at least 0"),
        ("TWINSET_ENDPOINT_RATE", "nan", "at least 0"),
        ("TWINSET_ENDPOINT_RETRIES", "-1", "at least 0"),
        ("TWINSET_CONTENT_CACHE_MB", "-1", "at least 0"),
        ("TWINSET_ENDPOINT_ANSWER_S", "0", "at least 0.1"),
        ("TWINSET_LOG_LEVEL", "LOUD", "LOUD"),
        ("TWINSET_COLOUR", "blue", "not a setting"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(tmp_path, name, value, says):
    with pytest.raises(SettingsError, match=says) as error:
        read(tmp_path, **{name: value})
    assert name in error.value.message
    assert error.value.next_step


def test_a_child_process_gets_the_very_same_settings(tmp_path):
    settings = read(tmp_path, TWINSET_HOME=str(tmp_path / "h"), TWINSET_ENDPOINT_TOKEN="s3cret", TWINSET_THREADS="2")
    assert load_settings({"HOME": "/elsewhere", **settings.environment()}, dotenv=tmp_path / "none") == settings


def test_every_setting_says_what_it_is_for():
    assert all(item.metadata["help"].endswith(".") or "…" in item.metadata["help"] for item in fields(Settings))


def test_secrets_are_masked_wherever_they_are_printed(tmp_path):
    settings = read(tmp_path, TWINSET_ENDPOINT_TOKEN="s3cret")
    assert "s3cret" not in f"{settings} {settings.endpoint_token} {settings.endpoint_token!r}"
    assert settings.endpoint_token.reveal() == "s3cret"
    assert settings.endpoint_token == SecretStr("s3cret")
    assert not SecretStr("")


def test_a_server_on_every_address_is_reached_on_loopback(tmp_path):
    settings = read(tmp_path, TWINSET_HOST="0.0.0.0")
    assert settings.effective_endpoint_url == "http://127.0.0.1:8601"


@pytest.mark.parametrize("name", ["a%41b", "a?b", "a#b", "a\nb", "a*b", "a\\b", 'a"b', "a`b", "\udcff"])
def test_a_home_whose_name_means_something_to_a_library_is_refused_at_once(tmp_path, name):
    for setting in ("TWINSET_HOME", "TWINSET_CACHE_DIR"):
        with pytest.raises(SettingsError, match=setting) as caught:
            read(tmp_path, **{setting: str(tmp_path / name)})
        assert "renamed" in caught.value.next_step


def test_a_home_too_deep_for_the_files_in_it_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="500 bytes"):
        read(tmp_path, TWINSET_HOME="/" + "é" * 249 + "x")


@pytest.mark.parametrize(
    "name", ["with space", "Kleider für Zoë", "カタログ", "o'brien (new) & co", "a+b=c,d@e~f!", "a;b:[c]{d}"]
)
def test_homes_with_usual_names_are_taken(tmp_path, name):
    assert read(tmp_path, TWINSET_HOME=str(tmp_path / name)).home == tmp_path / name


def test_a_relative_home_or_cache_is_below_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = read(tmp_path, TWINSET_HOME="mine", TWINSET_CACHE_DIR="cached")
    assert (settings.home, settings.cache_dir) == (tmp_path / "mine", tmp_path / "cached")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er")
    assert read(tmp_path, TWINSET_HOME="link").home == tmp_path / "link"
    assert read(tmp_path, TWINSET_HOME="link/../mine").home == (tmp_path / "deep" / "mine").resolve()


def test_a_value_can_be_in_a_file_and_one_of_its_own_comes_first(tmp_path):
    secret = tmp_path / "token"
    secret.write_text("from-a-file-with-a-token\n")
    named = {"TWINSET_ENDPOINT_TOKEN_FILE": str(secret), "TWINSET_HOME": str(tmp_path)}
    assert load_settings(named, dotenv=tmp_path / "none").endpoint_token.reveal() == "from-a-file-with-a-token"
    child = {**named, **load_settings(named, dotenv=tmp_path / "none").environment()}
    assert load_settings(child, dotenv=tmp_path / "none").endpoint_token.reveal() == "from-a-file-with-a-token"
    both = {**named, "TWINSET_ENDPOINT_TOKEN": "its-own"}
    assert load_settings(both, dotenv=tmp_path / "none").endpoint_token.reveal() == "its-own"
    with pytest.raises(SettingsError, match=r"TWINSET_ENDPOINT_TOKEN_FILE names .*gone, which cannot be read"):
        load_settings({**named, "TWINSET_ENDPOINT_TOKEN_FILE": str(tmp_path / "gone")}, dotenv=tmp_path / "none")


@pytest.mark.parametrize("wrong", ["twinset", "/twinset/", "//evil.example", "/a/../b", "/a b", "/", "https://a"])
def test_what_is_no_path_is_refused(tmp_path, wrong):
    with pytest.raises(SettingsError, match="TWINSET_APP_PATH must be a path"):
        load_settings({"TWINSET_APP_PATH": wrong, "TWINSET_HOME": str(tmp_path)}, dotenv=tmp_path / "none")

"""A version is served when it is signed with the key of the home, and for nothing that MLflow says of it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from backend.bundles import bundle
from backend.errors import BundleError, RegistryError, SettingsError
from backend.progress import NullProgress
from backend.registry.fetching import fetch_champion, fetch_version, sign_version
from backend.registry.history import CARD_TAG, GATE_TAG, load_ledger
from backend.registry.ledger import read_ledger
from backend.registry.promotion import promote, roll_back
from backend.registry.relocation import ROOT_FILE
from backend.registry.signing import BUNDLE_TAG, KEY_FILE, MANIFEST_TAG, SIGNATURE_TAG, NotOurs, check_ours
from backend.registry.store import open_store
from backend.settings import SecretStr
from tests.fixtures.registry import register_projection, write_model_folder

pytestmark = pytest.mark.mlflow


@pytest.fixture
def folder(tmp_path, projection_bundle):
    """A good bundle, to be tampered with."""
    return shutil.copytree(projection_bundle, tmp_path / "models" / "projection")


@pytest.fixture
def home(mlflow_settings, folder):
    """A registry with two versions of ours, of which the second is champion."""
    for number in (1, 2):
        register_projection(mlflow_settings, folder)
        promote(mlflow_settings, number, reason="It may.", progress=NullProgress())
    return mlflow_settings


def tags_of(settings, number):
    with open_store(settings) as client:
        return client.get_model_version(settings.model_name, str(number)).tags


def set_alias(settings, number, alias="champion"):
    with open_store(settings) as client:
        client.set_registered_model_alias(settings.model_name, alias, str(number))


def champion(settings):
    return fetch_champion(settings)[0].version


def test_the_key_is_made_once_for_its_owner_alone(settings, fresh_store):
    settings.home.mkdir(parents=True)
    shutil.copy(fresh_store, settings.home / "mlflow.db")
    found = SimpleNamespace(name="twinset", version="1", tags={})
    starting = threading.Barrier(4)

    def ask():
        starting.wait()
        with pytest.raises(NotOurs):
            check_ours(settings, found)
        keys.append((settings.home / KEY_FILE).read_bytes())

    keys: list[bytes] = []
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(keys) == 4
    assert len(set(keys)) == 1
    assert len(keys[0]) == 64
    assert stat.S_IMODE((settings.home / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("put", ["link", "folder", "pipe"])
def test_a_key_that_is_no_plain_file_is_refused(home, tmp_path, put):
    path = home.home / KEY_FILE
    key = path.rename(tmp_path / "elsewhere")
    {"link": lambda: path.symlink_to(key), "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[put]()
    with pytest.raises(RegistryError, match=r"The key .* cannot be read"):
        fetch_champion(home)


def test_a_key_that_is_too_short_is_none(home):
    with pytest.raises(SettingsError, match="has 5 characters but needs 32"):
        fetch_champion(replace(home, registry_key=SecretStr("short")))


def test_machines_with_the_same_key_serve_each_others_versions_and_with_another_do_not(home):
    key = (home.home / KEY_FILE).read_text()
    (home.home / KEY_FILE).unlink()
    assert champion(replace(home, registry_key=SecretStr(key))) == 2
    with pytest.raises(BundleError, match="signed with another key") as caught:
        fetch_champion(replace(home, registry_key=SecretStr("x" * 32)))
    assert "TWINSET_REGISTRY_KEY" in caught.value.next_step


@pytest.mark.parametrize("kept", [(), (SIGNATURE_TAG,)])
def test_a_version_without_our_signature_is_never_served_whatever_it_says_of_itself(home, folder, kept):
    """The signature of version 2, copied with its other tags, says nothing of version 3."""
    copied = {name: value for name, value in tags_of(home, 2).items() if name in {*kept, BUNDLE_TAG, MANIFEST_TAG}}
    number = register_projection(home, folder, signed=False, **copied)
    set_alias(home, number)
    assert champion(home) == 2
    set_alias(home, number, "challenger")
    for asked in (
        lambda: fetch_champion(home, "challenger"),
        lambda: fetch_version(home, number),
        lambda: promote(home, number, reason="I want it.", progress=NullProgress()),
    ):
        with pytest.raises(BundleError, match=r"Version 3 of twinset .*, and is not loaded") as caught:
            asked()
        assert "models sign 3" in caught.value.next_step


def test_a_signature_is_for_one_manifest(home, folder):
    sha256 = "0" * 64
    with open_store(home) as client:
        client.set_model_version_tag("twinset", "2", MANIFEST_TAG, sha256)
    assert champion(home) == 1
    assert "tampered with" in load_ledger(home).version(2).refused


def test_what_was_moved_by_somebody_else_counts_as_standing_where_it_stood(home, folder):
    number = register_projection(home, folder, signed=False)
    set_alias(home, number)
    ledger = load_ledger(home)
    assert ledger == read_ledger(home.home, "twinset")
    assert (ledger.at("champion").version, ledger.version(number).aliases) == (2, ())
    assert ledger.version(number).card is None
    assert "not registered by Twinset" in ledger.version(number).refused
    assert [one.refused for one in ledger.versions[1:]] == ["", ""]
    assert roll_back(home, progress=NullProgress()).version.version == 1
    assert champion(home) == 1


def test_a_version_that_somebody_knows_can_be_signed(home, folder):
    number = register_projection(home, folder, signed=False)
    assert sign_version(home, number).version == number
    promote(home, number, reason="I know it.", progress=NullProgress())
    assert champion(home) == number
    foreign = register_projection(home, folder, signed=False, **{MANIFEST_TAG: ""})
    with pytest.raises(BundleError, match="not what was registered"):
        sign_version(home, foreign)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": 1}', "[" * 10_000, '"x"', "[1]", '[{"name": {}}]'])
def test_tags_that_are_something_else_take_no_list_along(home, text):
    with open_store(home) as client:
        for name in (CARD_TAG, GATE_TAG):
            client.set_model_version_tag("twinset", "1", name, text)
        client.set_registered_model_tag("twinset", "twinset.moved.29990101", text)
        event = {"at": "t", "action": "promote", "alias": "champion", "version": "3; --", "before": None}
        client.set_registered_model_tag("twinset", "twinset.moved.29990102", json.dumps(event))
    ledger = load_ledger(home)
    assert [one.version for one in ledger.versions] == [2, 1]
    assert ledger.version(1).card is None
    assert ledger.version(2).card is not None
    assert [event.version for event in ledger.events] == [2, 1]
    assert champion(home) == 2


# ------------------------------------------------------------------------------------------ the artifact folder


def test_no_tag_says_where_the_artifacts_are(home):
    before = fetch_champion(home)[1]
    assert (home.home / ROOT_FILE).read_text() == f"{home.home}/artifacts"
    evil = f"{home.home}/artifacts/logged-2"
    with open_store(home) as client:
        for experiment in (client.create_experiment("evil", artifact_location=evil), "0"):
            client.set_experiment_tag(experiment, "twinset.artifact_root", evil)
    (home.home / ROOT_FILE).unlink()  # a home of an earlier version is not moved by one either
    for _ in range(2):
        assert fetch_champion(home)[1] == before
        load_ledger(home)


def test_a_home_that_does_not_say_where_it_was_is_told_with_what_to_do(home):
    (home.home / ROOT_FILE).write_bytes(b"\xff")
    with pytest.raises(RegistryError, match="does not contain the path of the artifacts") as caught:
        fetch_champion(home)
    assert "had when it last worked" in caught.value.next_step


def test_a_moved_home_is_followed(home, tmp_path):
    moved = replace(home, home=home.home.rename(tmp_path / "moved"))
    assert moved.home in fetch_champion(moved)[1].parents
    assert (moved.home / ROOT_FILE).read_text() == f"{moved.home}/artifacts"
    copied = replace(home, home=shutil.copytree(moved.home, tmp_path / "copied"))
    assert copied.home in fetch_champion(copied)[1].parents
    assert moved.home in fetch_champion(moved)[1].parents


# ------------------------------------------------------------------------------------ homes of earlier versions


def test_a_home_of_before_versions_were_signed_serves_what_it_served(home_without_signatures, caplog):
    version, folder = fetch_champion(home_without_signatures)
    assert (version.version, version.model) == (1, "stored")
    assert home_without_signatures.home in folder.parents
    assert "version 1 of twinset, from before versions were signed, is now signed" in caplog.text
    assert SIGNATURE_TAG in tags_of(home_without_signatures, 1)
    assert (home_without_signatures.home / ROOT_FILE).read_text() == f"{home_without_signatures.home}/artifacts"
    assert load_ledger(home_without_signatures).at("champion").version == 1


def test_what_others_had_put_into_it_is_not_signed(home_without_signatures, folder, caplog):
    """Uploads lie below a run, wherever that run's experiment keeps its artifacts."""
    settings = home_without_signatures
    models = settings.home / "artifacts" / "models"
    places = [folder.parent / "mlartifacts", models / ("a" * 32) / "artifacts", models / f"m-{'b' * 32}" / ("c" * 32)]
    with open_store(settings) as client:
        for place in places:
            source = write_model_folder(place, folder)
            tags = {BUNDLE_TAG: "stored", MANIFEST_TAG: _sha256(folder)}
            client.create_model_version("twinset", str(source), tags=tags)
        client.set_registered_model_alias("twinset", "champion", "4")
    assert champion(settings) == 1
    assert [bool(one.refused) for one in load_ledger(settings).versions] == [True, True, True, False]
    assert caplog.text.count("is not trusted and is no longer served") == 3


def test_the_version_of_a_model_of_the_home_is_signed_wherever_its_files_lie(home_without_signatures, folder):
    settings = home_without_signatures
    shutil.copytree(folder, settings.models_dir / "projection")
    (settings.models_dir / "odd").mkdir()
    os.mkfifo(settings.models_dir / "odd" / "manifest.json")
    with open_store(settings) as client:
        source = write_model_folder(folder.parent / "kept", folder)
        client.create_model_version("twinset", str(source), tags={MANIFEST_TAG: _sha256(folder)})
        client.set_registered_model_alias("twinset", "champion", "2")
    assert champion(settings) == 2


def test_what_is_cut_short_is_done_again(home_without_signatures, monkeypatch):
    def killed(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("backend.registry.signing.write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch_champion(home_without_signatures)
    assert not (home_without_signatures.home / KEY_FILE).exists()
    assert champion(home_without_signatures) == 1


def _sha256(folder):
    return bundle.sha256_of(folder / bundle.MANIFEST)

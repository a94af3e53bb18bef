"""A token is nowhere but in its header and its own file: no log, no repr, no address, no command line, no MLflow tag."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict, replace

import pytest

from backend.cli import main
from backend.flow.requests import KINDS, to_json
from backend.machine.supervisor import services
from backend.progress import NullProgress
from backend.registry.promotion import promote
from backend.serving.clients import client_of
from backend.serving.gateway import build_app
from backend.serving.server import _check_tokens
from backend.serving.tokens import APP_TOKEN_FILE, ensure_app_token, token_store
from backend.settings import SecretStr
from tests.fixtures.endpoint import encoded, http_to, picture, served
from tests.fixtures.registry import register_projection

PHOTO = encoded(picture("blob", 2))
SECRET = "made-by-the-operator-4711"


def everywhere(folder, *, but):
    return {path for path in folder.rglob("*") if path.is_file() and path.name != but}


def test_no_log_of_any_library_holds_a_token(settings, projection_recommender, caplog):
    caplog.set_level(logging.DEBUG)
    chosen = replace(settings, endpoint_token=SecretStr(SECRET))
    token = token_store(settings).issue("till").reveal()
    _check_tokens(settings)
    with http_to(build_app(chosen, load=lambda: served(projection_recommender))) as http:
        for settings_of_client in (replace(chosen, endpoint_url=str(http.base_url)),):
            client = client_of(settings_of_client, timeout_s=20, retries=1)
            client.recommend(PHOTO, k=2)
            client.reload()
            client.close()
        http.get("/health", headers={"Authorization": f"Bearer {token}"})
        http.get(f"/health?token={token}", headers={"Authorization": f"Bearer {token}x"})
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore", "uvicorn"))]
    told = "\n".join(
        f"{record.getMessage()} {record.args!r}" for record in ours
    )  # the others are the test's own client
    assert "/v1/recommend" in told
    assert SECRET not in told
    assert token not in told


def test_no_repr_holds_a_token(settings):
    chosen = replace(settings, endpoint_token=SecretStr(SECRET))
    client = client_of(chosen, timeout_s=1)
    store = token_store(settings)
    token = store.issue("till").reveal()
    for thing in (
        chosen,
        asdict(chosen),
        client,
        vars(client),
        vars(client._transport),
        store,
        vars(store),
        store.entries(),
    ):
        assert SECRET not in f"{thing!r} {thing}"
        assert token not in f"{thing!r} {thing}"
    assert SECRET not in f"{client._transport._session.auth!r} {vars(client._transport._session.auth)}"
    client.close()


def test_no_command_line_and_no_job_holds_a_token(settings):
    chosen = replace(settings, endpoint_token=SecretStr(SECRET))
    commands = json.dumps([service.command for service in services(chosen)])
    assert "serve" in commands
    assert SECRET not in commands
    assert not [kind for kind, cls in KINDS.items() if any("token" in name for name in to_json(cls()))]


@pytest.mark.mlflow
def test_no_tag_and_no_file_of_the_home_holds_a_token(mlflow_settings, projection_bundle):
    chosen = replace(mlflow_settings, endpoint_token=SecretStr(SECRET))
    shutil.copytree(projection_bundle, chosen.models_dir / projection_bundle.name)
    token = ensure_app_token(mlflow_settings).reveal()
    issued = token_store(chosen).issue("till").reveal()
    promote(chosen, register_projection(chosen, projection_bundle), progress=NullProgress())
    files = everywhere(chosen.home, but=APP_TOKEN_FILE)
    assert {"mlflow.db", "registry.json", "tokens.json"} <= {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        assert not [one for one in (SECRET, token, issued) if one.encode() in data], path


def test_the_command_line_shows_a_token_once_and_never_again(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "home"))
    assert main.main(["tokens", "issue", "web-shop", "--days", "30", "--json"]) == 0
    made = json.loads(capfd.readouterr().out)
    assert (made["name"], made["scope"], made["days"]) == ("web-shop", "ask", 30.0)
    assert token_store(main.load_settings()).verify(made["token"]) == "web-shop"
    assert main.main(["tokens", "list", "--json"]) == 0
    captured = capfd.readouterr()
    assert made["token"] not in captured.out + captured.err
    (row,) = json.loads(captured.out)["tokens"]
    assert (row["name"], row["scope"], row["last_used_at"], row["good"]) == ("web-shop", "ask", "", True)
    assert main.main(["tokens", "revoke", "web-shop", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"revoked": "web-shop"}
    assert token_store(main.load_settings()).verify(made["token"]) is None
    assert main.main(["tokens", "revoke", "web-shop", "--json"]) == 1
    assert main.main(["tokens", "issue", "app"]) == 1

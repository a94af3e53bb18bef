"""An endpoint process as strangers, crowds and signals meet it."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from backend.serving.tokens import ensure_app_token, token_store
from tests.fixtures.endpoint import encoded, picture
from tests.support.load import Asker, ask_at_once, unfinished_bodies
from tests.support.serving_process import serving

pytestmark = pytest.mark.slow
PHOTOS = [encoded(picture("blob", number)) for number in range(8)]
SOON_S = 30


@pytest.fixture
def unhurried(settings):
    return replace(settings, endpoint_rate=0.0)


def asking(endpoint, settings):
    """Ask once, beside the test; returns the thread, and a list that will hold the status and the code."""
    outcome = []

    def ask():
        headers = {"Authorization": f"Bearer {ensure_app_token(settings).reveal()}"}
        response = httpx.post(f"{endpoint.address}/v1/recommend?k=1", content=PHOTOS[0], headers=headers, timeout=60)
        outcome.append((response.status_code, response.json().get("error", {}).get("code")))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, outcome


def test_128_clients_of_a_few_tokens_are_all_answered(unhurried, projection_bundle):
    tokens = [token_store(unhurried).issue(name, scope="ask") for name in ("shop", "till", "web")]
    with serving(unhurried, projection_bundle) as endpoint:
        crowd = ask_at_once(endpoint.address, tokens, PHOTOS, clients=128, each=4)
    assert (len(crowd.seconds), crowd.refused, crowd.hung) == (512, 0, 0)


def test_128_clients_of_one_token_are_all_answered(unhurried, projection_bundle):
    tokens = [token_store(unhurried).issue("shop", scope="ask")]
    with serving(unhurried, projection_bundle) as endpoint:
        crowd = ask_at_once(endpoint.address, tokens, PHOTOS, clients=128, each=4)
    assert (len(crowd.seconds), crowd.refused, crowd.hung) == (512, 0, 0)


@pytest.mark.parametrize(
    ("answer_s", "outcome"), [(0.5, (200, None)), (600, (503, "ending"))], ids=["one that ends", "one that does not"]
)
def test_a_signal_ends_an_answer_under_way_and_then_the_process(settings, projection_bundle, answer_s, outcome):
    with serving(settings, projection_bundle, answer_s=answer_s) as endpoint:
        thread, outcomes = asking(endpoint, settings)
        assert endpoint.said() == "asked"
        with unfinished_bodies(endpoint.address, ensure_app_token(settings), 3):
            endpoint.process.send_signal(signal.SIGTERM)
            assert endpoint.process.wait(SOON_S) == 0
        thread.join(SOON_S)
    assert outcomes == [outcome]


def test_half_open_connections_do_not_keep_a_process_that_is_told_to_end(settings, projection_bundle):
    with serving(settings, projection_bundle) as endpoint:
        port = urlsplit(endpoint.address).port
        half = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
        for one in half[::2]:
            one.sendall(b"GET /ping HTTP/1.1\r\nHost: local")
        endpoint.process.send_signal(signal.SIGTERM)
        assert endpoint.process.wait(SOON_S) == 0
        for one in half:
            one.close()


def test_hundreds_of_silent_connections_keep_nobody_out_and_are_closed(settings, projection_bundle):
    token = ensure_app_token(settings)

    def is_answered(url):
        asker = Asker(url, token)
        status = asker.post("/v1/recommend?k=1", PHOTOS[0])[1]
        asker.close()
        return status == 200

    with serving(settings, projection_bundle) as endpoint:
        port = urlsplit(endpoint.address).port
        held = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(600)]
        assert is_answered(endpoint.address)
        for one in held:
            assert one.recv(1) == b""  # closed by the server
            one.close()
        assert is_answered(endpoint.address)


@pytest.fixture
def repro():
    """The script that shows four faults, as what it begins with and its four parts."""
    if not (folder := os.environ.get("TESTS_CASES_DIR")):
        pytest.skip("TESTS_CASES_DIR names no folder")
    text = (Path(folder) / "security" / "repro_http.py").read_text("utf-8")
    first, *parts = re.split(r"^# \d\..*$", text, flags=re.MULTILINE)
    assert len(parts) == 4
    return first, parts


def test_what_once_showed_four_faults_shows_none(settings, projection_bundle, repro, monkeypatch, capsys):
    first, parts = repro
    monkeypatch.setenv("TOKEN", ensure_app_token(settings).reveal())
    monkeypatch.setenv("WATCH", token_store(settings).issue("watcher", scope="watch").reveal())
    with serving(settings, projection_bundle) as endpoint:
        address = urlsplit(endpoint.address)
        monkeypatch.setattr("sys.argv", ["repro", str(address.port)])

        def told(part):
            # Every name but our own is refused before anything else; these faults are about what comes after that.
            exec(compile((first + part).replace("Host: x", "Host: localhost"), "repro", "exec"), {})
            return capsys.readouterr().out

        with pytest.raises(ConnectionError):
            told(parts[0])
        assert "HTTP/1.1 200 OK" in told(parts[1])
        assert told(parts[2].replace("Host: evil.example", "Host: localhost")).startswith("b'HTTP/1.1 404")
        assert told(parts[2]).startswith("b'HTTP/1.1 421")
        assert told(parts[3]).startswith("closed")

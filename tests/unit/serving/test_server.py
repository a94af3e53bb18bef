"""The endpoint process refuses what it must before it loads anything, and ends when told."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import closing
from dataclasses import replace
from urllib.request import urlopen

import pytest

from backend.errors import EnvironmentUnready, SettingsError
from backend.serving.gateway import build_app
from backend.serving.server import _bound, serve
from backend.serving.tokens import token_store
from backend.settings import SecretStr
from tests.fixtures.endpoint import served


def app_that_must_not_start(settings):
    def load():
        pytest.fail("it loaded a model")

    return build_app(settings, load=load)


def test_a_taken_port_is_said_before_anything_is_loaded(settings):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentUnready, match=f"port {port}: Address already in use") as caught:
            serve(settings, port=port, app=app_that_must_not_start(settings))
    assert "TWINSET_ENDPOINT_PORT" in caught.value.next_step


def test_answers_are_not_held_back_for_a_delayed_acknowledgement():
    """Of a listener made without naming TCP, asyncio does not set TCP_NODELAY: 40 ms on every answer."""
    with closing(_bound("127.0.0.1", 0)) as listener:
        listener.listen(1)
        with socket.create_connection(listener.getsockname()), closing(listener.accept()[0]) as accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_an_address_of_another_machine_is_said(settings):
    elsewhere = replace(settings, host="192.0.2.1", endpoint_token=SecretStr("x" * 16))
    with pytest.raises(EnvironmentUnready, match=r"192\.0\.2\.1"):
        serve(elsewhere, app=app_that_must_not_start(settings))


def test_an_open_address_without_any_token_is_refused(settings):
    with pytest.raises(SettingsError, match="without any token"):
        serve(replace(settings, host="0.0.0.0"), app=app_that_must_not_start(settings))
    assert not settings.home.exists()


def test_a_token_whose_time_is_over_does_not_open_an_address(settings):
    token_store(settings).issue("guest", days=1e-9)
    with pytest.raises(SettingsError, match="without any token"):
        serve(replace(settings, host="0.0.0.0"), app=app_that_must_not_start(settings))


def test_a_weak_token_is_refused_without_being_quoted(settings):
    weak = replace(settings, endpoint_token=SecretStr("password1"))
    with pytest.raises(SettingsError, match="fewer than 16") as caught:
        serve(weak, app=app_that_must_not_start(settings))
    assert "password1" not in str(caught.value)


def has_ipv6_loopback():
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_it_says_where_it_listens_and_returns_on_a_signal(settings, host, projection_recommender):
    if host == "::1" and not has_ipv6_loopback():
        pytest.skip("this machine has no IPv6 loopback")
    if host == "0.0.0.0":
        token_store(settings).issue("till")
    seen = []

    def ask_and_end(address):
        url = address.replace("0.0.0.0", "127.0.0.1")

        def run():
            with urlopen(f"{url}/ping", timeout=20) as response:
                seen.append((address, response.status))
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=run).start()

    before = signal.getsignal(signal.SIGTERM)
    app = build_app(settings, load=lambda: served(projection_recommender))
    serve(replace(settings, host=host), port=0, on_ready=ask_and_end, app=app)
    assert seen[0][1] == 200
    assert seen[0][0].startswith("http://[::1]:" if host == "::1" else f"http://{host}:")
    assert signal.getsignal(signal.SIGTERM) is before

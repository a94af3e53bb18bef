"""The doctor looks at the real machine; every failure carries its remedy."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from backend.errors.addresses import port_in_use
from backend.jobs import readiness
from backend.machine import doctor


def by_name(settings) -> dict[str, doctor.Check]:
    return {check.name: check for check in readiness.checks(settings)}


def test_this_machine_is_ready(settings):
    assert [check for check in readiness.checks(settings) if not check.ok] == []


def test_everything_that_is_promised_is_looked_at(settings):
    assert set(by_name(settings)) == {
        "Python", "Java", "Delta JARs", "Horovod", "Legacy Keras", "Package versions",
        "Port of the app", "Port of the endpoint", "Port of the mlflow", "Disk", "TWINSET_HOME", "Own name", "Left behind",
    }  # fmt: skip


def test_a_missing_java_is_said_with_the_command(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    java = by_name(settings)["Java"]
    assert not java.ok
    assert "apt-get install" in java.fix


def test_missing_jars_are_named(settings, tmp_path):
    jars = by_name(replace(settings, cache_dir=tmp_path))["Delta JARs"]
    assert not jars.ok
    assert "delta-spark" in jars.detail
    assert "make setup" in jars.fix


def test_the_wrong_keras_switch_is_seen(settings, monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    assert not by_name(settings)["Legacy Keras"].ok


def test_a_taken_port_is_said_with_the_setting_that_moves_it(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = by_name(replace(settings, app_port=server.getsockname()[1]))["Port of the app"]
    assert not taken.ok
    assert "TWINSET_APP_PORT" in taken.fix


def test_too_little_disk_is_said(settings, monkeypatch):
    monkeypatch.setattr(doctor, "NEEDED_GB", 1e9)
    assert not by_name(settings)["Disk"].ok


def test_the_printout_shows_the_fix_below_what_failed():
    lines: list[str] = []
    doctor.as_text([doctor.Check("A", True, "fine"), doctor.Check("B", False, "gone", "Bring it.")], lines.append)
    assert lines == [f"ok    {'A':20} fine", f"FAIL  {'B':20} gone", "      -> Bring it."]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_port_zero_is_always_free(host):
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    assert not port_in_use(host, 0)

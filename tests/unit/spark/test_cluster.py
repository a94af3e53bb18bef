"""Whether a master answers, and whether this machine's name has an address, without any Spark."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from backend.errors import EnvironmentUnready
from backend.machine import doctor
from backend.spark import cluster
from backend.spark.cluster import check_master, is_local, unanswered


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("master", ["local", "local[2]", "local[*]", "local-cluster[2,1,512]"])
def test_this_machine_is_local_and_needs_no_knock(master):
    assert is_local(master)
    assert unanswered(master) == ""


@pytest.mark.parametrize("master", ["yarn", "spark://host:7077", "k8s://https://host:443", "locally"])
def test_a_cluster_is_not(master):
    assert not is_local(master)


def test_one_address_of_several_that_answers_is_enough(listening, closed):
    check_master(f"spark://127.0.0.1:{closed},127.0.0.1:{listening}")
    assert unanswered("yarn") == ""
    assert unanswered(f"k8s://https://127.0.0.1:{listening}") == ""


def test_a_master_that_does_not_answer_is_named_with_its_address_and_why(closed):
    for master in (f"spark://127.0.0.1:{closed}", f"k8s://https://127.0.0.1:{closed}"):
        with pytest.raises(EnvironmentUnready) as raised:
            check_master(master)
        assert raised.value.message == (
            f"The Spark master {master} does not answer: 127.0.0.1:{closed}, Connection refused."
        )
        assert "TWINSET_SPARK_MASTER" in raised.value.next_step


def test_doctor_knocks_at_a_master_elsewhere(settings, listening, closed):
    def check(master):
        return [
            check for check in doctor.checks(replace(settings, spark_master=master)) if check.name == "Spark master"
        ]

    assert check("local[2]") == []
    assert [found.ok for found in check(f"spark://127.0.0.1:{listening}")] == [True]
    (silent,) = check(f"spark://127.0.0.1:{closed}")
    assert not silent.ok
    assert "does not answer" in silent.detail


def test_one_that_swallows_every_knock_is_said(monkeypatch):
    def swallowed(address, timeout):
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", swallowed)
    assert unanswered("spark://far:7077") == "no response from far:7077 within 5 s"


def test_an_own_name_without_an_address_is_said_by_doctor(settings, monkeypatch):
    def check():
        return next(check for check in doctor.checks(settings) if check.name == "Own name")

    def fails(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    assert check().ok
    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assert not check().ok
    assert check().detail.startswith(f"The name of this machine, {socket.gethostname()}, has no address")
    assert f"127.0.1.1 {socket.gethostname()}" in check().fix


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a process another host name")
def test_a_machine_whose_name_really_has_none_is_noticed(repository):
    told = f"{sys.executable} -c 'from backend.spark.cluster import own_name_trouble as t; print(t())'"
    command = ["unshare", "-u", "sh", "-c", f"hostname no-such-name-anywhere && {told}"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "hostname" in done.stderr:
        pytest.skip("this container's root may not either")
    assert "no-such-name-anywhere, has no address" in done.stdout
    assert cluster.own_name_trouble() == "" or "has no address" in cluster.own_name_trouble()

"""Set-up says what is missing before anything else, installs it where it may, and is instant the second time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from backend.machine import bootstrap
from backend.machine.bootstrap import SetupFailed
from backend.settings import load_settings


@pytest.fixture
def bare_path(tmp_path, monkeypatch):
    """A machine with nothing on its path but what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def tool(folder, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_everything_missing_is_listed(bare_path):
    assert {"java", "g++", "make", "cmake"} <= set(bootstrap.missing_tools())


@pytest.mark.parametrize(
    ("told", "missing"), [("17.0.15", False), ("21", False), ("11.0.2", True), ("1.8.0_392", True)]
)
def test_java_must_be_new_enough(bare_path, told, missing):
    tool(bare_path, "java", f"echo 'openjdk version \"{told}\"' >&2")
    assert ("java" in bootstrap.missing_tools()) is missing


def test_without_privilege_the_exact_command_is_printed(bare_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupFailed, match=r"sudo apt-get install -y openjdk-17-jre-headless cmake"):
        bootstrap.install_tools(["java", "cmake"])


def test_with_privilege_the_package_manager_is_called(bare_path, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    calls = tmp_path / "calls"
    made = "".join(
        f"printf '#!/bin/sh\\n' > {bare_path}/{name}; /bin/chmod +x {bare_path}/{name};" for name in ("cmake",)
    )
    tool(bare_path, "apt-get", f'echo "$@" >> {calls}; {made}')
    for name in ("g++", "make"):
        tool(bare_path, name, "")
    tool(bare_path, "java", "echo 'openjdk version \"17.0.1\"' >&2")
    bootstrap.install_tools(["cmake"])
    assert calls.read_text().splitlines()[1] == "install -y -q --no-install-recommends cmake"


def test_a_tool_that_stays_missing_stops_the_set_up(bare_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    tool(bare_path, "apt-get", "exit 0")
    with pytest.raises(SetupFailed, match="still missing"):
        bootstrap.install_tools(["cmake"])


def test_a_failing_command_shows_the_end_of_what_it_said(bare_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    tool(bare_path, "apt-get", "echo cannot reach the mirror; exit 100")
    with pytest.raises(SetupFailed, match="cannot reach the mirror"):
        bootstrap.install_tools(["cmake"])


def test_set_up_runs_on_a_bare_interpreter(repository):
    """It imports nothing that has to be installed first."""
    code = "import backend.machine.bootstrap, sys; print([m for m in sys.modules if 'numpy' in m or 'PIL' in m])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_its_cache_is_the_one_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.delenv("TWINSET_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert bootstrap.cache_dir() == load_settings(dotenv=tmp_path / "none").cache_dir
    monkeypatch.setenv("TWINSET_CACHE_DIR", str(tmp_path / "mine"))
    assert bootstrap.cache_dir() == load_settings(dotenv=tmp_path / "none").cache_dir


def test_every_requirement_is_pinned(repository):
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = [line.split("#")[0].strip() for line in (repository / name).read_text().splitlines()]
        assert all("==" in line for line in lines if line)
    assert {"streamlit", "tensorflow", "tensorflow-similarity", "pyspark", "delta-spark", "horovod", "hyperopt"} <= set(
        bootstrap._pins()
    )

"""A missing Java and missing JARs are said as such, with the command that helps."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace

import pytest

from backend.errors import EnvironmentUnready
from backend.spark.jars import DELTA_PACKAGE, JARS, check_java, require_jars, resolve_jars, spark_home


def put_java(folder, text):
    folder.mkdir(parents=True)
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho '{text}' >&2\n")
    java.chmod(0o755)
    return folder


@pytest.fixture
def path(monkeypatch):
    def put(folder):
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.delenv("JAVA_HOME", raising=False)

    return put


def test_no_java_is_said_with_the_command_that_installs_it(path, tmp_path):
    path(tmp_path)
    with pytest.raises(EnvironmentUnready, match="no java on the path") as caught:
        check_java()
    assert "apt-get install -y openjdk-17-jre-headless" in caught.value.next_step


def test_a_java_home_without_java_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EnvironmentUnready, match=f"no java in JAVA_HOME \\({tmp_path}\\)"):
        check_java()


@pytest.mark.parametrize("text", ['openjdk version "11.0.2" 2019', 'java version "1.8.0_401"', "what?"])
def test_an_old_java_is_refused(path, tmp_path, text):
    path(put_java(tmp_path / "bin", text))
    with pytest.raises(EnvironmentUnready, match=r"needs Java 17, but .* is Java (11|1|of unknown version)"):
        check_java()


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test_java_17_and_later_are_taken_java_home_first(path, monkeypatch, tmp_path, version):
    path(put_java(tmp_path / "old", 'openjdk version "11.0.2"'))
    put_java(tmp_path / "home" / "bin", f'openjdk version "{version}" 2025-04-15')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert check_java() == str(tmp_path / "home" / "bin" / "java")


def test_missing_jars_are_named_with_the_command_that_fetches_them(settings, tmp_path):
    settings = replace(settings, cache_dir=tmp_path)
    with pytest.raises(EnvironmentUnready, match=JARS[0].replace(".", r"\.")) as caught:
        require_jars(settings)
    assert "make setup" in caught.value.next_step


def test_jars_that_are_there_are_not_fetched_again(path, settings, tmp_path):
    path(tmp_path / "no-java-here")
    settings = replace(settings, cache_dir=tmp_path)
    settings.jars_dir.mkdir()
    for name in JARS:
        (settings.jars_dir / name).write_bytes(b"jar")
    assert resolve_jars(settings) == [tmp_path / "jars" / name for name in JARS]


def test_the_jars_fit_the_installed_packages():
    version = importlib.metadata.version("delta-spark")
    assert DELTA_PACKAGE.split(":") == ["io.delta", "delta-spark_2.13", version]
    assert JARS[0] == f"io.delta_delta-spark_2.13-{version}.jar"
    assert list((spark_home() / "jars").glob("scala-library-2.13.*.jar"))


@pytest.mark.spark
def test_jars_that_cannot_be_fetched_are_said_so(monkeypatch, settings, tmp_path):
    nowhere = "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=1 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=1"
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"{nowhere} -Duser.home={tmp_path}")
    settings = replace(settings, cache_dir=tmp_path / "cache")
    with pytest.raises(EnvironmentUnready, match=r"cannot be fetched: .*(Connection refused|unresolved)") as caught:
        resolve_jars(settings)
    assert "make setup" in caught.value.next_step
    assert not settings.jars_dir.exists()

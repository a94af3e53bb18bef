"""What a session is started with, looked at without starting one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from backend.errors import EnvironmentUnready, SettingsError
from backend.spark import session
from backend.spark.session import open_spark, zip_backend


def test_the_shipped_package_is_the_same_bytes_every_time(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = zip_backend(tmp_path / "a"), zip_backend(tmp_path / "b")
    assert one.read_bytes() == other.read_bytes()


def test_the_shipped_package_is_whole_without_the_repository(tmp_path):
    archive = zip_backend(tmp_path)
    code = "import backend.catalogue.loading.pictures as p, backend.imaging.pixels as i; print(p.__file__, i.__file__)"
    environ = {"PYTHONPATH": str(archive), "PATH": os.environ["PATH"], "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        f"{archive}/backend/catalogue/loading/pictures.py",
        f"{archive}/backend/imaging/pixels.py",
    ]


@pytest.fixture
def configured(tmp_path):
    def read(settings):
        return session._configuration(settings, "test", [tmp_path / "a.jar", tmp_path / "b.jar"], tmp_path)

    return read


def test_a_local_session_is_bound_to_loopback_and_leaves_nothing_behind(configured, settings, tmp_path):
    conf = configured(settings)
    assert conf["spark.driver.host"] == conf["spark.driver.bindAddress"] == "127.0.0.1"
    assert conf["spark.ui.enabled"] == "false"
    assert conf["spark.sql.session.timeZone"] == "UTC"
    assert conf["spark.jars"] == f"{tmp_path}/a.jar,{tmp_path}/b.jar"
    assert not any(name.startswith(("spark.jars.packages", "spark.jars.ivy")) for name in conf)
    assert all(str(tmp_path) in conf[name] for name in ("spark.local.dir", "spark.sql.warehouse.dir"))
    assert f"-Dderby.system.home={tmp_path}" in conf["spark.driver.extraJavaOptions"]


@pytest.mark.parametrize("master", ["spark://host:7077", "yarn", "k8s://https://host"])
def test_a_cluster_chooses_its_own_addresses_and_partitions(configured, settings, master):
    conf = configured(replace(settings, spark_master=master))
    assert conf["spark.master"] == master
    assert not {"spark.driver.host", "spark.driver.bindAddress", "spark.sql.shuffle.partitions"} & conf.keys()
    assert conf["spark.executorEnv.TF_USE_LEGACY_KERAS"] == "1"


def test_further_pairs_are_read(settings):
    settings = replace(settings, spark_conf="spark.a=1; spark.b = x=y ;;")
    assert session._further(settings) == {"spark.a": "1", "spark.b": "x=y"}


@pytest.mark.parametrize("text", ["spark.a", "executor.memory=2g", "=", "spark.a=1;oops"])
def test_a_part_that_is_no_pair_is_named_before_anything_starts(settings, text):
    with pytest.raises(SettingsError, match="not a pair"), open_spark(replace(settings, spark_conf=text), app_name="x"):
        pass


def test_the_environment_is_put_back_as_it_was(monkeypatch, settings):
    monkeypatch.setenv("SPARK_HOME", "/another/spark")
    monkeypatch.setenv("SPARK_REMOTE", "sc://elsewhere")
    monkeypatch.delenv("SPARK_LOCAL_IP", raising=False)
    before = dict(os.environ)
    with session._environment(settings, {}):
        assert os.environ["PYSPARK_PYTHON"] == sys.executable
        assert os.environ["SPARK_LOCAL_IP"] == "127.0.0.1"
        assert os.environ["SPARK_HOME"].endswith("pyspark")
        assert "SPARK_REMOTE" not in os.environ
        os.environ["SPARK_LEFT_BY_PYSPARK"] = "1"
    assert dict(os.environ) == before


def test_missing_jars_stop_the_start(settings, tmp_path):
    settings = replace(settings, cache_dir=tmp_path, spark_master="local[3]")
    with pytest.raises(EnvironmentUnready), open_spark(settings, app_name="x"):
        pass

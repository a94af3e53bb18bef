"""What the image runs, run as it does: the commands of its files, as another user, without a home, in folders that are read-only.

No image is built: its file system is put together of what its file copies and of what is installed here, in namespaces.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from backend.settings import ROOT
from tests.support import deployment
from tests.support.deployment import container
from tests.support.waiting import until

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]
OWNER = 10001  # the image's user
ROLES = ("mlflow", "endpoint", "app", "jobs", "spark-master", "spark-worker-1")
KEPT = """
from backend.settings import load_settings
from backend.spark.jars import require_jars
from backend.training.network.lite_weights import LITE, lite_weights
require_jars(load_settings())
assert LITE and all(lite_weights(name) for name in LITE)
"""
SECRETS = {
    "endpoint-token": "a-token-that-only-tests-know",
    "spark.conf": "spark.authenticate=true\nspark.authenticate.secret=of-the-tests\n",
    "mlflow-database": "sqlite:////data/mlflow.db",
}


@pytest.mark.parametrize(
    ("command", "accepted"),
    [
        (["hadolint", "Dockerfile"], "FROM python:3.11-slim-bookworm\n"),
        (["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"], "services: {}\n"),
        (["kubernetes-validate", "--strict", "deploy/kubernetes.yaml"], "apiVersion: v1\nkind: Service\n"),
    ],
)
def test_the_files_are_what_their_tools_read(command, accepted, tmp_path):
    tool = [str(Path(sys.executable).parent / command[0]), *command[1:-1]]
    found = subprocess.run([*tool, command[-1]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    wrong = tmp_path / "wrong"
    wrong.write_text(accepted + "RUN cd /\nspec: 1\nservices: 1\n")
    assert subprocess.run([*tool, str(wrong)], capture_output=True, check=False).returncode != 0


@pytest.fixture(scope="module")
def inside(fresh_store):
    """The image's file system; read-only but for its data and temporary folders."""
    looked = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False)
    if os.geteuid() != 0 or looked.returncode != 0:
        pytest.skip("to make a container's file system takes root and namespaces")
    with container(SECRETS, OWNER) as found:
        shutil.copy(fresh_store, found.stage / "data" / "mlflow.db")  # to make one takes seconds
        os.chown(found.stage / "data" / "mlflow.db", OWNER, OWNER)
        yield found


@contextmanager
def running(inside, service, said):
    """One service, ended at the end; what it prints goes into a file."""
    with said.open("wb") as stream:
        process = subprocess.Popen(
            inside.words(service, [*deployment.said("ENTRYPOINT"), *service["command"]]),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            for one in [
                *psutil.Process(process.pid).children(recursive=True),
                process,
            ]:  # tini starts a group of its own
                one.kill()
            process.wait()


def test_every_role_becomes_healthy_writes_only_where_it_may_and_ends_in_time(inside, tmp_path):
    services, processes = deployment.services(), {}
    for folder in ("/opt/twinset/app", "/etc", "/var/tmp"):
        refused = subprocess.run(inside.words({}, ["touch", f"{folder}/new"]), capture_output=True, check=False)
        assert b"Read-only file system" in refused.stderr
    assert subprocess.run(inside.words({}, ["python", "-c", KEPT]), check=False).returncode == 0
    with ExitStack() as stack:
        for name in ROLES:
            processes[name] = stack.enter_context(running(inside, services[name], tmp_path / name))

        def is_healthy(name):
            assert processes[name].poll() is None, (tmp_path / name).read_text()[-3000:]
            kind, *check = services[name]["healthcheck"]["test"]
            assert kind == "CMD"
            words = inside.words(services[name], check)
            return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0

        for name in ROLES:
            until(lambda name=name: is_healthy(name), look_every_s=2.0)
        until(lambda: "Successfully registered with master" in (tmp_path / "spark-worker-1").read_text())
        began = time.monotonic()
        for process in processes.values():
            process.terminate()
        grace_s = float(services["app"]["stop_grace_period"].removesuffix("s"))
        for process in processes.values():
            process.wait(max(0.1, grace_s - (time.monotonic() - began)))
    logs = {name: (tmp_path / name).read_text() for name in ROLES}
    assert not [(name, log) for name, log in logs.items() if re.search(r"denied|Read-only|Traceback|auto detect", log)]
    assert not [name for name, log in logs.items() if any(secret in log for secret in SECRETS.values())]


def test_a_spark_executor_starts_as_kubernetes_starts_it(inside):
    """It knows every word that it is given, and ends because no driver is where it is told."""
    told = {
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@127.0.0.1:1",
        "SPARK_EXECUTOR_ID": "1",
        "SPARK_EXECUTOR_CORES": "1",
        "SPARK_EXECUTOR_MEMORY": "256m",
        "SPARK_APPLICATION_ID": "spark-1",
        "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
        "SPARK_EXECUTOR_POD_NAME": "executor-1",
        "SPARK_RESOURCE_PROFILE_ID": "0",
        "SPARK_JAVA_OPT_0": "-Dspark.driver.port=1",
        "SPARK_JAVA_OPT_1": "-Dspark.app.note=two words",
    }
    command = inside.words({"environment": told}, [*deployment.said("ENTRYPOINT"), "executor"])
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode != 0
    assert "Failed to connect to /127.0.0.1:1" in found.stdout + found.stderr

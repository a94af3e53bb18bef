"""The files of a deployment agree with the code and with each other, and none of them opens what need not be open."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest

from backend.settings import PREFIX, ROOT, Settings
from backend.spark.session import _further
from tests.support import deployment

SERVICES, PODS = deployment.services(), deployment.pods()
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("twinset:")}


def test_every_setting_that_they_name_exists():
    known = {PREFIX + item.name.upper() for item in fields(Settings)}
    files = ("Dockerfile", "compose.yaml", "deploy/kubernetes.yaml", "deploy/nginx.conf.template")
    named = {name for file in files for name in re.findall(r"TWINSET_[A-Z_]+\b", (ROOT / file).read_text())}
    assert len(named) > 10
    assert {name.removesuffix("_FILE") for name in named if not name.endswith("_")} <= known


def test_the_image_is_one_for_all_and_starts_the_app_by_itself():
    assert len({one["image"] for one in OURS.values()}) == 1
    assert len(OURS) == 7
    images = {one["image"] for name, pod in PODS.items() if name != "postgres" for one in pod["containers"]}
    assert images == {SERVICES["app"]["image"]}
    assert deployment.said("CMD") == SERVICES["app"]["command"]
    assert deployment.said("HEALTHCHECK") == SERVICES["app"]["healthcheck"]["test"][1:]
    args = {one["name"]: one["args"] for pod in PODS.values() for one in pod["containers"] if "args" in one}
    assert args == {name: SERVICES[name]["command"] for name in ("app", "jobs", "endpoint", "mlflow")}


def test_nothing_of_compose_runs_as_root_writes_to_its_image_or_is_open_but_the_proxy():
    assert [name for name, one in SERVICES.items() if "ports" in one] == ["proxy"]
    assert [rest for word, rest in deployment.dockerfile() if word == "USER"] == ["10001:10001"]
    for name, one in SERVICES.items():
        assert one["read_only"], name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["healthcheck"]["test"], name
        assert "privileged" not in one, name
        assert all(on["condition"] == "service_healthy" for on in one.get("depends_on", {}).values()), name
        assert "user" in one or name in OURS or "unprivileged" in one["image"], name


@pytest.mark.parametrize("name", PODS)
def test_no_pod_runs_as_root_or_writes_to_its_image(name):
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    closed = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod["automountServiceAccountToken"] is (name == "app")
    volumes = {one["name"] for one in pod["volumes"]} | ({"database"} if name == "postgres" else set())
    for container in pod["containers"]:
        assert container["securityContext"] == closed
        assert {one["name"] for one in container["volumeMounts"]} == volumes
        if name != "executor":  # Spark itself watches those
            assert container["resources"].keys() == {"requests", "limits"}
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


def test_no_secret_is_in_them_or_gets_into_a_layer():
    for service in SERVICES.values():
        values = service.get("environment", {})
        secret = [name for name in values if re.search(r"TOKEN|SECRET|PASSWORD|_URI$|_KEY$", name)]
        assert all(name.endswith("_FILE") or values[name].startswith(("http://mlflow", "/run/")) for name in secret)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for word, rest in deployment.dockerfile()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert {path.removesuffix("/config.toml") for path in allowed} == copied


def test_every_object_that_another_names_is_there():
    kinds = {(one["kind"], one["metadata"]["name"]) for one in deployment.objects()}
    assert {"NetworkPolicy", "Ingress", "PersistentVolumeClaim", "Role", "ServiceAccount"} <= {
        kind for kind, _ in kinds
    }
    services = {name for kind, name in kinds if kind == "Service"}
    assert services == {"app", "endpoint", "mlflow", "postgres"}
    claims = re.findall(r"claimName: (\w+)", deployment.MANIFESTS.read_text())
    assert {("PersistentVolumeClaim", name) for name in claims} <= kinds
    assert {one["metadata"].get("namespace") for one in deployment.objects()} == {"twinset"}


def test_sparks_own_file_of_settings_is_read_as_the_setting_too(settings):
    """One secret serves daemons, as a file of properties, and the driver, as ``TWINSET_SPARK_CONF_FILE``."""
    lines = "spark.authenticate=true\nspark.authenticate.secret=a=b; spark.cores.max=2"
    read = _further(replace(settings, spark_conf=lines))
    assert read == {"spark.authenticate": "true", "spark.authenticate.secret": "a=b", "spark.cores.max": "2"}

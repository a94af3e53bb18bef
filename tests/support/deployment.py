"""What the files of a deployment say, read from them: the image, compose's services, Kubernetes' objects."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from backend.settings import ROOT, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MANIFESTS = ROOT / "deploy" / "kubernetes.yaml"


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the last stage, and of the base that it is from, in order."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line.partition(" ") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = [(word, rest.strip()) for word, _, rest in lines]
    starts = [at for at, (word, _) in enumerate(found) if word == "FROM"]
    return [*found[: starts[1]], *found[starts[-1] :]]


def said(word: str) -> list[str]:
    """Return the JSON form of one instruction that is there once, as ``CMD``."""
    (found,) = (rest for name, rest in dockerfile() if name == word)
    return json.loads(found[found.index("[") :])


def environment() -> dict[str, str]:
    """Return what the image sets."""
    pairs = (pair for name, rest in dockerfile() if name == "ENV" for pair in rest.split())
    return dict(pair.split("=", 1) for pair in pairs)


def services() -> dict[str, dict[str, Any]]:
    """Return compose's services; what several share is in each."""
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def objects() -> list[dict[str, Any]]:
    """Return Kubernetes' objects."""
    return list(yaml.safe_load_all(MANIFESTS.read_text()))


def pods() -> dict[str, dict[str, Any]]:
    """Return the specification of every pod by name, the executors' among them."""
    found = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in objects()
        if "template" in one.get("spec", {})
    }
    (template,) = (one["data"]["executor.yaml"] for one in objects() if "executor.yaml" in one.get("data", {}))
    return {**found, "executor": yaml.safe_load(template)["spec"]}


def environ_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a service: the image's, and its own."""
    own = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for name, value in service.get("environment", {}).items()
    }
    found = environment() | own
    return found | {"PATH": found["PATH"].replace("$PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")}


@dataclass(frozen=True)
class Container:
    """The root file system of the image, and a network, in namespaces of a process of its own."""

    holder: subprocess.Popen[str]
    stage: Path

    def words(self, service: Mapping[str, Any], command: Sequence[str]) -> list[str]:
        """Return what runs a command inside, as the image's user and with nothing but its environment."""
        (user,) = (rest for word, rest in dockerfile() if word == "USER")
        number, _, group = user.partition(":")
        entered = ("nsenter", "--mount", "--net", "--target", str(self.holder.pid), "chroot", str(self.stage / "root"))
        lowered = ("setpriv", "--reuid", number, "--regid", group, "--clear-groups", "--no-new-privs")
        dropped = ("--inh-caps=-all", "--bounding-set=-all")
        pairs = [f"{name}={value}" for name, value in environ_of(service).items()]
        return [*entered, *lowered, *dropped, "env", "-i", "-C", "/opt/twinset", *pairs, *command]


@contextmanager
def container(secrets: Mapping[str, str], owner: int) -> Iterator[Container]:
    """Make the image's file system for a while, with these secrets; its data belong to ``owner``."""
    with tempfile.TemporaryDirectory(prefix="twinset-image-") as place:
        stage = Path(place)
        for name in ("code", "data", "secrets"):
            (stage / name).mkdir()
        for name, text in secrets.items():
            (stage / "secrets" / name).write_text(text)
            (stage / "secrets" / name).chmod(0o444)
        os.chown(stage / "data", owner, owner)
        names = {one.get("hostname", name) for name, one in services().items()} | {socket.gethostname(), "localhost"}
        (stage / "hosts").write_text(f"127.0.0.1 {' '.join(sorted(names))}\n")
        people = (
            "root:x:0:0:root:/root:/bin/sh\ntwinset:x:10001:10001::/nonexistent:/usr/sbin/nologin\n"  # as useradd does
        )
        (stage / "passwd").write_text(people)
        _copy(stage / "code")
        script = Path(__file__).with_name("image_root.sh")
        places = (stage, (ROOT / ".venv").resolve(), sys.base_prefix, load_settings().cache_dir)
        command = ["unshare", "--mount", "--net", "bash", str(script), *map(str, places)]
        holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout.readline() == "ready\n"
            yield Container(holder, stage)
        finally:
            holder.kill()
            holder.wait()
            holder.stdout.close()


def _copy(code: Path) -> None:
    """Copy what the image copies."""
    for *sources, target in (rest.split() for word, rest in dockerfile() if word == "COPY" and "--from" not in rest):
        for source in map(ROOT.joinpath, sources):
            to = code / target / (source.name if target == "./" else "")
            to.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, to)

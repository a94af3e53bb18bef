"""Is this machine ready? One check for each thing that Twinset needs, every failure with its remedy."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import EnvironmentUnready
from backend.errors.addresses import LOOPBACK, port_in_use
from backend.settings import ROOT
from backend.spark.cluster import check_master, is_local, name_remedy, own_name_trouble
from backend.spark.jars import check_java, require_jars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backend.settings import Settings

PYTHON = (3, 11)
NEEDED_GB = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``fix`` says what to do when it is not ``ok``."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def checks(settings: Settings) -> list[Check]:
    """Look at everything once that needs nothing of a home; no check starts a JVM."""
    return [
        _python(),
        _java(),
        _jars(settings),
        _horovod(),
        *_master(settings),
        _own_name(),
        _legacy_keras(),
        _versions(),
        *_ports(settings),
        _disk(settings),
        _home(settings),
    ]


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    fix = "Install Python 3.11, remove .venv and run `make setup` again."
    return Check("Python", sys.version_info[:2] == PYTHON, f"{found} at {sys.executable}", fix)


def _java() -> Check:
    try:
        return Check("Java", True, f"17 or newer, at {check_java()}")
    except EnvironmentUnready as error:
        return Check("Java", False, error.message, error.next_step)


def _jars(settings: Settings) -> Check:
    try:
        return Check("Delta JARs", True, f"{len(require_jars(settings))} in {settings.jars_dir}")
    except EnvironmentUnready as error:
        return Check("Delta JARs", False, error.message, error.next_step)


def _horovod() -> Check:
    fix = "Run `make setup`; it builds Horovod after TensorFlow. It needs g++, make and cmake."
    version = _installed("horovod")
    if version is None:
        return Check("Horovod", False, "not installed", fix)
    folder = importlib.metadata.distribution("horovod").locate_file("horovod/tensorflow")
    built = any(Path(str(folder)).glob("mpi_lib*.so"))
    return Check("Horovod", built, f"{version}, {'with' if built else 'without'} TensorFlow", fix)


def _master(settings: Settings) -> Iterator[Check]:
    """Knock at a master that is another machine."""
    if is_local(settings.spark_master):
        return
    try:
        check_master(settings.spark_master)
    except EnvironmentUnready as error:
        yield Check("Spark master", False, error.message, error.next_step)
    else:
        yield Check("Spark master", True, f"{settings.spark_master} answers")


def _own_name() -> Check:
    """Workers that train together look this machine's name up, and crash where it has no address."""
    trouble = own_name_trouble()
    return Check("Own name", not trouble, trouble or f"{socket.gethostname()} has an address", f"{name_remedy()}.")


def _legacy_keras() -> Check:
    value = os.environ.get("TF_USE_LEGACY_KERAS", "")
    fix = "Unset TF_USE_LEGACY_KERAS, or set it to 1: TensorFlow Similarity needs Keras 2, and Twinset sets it itself."
    ok = value in {"", "1", "true", "True"} and _installed("tf_keras") is not None
    return Check("Legacy Keras", ok, f"tf_keras {_installed('tf_keras')}, switch {value or 'set by Twinset'}", fix)


def pinned() -> dict[str, str]:
    """Return the versions that ``requirements.txt`` pins, by distribution name."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("#")[0].strip().partition("==") for line in lines if "==" in line.split("#")[0])
    return {name.strip(): version.split(";")[0].strip() for name, _, version in pairs}


def _versions() -> Check:
    wrong = [f"{name} {_installed(name)}" for name, version in pinned().items() if _installed(name) != version]
    detail = f"{wrong[0]} differs from requirements.txt" if wrong else "as pinned in requirements.txt"
    return Check(
        "Package versions", not wrong, detail, "Run `make setup`; it installs the pinned version of every package."
    )


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _ports(settings: Settings) -> Iterator[Check]:
    services = {"app": settings.app_port, "endpoint": settings.endpoint_port, "mlflow": settings.mlflow_port}
    for name, port in services.items():
        host = {"endpoint": settings.host, "app": settings.app_host}.get(name, LOOPBACK)
        used = port_in_use(host, port)
        fix = f"If that is not Twinset itself, stop it or set TWINSET_{name.upper()}_PORT to a free port."
        detail = f"{host}:{port} is {'in use' if used else 'free'}"
        yield Check(f"Port of the {name}", not used, detail, fix)


def _disk(settings: Settings) -> Check:
    free_gb = shutil.disk_usage(_existing(settings.home)).free / 1e9
    fix = "Free some space, or set TWINSET_HOME to a folder on another disk."
    return Check("Disk", free_gb >= NEEDED_GB, f"{free_gb:.1f} GB free, {NEEDED_GB:.0f} GB required", fix)


def _home(settings: Settings) -> Check:
    writable = os.access(_existing(settings.home), os.W_OK | os.X_OK)
    fix = "Set TWINSET_HOME to a writable folder."
    return Check("TWINSET_HOME", writable, f"{settings.home} is {'writable' if writable else 'not writable'}", fix)


def _existing(path: Path) -> Path:
    """The nearest folder that exists: the home is made by whoever writes first."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def as_text(checks: list[Check], write: Callable[[str], None]) -> None:
    """Write one line a check, and its fix below where it failed."""
    for check in checks:
        write(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:20} {check.detail}")
        if not check.ok:
            write(f"      -> {check.fix}")

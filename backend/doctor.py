"""Is this machine ready? One check each for what Twinset stands on, every failure with its remedy."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backend.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PYTHON = (3, 11)
JAVA = 17
JARS = ("delta-spark", "delta-storage", "antlr4-runtime")
NEEDED_GB = 3.0
JAVA_HINT = "Install a Java 17 runtime; on Debian or Ubuntu: sudo apt-get install -y openjdk-17-jre-headless"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``fix`` says what to do when it is not ``ok``."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def checks(settings: Settings) -> list[Check]:
    """Look at everything once; no check starts a JVM or imports TensorFlow."""
    return [
        _python(),
        _java(),
        _jars(settings),
        _horovod(),
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


def java_version() -> int | None:
    """Return the major version of the Java on the path or in JAVA_HOME; None without one."""
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home) / "bin" / "java") if home else "java"
    if shutil.which(command) is None:
        return None
    text = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else None


def _java() -> Check:
    found = java_version()
    return Check("Java", found is not None and found >= JAVA, f"version {found}" if found else "not found", JAVA_HINT)


def _jars(settings: Settings) -> Check:
    present = sorted(path.name for path in settings.jars_dir.glob("*.jar")) if settings.jars_dir.is_dir() else []
    missing = [name for name in JARS if not any(name in jar for jar in present)]
    detail = f"{len(present)} in {settings.jars_dir}" if not missing else f"{missing[0]} is not in {settings.jars_dir}"
    return Check("Delta JARs", not missing, detail, "Run `make setup` once with a network; later starts need none.")


def _horovod() -> Check:
    fix = "Run `make setup`; it builds Horovod after TensorFlow. It needs g++, make and cmake."
    version = _installed("horovod")
    if version is None:
        return Check("Horovod", False, "not installed", fix)
    folder = importlib.metadata.distribution("horovod").locate_file("horovod/tensorflow")
    built = any(Path(str(folder)).glob("mpi_lib*.so"))
    return Check("Horovod", built, f"{version}, {'with' if built else 'without'} TensorFlow", fix)


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
    detail = f"{wrong[0]} is not what requirements.txt pins" if wrong else "as pinned in requirements.txt"
    return Check("Package versions", not wrong, detail, "Run `make setup`; it brings every package to its pin.")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _ports(settings: Settings) -> Iterator[Check]:
    services = {"app": settings.app_port, "endpoint": settings.endpoint_port, "mlflow": settings.mlflow_port}
    for name, port in services.items():
        used = port_in_use(settings.host, port)
        fix = f"If that is not Twinset itself, stop it or set TWINSET_{name.upper()}_PORT to a free port."
        detail = f"{settings.host}:{port} is {'in use' if used else 'free'}"
        yield Check(f"Port of the {name}", not used, detail, fix)


def port_in_use(host: str, port: int) -> bool:
    """Tell whether the port cannot be bound; port 0 is always free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _disk(settings: Settings) -> Check:
    free_gb = shutil.disk_usage(_existing(settings.home)).free / 1e9
    fix = "Free some space, or set TWINSET_HOME to a folder on another disk."
    return Check("Disk", free_gb >= NEEDED_GB, f"{free_gb:.1f} GB free, {NEEDED_GB:.0f} needed", fix)


def _home(settings: Settings) -> Check:
    writable = os.access(_existing(settings.home), os.W_OK | os.X_OK)
    fix = "Set TWINSET_HOME to a folder that you may write to."
    return Check("TWINSET_HOME", writable, f"{settings.home} is {'writable' if writable else 'not writable'}", fix)


def _existing(path: Path) -> Path:
    """The nearest folder that exists: the home is made by whoever writes first."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def as_text(found: list[Check], write: Callable[[str], None]) -> None:
    """Write one line a check, and its fix below where it failed."""
    for check in found:
        write(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:20} {check.detail}")
        if not check.ok:
            write(f"      -> {check.fix}")

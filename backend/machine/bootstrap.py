"""Set-up, once and again: system tools, ``.venv``, pinned packages, Horovod's wheel, Delta's JARs.

Runs on a bare Python 3.11 and imports nothing but the standard library; ``make setup`` calls it. A second call finds
its stamp and returns at once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backend.machine.launcher import write_launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "twinset-ready"
LAUNCHER = VENV / "bin" / "twinset"
JAVA_MAJOR = 17
# What the machine must have: name, Debian package.
TOOLS = {
    "java": "openjdk-17-jre-headless",
    "g++": "g++",
    "make": "make",
    "cmake": "cmake",
    "venv": "python3.11-venv",
    "Python.h": "python3.11-dev",
}
# Enough of TensorFlow and of Horovod's own needs to build Horovod while everything else is being installed.
BUILD_FIRST = ("tensorflow", "cloudpickle", "psutil", "pyyaml", "cffi", "packaging")
HOROVOD_BUILD = {
    "HOROVOD_WITH_TENSORFLOW": "1",
    "HOROVOD_WITH_GLOO": "1",
    "HOROVOD_WITHOUT_MPI": "1",
    "HOROVOD_WITHOUT_PYTORCH": "1",
    "HOROVOD_WITHOUT_MXNET": "1",
}


class SetupFailed(Exception):
    """Set-up cannot go on; the message says why and what to do."""


def main() -> int:
    """Set everything up; returns the exit status."""
    try:
        if is_ready():
            return 0
        _require_python()
        install_tools(missing_tools())
        _install_packages()
        with _step("Delta JARs, ready-made weights"):
            _run([_python(), "-c", _FILL_CACHE])
        write_launcher(LAUNCHER, Path(_python()), ROOT)
        STAMP.write_text(fingerprint(), encoding="utf-8")
    except SetupFailed as error:
        print(f"\nSet-up stopped: {error}", file=sys.stderr)
        return 1
    print("Set-up is complete.")
    return 0


_FILL_CACHE = """
from backend.settings import load_settings
from backend.spark.session import resolve_jars
from backend.training.network.lite_weights import LITE, lite_weights
resolve_jars(load_settings())
for name in LITE:
    lite_weights(name)
"""


def fingerprint() -> str:
    """Hash what the environment was made from: when it changes, set-up runs again."""
    digest = hashlib.sha256()
    digest.update(_requirements().encode())
    for name in ("backend/machine/bootstrap.py", "backend/machine/launcher.py"):
        digest.update((ROOT / name).read_bytes())
    digest.update(platform.python_version().encode() + str(VENV).encode())
    return digest.hexdigest()


def is_ready() -> bool:
    """Tell whether set-up ran to its end for these very requirements, and its cache is still there."""
    same = STAMP.is_file() and STAMP.read_text(encoding="utf-8") == fingerprint()
    return same and LAUNCHER.is_file() and len(list((cache_dir() / "jars").glob("*.jar"))) >= 3 and not missing_tools()


def cache_dir() -> Path:
    """The same folder as ``Settings.cache_dir``: what a second clone need not fetch or build again."""
    if chosen := os.environ.get("TWINSET_CACHE_DIR"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "twinset"


# ------------------------------------------------------------------------------------------------- system tools


def missing_tools() -> list[str]:
    """Return the names in ``TOOLS`` that this machine lacks."""
    present = {
        "java": _java_major() >= JAVA_MAJOR,
        "venv": importlib.util.find_spec("ensurepip") is not None,
        "Python.h": (Path(sysconfig.get_path("include")) / "Python.h").is_file(),
    }
    return [tool for tool in TOOLS if not present.get(tool, shutil.which(tool) is not None)]


def _java_major() -> int:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return 0
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found.group(1)) if found else 0


def install_tools(missing: list[str]) -> None:
    """Install missing tools with the platform's package manager when it may; otherwise say the command.

    Raises:
        SetupFailed: They cannot be installed from here; the message holds the exact command.
    """
    if not missing:
        return
    packages = [TOOLS[tool] for tool in missing]
    print(f"This machine lacks {', '.join(missing)}.")
    prefix = _privilege()
    if prefix is None or shutil.which("apt-get") is None:
        raise SetupFailed(
            f"install what is missing, then run it again:\n  sudo apt-get install -y {' '.join(packages)}"
        )
    with _step(f"apt-get install {' '.join(packages)}"):
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run([*prefix, "apt-get", "update", "-q"], environ)
        _run([*prefix, "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], environ)
    if still := missing_tools():
        raise SetupFailed(f"{still[0]} is still missing after installing {TOOLS[still[0]]}; install it manually.")


def _privilege() -> list[str] | None:
    """What to put before a command that needs root; None when root is out of reach without a password."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    allowed = sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0
    return [str(sudo), "-n"] if allowed else None


def _require_python() -> None:
    if sys.version_info[:2] != (3, 11):
        raise SetupFailed(f"Python 3.11 is required, but this is {platform.python_version()}; run it with python3.11.")


# ------------------------------------------------------------------------------------------------- packages


def _python() -> str:
    return str(VENV / "bin" / "python")


def _pip(*arguments: str) -> list[str]:
    return [_python(), "-m", "pip", "--disable-pip-version-check", *arguments]


def _install_packages() -> None:
    if not Path(_python()).exists():
        with _step("Virtual environment"):
            _run([sys.executable, "-m", "venv", str(VENV)])
    pins = _pins()
    tools = [f"{name}=={pins[name]}" for name in ("pip", "setuptools", "wheel") if name in pins]
    with _step("Package installer"):
        _run(_pip("install", "-q", *tools))
    wheel = _cached_horovod(pins)
    with tempfile.TemporaryDirectory(prefix="twinset-setup-") as folder:
        building = None if wheel else _start_horovod(pins, Path(folder))
        with _step(f"{len(pins)} packages"):
            _install_all_but_horovod(Path(folder))
        if building is not None:
            with _step("Horovod, built for this TensorFlow"):
                wheel = _finish_horovod(building, pins, Path(folder))
    with _step("Horovod"):
        _run(_pip("install", "-q", "--no-deps", str(wheel)))
    _run(_pip("check"))


def _pins() -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", _requirements(), re.MULTILINE)
    return {name.lower(): version for name, version in found}


def _requirements() -> str:
    """Return what is installed; an image has no requirements of tests."""
    files = (ROOT / name for name in ("requirements.txt", "requirements-dev.txt"))
    return "".join(path.read_text("utf-8") for path in files if path.is_file())


def _install_all_but_horovod(folder: Path) -> None:
    """Everything is pinned, so there is nothing to resolve; byte code is made when a module is first used."""
    listed = folder / "requirements.txt"
    listed.write_text(
        "\n".join(ln for ln in _requirements().splitlines() if "==" in ln and not ln.startswith("horovod")), "utf-8"
    )
    _run_counting(_pip("install", "--no-deps", "--no-compile", "--progress-bar", "off", "-r", str(listed)))


def _horovod_home(pins: dict[str, str]) -> Path:
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    # HOROVOD_GPU_OPERATIONS=NCCL builds another wheel; see requirements-gpu.txt.
    gpu = os.environ.get("HOROVOD_GPU_OPERATIONS", "").lower()
    flavour = f"-{gpu}" if gpu else ""
    return cache_dir() / "wheels" / f"tensorflow-{pins['tensorflow']}-{python}-{platform.machine()}{flavour}"


def _cached_horovod(pins: dict[str, str]) -> Path | None:
    return next(iter(_horovod_home(pins).glob(f"horovod-{pins['horovod']}-*.whl")), None)


def _start_horovod(pins: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """Install TensorFlow alone, then start Horovod's build beside the installation of everything else."""
    with _step(f"TensorFlow {pins['tensorflow']}"):
        first = [f"{name}=={pins[name]}" for name in BUILD_FIRST]
        constraint = str(ROOT / "requirements.txt")
        _run(_pip("install", "-q", "--no-compile", "-c", constraint, *first))
    environ = {**os.environ, **HOROVOD_BUILD, "MAKEFLAGS": f"-j{os.cpu_count() or 2}"}
    command = _pip("wheel", "--no-build-isolation", "--no-deps", "-w", str(folder), f"horovod=={pins['horovod']}")
    with (folder / "build.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environ)


def _finish_horovod(building: subprocess.Popen[bytes], pins: dict[str, str], folder: Path) -> Path:
    if building.wait() != 0:
        tail = (folder / "build.log").read_text("utf-8", errors="replace").splitlines()[-30:]
        raise SetupFailed("Horovod could not be built; the end of its log:\n" + "\n".join(tail))
    built = next(folder.glob("horovod-*.whl"))
    home = _horovod_home(pins)
    home.mkdir(parents=True, exist_ok=True)
    partial = home / f".{os.getpid()}.part"
    shutil.copyfile(built, partial)
    return partial.replace(home / built.name)  # a second set-up at the same time sees a whole wheel or none


# ------------------------------------------------------------------------------------------------- running


@contextmanager
def _step(title: str) -> Iterator[None]:
    started = time.monotonic()
    print(f"  {title} …", flush=True)
    yield
    print(f"  {title}: done in {time.monotonic() - started:.0f} s", flush=True)


def _run_counting(command: list[str]) -> None:
    """Run pip and draw how many packages it has fetched; a file or pipe gets no bar."""
    said: list[str] = []
    total = len(_pins())
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            said.append(line.rstrip())
            fetched = sum(text.startswith(("Collecting ", "Requirement already")) for text in said)
            unpacking = line.startswith("Installing collected")
            _draw("unpacking …" if unpacking else f"{fetched} of {total} fetched", fetched / total)
    _draw("", 1.0)
    if process.returncode != 0:
        raise SetupFailed("The packages could not be installed:\n" + "\n".join(said[-30:]))


def _draw(text: str, share: float) -> None:
    if sys.stdout.isatty():
        filled = round(24 * min(share, 1.0))
        line = f"  [{'#' * filled}{'.' * (24 - filled)}] {text}" if text else ""
        print(f"\r{line:60}", end="\n" if not text else "", flush=True)


def _run(command: list[str], environ: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        tail = done.stdout.decode(errors="replace").splitlines()[-30:]
        raise SetupFailed(f"{' '.join(command[:6])} … failed with status {done.returncode}:\n" + "\n".join(tail))


if __name__ == "__main__":
    sys.exit(main())

"""What Spark needs before it can start, outside Python: Java 17, and the Delta JARs.

The JARs are fetched once, at set-up, by Spark's own resolver; every later session starts from the kept files, offline.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import EnvironmentUnready

if TYPE_CHECKING:
    from backend.settings import Settings

DELTA_PACKAGE = "io.delta:delta-spark_2.13:4.0.1"
JARS = (
    "io.delta_delta-spark_2.13-4.0.1.jar",
    "io.delta_delta-storage-4.0.1.jar",
    "org.antlr_antlr4-runtime-4.13.1.jar",
)
MIN_JAVA = 17
_JAVA_FIX = "Install Java 17: sudo apt-get install -y openjdk-17-jre-headless (or set JAVA_HOME)."
_RESOLVE_TIMEOUT_S = 600


def check_java() -> str:
    """Return the path of the Java that Spark will use.

    Raises:
        EnvironmentUnready: There is none, or it is older than Java 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java")) if home else shutil.which("java")
    if java is None:
        where = f"in JAVA_HOME ({home})" if home else "on the path"
        raise EnvironmentUnready(f"Spark needs Java {MIN_JAVA}, but there is no java {where}.", next_step=_JAVA_FIX)
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    if found is None or int(found[1]) < MIN_JAVA:
        version = found[1] if found else "of unknown version"
        raise EnvironmentUnready(f"Spark needs Java {MIN_JAVA}, but {java} is Java {version}.", next_step=_JAVA_FIX)
    return java


def require_jars(settings: Settings) -> list[Path]:
    """Return the Delta JARs that every session starts with.

    Raises:
        EnvironmentUnready: One of them is missing.
    """
    paths = [settings.jars_dir / name for name in JARS]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise EnvironmentUnready(
            f"The Delta JAR {missing[0]} is not in {settings.jars_dir}.", next_step="Run `make setup` once, online."
        )
    return paths


def resolve_jars(settings: Settings) -> list[Path]:
    """Fetch the Delta JARs through Spark's own resolver and keep them in ``settings.jars_dir``.

    Instant where they are already there. The resolver's own cache is below ``settings.cache_dir`` too.

    Raises:
        EnvironmentUnready: Java is missing, or the JARs cannot be fetched.
    """
    if not all((settings.jars_dir / name).is_file() for name in JARS):
        check_java()
        ivy = settings.cache_dir / "ivy"
        ivy.mkdir(parents=True, exist_ok=True)
        _run_resolver(ivy)
        _keep(ivy / "jars", settings.jars_dir)
    return require_jars(settings)


def spark_home() -> Path:
    """Return the folder of the Spark that belongs to the installed pyspark, without importing it.

    Raises:
        EnvironmentUnready: pyspark is not installed.
    """
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise EnvironmentUnready("pyspark is not installed.", next_step="Run `make setup`.")
    return Path(spec.origin).parent


def _run_resolver(ivy: Path) -> None:
    """Let ``spark-submit`` resolve the package for an empty program: no session, no network but the resolver's."""
    home = spark_home()
    with tempfile.TemporaryDirectory(prefix="twinset-jars-") as scratch:
        program = Path(scratch) / "nothing.py"
        program.touch()
        command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", "--packages", DELTA_PACKAGE]
        command += ["--conf", f"spark.jars.ivy={ivy}", str(program)]
        environ = {**os.environ, "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
        run = partial(subprocess.run, env=environ, cwd=scratch, capture_output=True, text=True)
        try:
            answer = run(command, timeout=_RESOLVE_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise _unresolved(f"no answer within {_RESOLVE_TIMEOUT_S} s") from error
    if answer.returncode != 0 or not all((ivy / "jars" / name).is_file() for name in JARS):
        said = [line.strip() for line in answer.stderr.splitlines() if "Exception" in line or "Error" in line]
        raise _unresolved(said[0] if said else f"spark-submit ended with {answer.returncode}")


def _keep(resolved: Path, jars_dir: Path) -> None:
    """Copy the JARs so that each is there whole or not at all."""
    jars_dir.mkdir(parents=True, exist_ok=True)
    for name in JARS:
        temporary = jars_dir / f".{name}.{os.getpid()}"
        shutil.copyfile(resolved / name, temporary)
        temporary.replace(jars_dir / name)


def _unresolved(reason: str) -> EnvironmentUnready:
    return EnvironmentUnready(
        f"The Delta JARs ({DELTA_PACKAGE}) cannot be fetched: {reason}.",
        next_step="Check the network or the proxy settings, then run `make setup` again.",
    )

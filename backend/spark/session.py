"""One Delta-enabled Spark session: started offline, bound to loopback when local, and ended with its JVM.

Nothing but this module starts a session. A session costs seconds, so a process opens one and keeps it; an
:func:`open_spark` inside another shares the outer session.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from backend.access.logs import MARK, of_process
from backend.errors import EnvironmentUnready, SettingsError
from backend.errors.addresses import shown
from backend.files.scratch import own_folder
from backend.spark.cluster import check_master, is_local, require_a_slot
from backend.spark.jars import check_java, require_jars, resolve_jars, spark_home
from backend.spark.log import log4j_of, without_chatter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.sql import SparkSession

    from backend.settings import Settings

__all__ = ["open_spark", "resolve_jars", "zip_backend"]

logger = logging.getLogger(__name__)

_JVM_EXIT_TIMEOUT_S = 20


@contextmanager
def open_spark(settings: Settings, *, app_name: str) -> Iterator[SparkSession]:
    """Start a session, hand it out, and stop it together with its JVM.

    Inside an open session the same one is handed out again and left open for its owner.

    Args:
        settings: Master, driver memory, further configuration and the folder of the JARs.
        app_name: Name that Spark shows for the session.

    Raises:
        EnvironmentUnready: Java, JARs, master or its workers are missing, or another master's session is open.
        SettingsError: ``spark_conf`` is not made of ``key=value`` pairs.
    """
    outer = _open_session()
    if outer is not None:
        yield _same_master(outer, settings)
        return
    further = _further(settings)
    check_java()
    jars = require_jars(settings)
    check_master(settings.spark_master)
    with own_folder("spark") as scratch:
        conf = {**_configuration(settings, app_name, jars, scratch), **further}
        with _environment(settings, conf), _path_restored(), without_chatter():
            spark = _started(_without_secrets(conf, scratch))
            try:
                require_a_slot(spark)
                spark.sparkContext.addPyFile(str(zip_backend(scratch)))
                yield spark
            finally:
                _shut_down()


def zip_backend(folder: Path) -> Path:
    """Write the package ``backend`` to ``folder/backend.zip``, the same bytes for the same sources."""
    package = Path(__file__).resolve().parents[1]
    target = folder / "backend.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(package.rglob("*.py")):
            entry = zipfile.ZipInfo(str(path.relative_to(package.parent)), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return target


def _configuration(settings: Settings, app_name: str, jars: list[Path], scratch: Path) -> dict[str, str]:
    log4j = scratch / "log4j2.properties"
    log4j.write_text(log4j_of(of_process()), encoding="utf-8")
    folders = f"-Dderby.system.home={scratch} -Djava.io.tmpdir={scratch}"
    java_options = f"-Dlog4j2.configurationFile={log4j.as_uri()} {folders} -XX:-UsePerfData"
    conf = {
        "spark.app.name": app_name,
        "spark.master": settings.spark_master,
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": java_options,
        "spark.jars": ",".join(str(path) for path in jars),
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Keras 2 has to be chosen before TensorFlow is imported, in every process that does.
        "spark.executorEnv.TF_USE_LEGACY_KERAS": "1",
        # A folder called `backend` in an executor's working directory must not hide the shipped package.
        "spark.executorEnv.PYTHONSAFEPATH": "1",
        "spark.executorEnv.TWINSET_DEVICE": settings.device,
        f"spark.executorEnv.{MARK}": ":".join(of_process()),
    }
    if not is_local(settings.spark_master):
        return conf
    # The heavy work is done in Python: halving what the JVM compiles halves the CPU time of a load.
    return {**conf, **_LOCAL, "spark.driver.extraJavaOptions": f"{java_options} -XX:TieredStopAtLevel=1"}


def _without_secrets(conf: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Hand keys and passwords to the JVM in a file: what is left is written on its command line."""
    secret = {name: value for name, value in conf.items() if shown(f"{name}={value}") != f"{name}={value}"}
    if secret:
        path = scratch / "secrets.properties"
        path.touch(0o600)
        lines = (f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in secret.items())
        path.write_text("".join(lines), encoding="utf-8")
        os.environ["PYSPARK_SUBMIT_ARGS"] = f"--load-spark-defaults --properties-file {quote(str(path))} pyspark-shell"
    return {name: value for name, value in conf.items() if name not in secret}


# One machine: nobody else connects, and the defaults of 200 and 50 partitions are made for clusters. Our rows are few
# and fat: compiling code for each of a commit's dozen small queries costs more than it brings in.
_LOCAL = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "1",
    # The default starts a process for every file of a log; backend.catalogue.delta.locks keeps other programs out.
    "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
}


def _further(settings: Settings) -> dict[str, str]:
    """Read ``key=value; key=value``, or one in a line."""
    pairs = [text.partition("=") for text in re.split(r"[;\n]", settings.spark_conf) if text.strip()]
    for name, equals, _ in pairs:
        if not equals or not name.strip().startswith("spark."):
            raise SettingsError(
                f"TWINSET_SPARK_CONF contains {(name + equals).strip()!r}, which is not a pair spark.key=value.",
                next_step="Write pairs like spark.executor.memory=4g, separated by semicolons.",
            )
    return {name.strip(): value.strip() for name, _, value in pairs}


@contextmanager
def _environment(settings: Settings, conf: Mapping[str, str]) -> Iterator[None]:
    """Set what Spark reads from the environment only, and put everything back as it was."""
    before = {name: value for name, value in os.environ.items() if name.startswith(("SPARK_", "PYSPARK_"))}
    # Another Spark's home, or Spark Connect, would change the session that is started here.
    for name in ("SPARK_REMOTE", "SPARK_API_MODE", "SPARK_CONNECT_MODE_ENABLED", "PYSPARK_SUBMIT_ARGS"):
        os.environ.pop(name, None)
    os.environ["SPARK_HOME"] = str(spark_home())
    os.environ["PYSPARK_PYTHON"] = conf.get("spark.pyspark.python", sys.executable)
    if is_local(settings.spark_master):
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(("SPARK_", "PYSPARK_"))]:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _path_restored() -> Iterator[None]:
    """``addPyFile`` puts its copy on this process's path as well; it is gone when the session is."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = [entry for entry in sys.path if entry in before]


# ---------------------------------------------------------------------------------------- start and end


def _open_session() -> SparkSession | None:
    """Return the session that is open in this process, in whatever thread."""
    if "pyspark" not in sys.modules:
        return None
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    active: Any = SparkContext._active_spark_context  # noqa: SLF001 - getActiveSession knows its own thread only
    builder: Any = SparkSession.builder
    return builder.getOrCreate() if active is not None else None


def _same_master(spark: SparkSession, settings: Settings) -> SparkSession:
    if spark.sparkContext.master != settings.spark_master:
        raise EnvironmentUnready(
            f"This process has a Spark session on {spark.sparkContext.master}, but {settings.spark_master} is requested.",
            next_step="Use one master per process.",
        )
    return spark


def _started(conf: Mapping[str, str]) -> SparkSession:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder: Any = SparkSession.builder
    try:
        with _own_interrupt():
            return builder.config(map=dict(conf)).getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        said = _first_line(error).lstrip(": ")  # a Java error asks its JVM for its text, so before that ends
        _shut_down()
        if "stopped SparkContext" in said:
            said = "the server there accepts no applications; it may not be a Spark master, or have another version"
        raise EnvironmentUnready(
            f"Spark does not start on {conf['spark.master']}: {said}",
            next_step="Run `make doctor`; the log above has Java's error message.",
        ) from error


@contextmanager
def _own_interrupt() -> Iterator[None]:
    """Let whoever listens to Ctrl-C already go on doing so: a context takes SIGINT for itself when it is made."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before not in {signal.default_int_handler, None}:
            signal.signal(signal.SIGINT, before)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if "Exception: " in line]
    return (causes or lines or [type(error).__name__])[0]


def _shut_down() -> None:
    """Stop the session and end its JVM; one that was killed before is no error, its end is what is wanted."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    context: Any = SparkContext._active_spark_context  # noqa: SLF001 - also of a session that did not quite start
    session: Any = SparkSession._instantiatedSession  # noqa: SLF001
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unable to cleanly shutdown Spark JVM", RuntimeWarning)
            stoppable = session or context
            if stoppable is not None:
                stoppable.stop()
    except (Py4JError, OSError) as error:
        logger.debug("The JVM was gone before the session was stopped: %s", type(error).__name__)
        context.stop()  # what is left of it, in this process
    finally:
        _end_jvm()


def _end_jvm() -> None:
    """End the JVM, which ``stop`` leaves running until Python exits."""
    from pyspark import SparkContext

    holder: Any = SparkContext
    gateway, holder._gateway, holder._jvm = holder._gateway, None, None  # noqa: SLF001 - no public way to end a JVM
    if gateway is None:
        return
    gateway.shutdown()
    process = gateway.proc
    process.stdin.close()  # the JVM ends itself when this pipe closes
    try:
        process.wait(timeout=_JVM_EXIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        logger.warning("The JVM did not end within %s s and is killed.", _JVM_EXIT_TIMEOUT_S)
        process.kill()
        process.wait()

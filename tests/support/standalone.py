"""A standalone Spark master with two workers, each a process in a working directory of its own."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backend.spark.jars import spark_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEPLOY = "org.apache.spark.deploy"
# What a session needs for small work there.
CONF = (
    "spark.driver.host=127.0.0.1; spark.executor.memory=512m; spark.cores.max=2; "
    "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1; spark.sql.shuffle.partitions=2; "
    "spark.databricks.delta.snapshotPartitions=1; "
    "spark.scheduler.maxRegisteredResourcesWaitingTime=90s"  # a busy machine starts executors slowly
)


class Daemon:
    """A Spark master or worker in a working directory of its own; what it logs is read as it comes."""

    def __init__(self, folder: Path, *arguments: str):
        folder.mkdir()
        environ = {**os.environ, "SPARK_HOME": str(spark_home()), "SPARK_LOCAL_IP": "127.0.0.1"}
        environ |= {"SPARK_DAEMON_MEMORY": "256m", "SPARK_WORKER_DIR": str(folder)}
        self._process = subprocess.Popen(
            [str(spark_home() / "bin" / "spark-class"), *arguments, "--host", "127.0.0.1"],
            cwd=folder,
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=lambda: [None for _ in self._process.stderr])

    def wait_for(self, pattern: str) -> str:
        """Return the first match in the log; the rest of the log is read and forgotten."""
        for line in self._process.stderr:
            if match := re.search(pattern, line):
                self._reader.start()
                return match[0]
        raise AssertionError(f"It ended without saying {pattern}.")

    def end(self):
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        self._process.stderr.close()


@contextmanager
def standalone(folder: Path) -> Iterator[str]:
    """Start master and workers below ``folder`` (``master``, ``one``, ``two``), and give the master's address."""
    daemons = [Daemon(folder / "master", f"{DEPLOY}.master.Master", "--port", "0", "--webui-port", "0")]
    try:
        address = daemons[0].wait_for(r"spark://127\.0\.0\.1:\d+")
        for name in ("one", "two"):
            options = ("--cores", "1", "--memory", "600m", "--port", "0", "--webui-port", "0")
            daemons.append(Daemon(folder / name, f"{DEPLOY}.worker.Worker", address, *options))
        for daemon in daemons[1:]:
            daemon.wait_for("Successfully registered with master")
        yield address
    finally:
        for daemon in reversed(daemons):
            daemon.end()

"""What a Spark master really offers: whether it answers, and how many tasks its executors can run at a time.

``defaultParallelism`` is a guess: a standalone master says 2 where it has no worker, ``spark.task.cpus`` and GPUs are left
out of it, and ``spark.default.parallelism`` overrules it. Spark's scheduler knows.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from backend.errors import EnvironmentUnready
from backend.progress import NullProgress

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from backend.progress import Progress

ANSWERS_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.25
_STEADY_S = 2.0  # executors of one cluster come within seconds of each other
# Spark's own word for how long executors are waited for. Who starts them on demand needs longer than who has them.
_PATIENCE = "spark.scheduler.maxRegisteredResourcesWaitingTime"
_PATIENCE_S, _ON_DEMAND_S = 9, 120
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:]+)\]|([^:/,\s]+)):(\d+)")


def is_local(master: str) -> bool:
    """Tell whether a master is this machine."""
    return master == "local" or master.startswith(("local[", "local-cluster["))


def check_master(master: str) -> None:
    """Knock at a master's address; one without an address in its name, and this machine, are left alone.

    Raises:
        EnvironmentUnready: None of its addresses answers within five seconds.
    """
    said = unanswered(master)
    if said:
        raise EnvironmentUnready(
            f"The Spark master {master} does not answer: {said}.",
            next_step="Start it, or correct TWINSET_SPARK_MASTER; local[*] is this machine.",
        )


def unanswered(master: str, *, within_s: float = ANSWERS_WITHIN_S) -> str:
    """Say why no address of a master answers; empty where one does, or where it has none."""
    if not master.startswith(("spark://", "k8s://")):
        return ""
    found = [(ipv6 or name, int(port)) for ipv6, name, port in _ADDRESS.findall(master.partition("://")[2])]
    said = ""
    for host, port in found:
        said = _refusal(host, port, within_s / len(found))
        if not said:
            return ""
    return said


def _refusal(host: str, port: int, within_s: float) -> str:
    try:
        with closing(socket.create_connection((host, port), timeout=within_s)):
            return ""
    except TimeoutError:
        return f"no response from {host}:{port} within {within_s:g} s"
    except OSError as error:
        return f"{host}:{port}, {error.strerror or error}"


def own_name_trouble() -> str:
    """Say that this machine's own name has no address; Horovod's workers look it up, and would crash."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return f"The name of this machine, {name}, has no address, but workers that train together look it up"
    return ""


def name_remedy() -> str:
    """Say what gives this machine's name an address."""
    return f"Add the line `127.0.1.1 {socket.gethostname()}` to /etc/hosts"


# ---------------------------------------------------------------------------------------- slots


def slots(spark: SparkSession) -> int:
    """Count the tasks that executors can run at a time now, by their cores, ``spark.task.cpus`` and GPUs."""
    scala: Any = spark.sparkContext._jsc.sc()  # noqa: SLF001 - PySpark does not tell
    return int(scala.maxNumConcurrentTasks(scala.resourceProfileManager().defaultResourceProfile()))


def wait_for_slots(spark: SparkSession, wanted: int, progress: Progress) -> int:
    """Wait for executors that are still to come, and return how many slots there are, be it too few.

    Args:
        spark: The session.
        wanted: How many are enough; 0 takes what there is once no more come.
        progress: Hears what is waited for; may cancel.
    """
    changed = time.monotonic()
    found, patience_s = slots(spark), patience(spark)
    while not _is_enough(found, wanted, time.monotonic() - changed) and time.monotonic() - changed < patience_s:
        progress.report(0, 1, note=f"waiting for Spark: {found} of {wanted or 1} slots")
        progress.check_cancelled()
        time.sleep(_LOOK_EVERY_S)
        if (now := slots(spark)) != found:
            found, changed = now, time.monotonic()
    return found


def _is_enough(found: int, wanted: int, steady_s: float) -> bool:
    return found >= wanted if wanted else found > 0 and steady_s >= _STEADY_S


def patience(spark: SparkSession) -> int:
    """Return for how many seconds executors are waited for; this machine has what it has."""
    context: Any = spark.sparkContext
    if is_local(context.master) and not context.master.startswith("local-cluster"):
        return 0
    conf = context._jsc.sc().conf()  # noqa: SLF001 - it reads Spark's durations
    is_on_demand = not context.master.startswith(("local", "spark:")) or starts_on_demand(spark)
    return int(conf.getTimeAsSeconds(_PATIENCE, f"{_ON_DEMAND_S if is_on_demand else _PATIENCE_S}s"))


def starts_on_demand(spark: SparkSession) -> bool:
    """Tell whether executors come only when there is work for them."""
    return bool(spark.sparkContext.getConf().get("spark.dynamicAllocation.enabled", "false") == "true")


def require_a_slot(spark: SparkSession) -> None:
    """Wait until a standalone master's workers offer a slot; other clusters start executors when they are asked.

    Raises:
        EnvironmentUnready: They offer none, so that nothing would ever run.
    """
    context = spark.sparkContext
    if not context.master.startswith("spark://") or starts_on_demand(spark):
        return
    if not wait_for_slots(spark, 1, NullProgress()):
        memory = context.getConf().get("spark.executor.memory", "1g")
        raise EnvironmentUnready(
            f"The Spark master {context.master} has no worker with a free slot.",
            next_step=f"Start workers for it; each needs a free core and {memory} of free memory.",
        )

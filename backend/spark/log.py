"""What Spark may say in a log: errors of its JVM, in short lines, and nothing of how Python speaks with it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG4J = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m %rEx{6}%n
logger.shell.name = org.apache.spark.api.python.PythonGatewayServer
logger.shell.level = error
"""


@contextmanager
def without_chatter() -> Iterator[None]:
    """Keep py4j's notes out of the log: a connection that ended, and is recreated, is a traceback there."""
    root = logging.getLogger()
    root.addFilter(_is_no_chatter)  # py4j logs some of it as nobody
    logging.getLogger("py4j").setLevel(logging.WARNING)  # also afterwards: it goes on until the process ends
    try:
        yield
    finally:
        root.removeFilter(_is_no_chatter)


def _is_no_chatter(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or Path(record.pathname).parent.name != "py4j"

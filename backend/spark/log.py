"""What Spark may say in a log: errors of its JVM, in short lines, and nothing of how Python speaks with it."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backend.access.logs import JSON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.access.logs import Process

_LOG4J = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = {pattern}%n
logger.shell.name = org.apache.spark.api.python.PythonGatewayServer
logger.shell.level = error
"""
_TEXT_LINE = "%d{HH:mm:ss} %p %c{1}: %m %rEx{6}"
_AT = "%d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}+00:00"
_MESSAGE = "%enc{%m %rEx{6}}{JSON}"


def log4j_of(process: Process) -> str:
    """Return how the JVM of a process logs: in the format of the process, and in JSON with its ids."""
    line = {"at": _AT, "level": "%p", "logger": "%c", "message": _MESSAGE, **process.ids()}
    return _LOG4J.replace("{pattern}", json.dumps(line) if process.log_format == JSON else _TEXT_LINE)


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

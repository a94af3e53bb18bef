"""Lines of a log: which request and which job each belongs to, and no text in one that could pass for another line.

What a process was told when it started is in its environment, so that its children log the same: ranks of a training,
trials, Python workers of Spark. A request of a server has an id of its own, which goes with it into its threads.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from backend.access.asking import asked
from backend.errors.addresses import shown

if TYPE_CHECKING:
    from backend.settings import Settings

JSON, TEXT = FORMATS = ("json", "text")
REQUEST_HEADER = "X-Request-Id"
MARK = "_TWINSET_LOG"  # not TWINSET_…: those are settings
_LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{3,63}")
# All that ends a line or moves a terminal's cursor, but the tab.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
_CONTROL |= {0x0A: "\n  ", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_request: ContextVar[str] = ContextVar("id of the request", default="")
_person: ContextVar[str] = ContextVar("name of who asks", default="")


class Process(NamedTuple):
    """What all lines of a process share: their format, and the ids of the request and of the job it works for, or ``-``."""

    log_format: str = TEXT
    request: str = "-"
    job: str = "-"

    def ids(self) -> dict[str, str]:
        """Return the ids that are known, by name."""
        return {name: found for name, found in (("request", self.request), ("job", self.job)) if found != "-"}


def of_process() -> Process:
    """Return what this process was told, by itself or by what started it."""
    told = os.environ.get(MARK, "").split(":")
    return Process(*told) if len(told) == len(Process._fields) else Process()


def begin_process(log_format: str, *, request: str = "", job: str = "") -> None:
    """Say what all lines of this process and of its children have in common; ids may be left out."""
    os.environ[MARK] = ":".join(Process(log_format, request or "-", job or "-"))
    if log_format == JSON:
        os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"  # its lines then go where ours go


def request_id() -> str:
    """Return the id of the request that is being answered, or of what this process was started for; may be empty."""
    return _request.get() or of_process().ids().get("request", "")


def new_request(given: str = "") -> str:
    """Begin a request: take the id that a caller gave it if that is well-formed, make one otherwise; return it."""
    found = given if _WELL_FORMED.fullmatch(given) else new_id()
    _request.set(found)
    return found


def new_id() -> str:
    """Return an id that no other request has."""
    return secrets.token_hex(8)


class About(logging.Filter):
    """Adds to each record what it is about: ``request``, ``job`` and ``person``, empty where they are not known."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        found = asked()
        record.person = found.person.name if found else _person.get()
        record.request, record.job = request_id(), of_process().ids().get("job", "")
        return True


def log_person(name: str) -> None:
    """Name who asks, in all lines of this thread; whoever a piece of work is done for (``asked_by``) goes before."""
    _person.set(name)


class ShownFormatter(logging.Formatter):
    """Formats records, their tracebacks too, as :func:`shown` shows them; only the first line of each is not indented."""

    converter = time.gmtime  # type: ignore[assignment]
    default_time_format, default_msec_format = "%Y-%m-%dT%H:%M:%SZ", None

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one text."""
        return shown(super().format(record)).translate(_CONTROL)


class JsonFormatter(logging.Formatter):
    """Formats each record as one line of JSON in ASCII: at, level, logger, message, and request, job and person if known."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        about = {name: getattr(record, name, "") for name in ("request", "job", "person")}
        line = {"at": at, "level": record.levelname, "logger": record.name, "message": shown(super().format(record))}
        return json.dumps(line | {name: text for name, text in about.items() if text})


def log_app(settings: Settings) -> None:
    """Send the log of the app where its process's errors go."""
    begin_process(settings.log_format)
    log_lines(logging.StreamHandler())
    for name in ("app", "backend"):
        logging.getLogger(name).setLevel(settings.log_level.upper())


class _Library(logging.Logger):
    """A logger whose own handlers write as those of the process do."""

    def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802 - the logging module's name
        """Take a handler of a library, in our format."""
        _in_json(hdlr)
        super().addHandler(hdlr)


def _in_json(handler: logging.Handler) -> None:
    handler.setFormatter(JsonFormatter())
    handler.addFilter(About())


def log_lines(handler: logging.Handler, *, level: str | None = None, force: bool = False) -> None:
    """Send the log of this process to a handler, in the format of the process; one that logs already is left alone.

    Args:
        handler: Where to.
        level: The least that is logged; the logging module's own when left out.
        force: Replace what logs already.
    """
    is_json = of_process().log_format == JSON
    handler.setFormatter(JsonFormatter() if is_json else ShownFormatter(_LINE))
    handler.addFilter(About())
    logging.basicConfig(level=level and level.upper(), handlers=[handler], force=force)
    if is_json:
        _take_over()


def _take_over() -> None:
    """Have libraries that print their log themselves, now or later, do so in our format."""
    logging.setLoggerClass(_Library)
    for logger in list(logging.root.manager.loggerDict.values()):
        if type(logger) is logging.Logger:
            logger.__class__ = _Library
            for handler in logger.handlers:
                _in_json(handler)

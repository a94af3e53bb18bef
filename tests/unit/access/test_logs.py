"""Lines of a log: one record cannot pass for two, no password is in it, and ids are those of what it is about."""

from __future__ import annotations

import io
import json
import logging
import threading
from contextvars import copy_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.access import logs
from backend.access.asking import Asking, asked_by
from backend.access.logs import About, JsonFormatter, Process, ShownFormatter, begin_process, new_request, request_id
from backend.access.person import Person, Role
from backend.spark.log import log4j_of

ANY = st.text(st.characters(codec=None, categories=None), max_size=40) | st.sampled_from(
    [
        "\n2026-11-28T10:00:00Z ERROR x: forged",
        "a\r\nb",
        "\x1b[2J",
        "\x85 next",
        "\u2028",
        '"}\n{"level": "ERROR"}',
        "\ud800",
    ]
)


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """Whatever a test says about the process is forgotten."""
    monkeypatch.setenv(logs.MARK, "")
    monkeypatch.setenv("MLFLOW_CONFIGURE_LOGGING", "true")


def formatted(formatter, message, *, error=None, name="shop"):
    record = logging.LogRecord(name, logging.ERROR, "x", 1, "%s", (message,), (OSError, error, None) if error else None)
    About().filter(record)
    return formatter.format(record)


@given(ANY, ANY, ANY)
def test_no_text_can_forge_a_line(message, cause, name):
    text = formatted(ShownFormatter(logs._LINE), message, error=OSError(cause), name=name)
    first, *more = text.splitlines()
    assert first[10] == "T"
    assert all(line.startswith("  ") for line in more)
    assert not [c for c in text if c < " " and c not in "\t\n"]

    line = formatted(JsonFormatter(), message, error=OSError(cause), name=name)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    found = json.loads(line)
    assert found.keys() == {"at", "level", "logger", "message"}
    assert (found["level"], found["logger"]) == ("ERROR", name)


@pytest.mark.parametrize("formatter", [ShownFormatter("%(message)s"), JsonFormatter()])
def test_logs_show_no_password_whoever_wrote_the_text(formatter):
    text = formatted(
        formatter, "at mysql://ada:s3cret@db?token=s3cret", error=OSError("none from mysql://ada:s3cret@db")
    )
    assert "s3cret" not in text
    assert "at mysql://db?token=***" in text
    assert "OSError: none from mysql://db" in text


def test_a_line_names_request_job_and_person():
    begin_process("json", request="r-of-process", job="j1")
    ada = Asking(Person("ada@shop.example", Role.VIEWER, "app"), journal=None)
    with asked_by(ada):
        line = json.loads(formatted(JsonFormatter(), "x"))
    assert (line["request"], line["job"], line["person"]) == ("r-of-process", "j1", "ada@shop.example")
    context = copy_context()
    context.run(logs.log_person, "bo")
    assert json.loads(context.run(formatted, JsonFormatter(), "x"))["person"] == "bo"


def test_a_request_wins_over_the_process_and_ends_with_its_context():
    begin_process("text", request="r-of-process")
    context = copy_context()
    assert context.run(new_request, "r-of-caller") == "r-of-caller"
    assert context.run(request_id) == "r-of-caller"
    assert request_id() == "r-of-process"
    heard = []
    thread = threading.Thread(target=lambda: heard.append(request_id()))
    thread.start()
    thread.join()
    assert heard == ["r-of-process"]


@given(ANY | st.from_regex(r"[A-Za-z0-9._-]{1,80}", fullmatch=True))
def test_only_a_well_formed_id_of_a_caller_is_taken(given_id):
    found = copy_context().run(new_request, given_id)
    assert logs._WELL_FORMED.fullmatch(found)
    assert found == given_id or not logs._WELL_FORMED.fullmatch(given_id)


def test_libraries_that_print_their_log_themselves_do_so_in_our_format(monkeypatch):
    stream, theirs = io.StringIO(), io.StringIO()
    old = logging.getLogger("tests.library")
    old.addHandler(logging.StreamHandler(theirs))
    old.propagate = False
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root.manager, "loggerDict", {"tests.library": old})
    begin_process("json")
    try:
        logs.log_lines(logging.StreamHandler(stream))
        new = logging.getLogger("tests.later")
        new.addHandler(logging.StreamHandler(theirs))
        new.propagate = False
        old.warning("one")
        new.warning("two")
    finally:
        logging.setLoggerClass(logging.Logger)
        old.__class__ = logging.Logger
    assert [json.loads(line)["message"] for line in theirs.getvalue().splitlines()] == ["one", "two"]
    assert stream.getvalue() == ""  # neither would have it there


def test_the_jvm_of_a_process_logs_as_it_does():
    assert "%d{HH:mm:ss} %p" in log4j_of(Process())
    text = log4j_of(Process("json", "r1", "j1"))
    (pattern,) = [line.partition(" = ")[2] for line in text.splitlines() if "layout.pattern" in line]
    assert json.loads(pattern.removesuffix("%n")).items() >= {"request": "r1", "job": "j1", "level": "%p"}.items()

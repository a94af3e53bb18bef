"""Every command ends in order: with ``--json`` exactly one object whatever happens, statuses that tell whose turn it is."""

from __future__ import annotations

import argparse
import importlib.abc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.__main__ import start
from backend.cli import main
from backend.cli.outcome import as_json
from backend.errors import Cancelled, RegistryError
from tests.support.browsing import free_port

# They start a training, servers or the whole path, whatever home they find, or go on until they are told to end.
STARTERS = {"demo", "run", "schedules run", "serve"}


def leaves(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()):
    """Every command that can be run: its words, and its parser."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if parser.get_default("handler") is not None:
        yield path, parser
    for name, child in (pair for group in groups for pair in group.choices.items()):
        yield from leaves(child, (*path, name))


def filled(parser: argparse.ArgumentParser) -> list[str]:
    """The fewest arguments that a command takes, of the right types, naming nothing that there is."""
    words = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or not action.required:
            continue
        value = next(iter(action.choices)) if action.choices else "1" if action.type in {int, float} else "nothing"
        words += [*action.option_strings[:1], value]
    for one_of in parser._mutually_exclusive_groups:
        words += [one_of._group_actions[0].option_strings[0], "nothing"] if one_of.required else []
    return words


WHOLE = main.parser()
COMMANDS = {" ".join(path): parser for path, parser in leaves(WHOLE)}


def groups():
    def walk(parser, path):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                if action.required:
                    yield path
                for name, child in action.choices.items():
                    yield from walk(child, (*path, name))

    return [" ".join(path) for path in walk(WHOLE, ())]


@pytest.fixture
def made_once(monkeypatch):
    """To make all parsers takes longer than to find one wrong argument."""
    monkeypatch.setattr(main, "parser", lambda: WHOLE)


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "home"))


def only_object(capfd) -> dict:
    """What was printed, which must be one JSON object and nothing else."""
    told = json.loads(capfd.readouterr().out, parse_constant=pytest.fail)
    assert isinstance(told, dict)
    return told


def test_the_tree_is_walked():
    assert len(COMMANDS) > 50
    assert {"models show", "catalogue list", "train", "jobs cancel", "explore export"} <= COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_arguments_are_one_object(command, made_once, capfd):
    parser = COMMANDS[command]
    wrong = [["--no-such-option"], ["--json=yes"], *([[]] if filled(parser) else [])]
    for words in wrong:
        assert main.main([*command.split(), *words, "--json"]) == 2
        said = only_object(capfd)["error"]
        assert said["code"] == "usage"
        assert said["message"]
        assert f"{command} --help" in said["next_step"]


@pytest.mark.parametrize(
    "words",
    [
        "models delete",
        "compare",
        "train",
        "catalogue ingest",
        "catalogue preview --source sample",
        "catalogue ingest --path x.csv --source csv --map title",
        "recommend x.png --filter brand",
        "recommend x.png --region 0,0,2,2",
        "train --catalogue shop --set epoch=3",
        "tune start --catalogue shop --vary epochs",
    ],
)
def test_an_argument_that_lacks_or_cannot_be_read_is_wrong_usage_whoever_finds_it(words, tmp_path, capfd):
    (tmp_path / "x.png").write_bytes(b"any")
    assert main.main([*words.split(), "--json"]) == 2
    assert only_object(capfd)["error"]["code"] == "usage"


@pytest.mark.parametrize("command", groups())
def test_a_group_without_an_action_is_wrong_usage(command, made_once, capfd):
    assert main.main([*command.split(), "--json"]) == 2
    assert only_object(capfd)["error"]["code"] == "usage"
    assert main.main(command.split()) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].endswith("--help`.")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_one_object_too(command, made_once, capfd):
    assert main.main([*command.split(), "--help", "--json"]) == 0
    assert "usage: " in only_object(capfd)["help"]


# Turns that no careful writer would use; see the help of any other command line.
TURNS = (
    "stands in",
    "lies in",
    " is asked",
    "are asked",
    "of one's own",
    "when left out",
    "goes on",
    "gives up",
    " void",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_is_explained_in_plain_words(command):
    parser = COMMANDS[command]
    assert parser.description.endswith(".")
    told = [parser.description]
    for action in parser._actions:
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction):
            assert command.startswith("catalogue") or action.help, (command, action.dest)
            told.append(action.help or "")
    if not command.startswith("catalogue"):
        assert [text for text in told if any(turn in text for turn in TURNS)] == []
    assert "e+" not in parser.format_help()


def ending(error):
    """A parser each of whose commands ends with an error."""

    def handler(_options, _settings):
        os.write(1, b"a library talks on the output stream")
        raise error

    made = main.parser()
    for _, parser in leaves(made):
        parser.set_defaults(handler=handler)
    return made


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RegistryError("There is none.", next_step="Make one."), 1, "registry_error"),
        (ZeroDivisionError("division by zero"), 70, "internal_error"),
        (MemoryError(), 70, "internal_error"),
        (KeyboardInterrupt(), 130, "cancelled"),
        (Cancelled("Stopped."), 130, "cancelled"),
        (PermissionError(13, "Permission denied", "/somewhere"), 1, "file_unusable"),
        (OSError(28, "No space left on device"), 1, "storage_full"),
        (BrokenPipeError(32, "Broken pipe"), 141, "cancelled"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_whatever_ends_a_command_is_one_object_and_a_status(error, status, code, capfd, monkeypatch):
    made = ending(error)
    monkeypatch.setattr(main, "parser", lambda: made)
    commands = list(leaves(made))
    for path, parser in commands if isinstance(error, RegistryError) else commands[:: len(commands) // 3]:
        assert main.main([*path, *filled(parser), "--json"]) == status, path
        captured = capfd.readouterr()
        assert json.loads(captured.out)["error"]["code"] == code
        assert ("Traceback" in captured.err) == (status == 70)


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in STARTERS])
@pytest.mark.parametrize("home", ["nothing in it", "a file"])
def test_every_command_says_one_object_about_things_that_are_not_there(command, home, tmp_path, capfd):
    if home == "a file":
        (tmp_path / "home").write_text("no folder")
    status = main.main([*command.split(), *filled(COMMANDS[command]), "--json"])
    told = only_object(capfd)
    assert status in {0, 1, 2}, told
    assert (status > 0) >= ("error" in told)
    assert (status == 2) == (told.get("error", {}).get("code") == "usage")


def test_a_file_that_cannot_be_written_is_said(capfd, monkeypatch, tmp_path):
    made = main.parser()
    for _, parser in leaves(made):
        parser.set_defaults(handler=lambda _options, _settings: (tmp_path / "no" / "list.csv").write_text("x"))
    monkeypatch.setattr(main, "parser", lambda: made)
    assert main.main(["explore", "export", "x", "--json"]) == 1
    said = only_object(capfd)["error"]
    assert said["message"] == f"{tmp_path}/no/list.csv: No such file or directory."


def test_figures_that_are_not_finite_are_null():
    result = {"rate": float("nan"), "rows": [{"a": float("inf")}, (1.5, float("-inf"))]}
    assert json.loads(as_json(result), parse_constant=pytest.fail) == {
        "rate": None,
        "rows": [{"a": None}, [1.5, None]],
    }


@pytest.mark.slow
@pytest.mark.tf
def test_a_server_that_ctrl_c_ends_is_one_object_too(tmp_path, monkeypatch):
    port = free_port()
    monkeypatch.setenv("TWINSET_ENDPOINT_PORT", str(port))
    process = started(["serve", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in process.stderr:
        if b"endpoint ready" in line:
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert json.loads(output) == {"status": 0}
    assert process.returncode == 0
    assert b"Traceback" not in errors


def started(words, **options) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "backend", *words], cwd=main.__file__.rpartition("/backend/")[0], **options
    )


def test_a_reader_that_leaves_early_gets_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        process = started(["catalogue", "list"], stdout=pipe, stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 141
    assert errors == b""


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="the system has no full device")
def test_an_output_that_is_full_is_a_sentence():
    with FULL.open("wb") as full:
        process = started(["catalogue", "list", "--json"], stdout=full, stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert errors.decode() == "The output cannot be written: No space left on device.\n"


def test_a_process_without_streams_ends_as_any_other(tmp_path):
    code = "import os; [os.close(n) for n in (0, 1, 2)]; os.execv(os.sys.executable, os.sys.argv[1:])"
    words = [sys.executable, "-m", "backend", "jobs", "list"]
    root = main.__file__.rpartition("/backend/")[0]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=root, check=False, timeout=120)
    assert done.returncode == 0


class Interrupting(importlib.abc.MetaPathFinder):
    """Ctrl-C while a module is being imported."""

    def find_spec(self, name, path=None, target=None):
        if name == "backend.cli.main":
            raise KeyboardInterrupt


def test_ctrl_c_while_modules_are_imported_ends_in_order(capfd, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    monkeypatch.setattr(sys, "argv", ["twinset", "catalogue", "list", "--json"])
    monkeypatch.delitem(sys.modules, "backend.cli.main")
    assert start() == 130
    assert only_object(capfd)["error"]["code"] == "cancelled"

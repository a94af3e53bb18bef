"""A model has one option, the shell completes what there is, and ``twinset`` works from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import argcomplete
import pytest
from argcomplete.lexers import split_line

from backend.cli import main, running
from backend.cli.completion import NAMES, add_completers
from backend.jobs.store import JobStore
from backend.machine.launcher import write_launcher
from backend.settings import ROOT
from tests.fixtures.endpoint import write_projection_bundle
from tests.unit.cli.test_outcome import COMMANDS

# Commands that name models which there are.
WITH_MODEL = {
    *("index", "index refresh", "index behind", "index fidelity", "evaluate", "compare", "project", "deploy"),
    *(
        "models show",
        "models rebuild",
        "models delete",
        "golden replay",
        "explore save",
        "similar build",
        "similar refresh",
        "substitutes find",
        "substitutes readiness",
    ),
    *(f"explore {name}" for name in ("maps", "outliers", "overlap", "hubs", "duplicates", "neighbours", "place")),
}


@pytest.fixture
def twinset(tmp_path):
    """The installed command, made into a folder of its own."""
    folder = tmp_path / "a bin"
    folder.mkdir()
    write_launcher(folder / "twinset", Path(sys.executable), ROOT)
    return folder / "twinset"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    for name in ("shop-resnet", "shop-small", "cellar"):
        write_projection_bundle(folder / "models" / name)
    (folder / "models" / "unfinished").mkdir()
    for name in ("shop", "photos"):
        (folder / "catalogues" / name / "products").mkdir(parents=True)
    (folder / "sweeps" / "autumn").mkdir(parents=True)
    (folder / "sweeps" / "autumn" / "sweep.json").write_text("{}")
    (folder / "lists").mkdir()
    (folder / "lists" / "odd-ones.json").write_text("{}")
    return folder


def run(command, *words, folder, **environ):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TWINSET_", "PYTHONPATH"))}
    return subprocess.run(
        [command, *words],
        cwd=folder,
        env={**clean, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def completed(home, monkeypatch):
    """Ask for what stands on the line before the cursor; returns the words that are offered."""
    monkeypatch.setenv("TWINSET_HOME", str(home))

    def ask(line: str) -> set[str]:
        parser = main.parser()
        add_completers(parser)
        finder = argcomplete.CompletionFinder(parser, always_complete_options=False)
        quote, prefix, _, words, colon = split_line(line)
        return {word.strip() for word in finder._get_completions(words, prefix, quote, colon)}

    return ask


def test_the_installed_command_answers_the_shell(twinset, home, tmp_path):
    """As bash asks."""
    out, line = tmp_path / "out", "twinset index --model shop-"
    asked = {"_ARGCOMPLETE_STDOUT_FILENAME": str(out), "COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = run(twinset, folder=tmp_path, TWINSET_HOME=str(home), _ARGCOMPLETE="1", _ARGCOMPLETE_IFS="\n", **asked)
    assert done.stderr == ""
    assert {word.strip() for word in out.read_text().splitlines()} == {"shop-resnet", "shop-small"}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("twinset cat", {"catalogue"}),
        ("twinset models re", {"rebuild"}),
        ("twinset catalogue sh", {"show"}),
        ("twinset index --mo", {"--model"}),
        ("twinset index --model ", {"shop-resnet", "shop-small", "cellar"}),
        ("twinset compare --model cellar --against shop-", {"shop-resnet", "shop-small"}),
        ("twinset catalogue show ", {"shop", "photos"}),
        ("twinset train --catalogue ph", {"photos"}),
        ("twinset tune show ", {"autumn"}),
        ("twinset tune compare autumn ", {"autumn"}),
        ("twinset explore export ", {"odd-ones"}),
        ("twinset index --kind ", {"exact", "approximate"}),
    ],
)
def test_the_shell_is_offered_what_there_is(completed, line, offered):
    assert completed(line) == offered


def test_the_ids_of_jobs_are_offered(completed, home):
    job, _ = JobStore(home / "jobs.db").add("index", {"model": "cellar"})
    assert completed("twinset jobs show ") == {job.id}


def test_a_home_without_anything_offers_nothing(completed, home):
    home.rename(home.with_name("gone"))
    assert completed("twinset jobs show ") == set()
    assert completed("twinset index --model ") == set()
    assert not home.exists()


def test_every_kind_of_name_is_named_by_some_command():
    found = set()
    for parser in COMMANDS.values():
        found |= {str(action.metavar or action.dest).upper().rpartition("_")[2] for action in parser._actions}
    assert found >= NAMES.keys()


def test_completion_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from backend.cli import completion, main; completion.add_completers(main.parser());"
        "print(sorted({'numpy', 'pandas', 'pyarrow', 'pyspark', 'tensorflow', 'mlflow', 'PIL', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_is_named_by_one_option():
    named = {
        command
        for command, parser in COMMANDS.items()
        if any("--model" in action.option_strings and action.help != "==SUPPRESS==" for action in parser._actions)
    }
    assert named == WITH_MODEL
    for command in WITH_MODEL:
        usage = COMMANDS[command].format_help()
        assert "--model MODEL" in usage
        assert "[MODEL]" not in usage


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the steps, instead of doing it."""
    requests = []
    for module in ("evaluate", "explore", "models"):
        monkeypatch.setattr(
            f"backend.cli.{module}.carry_out", lambda request, _settings: requests.append(request) or {}
        )
    assert running.carry_out
    return requests


@pytest.mark.parametrize("command", ["evaluate", "project", "models rebuild"])
def test_a_model_may_still_be_named_without_the_option(command, asked, capfd):
    for words in (["--model", "first"], ["first"], ["first", "--model", "first"]):
        assert main.main([*command.split(), *words, "--json"]) == 0
    assert [request.model for request in asked] == ["first"] * 3
    if command != "models rebuild":
        assert main.main([*command.split(), "first", "--model", "second"]) == 2
        assert "first and second" in capfd.readouterr().err


def test_the_command_works_from_any_folder_with_the_checkouts_home(twinset, tmp_path):
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    (elsewhere / ".env").write_text("TWINSET_NO_SUCH_SETTING=1\n")  # another project's: not ours
    done = run(twinset, "catalogue", "list", "--json", folder=elsewhere, TWINSET_HOME="mine")
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"catalogues": []}\n', "")
    done = run(twinset, "bake", folder=elsewhere)
    assert done.returncode == 2
    assert "twinset --help" in done.stderr
    code = "from backend.settings import load_settings; print(load_settings({}).home)"
    done = run(sys.executable, "-c", code, folder=elsewhere, PYTHONPATH=str(ROOT))
    assert done.stdout.strip() == str(ROOT / ".twinset")


def test_a_home_of_the_environment_is_relative_to_the_folder_and_one_of_the_file_to_the_file(tmp_path, monkeypatch):
    from backend.settings import load_settings

    monkeypatch.chdir(tmp_path)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    assert load_settings({}, dotenv=checkout / ".env").home == checkout / ".twinset"
    assert load_settings({"TWINSET_HOME": "mine"}, dotenv=checkout / ".env").home == tmp_path / "mine"
    (checkout / ".env").write_text("TWINSET_HOME=theirs\n")
    assert load_settings({}, dotenv=checkout / ".env").home == checkout / "theirs"
    assert load_settings({"TWINSET_HOME": "/absolute"}, dotenv=checkout / ".env").home.as_posix() == "/absolute"

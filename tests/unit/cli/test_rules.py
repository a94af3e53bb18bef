"""Rules from the command line: planned, published, shown at a date, exported and undone."""

from __future__ import annotations

import io
import json

import pytest

from backend.cli import main

RULES = """
rules:
  - id: advent
    action: pin
    scope: {kind: label, values: [dress]}
    products: [A1]
    slot: 1
    starts: 2026-12-01T00:00
    ends: 2026-12-24T10:00
    zone: Europe/Berlin
  - {id: never, action: block, products: [B2], reason: recalled}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "home"))
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    return tmp_path / "rules.yaml"


@pytest.fixture
def rules(file, capfd):
    def run(*words):
        status = main.main(["rules", *words, "--catalogue", "shop", "--json"])
        return status, json.loads(capfd.readouterr().out.strip().splitlines()[-1])

    return run


def test_a_file_is_planned_published_exported_and_undone(rules, file, tmp_path, capfd):
    status, said = rules("plan", str(file))
    assert (status, [one["id"] for one in said["added"]], said["version"]) == (3, ["advent", "never"], 0)
    assert said["added"][0]["rule"] == (
        "pin A1 at place 1 in answers about the label dress, from 2026-12-01 00:00 until 2026-12-24 10:00 Europe/Berlin"
    )
    status, said = rules("apply", str(file), "--yes", "--by", "Ann", "--note", "Christmas")
    assert (status, said["version"], said["added"], said["published"]) == (0, 1, 2, True)
    assert rules("plan", str(file))[0] == 0
    assert rules("apply", str(file))[1]["published"] is False
    status, said = rules("export", "--output", str(tmp_path / "out.yaml"))
    assert (status, said["rules"]) == (0, 2)
    assert rules("plan", str(tmp_path / "out.yaml"))[0] == 0
    (tmp_path / "out.yaml").write_text("rules: []", encoding="utf-8")
    assert rules("apply", str(tmp_path / "out.yaml"), "--yes")[1]["removed"] == 2
    assert rules("undo", "1", "--by", "Bob")[1] == {"catalogue": "shop", "version": 3, "published": True}
    versions = rules("history")[1]["versions"]
    assert [(one["version"], one["restored"]) for one in versions] == [(3, 1), (2, None), (1, None)]
    assert (versions[-1]["by"], versions[-1]["note"]) == ("Ann", "Christmas")
    assert main.main(["rules", "export", "--catalogue", "shop", "--format", "csv"]) == 0
    printed = capfd.readouterr()
    assert printed.out == "seed,pinned,blocked\n"
    assert "2 rules are not in the CSV" in printed.err


def test_what_is_live_depends_on_the_date_and_its_zone(rules, file):
    rules("apply", str(file), "--yes")
    live = {
        (at, zone): [one["id"] for one in rules("show", "--at", at, "--zone", zone)[1]["live"]]
        for at, zone in [
            ("2026-12-24T09:59", "Europe/Berlin"),
            ("2026-12-24T10:00", "Europe/Berlin"),
            ("2026-12-24T09:30", "UTC"),
        ]
    }
    assert list(live.values()) == [["advent", "never"], ["never"], ["never"]]
    assert rules("show", "--at", "Christmas")[0] == 2
    assert rules("show", "--version", "9")[1]["error"]["code"] == "catalogue_not_found"


def test_what_is_refused_is_planned_with_its_reason_and_not_published(rules, file):
    circle = "rules: [{{id: x, action: fall-back, scope: {{kind: product, values: [A]}}, products: [{0}]}}]"
    file.write_text(circle.format("A"), encoding="utf-8")
    status, said = rules("plan", str(file))
    assert (status, said["is_refused"], said["conflicts"][0]["kind"]) == (1, True, "circle")
    status, said = rules("apply", str(file), "--yes")
    assert (status, said["error"]["code"]) == (1, "retrieval_error")
    assert rules("history")[1]["versions"] == []


def test_nobody_is_asked_where_nobody_can_answer(rules, file, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert rules("apply", str(file))[1]["error"]["next_step"] == "Check the plan, then add --yes."


@pytest.mark.parametrize(("typed", "status"), [("yes\n", 0), ("no\n", 130), ("", 130)])
def test_who_is_asked_decides(rules, file, monkeypatch, typed, status):
    monkeypatch.setattr("sys.stdin", stdin := io.StringIO(typed))
    stdin.isatty = lambda: True
    assert rules("apply", str(file))[0] == status
    assert len(rules("history")[1]["versions"]) == (status == 0)


def test_without_a_catalogue_the_only_one_is_meant(file, capfd):
    assert main.main(["rules", "history", "--json"]) == 2
    assert json.loads(capfd.readouterr().out)["error"]["message"] == "There is no catalogue yet."
    assert main.main(["rules", "plan", "nowhere.yaml", "--catalogue", "shop"]) == 1
    assert "nowhere.yaml" in capfd.readouterr().err

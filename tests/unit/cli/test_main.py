"""The command line: one JSON object last, errors as a sentence, exit statuses that scripts can rely on."""

from __future__ import annotations

import json

import pytest

from backend import __version__
from backend.cli import main, train
from backend.cli.text import as_lines
from backend.errors import UsageError


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "home"))


def last_json(capfd) -> dict:
    return json.loads(capfd.readouterr().out.strip().splitlines()[-1])


def test_no_catalogue_yet_is_an_empty_list(capfd):
    assert main.main(["catalogue", "list", "--json"]) == 0
    assert last_json(capfd) == {"catalogues": []}


def test_no_model_yet_says_how_to_get_one(capfd):
    assert main.main(["index", "--json"]) == 1
    said = last_json(capfd)["error"]
    assert said["code"] == "bundle_error"
    assert "train" in said["next_step"]


def test_an_unknown_catalogue_is_a_sentence_on_the_error_stream(capfd):
    assert main.main(["catalogue", "show", "shoes"]) == 1
    captured = capfd.readouterr()
    assert "shoes" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_photo_that_is_not_there_is_said(capfd):
    assert main.main(["recommend", "nowhere.jpg", "--json"]) == 1
    assert last_json(capfd)["error"]["code"] == "not_found"


def test_a_bad_setting_is_said(capfd, monkeypatch):
    monkeypatch.setenv("TWINSET_APP_PORT", "many")
    assert main.main(["jobs", "list"]) == 1
    assert "TWINSET_APP_PORT" in capfd.readouterr().err


def test_the_doctor_speaks_json(capfd):
    main.main(["doctor", "--json"])
    assert {"name", "ok", "detail", "fix"} == set(last_json(capfd)["checks"][0])


def test_the_version_is_told_in_words_and_in_json(capfd):
    assert main.main(["--version"]) == 0
    assert capfd.readouterr().out == f"twinset {__version__}\n"
    assert main.main(["--version", "--json"]) == 0
    assert last_json(capfd) == {"version": __version__}


def test_wrong_usage_ends_with_two(capfd):
    assert main.main(["bake"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "invalid choice: 'bake'" in captured.err


def test_fields_are_changed_by_name_and_type():
    assert train.changes_of(["epochs=3", "learning_rate=0.01", "loss=multi-similarity"]) == {
        "epochs": 3,
        "learning_rate": 0.01,
        "loss": "multi-similarity",
    }


@pytest.mark.parametrize("pair", ["epochs", "epoch=3", "epochs=many"])
def test_a_change_that_does_not_fit_is_said(pair):
    with pytest.raises(UsageError, match="epoch"):
        train.changes_of([pair])


def test_results_are_readable_lines():
    neighbours = [{"rank": 1, "id": "a", "note": "", "price": 2.5}, {"rank": 10, "id": "bc", "note": None}]
    result = {"rows": 3, "score": 0.51239, "model": None, "by_label": {"Boot": {"test": 16}}, "neighbours": neighbours}
    assert as_lines({**result, "notes": ["one", "two"], "splits": {"test": 288, "train": 1044}, "gone": []}) == (
        "rows: 3\nscore: 0.5124\nmodel:\n"
        "by_label:\n        test\n  Boot  16\n"
        "neighbours:\n  rank    id    price\n  1       a     2.5000\n  10      bc\n"
        "notes:\n  one\n  two\nsplits: test=288  train=1044\ngone:"
    )

"""Collections from the command line: read from a CSV, listed, shown and written again."""

from __future__ import annotations

import json

import pytest

from backend.cli import main
from tests.ui.conftest import write_catalogue


@pytest.fixture
def collections(settings, capfd, monkeypatch):
    monkeypatch.setenv("TWINSET_HOME", str(settings.home))
    write_catalogue(settings, "shop")

    def run(*words):
        status = main.main(["collections", *map(str, words), "--json"])
        return status, json.loads(capfd.readouterr().out.strip().splitlines()[-1])

    return run


def test_a_csv_becomes_a_collection_and_a_csv_a_sheet_and_a_zip_again(collections, tmp_path):
    path, out = tmp_path / "picks.csv", tmp_path / "out.csv"
    path.write_text('SKU;Comment\nb003;"for, the window"\nlost;\nb001;\'=2\n', encoding="cp1252")
    status, made = collections("import", path, "--name", "Été", "--by", "Ann")
    assert (status, made["version"], made["products"], made["changed"]) == (0, 1, 3, True)
    assert collections("import", path, "--name", "été")[1]["changed"] is False
    shown = collections("show", "Été")[1]
    assert (shown["products"], shown["gone"], shown["owner"]) == (["b003", "lost", "b001"], ["lost"], "Ann")
    assert shown["comments"] == {"b003": "for, the window", "b001": "=2"}
    listed = collections("list")[1]["collections"]
    assert [(one["name"], one["products"], one["state"]) for one in listed] == [("Été", 3, "draft")]
    for name, begins in (("out.csv", b"\xef\xbb\xbfproduct_id"), ("out.html", b"<!DOCTYPE"), ("out.zip", b"PK")):
        assert collections("export", made["collection"], tmp_path / name)[0] == 0
        assert (tmp_path / name).read_bytes().startswith(begins)
    assert collections("import", out, "--name", "Été")[1]["changed"] is False
    assert collections("export", "Été", tmp_path / "out.pdf")[0] == 2
    assert collections("show", "nobody")[0] == 1

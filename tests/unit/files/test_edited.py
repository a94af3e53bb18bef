"""What two people edit at once: the second is told, and neither version is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from backend.access.asking import Asking, asked_by
from backend.access.person import Person, Role
from backend.catalogue.sources.saved_mappings import mapping_named, mappings_for, save_mapping
from backend.cli.main import main
from backend.errors import ChangedMeanwhile, FileUnusable
from backend.files import edited
from backend.flow.current import renew
from backend.flow.current.renew import Remembered
from backend.flow.requests import IngestRequest
from backend.jobs import earlier
from backend.tuning.saved_spaces import load_space, newest_edition, save_space
from backend.tuning.space import Dimension, Space
from tests.fixtures.base import Unwritten

WHAT = "the space 'rates'"


def by(name):
    return asked_by(Asking(Person(name, Role.ENGINEER, "app"), Unwritten()))


def space(low):
    return Space({"learning_rate": Dimension("loguniform", low=low, high=0.01)})


def test_a_save_names_what_it_was_made_of_and_earlier_versions_are_kept(tmp_path):
    path = tmp_path / "some" / "rates.json"
    first = edited.save(path, {"a": 1}, base=0, by="Ann", what=WHAT)
    assert (first.version, edited.newest(path)) == (1, first)
    second = edited.save(path, {"a": 2}, base=1, by="Ben", what=WHAT)
    with pytest.raises(ChangedMeanwhile, match=rf"changed {WHAT} since version 1 \(by Ben on .* UTC, version 2\)"):
        edited.save(path, {"a": 3}, base=1, by="Ann", what=WHAT)
    with pytest.raises(ChangedMeanwhile, match=rf"There already is a version of {WHAT} \(by Ben"):
        edited.save(path, {"a": 3}, base=0, by="Ann", what=WHAT)
    assert edited.save(path, {"a": 2}, base=1, by="Ann", what=WHAT) == second  # nothing to lose
    third = edited.save(path, {"a": 3}, base=None, by="Ann", what=WHAT)
    assert edited.editions(path) == [third, second, first]
    for number in range(40):
        edited.save(path, {"b": number}, base=None, by="Ann", what=WHAT)
    assert len(edited.editions(path)) == 21
    path.unlink()
    with pytest.raises(ChangedMeanwhile, match="deleted"):
        edited.save(path, {"a": 3}, base=3, by="Ann", what=WHAT)


def test_what_twinset_notes_itself_is_nobodys_version(tmp_path):
    path = tmp_path / "a.json"
    made = edited.save(path, {"a": 1}, base=0, by="Ann", what=WHAT)
    assert edited.replace_content(path, {"a": 1, "seen": 2}, is_same=lambda found: found == made)
    assert edited.newest(path) == replace(made, content={"a": 1, "seen": 2})
    assert not edited.replace_content(path, {}, is_same=lambda found: found == made)


_SAVES = """
import sys
from pathlib import Path
from backend.errors import ChangedMeanwhile
from backend.files import edited
path, me = Path(sys.argv[1]), sys.argv[2]
for number in range(30):
    while True:
        found = edited.newest(path)
        mine = {**(found.content if found else {}), f"{me}{number}": number}
        try:
            edited.save(path, mine, base=found.version if found else 0, by=me, what="it")
            break
        except ChangedMeanwhile:
            pass
"""


def test_of_two_processes_neither_loses_an_edit(tmp_path):
    path = tmp_path / "both.json"
    both = [subprocess.Popen([sys.executable, "-c", _SAVES, str(path), name]) for name in ("ann", "ben")]
    assert [one.wait(60) for one in both] == [0, 0]
    assert edited.newest(path).version == 60
    assert set(edited.newest(path).content) == {f"{name}{number}" for name in ("ann", "ben") for number in range(30)}


def test_files_of_earlier_versions_open_and_are_version_one(settings):
    settings.spaces_dir.mkdir(parents=True)
    (settings.spaces_dir / "rates.json").write_text(json.dumps(space(0.001).as_dict()))
    settings.mappings_dir.mkdir()
    raw = {"name": "list", "header": ["a", "b"], "columns": {"image": "b"}}
    (settings.mappings_dir / "list.json").write_text(json.dumps(raw))
    settings.remembered_dir.mkdir()
    load = {"source": "csv", "catalogue": "shop", "path": "/x.csv"}
    (settings.remembered_dir / "shop.json").write_text(json.dumps({"load": load, "every_hours": 24.0}))
    assert load_space(settings.spaces_dir, "rates") == space(0.001)
    assert mappings_for(settings.mappings_dir, ["a", "b"])[0].columns == {"image": "b"}
    kept = renew.remembered(settings, "shop")
    assert (kept.every_hours, kept.load.path) == (24.0, "/x.csv")
    found = (
        newest_edition(settings.spaces_dir, "rates"),
        mapping_named(settings.mappings_dir, "list").edition,
        renew.newest_edition(settings, "shop"),
    )
    assert [(one.version, one.by) for one in found] == [(1, "")] * 3
    renew.update(settings, "shop", kept, replace(kept, renewed_at=5.0))
    assert renew.remembered(settings, "shop").renewed_at == 5.0
    with by("ann"):
        assert renew.remember(settings, "shop", replace(kept, every_hours=1.0), base=1).version == 2
        assert save_mapping(settings.mappings_dir, "list", ["a", "b"], {"image": "a"}, base=1).edition.version == 2
        assert save_space(settings.spaces_dir, "rates", space(0.002), base=1).version == 2


def test_the_second_person_is_told_whose_change_came_first(settings):
    source = Remembered(IngestRequest(source="csv", catalogue="shop", path="/a.csv"))
    saves = (
        lambda n, base: save_space(settings.spaces_dir, "rates", space(n / 1000), base=base),
        lambda n, base: save_mapping(settings.mappings_dir, "list", ["a"], {"image": str(n)}, base=base),
        lambda n, base: renew.remember(settings, "shop", replace(source, every_hours=float(n)), base=base),
    )
    for kind, name, save in zip(("space", "mapping", "source"), ("rates", "list", "shop"), saves, strict=True):
        with by("ann"):
            save(1, 0)
        with by("ben"):
            save(2, 1)
        with by("ann"):
            with pytest.raises(ChangedMeanwhile, match="by ben on"):
                save(3, 1)
            save(3, 2)
        assert [one.by for one in earlier.versions(settings, kind, name)] == ["ann", "ben", "ann"]


def test_an_earlier_version_is_had_again(settings, monkeypatch, capsys):
    for low in (0.001, 0.002):
        save_space(settings.spaces_dir, "rates", space(low))
    monkeypatch.setenv("TWINSET_HOME", str(settings.home))
    assert main(["home", "versions", "space", "rates", "--restore", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["versions"]
    assert [one["version"] for one in shown] == [3, 2, 1]
    assert load_space(settings.spaces_dir, "rates") == space(0.001)
    for kind, name, version in (("space", "other", 1), ("space", "../x", 1), ("space", "rates", 9)):
        with pytest.raises(FileUnusable):
            earlier.put_back(settings, kind, name, version)

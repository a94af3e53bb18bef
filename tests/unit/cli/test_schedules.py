"""``schedules`` as a person and a script read it."""

from __future__ import annotations

import json

from backend.cli import main


def test_a_schedule_is_added_listed_paused_resumed_and_removed(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "home"))

    def said(*words, status=0):
        assert main.main(["schedules", *words]) == status
        return capfd.readouterr()

    assert said("list").out == "No job recurs yet.\n"
    added = json.loads(
        said("add", "renew", "--catalogue", "shop", "--at", "daily 03:00", "--zone", "UTC", "--json").out
    )
    assert (added["rule"], added["catch_up"], added["is_on"]) == ("0 3 * * *", True, True)
    head, line = said("list").out.splitlines()
    assert head.split() == ["id", "job", "catalogue", "when", "next", "by"]
    assert "At 03:00 every day (UTC)" in line
    assert json.loads(said("pause", added["id"], "--json").out)["is_on"] is False
    assert "paused" in said("list").out
    assert json.loads(said("resume", added["id"], "--json").out)["is_on"] is True
    assert "cannot be scheduled" in said("add", "train", "--at", "hourly", status=1).err
    assert json.loads(said("remove", added["id"], "--json").out) == {"removed": added["id"]}
    assert "There is no schedule" in said("pause", added["id"], status=1).err

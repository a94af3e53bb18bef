"""Who did what, on the System page: filtered, page by page, as a file; for administrators only."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app import identity
from app.services.upkeep import audit
from backend.access.audit import journal
from backend.access.person import Person, Role
from backend.jobs import audit_table
from backend.jobs.audit_table import Wanted
from tests.ui.conftest import assert_calm, texts

ANN = Person("ann@shop.example", Role.ENGINEER, "app", "10.0.0.7")


@pytest.mark.slow
def test_who_did_what_is_shown_filtered_and_handed_out(screen, monkeypatch):
    test = screen.open("system", view="Who did what")
    assert "Nothing was done yet that is written down." in texts(test)
    write = journal(screen.settings).write
    for number in range(60):
        write(ANN, "rules.publish", f"version={number}", "done")
    audit_table.fold(screen.settings)
    write(replace(ANN, name="<b>*Ben*</b>", role=None, way="endpoint"), "tokens.make", "", "refused")
    test = screen.open("system", view="Who did what")
    assert_calm(test)
    assert "61 actions, the newest first." in texts(test)
    rows = test.dataframe[0].value
    assert len(rows) == 50
    assert rows.iloc[0].drop("When").tolist() == [
        "<b>*Ben*</b>",
        "None",
        "tokens.make",
        "",
        "Refused",
        "Endpoint · 10.0.0.7",
        61,
    ]
    for key, value, count in (("person", "ANN", 60), ("action", "tokens", 1), ("person", "nobody", 0)):
        filtered = screen.open("system", view="Who did what").text_input(key=f"audit_{key}").set_value(value).run()
        assert_calm(filtered)
        assert (f"{count} action" if count else "No action matches.") in texts(filtered)
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date()
    assert "No action matches." in texts(test.date_input(key="audit_since").set_value(tomorrow).run())
    written = audit.file_of(Wanted(result="refused"), "jsonl")
    assert written.count(b"\n") == 1
    monkeypatch.setattr(identity, "ways", lambda: (lambda: ANN,))
    assert "Who did what" not in [tab.label for tab in screen.open("system", view="Ready?").tabs]

"""Nothing that pages have done by a service is done for nobody: every service that writes to the home is called as nobody."""

from __future__ import annotations

import ast

import pytest

from app.services import catalogue, common, deploy, explore, fetching, photos, renewal, rules, substitutes, tuning
from app.services.shop import collections
from app.state import Photo
from backend.access.asking import identify_by
from backend.errors import AccessDenied
from backend.flow.current.renew import Remembered
from backend.flow.requests import IngestRequest
from backend.jobs.runner import JobRunner
from backend.merchandising.draft import Draft
from backend.merchandising.substitutes.kept import Decision
from backend.projection.lists import ListedProduct, SavedList
from backend.settings import ROOT
from backend.tuning.space import Space
from tests.fixtures.endpoint import shop_rows

LIST = SavedList("mine", "list", "first", "shop", 1, (ListedProduct("a"),))
CALLS = {
    "catalogue.keep_upload": lambda: catalogue.keep_upload("a.csv", b"a,b\n"),
    "catalogue.discard": lambda: catalogue.discard("load1"),
    "deploy.give_up": lambda: deploy.give_up("none"),
    "deploy.issue_token": lambda: deploy.issue_token("till", "ask", None),
    "deploy.revoke_token": lambda: deploy.revoke_token("till"),
    "explore.save_list": lambda: explore.save_list(LIST),
    "explore.delete_list": lambda: explore.delete_list("mine"),
    "explore.keep_selection": lambda: explore.keep_selection(["a"]),
    "fetching.say_real": lambda: fetching.say_real("00", is_real=True),
    "photos.remove": lambda: photos.remove("0" * 64),
    "renewal.forget": lambda: renewal.forget("shop"),
    "renewal.remember": lambda: renewal.remember("shop", Remembered(IngestRequest()), base=None),
    "rules.set_rules": lambda: rules.set_rules("shop", Draft("bo", 0), []),
    "rules.discard": lambda: rules.discard("shop", "bo"),
    "rules.publish": lambda: rules.publish("shop", Draft("bo", 0), ""),
    "rules.undo": lambda: rules.undo("shop", 0, "bo", "", newest=0),
    "rules.keep_picture": lambda: rules.keep_picture("shop", shop_rows(1)[0]["image"]),
    "collections.remove": lambda: collections.store("shop").remove("one", base=0, by="bo"),
    "substitutes.decide": lambda: substitutes.decide("shop", [Decision("a", "keep", "b")]),
    "substitutes.keep_photos": lambda: substitutes.keep_photos("a.zip", b"PK"),
    "tuning.save_space": lambda: tuning.save_space("wide", Space({}), base=None),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_service_writes_for_nobody_who_is_nobody(name, settings, monkeypatch):
    for holder in (common, catalogue.common, deploy.common):
        monkeypatch.setattr(holder, "settings", lambda: settings)
    rules.store.clear()
    collections.store.clear()
    identify_by(lambda: None)
    with pytest.raises(AccessDenied):
        CALLS[name]()
    left = [path for path in settings.home.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert [path for path in left if not path.name.startswith(".")] == []


def test_services_write_no_file_themselves():
    """What they write they have written by the backend, where use cases are."""
    writers = {"write_text", "write_atomically", "unlink", "rmtree", "mkdir", "touch", "rename", "replace_file"}
    found = [
        f"{path.name}: {ast.unparse(node.func)}"
        for path in (ROOT / "app" / "services").rglob("*.py")
        if path.parent.name != "sign_in"  # what the server starts with, before anybody can ask
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "attr", "") in writers or getattr(node.func, "id", "") in writers)
    ]
    assert found == []


def test_a_photo_that_may_not_be_kept_is_not(settings, monkeypatch):
    monkeypatch.setattr(common, "settings", lambda: settings)
    monkeypatch.setattr(photos.state, "remember", lambda *_: None)
    identify_by(lambda: None)
    photos.keep(Photo("a.png", shop_rows(1)[0]["image"]))
    assert not settings.photos_dir.exists()
    with pytest.raises(AccessDenied):
        JobRunner(settings, starts=False).submit(IngestRequest())

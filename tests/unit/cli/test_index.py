"""The commands that build, refresh and measure an index, and the one that asks."""

from __future__ import annotations

import json
import shutil

import pytest

from backend.cli import index, main
from backend.cli.recommend import filters_of
from backend.errors import UsageError
from backend.flow.requests import ReadyMadeRequest
from tests.fixtures.endpoint import shop_rows
from tests.support.changed_catalogues import ChangingShop


@pytest.fixture
def home(settings, projection_bundle, monkeypatch):
    """A home with an indexed model, whose catalogue has the version that the index was made from."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    shutil.copytree(projection_bundle, settings.models_dir / "projection")
    shop = ChangingShop(settings.catalogues_dir, shop_rows())
    for number in range(3):  # up to the version that the bundle quotes
        shop.put({**shop.rows["c013"], "product_id": f"t{number}", "split": "test"})
    return shop


def result(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_how_far_an_index_is_behind_is_told(home, capsys):
    home.drop(["b002", "b003"])
    assert main.main(["index", "behind", "--json"]) == 0
    told = result(capsys)
    assert (told["model"], told["version"], told["newest"]) == ("projection", 4, home.snapshot.version)
    assert told["products"] == 2


def test_fidelity_is_measured_from_the_command_line(home, capsys):
    assert main.main(["index", "fidelity", "--queries", "20", "-k", "3", "--json"]) == 0
    told = result(capsys)
    assert (told["kind"], told["k"], told["queries"], told["fidelity"]) == ("exact", 3, 20, 1.0)
    assert main.main(["index", "fidelity", "--queries", "20"]) == 0
    assert "(in use)" in capsys.readouterr().out


def test_a_refresh_of_details_needs_neither_network_nor_registry(home, capsys):
    home.change("c013", price=1.25)
    assert main.main(["index", "refresh", "--no-deploy", "--json"]) == 0
    told = result(capsys)
    assert (told["embedded"], told["details"], told["removed"], told["generation"]) == (0, 1, 0, 2)
    assert main.main(["index", "behind", "--json"]) == 0
    assert result(capsys)["products"] == 0


def test_a_model_of_another_name_is_refused(home, capsys):
    for action in ("refresh", "behind", "fidelity"):
        assert main.main(["index", action, "--model", "nobody", "--json"]) == 1
        assert result(capsys)["error"]["code"] == "bundle_error"


def test_filters_are_read_from_pairs():
    assert filters_of(["brand=Ada", "brand=Bo", "price_max=20", "in_stock=true"]) == {
        "brand": ("Ada", "Bo"),
        "price_max": 20.0,
        "in_stock": True,
    }
    for wrong in ("brand", "taste=sweet", "price_max=cheap"):
        with pytest.raises(UsageError):
            filters_of([wrong])


def test_a_photo_that_is_not_there_is_said(home, capsys):
    assert main.main(["recommend", "nowhere.jpg", "--unlike-photo", "nowhere.png", "--json"]) == 1
    assert result(capsys)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--ready-made"], "No catalogue is named."),
        (["--catalogue", "shop"], "--catalogue needs --ready-made."),
        (["--ready-made", "--catalogue", "shop", "--newest"], "--newest does not go with --ready-made."),
    ],
)
def test_what_belongs_to_an_index_without_training_is_said(home, capsys, words, says):
    assert main.main(["index", *words, "--json"]) == 2
    assert result(capsys)["error"]["message"] == says


def test_an_index_without_training_is_asked_for_by_catalogue(home, monkeypatch):
    asked = []
    monkeypatch.setattr(index, "carry_out", lambda request, _: asked.append(request) or {})
    assert main.main(["index", "--ready-made", "--catalogue", "shop", "--name", "n", "--replace-catalogue"]) == 0
    assert asked == [ReadyMadeRequest("shop", name="n", replace_catalogue=True)]

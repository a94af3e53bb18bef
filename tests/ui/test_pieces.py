"""The pieces of screens that can be looked at without a screen."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from app import words
from app.components.jobs import result as job_result
from app.components.shared import charts, endpoint_card, product_grid
from app.components.shared.product_grid import Card
from app.components.system import facts
from app.services import common
from backend import __version__
from backend.catalogue.items import CatalogueSummary, Product
from backend.feeding.content_cache import cache_folder
from backend.machine.doctor import Check
from backend.machine.keeper import STATES_FILE
from backend.settings import SecretStr
from tests.support.pictures import encoded
from tests.ui.conftest import texts

PNG = b"\x89PNG\r\n"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0124, "12 ms"), (4.21, "4.2 s"), (18.4, "18 s"), (59.9, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_said_in_fitting_units(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(("passed", "said"), [(3, "just now"), (130, "2 min ago"), (7300, "2 h ago")])
def test_times_are_said_as_how_long_ago(passed, said):
    assert words.ago(1000.0, now=1000.0 + passed) == said


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a *b* [c](d)", r"a \*b\* \[c\]\(d\)"),
        ("one ` tick, `two` ticks", r"one \` tick, \`two\` ticks"),
        ("<img src=x>", r"\<img src\=x\>"),
        ("http://a.b www.c.d e@f.g", r"http:small[]\://a.b www:small[].c.d e:small[]\@f.g"),
        (":smile: a -> b", r"\::small[]smile\: a \-:small[]\> b"),
        ("1. one\n\n2. two  ", r"1:small[]. one 2. two"),
        ("3.11, precision@1", r"3.11, precision\@1"),
        ("a\u202etfel", "atfel"),
    ],
)
def test_foreign_text_is_no_markup(text, escaped):
    assert words.plain(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("run `make run` now!", r"run `make run` now\!"),
        ("no `code\n\n![p](q) `over` lines`", "no \\`code\n\n\\!\\[p\\]\\(q\\) `over` lines\\`"),
        ("``![p](q)``", r"\`\`\!\[p\]\(q\)\`\`"),
    ],
)
def test_sentences_keep_their_code_and_nothing_else(text, escaped):
    assert words.prose(text) == escaped


def test_charts_show_tags_and_numbers_as_labels():
    figure = go.Figure()
    figure.add_bar(x=["<a href='x'>1</a>", "&lt;"], y=["2024-01-01", "7"], name="<b>", customdata=[["<i>", 3]])
    figure.update_traces(hovertemplate="%{x}<extra></extra>")
    drawn = charts.literal(figure)
    trace = drawn.data[0]
    assert [*trace.x] == ["&lt;a href='x'&gt;1&lt;/a&gt;", "&amp;lt;"]
    assert (trace.name, [*trace.customdata]) == ("&lt;b&gt;", [["&lt;i&gt;", 3]])
    assert trace.hovertemplate == "%{x}<extra></extra>"
    assert (drawn.layout.xaxis.type, drawn.layout.yaxis.type) == ("category", "category")


@pytest.mark.parametrize(
    ("n_bytes", "said"), [(12, "12 B"), (12_400, "12 kB"), (3_000_000, "3 MB"), (7.25e9, "7.2 GB")]
)
def test_sizes_are_said_in_fitting_units(n_bytes, said):
    assert words.size(n_bytes) == said


def test_a_card_says_label_and_id_and_what_is_known_else():
    bare = Product("p1", "Coat", "train", PNG)
    full = replace(bare, title="Long coat", brand="Ada", colour="red", price=1234.5)
    assert product_grid.product_card(bare) == Card("p1", PNG, "Coat", ("p1",))
    assert product_grid.product_card(full) == Card("p1", PNG, "Long coat", ("Coat · p1", "Ada · red"), "1,234.50")
    reduced = replace(full, sale_price=999.0, currency="EUR")
    assert product_grid.product_card(reduced).price == "999.00 EUR (was 1,234.50 EUR)"
    assert product_grid.price_text(replace(full, currency="USD")) == "1,234.50 USD"


@pytest.mark.parametrize(
    ("similarity", "percent", "text"), [(0.934, 93.4, "93.4%"), (-0.2, 0.0, "0.0%"), (1.0, 100, "100.0%")]
)
def test_similarity_is_shown_as_share_and_as_number(similarity, percent, text):
    data = Card("p1", PNG, "Coat", similarity=similarity, distance=1 - similarity).as_data()
    assert (data["percent"], data["percent_text"]) == (percent, text)
    assert data["detail"] == f"similarity {similarity:.3f}\ndistance {1 - similarity:.3f}"


@pytest.mark.parametrize(("head", "kind"), [(PNG, "png"), (b"\xff\xd8\xff", "jpeg"), (b"RIFF0000WEBP", "webp")])
def test_pictures_are_sent_with_their_kind(head, kind):
    assert product_grid.data_uri(head).startswith(f"data:image/{kind};base64,")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "AVIF"])
def test_a_picture_that_not_every_browser_shows_is_sent_as_one_that_does(kind):
    found = product_grid.for_browsers(encoded(kind=kind))
    assert (found[:4], found[8:12]) == (b"RIFF", b"WEBP")
    assert product_grid.data_uri(encoded(kind=kind)).startswith("data:image/webp;base64,")


def test_pictures_that_cannot_be_measured_are_counted():
    found = {"catalogue": "shop", "measured": 2, "left_out": 1}
    assert job_result.sentences("quality", found) == [
        "2 pictures were measured.",
        "1 picture could not be read, so no measurement is possible.",
    ]
    nothing = {**found, "measured": 0, "left_out": 0}
    assert job_result.sentences("quality", nothing) == ["All pictures of shop were already measured."]


def test_products_without_a_readable_picture_are_counted_by_every_kind_of_work():
    said = "1 product was left out: its picture cannot be read."
    tuned = {"trials": 0, "best_trial": 0, "reason": "It is over.", "left_out": 1}
    drawn = {"products": 9, "was_there": False, "left_out": 1}
    refreshed = {"model": "m", "from_version": 1, "version": 1, "catalogue": "shop", "left_out": 1}
    for kind, result in {"tune": tuned, "project": drawn, "refresh": refreshed}.items():
        assert said in job_result.sentences(kind, result)
        assert said not in job_result.sentences(kind, {**result, "left_out": 0})


def test_label_counts_are_bars_stacked_by_split_with_the_largest_on_top():
    by_label = {"a": {"train": 1}, "b": {"train": 5, "test": 2}, "c": {"train": 1}}
    figure = charts.class_counts(CatalogueSummary("s", 1, "", 9, 0, {"train": 7, "test": 2}, by_label))
    assert [bar.name for bar in figure.data] == ["Learning", "Final check"]
    assert list(figure.data[0].y) == ["c", "a", "b"]
    assert list(figure.data[1].x) == [0, 0, 2]


def test_curves_are_ordered_by_step_and_only_what_is_named():
    points = [("loss", 2, 0.5), ("loss", 1, 0.9), ("other", 1, 7.0)]
    figure = charts.curves(points, {"loss": "Loss"}, title="Loss", share=False)
    assert [(list(line.x), list(line.y)) for line in figure.data] == [([1, 2], [0.9, 0.5])]


def test_settings_are_listed_with_secrets_masked(settings):
    rows = facts.settings_rows(replace(settings, endpoint_token=SecretStr("do-not-show")))
    by_name = {row["Setting"]: row["Value"] for row in rows}
    assert by_name["TWINSET_ENDPOINT_TOKEN"] == "set, not shown"
    assert "do-not-show" not in str(rows)
    assert by_name["TWINSET_HOME"] == str(settings.home)


def test_addresses_are_those_of_the_settings(settings):
    found = replace(settings, mlflow_port=8701, endpoint_port=8601)
    assert list(facts.addresses(found).values()) == ["http://127.0.0.1:8701", "http://127.0.0.1:8601/ping"]
    remote = replace(found, tracking_uri="https://runs.example", endpoint_url="https://answers.example")
    assert list(facts.addresses(remote).values()) == ["https://runs.example", "https://answers.example/ping"]


def test_the_system_page_names_the_version_first(screen):
    shown = screen.open("system", view="Versions").dataframe[0].value
    assert (shown["Package"][0], shown["Version"][0]) == ("twinset", __version__)


def test_passwords_in_addresses_are_on_no_page(screen):
    with_them = {f"{name}_uri": f"https://ada:s3cret@{name}.example" for name in ("tracking", "artifact")}
    screen.settings = replace(screen.settings, **with_them, endpoint_url="https://ada:s3cret@answers.example")
    for view in ("Ready?", "Settings"):
        test = screen.open("system", view=view)
        assert "s3cret" not in f"{texts(test)} {[frame.value.to_json() for frame in test.dataframe]} {test.main}"
    values = facts.settings_rows(screen.settings)
    assert "https://tracking.example" in [row["Value"] for row in values]
    assert "s3cret" not in str([*values, *facts.addresses(screen.settings).values()])


def test_a_server_that_is_down_is_said(screen):
    screen.settings.home.mkdir(parents=True, exist_ok=True)
    noted = {"keeper": os.getpid(), "troubles": [{"title": "Runs and models (MLflow)", "deaths": 3}]}
    (screen.settings.home / STATES_FILE).write_text(json.dumps(noted))
    assert f"**{words.plain('Runs and models (MLflow)')}** stopped 3 times in a row" in texts(screen.open("system"))
    (screen.settings.home / STATES_FILE).write_text(json.dumps({**noted, "troubles": []}))
    assert "in a row" not in texts(screen.open("system"))


def test_the_cache_is_shown_with_its_size_and_emptied_by_a_button(screen):
    test = screen.open("system", view="Disk")
    assert test.button(key="empty-cache").disabled
    screen.settings.home.mkdir(parents=True, exist_ok=True)
    cache_folder(screen.settings).space("pixels", (500_000,), "uint8").put(["0" * 64], np.ones((1, 500_000), np.uint8))
    common.disk_use.clear()
    test = screen.open("system", view="Disk")
    shown = {metric.label: metric.value for metric in test.metric}
    assert shown["Cache of decoded pictures"] == words.size(500_036)
    assert f"{words.size(4e9)} at most" in texts(test)
    rows = test.dataframe[0].value
    assert rows.iloc[0]["What"] == "Cache of decoded pictures"
    assert rows.iloc[0]["May be removed"] == "Yes"
    test = test.button(key="empty-cache").click().run()
    assert not screen.settings.content_cache_dir.exists()
    assert test.button(key="empty-cache").disabled


def test_recipes_name_the_address_and_leave_the_token_out():
    for recipe in (endpoint_card.CURL, endpoint_card.PYTHON):
        text = recipe.format(url="http://127.0.0.1:8601")
        assert "http://127.0.0.1:8601/v1/recommend" in text
        assert "TOKEN" in text
        assert "TWINSET_" not in text  # a variable of that prefix that is no setting would stop Twinset itself
    compile(endpoint_card.PYTHON.format(url="http://x"), "recipe", "exec")


def test_failed_checks_come_first_with_their_remedy(screen, monkeypatch):
    from app.services import common

    found = [Check("Python", ok=True, detail="3.11"), Check("Java", ok=False, detail="not found", fix="Install it.")]
    monkeypatch.setattr(common, "machine_checks", lambda: found)
    test = screen.open("system")
    assert test.warning[0].value == "**Java** · not found\n\nInstall it."
    assert "**Python** · 3.11" in texts(test)

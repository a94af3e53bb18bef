"""Two models on the same queries, and the commands that judge models."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.cli import main
from backend.errors import EvaluationError
from backend.evaluation.answers import AnswerTable, load_answers
from backend.evaluation.compare import compare, compare_bundles, marked
from backend.evaluation.report import load_report


@pytest.fixture
def pair(evaluated_home):
    folders = [evaluated_home.models_dir / name for name in ("small", "large")]
    return [part for folder in folders for part in (load_report(folder), load_answers(folder))]


def test_a_comparison_counts_by_query(pair):
    _, mine, _, other = pair
    found = compare(*pair)
    first, second = mine.rate("precision_at_1") > 0, other.rate("precision_at_1") > 0
    assert found.queries == len(mine)
    assert len(found.gained) == (second & ~first).sum()
    assert len(found.lost) == (first & ~second).sum()
    rate = found.rates["precision_at_1"]
    assert rate.difference.value == pytest.approx(second.mean() - first.mean())
    assert rate.difference.value == pytest.approx((len(found.gained) - len(found.lost)) / found.queries)
    assert rate.difference.low <= rate.difference.value <= rate.difference.high


def test_a_model_differs_from_itself_in_nothing(pair):
    found = compare(*pair[:2], *pair[:2])
    assert found.gained == found.lost == ()
    assert {(rate.difference.low, rate.difference.high) for rate in found.rates.values()} == {(0.0, 0.0)}


def test_only_what_both_were_asked_is_compared_and_that_is_said(pair):
    report, mine, other_report, other = pair
    fewer = AnswerTable(other.table.slice(3))
    newer = replace(other_report, catalogue=CatalogueRef("wardrobe", 9), options=replace(report.options, k=5))
    found = compare(report, mine, newer, fewer)
    assert found.queries == len(mine) - 3
    assert "version 9" in found.notes[0]
    assert "queries that both have" in found.notes[1]
    assert "k is 10 and 5" in found.notes[2]


def test_what_cannot_be_compared_is_said(pair, evaluated_home, tmp_path):
    report, mine, other_report, other = pair
    with pytest.raises(EvaluationError, match="evaluated on wardrobe and large on shop"):
        compare(report, mine, replace(other_report, catalogue=CatalogueRef("shop", 1)), other)
    with pytest.raises(EvaluationError, match="no query in common"):
        compare(report, mine, other_report, AnswerTable(other.table.slice(0, 0)))
    with pytest.raises(EvaluationError, match="not been evaluated"):
        compare_bundles(evaluated_home.models_dir / "small", tmp_path)


def test_neighbours_are_marked_right_and_shared(pair):
    _, mine, _, other = pair
    (a,), (b,) = mine.queries(("zz-twin",)), other.queries(("zz-twin",))
    found = marked(a, b)
    others = {one.product_id for one in b.neighbours}
    assert [one.is_shared for one in found] == [one.product_id in others for one in a.neighbours]
    assert [one.is_right for one in found] == [one.label == "Box" for one in a.neighbours]


def test_queries_come_in_the_order_asked(pair):
    answers = pair[1]
    ids = tuple(np.random.default_rng(1).permutation(answers.ids)[:5].tolist())
    assert [query.product_id for query in answers.queries((*ids, "nobody"))] == list(ids)
    assert answers.queries(()) == []


# ------------------------------------------------------------------------------------------------- the commands


@pytest.fixture
def at_home(evaluated_home, monkeypatch):
    monkeypatch.setenv("TWINSET_HOME", str(evaluated_home.home))


def test_the_command_compares_two_models(at_home, capfd):
    assert main.main(["compare", "small", "large", "--json"]) == 0
    found = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
    assert (found["first"], found["second"], found["queries"]) == ("small", "large", 25)
    assert set(found["rates"]["map_at_r"]) == {"first", "second", "difference"}
    assert main.main(["compare", "small", "large"]) == 0
    shown = capfd.readouterr().out
    assert "large minus small, on 25 test products" in shown
    assert "MAP@R" in shown


def test_comparing_with_nothing_is_a_sentence(at_home, capfd):
    assert main.main(["compare", "small", "none"]) == 1
    assert "There is no model 'none'" in capfd.readouterr().err
    assert main.main(["compare", "small"]) == 2
    assert "required: --against" in capfd.readouterr().err
    assert main.main(["compare", "small", "--against", ""]) == 2
    assert "--against has no model name" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words", ["--model small --against large", "small --against large", "small large --against large"]
)
def test_both_ways_to_name_a_model_do(at_home, words, capfd):
    assert main.main(["compare", *words.split(), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["first"], found["second"]) == ("small", "large")


def test_the_command_evaluates_with_all_its_options(wardrobe_home, monkeypatch, capfd):
    monkeypatch.setenv("TWINSET_HOME", str(wardrobe_home.home))
    options = ["--k", "5", "--bootstrap", "100", "--robustness", "--without-duplicates", "--precision-target", "0.8"]
    assert main.main(["evaluate", "mine", *options]) == 0
    shown = capfd.readouterr().out
    for said in ("Raw pixels", "PCA 47", "Pictures turned-left", "Unseen classes in the mixed gallery", "note: "):
        assert said in shown
    asked = load_report(wardrobe_home.models_dir / "mine").options
    assert (asked.k, asked.bootstrap, asked.precision_target) == (5, 100, 0.8)
    assert main.main(["evaluate", "--model", "mine", "--no-baselines", "--bootstrap", "100", "--json"]) == 0
    found = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
    assert [row["name"] for row in found["table"]] == ["mine"]
    assert found["metrics"].items() <= bundle.read_manifest(wardrobe_home.models_dir / "mine").metrics.items()


def test_an_option_out_of_range_is_a_sentence(at_home, capfd):
    assert main.main(["evaluate", "small", "--bootstrap", "3"]) == 1
    assert "bootstrap must be between 100 and 10000" in capfd.readouterr().err

"""The Evaluate page on reports that real evaluations of small models wrote."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from app.components.evaluate import calibration, charts, compare
from app.components.evaluate import tables as evaluate_tables
from backend.bundles import bundle
from backend.evaluation.answers import load_answers
from backend.evaluation.report import REPORT, load_report
from backend.flow.requests import EvaluateRequest, to_json
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from tests.fixtures.evaluation import SEEN, UNSEEN
from tests.ui.conftest import assert_calm, finished, grid, press, texts


@pytest.fixture
def judged(screen, evaluated_home):
    """The app in a home with two evaluated models, ``large`` the newer one."""
    for part in ("models", "catalogues"):
        shutil.copytree(evaluated_home.home / part, screen.settings.home / part)
    _change(screen, "small", created_at="2026-11-21T00:00:00+00:00")
    return screen


@pytest.fixture
def report(evaluated_home):
    return load_report(evaluated_home.models_dir / "large")


def _change(screen, model, **changes):
    folder = screen.settings.models_dir / model
    bundle.write_manifest(folder, replace(bundle.read_manifest(folder), **changes))


def opened(judged, view="Overview", model="large"):
    test = judged.open("evaluate", view=view, model=model)
    assert_calm(test)
    return test


def tables(test):
    return [frame.value for frame in test.dataframe]


# ------------------------------------------------------------------------------------------------- the overview


def test_figures_come_with_their_intervals_and_what_stands_beside(judged, report):
    test = opened(judged)
    rate = report.model_row.rates["precision_at_1"]
    shown = {metric.label: metric.value for metric in test.metric}
    assert shown["Precision@1"] == f"{rate.value:.1%}"
    assert list(shown) == ["Precision@1", "Precision@10", "Hit rate@10", "R-precision", "MAP@R"]
    assert evaluate_tables.span(rate) in texts(test)
    (table,) = tables(test)
    assert list(table["Who"]) == ["large", "Raw pixels", "PCA 47"]
    assert evaluate_tables.span(rate) in table["Precision@1"][0]
    assert "25 test products as queries, 126 products searched" in texts(test)


def test_the_verdict_counts_overlapping_intervals_as_even(report):
    model, raw, pca = report.seen

    def at(row, value):
        from backend.evaluation.bootstrap import Estimate

        return replace(row, rates={**row.rates, "map_at_r": Estimate(value, value - 0.02, value + 0.02)})

    said = evaluate_tables.verdict([at(model, 0.5), at(raw, 0.3), at(pca, 0.51)])
    assert said == "About as good: PCA 47. Not as good: Raw pixels."
    assert "Better than this model: Raw pixels." in evaluate_tables.verdict([at(model, 0.5), at(raw, 0.9)])


def test_near_duplicates_and_notes_are_said(judged, report):
    noted = replace(report, left_out=3, notes=("Some *pictures* cannot be read.",))
    folder = judged.settings.models_dir / "large"
    (folder / REPORT).write_text(noted.to_json(), encoding="utf-8")
    _change(judged, "large")
    said = texts(opened(judged))
    assert "3 near duplicates left out" in said
    assert "Some \\*pictures\\* cannot be read" in said


# ------------------------------------------------------------------------------------------------- asking


def test_the_form_submits_what_it_says(judged):
    test = opened(judged)
    test.checkbox(key="evaluate_robustness").check()
    test.checkbox(key="evaluate_without_duplicates").check()
    test.number_input(key="evaluate_k").set_value(5)
    test.multiselect(key="evaluate_against").select("small")
    press(test, "Evaluate")
    (job,) = judged.runner.list()
    asked = EvaluateRequest("large", k=5, robustness=True, without_duplicates=True, against=("small",))
    assert job.request == json.loads(json.dumps(to_json(asked)))


def test_a_job_that_failed_is_a_sentence_and_the_report_stays(judged):
    store = JobStore(judged.settings.jobs_db, logs_dir=judged.settings.logs_dir)
    job, _ = store.add("evaluate", to_json(EvaluateRequest("large")))
    store.start(job.id, pid=1)
    store.finish(job.id, JobState.FAILED, error="The shelf is empty.", next_step="Fill it.")
    test = judged.open("evaluate")
    assert not test.exception
    assert [error.value for error in test.error] == ["The shelf is empty.\n\nFill it."]
    assert "Precision@1" in texts(test)


def test_a_finished_job_says_so_above_its_figures(judged):
    finished(judged, EvaluateRequest("large"), {"model": "large", "metrics": {}, "notes": [], "seconds": 2.0})
    said = texts(opened(judged))
    assert "**Evaluating**" in said
    assert "Precision@1" in said


# ------------------------------------------------------------------------------------------------- states of the report


def test_a_model_that_was_measured_by_the_protocol_of_a_data_set_shows_its_recall(judged):
    (judged.settings.models_dir / "large" / REPORT).unlink()
    _change(judged, "large", metrics={f"protocol.recall_at_{k}": k / 200 for k in (1, 10, 100)})
    test = opened(judged)
    assert {metric.label: metric.value for metric in test.metric} == {
        "Recall@1": "0.5%",
        "Recall@10": "5.0%",
        "Recall@100": "50.0%",
    }
    assert not test.tabs


def test_a_model_that_was_never_evaluated_says_so(judged):
    _change(judged, "large", metrics={})
    folder = judged.settings.models_dir / "large"
    (folder / REPORT).unlink()
    _change(judged, "large")
    test = opened(judged)
    assert "Not evaluated yet" in texts(test)
    assert not test.tabs


def test_figures_from_before_there_were_reports_are_shown_all_the_same(judged):
    (judged.settings.models_dir / "large" / REPORT).unlink()
    _change(judged, "large")
    test = opened(judged)
    assert test.metric[0].label == "Precision@1"
    assert "Evaluate this model again" in texts(test)


def test_a_report_of_another_version_is_a_sentence(judged):
    path = judged.settings.models_dir / "large" / REPORT
    path.write_text(json.dumps({"format_version": 0}), encoding="utf-8")
    _change(judged, "large")
    test = judged.open("evaluate", model="large")
    assert not test.exception
    assert "another version of Twinset" in test.error[0].value
    assert "Precision@1" in texts(test)


@pytest.mark.parametrize("change", ["network", "pixels"])
def test_a_report_of_an_earlier_index_says_so(judged, change):
    index = bundle.read_manifest(judged.settings.models_dir / "large").index
    anew = replace(index, generation=2, pixel_contract=index.pixel_contract + 1)  # by a refresh
    _change(judged, "large", **({"weights_hash": "another"} if change == "network" else {"index": anew}))
    test = opened(judged)
    assert "earlier index" in test.warning[0].value
    assert "Precision@1" in texts(test)


def test_a_model_without_an_index_points_to_where_it_is_built(judged):
    _change(judged, "large", index=None)
    test = judged.open("evaluate", model="large")
    assert "no index yet" in texts(test)
    assert not [button for button in test.button if button.label == "Evaluate"]


def test_a_catalogue_that_is_gone_is_a_sentence_where_pictures_are_needed(judged):
    shutil.rmtree(judged.settings.catalogues_dir)
    assert_calm(judged.open("evaluate", model="large"))
    test = judged.open("evaluate", model="large", view="Worst")
    assert not test.exception
    assert "There is no catalogue wardrobe" in test.error[0].value


# ------------------------------------------------------------------------------------------------- where it goes wrong


def test_labels_stand_in_order_worst_first(judged, report):
    (table,) = tables(opened(judged, "Labels"))
    assert list(table["Label"]) == [score.label for score in report.by_label]
    assert set(table["Label"]) == set(SEEN)


def test_a_cell_of_the_matrix_opens_its_pairs(judged, report):
    test = opened(judged, "Mistakes")
    answers = load_answers(judged.settings.models_dir / "large")
    first = max(report.confusion, key=lambda cell: (cell.label != cell.nearest, cell.queries))
    cards = grid(test)
    assert [card["id"] for card in cards] == list(answers.cell(first.label, first.nearest))
    assert all(side["src"].startswith("data:image/png") for card in cards for side in card["pair"])
    right = next(cell for cell in report.confusion if cell.label == cell.nearest)
    test.selectbox(key="asked-large").set_value(right.label).run()
    test.selectbox(key="nearest-large").set_value(right.nearest).run()
    assert_calm(test)
    assert [card["id"] for card in grid(test)] == list(answers.cell(right.label, right.nearest))[:12]


def test_every_cell_of_the_matrix_carries_what_a_click_needs(report):
    figure = charts.confusion(report.confusion)
    counts, clickable = figure.data
    assert list(counts.x) == list(counts.y) == sorted(SEEN)
    carried = {(label, nearest): number for label, nearest, number, _ in clickable.customdata}
    assert carried == {(cell.label, cell.nearest): cell.queries for cell in report.confusion}


def test_very_many_labels_are_drawn_in_part(report):
    cells = [replace(report.confusion[0], label=f"l{n:03}", nearest=f"l{n + 1:03}", queries=n + 1) for n in range(99)]
    drawn = charts.drawn_labels(cells)
    assert len(drawn) == 40
    assert "l098" in drawn
    assert "l001" not in drawn


def test_the_worst_queries_are_shown_with_what_was_answered(judged, report):
    test = opened(judged, "Worst")
    cards = grid(test)
    asked = [card["id"] for card in cards if "Query" in card["badges"]]
    assert asked == list(report.worst[:4])
    answered = cards[1:5]
    assert [card["rank"] for card in answered] == ["1", "2", "3", "4"]
    assert all(card["badges"][0] in {"Right", "Wrong"} for card in answered)
    test.segmented_control(key="worst_kind").set_value("confident").run()
    assert_calm(test)
    assert grid(test)[0]["id"] == report.confident[0]
    assert grid(test)[1]["badges"] == ["Wrong"]


# ------------------------------------------------------------------------------------------------- the other tables


def test_changed_pictures_are_compared_with_the_unchanged(judged):
    (table,) = tables(opened(judged, "Changed pictures"))
    assert list(table["Pictures"])[:2] == ["Unchanged", "Rotated left by 15 degrees"]
    assert len(table) == 6
    assert "Raw pixels: MAP@R" in table


def test_what_was_not_measured_says_how_to_measure_it(judged, report):
    folder = judged.settings.models_dir / "large"
    bare = replace(report, robustness=(), unseen=None, calibration=None)
    (folder / REPORT).write_text(bare.to_json(), encoding="utf-8")
    _change(judged, "large")
    assert "Also test changed pictures" in texts(opened(judged, "Changed pictures"))
    assert "choose some labels under “Labels that Twinset does not learn”" in texts(opened(judged, "Unseen classes"))
    assert "too few validation products" in texts(opened(judged, "Match or not"))


def test_new_kinds_are_scored_among_themselves_and_in_the_mixed_gallery(judged, report):
    test = opened(judged, "Unseen classes")
    among, mixed = tables(test)
    assert list(among["Who"]) == list(mixed["Who"]) == ["large", "Raw pixels", "PCA 47"]
    assert ", ".join(UNSEEN) in texts(test)
    assert f"{report.unseen.among[0].rates['map_at_r'].value:.1%}" in among["MAP@R"][0]


def test_the_threshold_is_said_in_words(judged, report):
    said = texts(opened(judged, "Match or not"))
    found = report.calibration
    if found.threshold is None:
        assert "nothing is called a match" in said
    else:
        assert f"{found.threshold:.3f}" in said.replace("\\", "")
        assert "nothing close" in said
    assert "Calibration error" in said
    assert "Seen or unseen class" in said


@pytest.mark.parametrize(
    ("measured", "says"),
    [(0.87, "87.0% of these are correct, below the target."), (0.93, "93.0% of these are correct.")],
)
def test_what_is_said_of_the_threshold_is_what_was_measured(report, measured, says):
    found = replace(report.calibration, threshold=0.8, precision_target=0.9, test_precision=measured)
    said = calibration.sentence(found)
    assert says in said
    assert "at least" not in said


# ------------------------------------------------------------------------------------------------- two models


def test_two_models_are_compared_on_the_same_products(judged):
    test = opened(judged, "Two models")
    (table,) = tables(test)
    assert list(table.columns) == ["", "small", "large", "Difference in points"]
    assert "gets 15 products right" in texts(test)
    cards = grid(test)
    headings = list(dict.fromkeys(card["group"] for card in cards))
    assert headings[0].endswith("answered by small")
    assert headings[1].endswith("answered by large")
    assert any("Only here" in card["badges"] for card in cards)


def test_any_product_can_be_looked_up(judged):
    test = opened(judged, "Two models")
    asked_about(test).set_value("zz-twin").run()
    assert_calm(test)
    assert {card["id"] for card in grid(test) if "Query" in card["badges"]} == {"zz-twin"}
    asked_about(test).set_value("nobody").run()
    assert "No product with this id was a query" in texts(test)


def asked_about(test):
    return next(one for one in test.text_input if one.label == "Query")


def test_a_single_model_has_nothing_to_be_compared_with(judged):
    shutil.rmtree(judged.settings.models_dir / "small")
    assert "no other evaluated model" in texts(opened(judged, "Two models"))


def test_a_difference_that_may_be_chance_is_called_so(evaluated_home):
    from backend.evaluation.bootstrap import Estimate
    from backend.evaluation.compare import compare_bundles

    found = compare_bundles(evaluated_home.models_dir / "small", evaluated_home.models_dir / "large")

    def with_difference(low, high):
        rates = {
            name: replace(rate, difference=Estimate((low + high) / 2, low, high)) for name, rate in found.rates.items()
        }
        return compare.sentence(replace(found, rates=rates))

    assert "may be chance" in with_difference(-0.01, 0.02)
    assert "large finds the right nearest product more often" in with_difference(0.01, 0.02)
    assert "less often" in with_difference(-0.02, -0.01)

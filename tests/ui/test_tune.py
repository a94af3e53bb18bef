"""The Tune page: the form and what is said under it, a sweep in every state, picks, steering, and two sweeps."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace

import pytest

from app.components.tune import charts, compare, space, state, words
from app.services import tuning
from backend.access.asking import Asking, asked_by
from backend.access.person import Person, Role
from backend.files.holding import lock_of
from backend.flow.requests import TuneRequest, to_json
from backend.jobs import earlier
from backend.jobs.queue import limits_of
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.training.presets import PRESETS
from backend.tuning.folder import SweepFolder
from backend.tuning.plan import Budget, SweepPlan
from backend.tuning.records import TrialState
from backend.tuning.space import FIELDS, Space
from tests.fixtures.base import Unwritten
from tests.support.colour_config import COLOUR
from tests.support.holding import held_elsewhere
from tests.support.sweeps import SPACE, plan_for, record, stored_sweep
from tests.ui import conftest
from tests.ui.conftest import add_version, assert_calm, open_popover, press, shop_row, write_catalogue


@pytest.fixture
def shop(screen):
    """A catalogue of three kinds, each with products to train with, to validate and to test."""
    from backend.catalogue.snapshot import open_snapshot

    write_catalogue(screen.settings, "shop")
    snapshot = open_snapshot(screen.settings.catalogues_dir, "shop")
    ids = snapshot.columns(["product_id"], splits=["train"])["product_id"].to_pylist()
    later = [shop_row(product_id, split="validation") for product_id in ids if int(product_id[1:]) >= 18]
    add_version(screen.settings, "shop", *later)
    return "shop"


@pytest.fixture
def autumn(screen, shop):
    """A sweep that has ended: six trials with a figure, one that failed, one that was stopped early."""
    good = [record(n, value=0.5 + 0.05 * n) for n in range(1, 7)]
    failed = record(7, state=TrialState.FAILED, reason="The loss is no longer finite.")
    halted = replace(
        record(8, value=0.4, epochs=1), state=TrialState.HALTED, reason="After epoch 1, 3 of 7 were better."
    )
    return stored_sweep(screen.settings.sweeps_dir, *good, failed, halted, reason="All 8 trials have run.")


def texts(test) -> str:
    """What can be read, without the marks that keep Markdown from reading it as markup."""
    return conftest.texts(test).replace("\\", "")


def start_button(test):
    return next(found for found in test.button if found.label == "Start the sweep")


def trials_view(screen, sweep="autumn"):
    return screen.open("tune", view="Trials", sweep=sweep)


# ------------------------------------------------------------------------------------------------- a new sweep


def test_without_a_catalogue_the_page_says_where_one_comes_from(screen):
    test = screen.open("tune")
    assert_calm(test)
    assert "no catalogue to train on yet" in texts(test)


def test_the_button_asks_for_what_the_form_says(screen, shop):
    test = screen.open("tune")
    assert_calm(test)
    test.number_input(key="tune_trials").set_value(5).run()
    test.selectbox(key="tune_metric").select("map_at_r").run()
    test.text_input(key="tune_name").set_value("mine").run()
    press(test, "Start the sweep")
    (job,) = screen.runner.list()
    plan = SweepPlan.from_dict(job.request["plan"])
    assert (job.kind, plan.name, plan.catalogue, plan.version) == ("tune", "mine", "shop", 5)
    assert (plan.budget.trials, plan.objective.metric, plan.config) == (5, "map_at_r", PRESETS["resnet"])
    assert plan.space == space.suggested(PRESETS["resnet"])


def test_what_is_maximised_is_said_and_that_the_test_split_is_not_used(screen, shop):
    test = screen.open("tune")
    assert "Larger is better: precision@1 of validation products" in texts(test)
    assert "The test split is not used" in texts(test)


def test_values_that_it_might_try_are_shown_before_anything_starts(screen, shop):
    test = screen.open("tune")
    drawn = test.dataframe[0].value
    assert len(drawn) == tuning.EXAMPLES
    assert "Learning rate" in drawn.columns
    assert "for 24 trials" in texts(test)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("vary_resnet_Suggested_learning_rate_low", 0.9, "The range of learning_rate is reversed"),
        ("vary_resnet_Suggested_learning_rate_low", 0.0, "learning_rate must be between"),
        ("tune_parallelism", 9, "there are 2 slots"),
        ("tune_halving", 1, "Halving by 1 would stop no trial"),
    ],
)
def test_bad_input_is_a_sentence_and_nothing_can_be_started(screen, shop, key, value, said):
    test = screen.open("tune")
    assert not start_button(test).disabled
    test.number_input(key=key).set_value(value).run()
    assert not test.exception
    assert said in texts(test)
    assert start_button(test).disabled


def test_an_empty_space_is_a_sentence(screen, shop):
    test = screen.open("tune")
    test.multiselect(key="vary_resnet_Suggested_fields").set_value([]).run()
    assert "The space is empty" in texts(test)
    assert start_button(test).disabled


def test_impossible_combinations_are_said(screen, shop):
    test = screen.open("tune")
    test.multiselect(key="vary_resnet_Suggested_fields").set_value(["backbone"]).run()
    test.multiselect(key="vary_resnet_Suggested_backbone_values").set_value(["resnet", "mobilenet-v2"]).run()
    assert "accepts only colour pictures" in texts(test)
    assert start_button(test).disabled


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_has_a_row_of_the_editor_that_makes_a_dimension_for_it(name):
    dimension = space.usual(name, COLOUR)
    Space({name: dimension}).check()
    assert dimension.kind in words.KINDS


def test_a_space_is_saved_by_name_and_taken_up_again(screen, shop):
    tuning.save_space("rates", SPACE, 0)
    test = screen.open("tune")
    test.selectbox(key="tune_space_start").select("rates").run()
    assert_calm(test)
    assert test.multiselect(key="vary_resnet_rates_0_fields").value == list(SPACE.dimensions)
    assert test.number_input(key="vary_resnet_rates_0_embedding_size_step").value == 16
    # Another person saves it meanwhile: this one is told, and has both.
    test.number_input(key="vary_resnet_rates_0_embedding_size_step").set_value(24).run()
    test.text_input(key="tune_space_name").set_value("rates").run()
    other = Space({**SPACE.dimensions, "embedding_size": replace(SPACE.dimensions["embedding_size"], step=8)})
    with asked_by(Asking(Person("ben", Role.ENGINEER, "app"), Unwritten())):
        tuning.save_space("rates", other, 1)
    test.button(key="tune_space_save").click().run()
    assert "Another person changed the space rates (by ben on" in test.warning[0].value.replace("\\", "")
    assert test.button(key="tune_space_save").disabled
    assert test.number_input(key="vary_resnet_rates_0_embedding_size_step").value == 24
    test.button(key="space_rates_mine").click().run()
    test.button(key="tune_space_save").click().run()
    assert_calm(test)
    assert tuning.space("rates").dimensions["embedding_size"].step == 24
    assert [(one.version, one.by) for one in earlier.versions(screen.settings, "space", "rates")[:2]][1] == (2, "ben")
    tuning.save_space("rates", other, 3)
    test.run()
    test.button(key="space_rates_theirs").click().run()
    assert_calm(test)
    assert test.number_input(key="vary_resnet_rates_1_embedding_size_step").value == 8


def test_the_same_sweep_asked_for_twice_is_started_once(screen, shop):
    plan = SweepPlan("", "shop", 5, PRESETS["resnet"], space.suggested(PRESETS["resnet"]))
    first = tuning.request(plan)
    job = screen.runner.submit(first)
    assert tuning.request(plan) == (first if not job.state.is_finished else tuning.request(plan))


# ------------------------------------------------------------------------------------------------- a sweep


def test_without_a_sweep_the_page_says_how_to_start_one(screen, shop):
    test = screen.open("tune", view="Trials")
    assert_calm(test)
    assert "There is no sweep yet" in texts(test)


def test_a_finished_sweep_shows_its_best_trial_its_table_and_its_reasons(screen, autumn):
    test = trials_view(screen)
    assert_calm(test)
    said = texts(test)
    assert "**Trial 6** is the best" in said
    assert "Best so far 80.00%" in said
    assert "All 8 trials have run." in said
    table = test.dataframe[0].value
    assert table["Trial"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert table["State"].tolist()[-2:] == ["Failed", "Stopped early"]
    assert table["Why"].tolist()[6] == "The loss is no longer finite."
    assert len(test.get("plotly_chart")) == 2  # history and importance


@pytest.mark.parametrize("plot", ["Fields together", "Field by field", "Epochs", "Timeline"])
def test_every_plot_is_drawn(screen, autumn, plot):
    test = trials_view(screen)
    test.segmented_control(key="plot_autumn").set_value(plot).run()
    assert_calm(test)
    assert len(test.get("plotly_chart")) == (3 if plot == "Field by field" else 1)


def test_picked_trials_are_the_ones_in_the_table_until_all_are_asked_for(screen, autumn):
    test = trials_view(screen)
    test.session_state["picked_trials_autumn"] = (2, 7)
    test.run()
    assert test.dataframe[0].value["Trial"].tolist() == [2, 7]
    assert "2 trials picked" in texts(test)
    assert "The loss is no longer finite." in texts(test)
    assert "python -m backend tune trial autumn 7" in texts(test)
    press(test, "Show all")
    assert len(test.dataframe[0].value) == 8


def test_a_mark_carries_its_trial_and_chosen_ones_stand_out(autumn):
    figure = charts.history(autumn.trials(), (3,))
    marks = figure.data[1]
    at = [carried[0] for carried in marks.customdata].index(3)
    assert marks.marker.opacity[at] == 1.0
    assert sum(opacity < 1 for opacity in marks.marker.opacity) == len(marks.customdata) - 1
    lines = charts.parallel(autumn.plan(), autumn.trials(), (3, 4)).data[0]
    assert [len(dimension["values"]) for dimension in lines.dimensions] == [2] * 4
    assert lines.dimensions[1].ticktext == ("Triplet", "Multi-similar…")


def test_final_training_starts_from_the_best_trial_and_names_it(screen, autumn):
    test = trials_view(screen)
    press(test, "Train a final model with these values")
    (job,) = screen.runner.list(kind="train")
    assert job.request["origin"] == {"sweep": "autumn", "trial": 6}
    assert job.request["config"] == plan_for().config_of(6, autumn.trial(6).values).as_dict()


def test_trials_are_exported(screen, autumn):
    rows = list(csv.DictReader(io.StringIO(tuning.exported("autumn", "csv"))))
    assert len(rows) == 8
    test = trials_view(screen)
    assert [button.proto.label for button in test.get("download_button")] == ["Trials as CSV", "Trials as JSON"]


def running(screen, *records):
    """A sweep under way, as a job whose process is this one."""
    plan = plan_for()
    folder = stored_sweep(screen.settings.sweeps_dir, *records, plan=plan, phase="running", ended_at=0.0)
    store = JobStore(screen.settings.jobs_db, logs_dir=screen.settings.logs_dir)
    job, _ = store.add("tune", to_json(TuneRequest(plan)))
    store.claim(limits_of(screen.settings))  # it is being started
    return folder, store, job


def test_a_running_sweep_shows_slots_and_end_and_can_be_paused(screen, shop):
    folder, _, _ = running(screen, record(1, value=0.5), record(2, value=0.6), record(3, state=TrialState.RUNNING))
    with folder.held():
        test = trials_view(screen)
        assert_calm(test)
        said = texts(test)
        assert "Running 1" in said
        assert "1 of 2 slots free" in str([metric.delta for metric in test.metric])
        assert "Estimated end in 15 s" in said
        press(test, "Pause")
        assert folder.is_to_pause
        assert "Pausing" in texts(trials_view(screen))


def test_cancel_asks_the_job_or_the_folder(screen, shop):
    folder = stored_sweep(screen.settings.sweeps_dir, record(1, value=0.5), phase="running", ended_at=0.0)
    with folder.held():
        press(trials_view(screen), "Cancel")
        assert folder.is_to_stop


def test_a_sweep_whose_process_was_killed_is_interrupted_and_can_be_resumed(screen, shop):
    stored_sweep(
        screen.settings.sweeps_dir,
        record(1, value=0.5),
        record(2, state=TrialState.RUNNING),
        phase="running",
        ended_at=0.0,
    )
    test = trials_view(screen)
    assert not test.exception
    assert "Its process was killed or crashed" in texts(test)
    assert test.dataframe[0].value["State"].tolist() == ["Done", "Interrupted"]
    test.number_input(key="resume_trials_autumn").set_value(12).run()
    press(test, "Resume")
    (job,) = screen.runner.list(kind="tune")
    assert job.request["resume"]
    assert Budget(**job.request["plan"]["budget"]) == replace(plan_for().budget, trials=12)


def test_a_sweep_is_deleted_after_one_question_and_not_while_it_runs(screen, autumn):
    test = open_popover(trials_view(screen), "delete-autumn")
    assert "Delete the sweep **autumn** for good? This frees" in texts(test)
    press(test, "Delete for good")
    job = screen.runner.list()[0]
    assert (job.kind, job.request) == ("delete", {"model": "", "sweep": "autumn"})
    with autumn.held():
        test = open_popover(trials_view(screen), "delete-autumn")
        assert "Delete for good" not in [button.label for button in test.button]


def test_a_name_that_another_sweep_has_is_said_before_it_starts(screen, autumn):
    test = screen.open("tune")
    test.text_input(key="tune_name").set_value("autumn").run()
    assert "There is already a sweep 'autumn'." in texts(test)
    assert next(button for button in test.button if button.label == "Start the sweep").disabled
    with held_elsewhere(lock_of(screen.settings.sweeps_dir / "winter"), "is already running", job="j-1"):
        test.text_input(key="tune_name").set_value("winter").run()
        assert "The sweep 'winter' is already running by job j-1" in texts(test)
    test.text_input(key="tune_name").set_value("winter").run()
    assert not next(button for button in test.button if button.label == "Start the sweep").disabled


def test_a_failed_sweep_says_why_and_what_to_do(screen, shop):
    reason = "Spark on spark://far:7077 became unavailable during the sweep; finished trials are kept."
    stored_sweep(
        screen.settings.sweeps_dir, record(1, value=0.5), phase="failed", reason=reason, next_step="Start it again."
    )
    test = trials_view(screen)
    assert "became unavailable during the sweep" in test.error[0].value
    assert "Start it again" in test.error[0].value


def test_a_sweep_that_cannot_be_read_is_a_notice(screen, autumn):
    (autumn.path / "sweep.json").write_text("{", "utf-8")
    test = trials_view(screen)
    assert not test.exception
    assert "cannot be read" in texts(test)


def test_what_a_finished_sweep_brought_is_said_beside_the_form(screen, autumn):
    from backend.tuning.sweep import result_of

    conftest.finished(screen, TuneRequest(plan_for()), result_of(autumn, autumn.status()))
    said = texts(screen.open("tune"))
    assert "8 trials: 6 done, 1 stopped early, 1 failed." in said
    assert "Trial 6 reached 80.00%: Embedding size 16 · Learning rate 0.0006 · Loss Triplet." in said


def test_a_job_that_failed_is_shown_beside_the_form(screen, shop):
    store = JobStore(screen.settings.jobs_db, logs_dir=screen.settings.logs_dir)
    job, _ = store.add("tune", to_json(TuneRequest(plan_for())))
    store.start(job.id, pid=os.getpid())
    store.finish(job.id, JobState.FAILED, error="There are no slots.", next_step="Free some.")
    assert "There are no slots" in texts(screen.open("tune"))


# ------------------------------------------------------------------------------------------------- two sweeps


def test_two_sweeps_are_compared(screen, autumn):
    stored_sweep(screen.settings.sweeps_dir, record(1, value=0.9), plan=plan_for("winter"))
    test = screen.open("tune", view="Two sweeps")
    assert_calm(test)
    assert "10.00 points more than" in texts(test)
    facts = test.dataframe[0].value
    assert {"autumn", "winter"} <= set(facts.columns)
    assert len(test.get("plotly_chart")) == 1


def test_one_sweep_cannot_be_compared(screen, autumn):
    assert "needs two sweeps" in texts(screen.open("tune", view="Two sweeps"))


def test_the_better_one_is_named():
    side = {"best_value": 0.5, "sweep": "a"}
    assert compare.sentence({"first": side, "second": side, "difference": None}) == "One of them has no figure yet."
    other = {"best_value": 0.25, "sweep": "b"}
    assert "a reached 50.00%, 25.00 points more than b" in compare.sentence(
        {"first": side, "second": other, "difference": -0.25}
    )


def test_picks_belong_to_their_sweep(screen, autumn):
    assert state.picked_trials("winter") == ()
    assert SweepFolder(screen.settings.sweeps_dir / "autumn").is_running is False

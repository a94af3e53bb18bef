"""Jobs on the screen: the panel on the launching page, the list, and what can be done about a job."""

from __future__ import annotations

import os
import signal

import pytest

from app import words
from app.components.jobs.panel import progress_text
from app.components.jobs.result import sentences, summary
from backend.flow.requests import IngestRequest, RefreshRequest, to_json
from backend.jobs.queue import limits_of
from backend.jobs.states import JobState
from backend.jobs.store import Job, JobProgress, JobStore
from tests.ui.conftest import assert_calm, texts

REFRESHED = {
    "model": "m",
    "catalogue": "shop",
    "from_version": 4,
    "version": 5,
    "embedded": 0,
    "details": 0,
    "removed": 0,
}


def button(test, label: str):
    return next(found for found in test.button if found.label == label)


def finished(screen, kind_of_work: str):
    return screen.runner.wait(screen.runner.submit(IngestRequest(catalogue=kind_of_work)).id, 60)


def running(screen, kind_of_work: str, note: str):
    """A job that has reported the step it is in."""
    job = screen.runner.submit(IngestRequest(catalogue=kind_of_work))
    while screen.runner.get(job.id).progress.note != note:
        assert not screen.runner.get(job.id).state.is_finished
    return job


def test_a_finished_job_shows_its_result_curves_log_and_what_comes_next(screen):
    finished(screen, "succeed")
    test = screen.open("catalogue")
    assert_calm(test)
    assert "Done" in texts(test)
    assert "precision 0.5" in texts(test)
    assert "hello from the work" in test.code[0].value
    assert [link.label for link in test.page_link] == [words.plain("Next: learn from it")]
    assert len(test.get("plotly_chart")) == 2


def test_a_failed_job_shows_the_sentence_and_can_be_tried_again(screen):
    first = finished(screen, "fail")
    test = screen.open("jobs")
    assert "The shelf is empty.\n\nFill the shelf." in [error.value for error in test.error]
    button(test, "Try again").click().run()
    newest = screen.runner.list(1)[0]
    assert newest.retry_of == first.id
    assert newest.request == first.request


def test_a_job_that_broke_shows_no_trace_outside_its_log(screen):
    finished(screen, "crash")
    test = screen.open("catalogue")
    shown = "\n".join(str(element.value) for kind in (test.error, test.markdown, test.caption) for element in kind)
    assert "Traceback" not in shown
    assert "RuntimeError" in test.code[0].value


def test_a_running_job_shows_its_step_and_can_be_cancelled_from_a_new_session(screen):
    job = running(screen, "spin", "spinning")
    test = screen.open("catalogue")
    assert_calm(test)
    assert "Running" in texts(test)
    assert test.get("progress")[0].text == "spinning · 1 of 2"
    button(test, "Cancel").click().run()
    assert screen.runner.wait(job.id, 30).state is JobState.CANCELLED
    assert "Cancelled" in texts(screen.open("catalogue"))


def test_a_waiting_job_says_what_it_waits_for_and_can_be_started_next(screen):
    first = running(screen, "spin", "spinning")
    second, third = (screen.runner.submit(IngestRequest(catalogue=name)) for name in ("succeed", "fail"))
    test = screen.open("jobs", job=third.id)
    assert_calm(test)
    assert "Waits for: Loading products spin; 2nd in the queue" in texts(test).replace("\\", "")
    button(test, "Start next").click().run()
    assert "1st in the queue" in texts(test)
    assert "Start next" not in [one.label for one in test.button]
    assert screen.runner.waits(screen.runner.get(second.id)).place == 2
    assert screen.runner.cancel(third.id).state is JobState.CANCELLED
    assert screen.runner.get(first.id).state is JobState.RUNNING


def test_a_killed_job_shows_as_lost_with_its_log(screen):
    job = running(screen, "spin", "spinning")
    os.killpg(screen.runner.get(job.id).pid, signal.SIGKILL)
    screen.runner.wait(job.id, 30)
    test = screen.open("jobs")
    assert "Lost" in texts(test)
    assert "Log" in [expander.label for expander in test.expander]
    assert button(test, "Try again")


def test_the_load_button_submits_what_the_form_says(screen):
    test = screen.open("catalogue")
    test.radio(key="ingest_source").set_value("fashion-mnist").run()
    test.number_input(key="ingest_seed").set_value(11)
    button(test, "Load products").click().run()
    (job,) = screen.runner.list()
    expected = {"source": "fashion-mnist", "catalogue": "", "validation_share": 0.1, "seed": 11, "check_only": False}
    assert expected.items() <= job.request.items()


@pytest.mark.parametrize(
    ("page", "label", "kind"),
    [
        ("deploy", "Build the index again", "index"),
        ("deploy", "Deploy as champion", "deploy"),
        ("evaluate", "Evaluate", "evaluate"),
    ],
)
def test_a_model_is_indexed_deployed_and_evaluated_by_a_job(screen, shop_model, page, label, kind):
    button(screen.open(page), label).click().run()
    (job,) = screen.runner.list()
    assert (job.kind, job.request["model"]) == (kind, shop_model.name)


@pytest.mark.parametrize("kind_of_work", ["succeed", "fail"])
def test_a_result_is_dismissed_from_its_page_and_stays_on_the_list(screen, kind_of_work):
    finished(screen, kind_of_work)
    test = screen.open("catalogue")
    assert not test.expander[-1].proto.expanded
    button(test, "Dismiss").click().run()
    assert_calm(test)
    assert not {"Done", "Failed"} & {line.strip() for line in texts(test).splitlines()}
    shown = screen.open("jobs")
    assert "Loading products" in texts(shown)
    assert "Dismiss" not in [one.label for one in shown.button]


def test_a_refresh_on_find_similar_is_a_line_with_a_link_and_no_log(screen, shop_endpoint):
    store = JobStore(screen.settings.jobs_db, logs_dir=screen.settings.logs_dir)
    job, _ = store.add("refresh", to_json(RefreshRequest(model="m")))
    store.claim(limits_of(screen.settings))  # it is being started
    test = screen.open()
    assert "The new products are being added" in texts(test)
    error = "ValueError: operands\nTraceback"
    store.finish(job.id, JobState.FAILED, source=JobState.QUEUED, error=error, next_step="Read its log.")
    test.run()
    assert_calm(test)
    assert "The new products could not be added" in texts(test)
    assert not test.code
    assert [link.label for link in test.page_link] == ["See why"]
    button(test, "Dismiss").click().run()
    assert "could not be added" not in texts(test)


def test_a_page_forgets_a_job_that_ended_long_ago(screen, monkeypatch):
    from app.components.jobs import panel

    finished(screen, "succeed")
    monkeypatch.setattr(panel, "RECENT_S", 0.0)
    assert "Done" not in texts(screen.open("catalogue"))
    assert "Done" in texts(screen.open("jobs"))


def test_a_link_names_the_job(screen):
    first = finished(screen, "fail")
    finished(screen, "succeed")
    assert "Failed" in texts(screen.open("jobs", job=first.id))
    assert "There is no job 'gone'" in screen.open("jobs", job="gone").error[0].value


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (JobProgress(), "Starting"),
        (JobProgress(0, 0, "", "Starting Spark"), "Starting Spark"),
        (JobProgress(12000, 60000, "pictures", "embedding", 410.4, 117.0), None),
        (JobProgress(40, 100, "%", "train · epoch 2", 3.0, 8.0), "train · epoch 2 · 40% · about 8.0 s left"),
        (JobProgress(1, 2, "", "", None, None), "1 of 2"),
    ],
    ids=["nothing", "note", "all", "share", "bare"],
)
def test_progress_is_said_as_far_as_it_is_known(tmp_path, progress, said):
    job = Job("a", "train", {}, JobState.RUNNING, 0.0, tmp_path / "a.log", progress=progress)
    expected = said or "embedding · 12,000 of 60,000 pictures · 410 a second · about 1 min 57 s left"
    assert progress_text(job) == expected


@pytest.mark.parametrize(
    ("kind", "result", "told"),
    [
        (
            "project",
            {"products": 1152, "was_there": False},
            ["A map of 1,152 products, in two and in three dimensions."],
        ),
        (
            "project",
            {"products": 1152, "was_there": True},
            ["A map of 1,152 products, in two and in three dimensions. It already existed."],
        ),
        (
            "deploy",
            {"version": 2, "model": "m-2", "alias": "champion", "before": 1, "reason": ""},
            ["Version 2, the model m-2, is now champion, replacing version 1."],
        ),
        (
            "promote",
            {"version": 3, "model": "m-3", "alias": "champion", "before": None, "reason": "It was asked."},
            ["Version 3, the model m-3, is now champion.", "The gate was overridden: It was asked."],
        ),
        (
            "rebuild",
            {"model": "m-2", "original": "m-1", "same_network": True, "differs": []},
            ["m-2 was rebuilt from the card of m-1; it is the same network, bit for bit.", "Nothing differs."],
        ),
        (
            "rebuild",
            {
                "model": "m-2",
                "original": "m-1",
                "same_network": False,
                "differs": [{"what": "network", "original": "aa", "rebuilt": "bb"}],
            },
            ["m-2 was rebuilt from the card of m-1; it is a different network.", "What differs: network aa → bb."],
        ),
        (
            "rebuild",
            {
                "model": "m-2",
                "original": "m-1",
                "same_network": False,
                "largest_weight_difference": 3.14e-7,
                "differs": [{"what": "threads", "original": "2", "rebuilt": "4"}],
            },
            [
                "m-2 was rebuilt from the card of m-1; it is a different network, whose weights differ by 3e-07 at most.",
                "What differs: threads 2 → 4.",
            ],
        ),
        (
            "train",
            {"model": "m-1", "workers": 2, "metrics": {"val.precision_at_1": 0.9312, "val.map_at_r": 0.8649}},
            [
                "m-1 is trained by 2 workers.",
                (
                    "For 93.1% of the validation products the nearest product has the same label (precision@1); "
                    "MAP@R is 86.5%."
                ),
            ],
        ),
        (
            "index",
            {"model": "m-1", "gallery_size": 1152, "index": "exact", "catalogue": "sample", "version": 1},
            ["m-1 now searches 1,152 products of sample, version 1. Its index is exact."],
        ),
        (
            "refresh",
            REFRESHED | {"version": 6, "embedded": 12, "removed": 1, "registered_version": 3, "alias": "champion"},
            [
                (
                    "The index of m covers version 6 of shop, up from version 4; 12 products were embedded, "
                    "1 product was removed."
                ),
                "It is registered as version 3, now the champion.",
            ],
        ),
        (
            "refresh",
            REFRESHED,
            ["The index of m covers version 5 of shop, up from version 4; nothing had changed."],
        ),
        (
            "refresh",
            REFRESHED | {"from_version": 5},
            ["The index of m covers version 5 of shop, as before."],
        ),
        (
            "fidelity",
            {
                "model": "m",
                "kind": "approximate",
                "k": 10,
                "size": 60_000,
                "fidelity": 0.9959,
                "p50_ms": 0.081,
                "p95_ms": 0.12,
            },
            [
                "The approximate index of m finds 99.59% of the exact 10 nearest among 60,000 products.",
                "Median latency 0.08 ms, p95 0.12 ms.",
            ],
        ),
        (
            "evaluate",
            {"model": "m", "metrics": {"test.precision_at_1": 0.9, "test.map_at_r": 0.8}},
            [
                "m is evaluated.",
                "For 90.0% of the test products the nearest product has the same label (precision@1); MAP@R is 80.0%.",
            ],
        ),
        (
            "demo",
            {
                "rows_ingested": 1440,
                "ingest_seconds": 14.04,
                "training_seconds": 35.14,
                "model": "m",
                "gallery_size": 1152,
                "precision_at_1": 0.9792,
                "map_at_r": 0.9311,
                "model_version": 1,
                "note": "The sample was taken.",
            },
            [
                "1,440 products were loaded in 14 s, m was trained in 35 s, and its index holds 1,152 of them.",
                "For 97.9% of the test products the nearest product has the same label (precision@1); MAP@R is 93.1%.",
                "It is version 1 of the registered model, and the endpoint answers with it.",
                "The sample was taken.",
            ],
        ),
    ],
)
def test_a_result_that_has_words_is_told_in_sentences(kind, result, told):
    assert sentences(kind, result) == told


def test_a_result_is_said_in_short_statements():
    result = {"model": "m-1", "kept": 1440, "rejected": {"dark": 2}, "seconds": 75.2, "metrics": {"a": 1}, "version": 3}
    assert summary(result) == ["model m-1", "1,440 products", "2 rejected", "version 3"]

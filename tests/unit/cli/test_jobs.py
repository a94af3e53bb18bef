"""``jobs`` as a person reads it: a table of the jobs, and one job with what was asked, what came of it, and its log."""

from __future__ import annotations

import json

import pytest

from backend.cli import main
from backend.cli.jobs import as_values, list_as_lines
from backend.jobs.states import JobState
from backend.jobs.store import JobProgress, JobStore
from backend.settings import load_settings


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The jobs of a home of the test's own."""
    monkeypatch.setenv("TWINSET_HOME", str(tmp_path / "home"))
    settings = load_settings()
    return JobStore(settings.jobs_db, logs_dir=settings.logs_dir)


def started(store, work: str, **request) -> str:
    job, _ = store.add(work, request)
    assert store.start(job.id, pid=1)
    return job.id


def printed(capfd, *arguments: str) -> list[str]:
    assert main.main(["jobs", *arguments]) == 0
    return capfd.readouterr().out.splitlines()


def test_no_job_is_said(store, capfd):
    assert printed(capfd, "list") == ["There is no job yet."]


def test_each_job_is_a_line_with_what_it_says(store):
    failed = started(store, "deploy", model="m")
    store.finish(failed, JobState.FAILED, error="It is worse.", next_step="Mend it.")
    running = started(store, "train", catalogue="shop")
    store.record(running, progress=JobProgress(40, 100, "%", "epoch 2"))
    waiting, _ = store.add("index", {"model": "m"})
    head, *lines = list_as_lines({"jobs": [as_values(job) for job in store.list()]}).splitlines()
    assert head.split()[:3] == ["id", "job", "state"]
    assert [line.split()[:3] for line in lines] == [
        [waiting.id, "index", "queued"],
        [running, "train", "running"],
        [failed, "deploy", "failed"],
    ]
    assert lines[1].endswith(" 40% epoch 2")
    assert lines[2].endswith(" It is worse. Mend it.")
    assert lines[0].find("index") == lines[1].find("train") == lines[2].find("deploy")


def test_a_long_sentence_is_cut_in_the_table_and_whole_in_the_job(store, capfd):
    job, why = started(store, "deploy", model="m"), "Worse than the champion. " * 8
    store.finish(job, JobState.FAILED, error=why.strip(), next_step="Mend it.")
    assert printed(capfd, "list")[1].endswith("…")
    assert f"message: {why}Mend it." in printed(capfd, "show", job)


def test_a_job_is_shown_with_what_was_asked_what_came_of_it_and_its_log(store, capfd):
    job = started(store, "index", model="m", kind="exact")
    store.get(job).log_path.parent.mkdir(parents=True, exist_ok=True)
    store.get(job).log_path.write_text("first\nlast\n", "utf-8")
    store.finish(job, JobState.SUCCEEDED, result={"model": "m", "gallery_size": 7})
    lines = printed(capfd, "show", job)
    assert lines[:3] == [f"id: {job}", "job: index", "state: succeeded"]
    asked, result = lines.index("request:"), lines.index("result:")
    assert set(lines[asked + 1 : asked + 3]) == {"  model: m", "  kind: exact"}
    assert set(lines[result + 1 : result + 3]) == {"  model: m", "  gallery_size: 7"}
    assert lines[-3:] == [f"log, complete in {store.get(job).log_path}:", "  first", "  last"]


def test_a_program_gets_every_field(store, capfd):
    job = started(store, "index", model="m")
    store.finish(job, JobState.SUCCEEDED, result={"gallery_size": 7})
    (found,) = json.loads("\n".join(printed(capfd, "list", "--json")))["jobs"]
    assert found.keys() >= {"heartbeat_at", "log_path", "pid", "progress", "retry_of"}
    assert (found["id"], found["state"], found["request"]) == (job, "SUCCEEDED", {"model": "m"})

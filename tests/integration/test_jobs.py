"""Jobs as they really are: processes that work, fail, hang, breed, and die."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from backend.access.logs import MARK
from backend.errors import IllegalTransition, JobError, JobNotFound
from backend.flow.requests import EvaluateRequest, IngestRequest, to_json
from backend.jobs.clock import Clock
from backend.jobs.runner import REPOSITORY, JobRunner
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.machine.processes import family, signal_all
from backend.settings import SecretStr
from tests.support import waiting

pytestmark = pytest.mark.slow  # some fifty processes

COMMAND = (sys.executable, "-m", "tests.support.worker")
TIMEOUT_S = 20.0


def until(condition, timeout_s=TIMEOUT_S):
    return waiting.until(condition, timeout_s, look_every_s=0.01)


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def work(name):
    return IngestRequest(catalogue=name)


@pytest.fixture
def quick(settings):
    return replace(settings, job_heartbeat_s=0.1, job_lost_after_s=TIMEOUT_S, job_grace_s=TIMEOUT_S, log_level="INFO")


@pytest.fixture
def make_runner(quick):
    """Make runners on one home; whatever their jobs started ends with the test."""
    runners = []

    def make(command=COMMAND, **changes):
        runners.append(JobRunner(replace(quick, **changes), command=command))
        return runners[-1]

    yield make
    for job in runners[0].list(-1) if runners else ():
        signal_all(family(job.id, job.pid), signal.SIGKILL)  # one may end by itself meanwhile


@pytest.fixture
def runner(make_runner):
    return make_runner()


def running(runner, name):
    """Submit work and wait until it has reported."""
    job = runner.submit(work(name))
    return until(lambda: (now := runner.get(job.id)).progress.note and now)


# --- how jobs end by themselves


def test_success_with_progress_metrics_result_and_log(runner):
    job = runner.submit(work("succeed:x"))
    assert job.state in {JobState.QUEUED, JobState.RUNNING}
    done = runner.wait(job.id, TIMEOUT_S)
    assert (done.state, done.error) == (JobState.SUCCEEDED, None)
    assert done.result == {"argument": "x", "precision": 0.5, "folder": "a"}
    assert (done.progress.done, done.progress.total, done.progress.unit) == (10, 10, "rows")
    assert done.created_at <= done.started_at <= done.finished_at
    points = runner.metrics(job.id)
    assert [point for point in points if point.name == "loss"] == [("loss", step, 1 / step) for step in range(1, 11)]
    log = runner.log_tail(job.id, 50)
    assert "hello from the work" in log
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO .*The job succeeded", log, re.MULTILINE)
    assert runner.log_tail(job.id, 1).count("\n") == 0


def test_what_a_job_logs_names_the_request_that_started_it(make_runner, monkeypatch):
    monkeypatch.setenv(MARK, "json:command-4711:-")
    runner = make_runner(log_format="json")
    job = runner.wait(runner.submit(work("succeed:x")).id, TIMEOUT_S)
    lines = [json.loads(line) for line in runner.log_tail(job.id, 50).splitlines() if line.startswith("{")]
    ends = [line for line in lines if line["message"] == "The job succeeded."]
    assert [(line["request"], line["job"], line["level"]) for line in ends] == [("command-4711", job.id, "INFO")]
    assert {line["job"] for line in lines} == {job.id}
    assert ends[0]["person"] == job.asked_by.name
    assert runner.get(job.id).request_id == "command-4711"


def test_an_expected_failure_speaks_for_itself(runner):
    job = runner.wait(runner.submit(work("fail")).id, TIMEOUT_S)
    assert (job.state, job.error, job.next_step) == (JobState.FAILED, "The shelf is empty.", "Fill the shelf.")


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("crash", "RuntimeError: the secret inner reason"),
        ("leave", "SystemExit"),
        ("mumble", "MuteError"),
        ("babble", "not object"),
    ],
)
def test_an_unexpected_failure_has_a_number_that_the_log_explains(runner, name, detail):
    job = runner.wait(runner.submit(work(name)).id, TIMEOUT_S)
    assert job.state is JobState.FAILED
    incident = re.fullmatch(r"Something unexpected went wrong \(incident ([0-9a-f]{8})\)\.", job.error)[1]
    log = runner.log_tail(job.id, 100)
    assert f"incident {incident}" in log
    assert "Traceback" in log
    assert detail in log


def test_a_finished_job_leaves_no_process_behind(runner):
    job = runner.wait(runner.submit(work("litter")).id, TIMEOUT_S)
    assert job.state is JobState.SUCCEEDED
    assert is_gone(job.result["pid"])


def test_no_zombie_stays_in_the_process_that_submitted(runner):
    job = runner.wait(runner.submit(work("succeed")).id, TIMEOUT_S)
    until(lambda: not psutil.pid_exists(job.pid))


def test_the_worker_carries_out_the_steps_of_the_product(make_runner):
    runner = make_runner(command=None)
    job = runner.wait(runner.submit(EvaluateRequest(model="nowhere")).id, TIMEOUT_S)
    assert job.state is JobState.FAILED
    assert "nowhere" in job.error
    assert job.next_step


# --- starting


def test_the_same_request_twice_starts_one_job(runner, make_runner):
    first = running(runner, "spin")
    assert runner.submit(work("spin")).id == first.id
    assert make_runner().submit(work("spin")).id == first.id
    assert runner.submit(work("succeed")).id != first.id
    assert len(runner.list(kind="catalogue")) == 2


def test_a_button_that_is_pressed_many_times_at_once_starts_one_job(make_runner):
    runners = [make_runner() for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda number: runners[number % 2].submit(work("spin")), range(8)))
    assert len({job.id for job in jobs}) == 1
    until(lambda: runners[0].get(jobs[0].id).progress.note)
    assert len(family(jobs[0].id, None)) == 1


def test_two_runners_share_their_jobs(runner, make_runner):
    other = make_runner()
    job = running(other, "spin")
    assert runner.get(job.id).pid == job.pid
    runner.cancel(job.id)
    assert other.wait(job.id, TIMEOUT_S).state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("command", "message"),
    [(("/no/such/python",), "could not be started"), ((sys.executable, "-c", "1/0"), "before it started its work")],
)
def test_a_worker_that_cannot_start_is_a_failed_job(make_runner, command, message):
    runner = make_runner(command)
    job = runner.wait(runner.submit(work("succeed")).id, TIMEOUT_S)
    assert job.state is JobState.FAILED
    assert message in job.error
    assert job.next_step


def test_a_job_whose_starter_was_killed_is_started_by_the_next_look(runner, make_runner, quick):
    stuck, _ = runner._store.add("catalogue", to_json(work("succeed")))
    killed = JobStore(quick.jobs_db, clock=Clock(tick=lambda: time.monotonic() - 2 * TIMEOUT_S))
    assert [job.id for job in killed.claim({"catalogue": 1})] == [stuck.id]
    assert make_runner().wait(stuck.id, TIMEOUT_S).state is JobState.SUCCEEDED


def test_what_exceeds_a_limit_waits_says_so_and_starts_when_there_is_room(runner, make_runner, tmp_path):
    gate = tmp_path / "gate"
    first = running(runner, f"gated:{gate}")
    second, third = (runner.submit(work(name)) for name in ("succeed", "fail"))
    assert (second.state, second.pid, third.pid) == (JobState.QUEUED, None, None)
    assert make_runner().waits(third).said(lambda job: job.id) == f"Waits for: {first.id}; 2nd in the queue"
    assert runner.move_to_front(third.id)
    assert runner.waits(runner.get(third.id)).place == 1
    cancelled = runner.cancel(second.id)
    assert (cancelled.state, cancelled.pid) == (JobState.CANCELLED, None)
    gate.touch()
    assert make_runner().wait(third.id, TIMEOUT_S).state is JobState.FAILED  # any runner that looks starts it
    assert not runner.move_to_front(third.id)
    assert runner.count() == {("catalogue", state): 1 for state in ("SUCCEEDED", "CANCELLED", "FAILED")}


def test_work_in_the_background_and_what_it_starts_let_others_go_first(make_runner):
    job = running(make_runner(job_niceness=10), "breed")
    members = [job.pid, *map(int, job.progress.note.split())]
    assert [psutil.Process(pid).nice() for pid in members] == [10] * 4
    group = Path(f"/proc/{job.pid}/autogroup")
    assert not group.is_file() or "nice 10" in group.read_text("ascii")


def test_settings_and_secrets_travel_in_the_environment_only(make_runner):
    runner = make_runner(endpoint_token=SecretStr("very-secret"))
    job = running(runner, "spin")
    process = psutil.Process(job.pid)
    assert process.environ()["TWINSET_ENDPOINT_TOKEN"] == "very-secret"
    assert process.environ()["TWINSET_HOME"] == str(runner._settings.home)
    assert not any("very-secret" in part for part in process.cmdline())
    runner.cancel(job.id)
    runner.wait(job.id, TIMEOUT_S)
    assert "very-secret" not in runner.log_tail(job.id, 100)


SUBMIT = """
import sys
from pathlib import Path
from backend.access.asking import identify_by
from backend.access.edges import by_account
from backend.jobs.runner import JobRunner
from backend.flow.requests import IngestRequest
from backend.settings import load_settings
identify_by(lambda: by_account(load_settings(), "command"))
runner = JobRunner(load_settings(), command=sys.argv[2:])
print(runner.submit(IngestRequest(catalogue=sys.argv[1])).id, flush=True)
sys.stdin.readline()
"""


def test_a_job_outlives_the_process_that_submitted_it(runner, quick, tmp_path):
    gate = tmp_path / "gate"
    app = subprocess.Popen(
        [sys.executable, "-c", SUBMIT, f"gated:{gate}", *COMMAND],
        cwd=REPOSITORY,
        env=os.environ | quick.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with app:
        job_id = app.stdout.readline().strip()
        until(lambda: runner.get(job_id).progress.note)
        os.killpg(app.pid, signal.SIGKILL)  # as when a terminal or a service manager ends the app
    assert runner.get(job_id).state is JobState.RUNNING
    gate.touch()
    assert runner.wait(job_id, TIMEOUT_S).state is JobState.SUCCEEDED


def test_everything_is_still_there_for_the_next_runner(runner, make_runner):
    job = runner.wait(runner.submit(work("succeed")).id, TIMEOUT_S)
    later = make_runner()
    assert later.get(job.id) == job
    assert later.metrics(job.id)
    assert later.log_tail(job.id, 10) == runner.log_tail(job.id, 10)


# --- cancelling


def test_cancel_is_quick_and_cooperative(runner):
    job = running(runner, "spin")
    start = time.monotonic()
    asked = runner.cancel(job.id)
    assert time.monotonic() - start < 1.0  # the grace is 20 s
    assert asked.is_stopping or asked.state is JobState.CANCELLED
    ended = runner.wait(job.id, TIMEOUT_S)
    assert (ended.state, ended.error) == (JobState.CANCELLED, None)
    until(lambda: is_gone(job.pid))


def test_cancel_ends_children_grandchildren_and_daemons(runner):
    job = running(runner, "breed")
    born = [int(number) for number in job.progress.note.split()]
    assert len(born) == 3
    assert not any(is_gone(pid) for pid in born)
    runner.cancel(job.id)
    assert runner.wait(job.id, TIMEOUT_S).state is JobState.CANCELLED
    assert all(is_gone(pid) for pid in born)
    until(lambda: is_gone(job.pid))


def test_work_that_does_not_listen_is_killed_after_the_grace_by_its_own_worker(make_runner):
    runner = make_runner(job_grace_s=0.3)
    job = running(runner, "deaf")
    runner.cancel(job.id)
    until(lambda: is_gone(job.pid))  # nobody looks at the job meanwhile
    assert runner._store.get(job.id).state is JobState.CANCELLED


def test_a_frozen_worker_is_killed_by_the_next_look(make_runner):
    runner = make_runner(job_grace_s=0.3)
    job = running(runner, "breed")
    os.kill(job.pid, signal.SIGSTOP)
    runner.cancel(job.id)
    assert runner.wait(job.id, TIMEOUT_S).state is JobState.CANCELLED
    assert all(is_gone(int(pid)) for pid in [job.pid, *job.progress.note.split()])


def test_a_queued_job_is_cancelled_at_once_and_never_runs(make_runner):
    runner = make_runner((sys.executable, "-c", "import time; time.sleep(600)"))
    job = runner.submit(work("succeed"))
    assert runner.cancel(job.id).state is JobState.CANCELLED
    until(lambda: is_gone(job.pid))


def test_a_worker_that_comes_too_late_does_nothing(runner, quick):
    job, _ = runner._store.add("catalogue", to_json(work("crash")))
    runner.cancel(job.id)
    late = subprocess.run(
        [*COMMAND, job.id], cwd=REPOSITORY, env=os.environ | quick.environment(), capture_output=True, check=True
    )
    assert b"nothing to do" in late.stderr
    assert runner.get(job.id).state is JobState.CANCELLED


def test_a_forked_child_of_the_work_dies_of_a_signal_as_usual(runner):
    job = running(runner, "breed")
    forked = int(job.progress.note.split()[-1])
    os.kill(forked, signal.SIGTERM)
    until(lambda: is_gone(forked))
    assert runner.get(job.id).state is JobState.RUNNING


def test_a_signal_from_outside_counts_as_cancelling(runner):
    job = running(runner, "spin")
    os.kill(job.pid, signal.SIGTERM)
    assert runner.wait(job.id, TIMEOUT_S).state is JobState.CANCELLED


def test_what_has_ended_cannot_be_cancelled(runner):
    job = runner.wait(runner.submit(work("succeed")).id, TIMEOUT_S)
    with pytest.raises(IllegalTransition, match="already ended"):
        runner.cancel(job.id)
    with pytest.raises(JobNotFound):
        runner.cancel("nobody")


@pytest.mark.spark
@pytest.mark.slow
def test_cancel_ends_spark_and_its_python_workers(make_runner, quick):
    runner = make_runner(job_niceness=10)
    task = quick.home / "spark-task"
    job = runner.submit(work("spark"))
    until(lambda: task.is_file() and task.read_text(encoding="ascii"), 60)
    members = {process.pid: process.name() for process in family(job.id, job.pid)}
    members[int(task.read_text(encoding="ascii"))] = "python"
    assert "java" in members.values()
    assert {psutil.Process(pid).nice() for pid in members} == {10}
    runner.cancel(job.id)
    assert runner.wait(job.id, TIMEOUT_S).state is JobState.CANCELLED
    until(lambda: all(map(is_gone, members)))


# --- dying


def test_a_killed_worker_is_lost_with_its_log_and_without_orphans(runner):
    job = running(runner, "breed")
    born = [int(number) for number in job.progress.note.split()]
    os.kill(job.pid, signal.SIGKILL)
    until(lambda: is_gone(job.pid))
    [lost] = runner.reconcile()
    assert (lost.id, lost.state) == (job.id, JobState.LOST)
    assert "was killed unexpectedly" in lost.error
    assert "log" in lost.next_step
    assert "starts" in runner.log_tail(job.id, 10)
    assert all(is_gone(pid) for pid in born)


def test_a_cancelled_job_whose_worker_is_killed_is_cancelled_not_lost(runner):
    job = running(runner, "deaf")
    runner.cancel(job.id)
    os.kill(job.pid, signal.SIGKILL)
    assert runner.wait(job.id, TIMEOUT_S).state is JobState.CANCELLED


def test_a_worker_without_a_sign_of_life_is_lost_and_ended(make_runner):
    runner = make_runner(job_lost_after_s=0.5)
    job = running(runner, "breed")
    os.kill(job.pid, signal.SIGSTOP)
    lost = until(lambda: (now := runner.list()[0]).state.is_finished and now)
    assert lost.state is JobState.LOST
    assert "did not respond" in lost.error
    assert all(is_gone(int(pid)) for pid in [job.pid, *job.progress.note.split()])


def test_a_number_that_now_belongs_to_another_process_is_not_the_worker(runner):
    with subprocess.Popen(["sleep", "600"]) as stranger:
        job, _ = runner._store.add("catalogue", to_json(work("succeed")))
        runner._store.start(job.id, pid=stranger.pid)
        assert runner.get(job.id).state is JobState.LOST
        assert stranger.poll() is None
        stranger.kill()


def test_a_job_declared_lost_by_mistake_ends_itself(runner):
    job = running(runner, "breed")
    assert runner._store.finish(job.id, JobState.LOST, error="Somebody erred.")
    until(lambda: all(is_gone(int(pid)) for pid in [job.pid, *job.progress.note.split()]))
    assert runner.get(job.id).error == "Somebody erred."


# --- again


def test_retry_runs_the_same_request_as_a_new_job(runner):
    first = runner.wait(runner.submit(work("fail")).id, TIMEOUT_S)
    again = runner.retry(first.id)
    assert again.id != first.id
    assert (again.retry_of, again.kind, again.request) == (first.id, first.kind, first.request)
    assert runner.wait(again.id, TIMEOUT_S).state is JobState.FAILED
    assert [job.id for job in runner.list()] == [again.id, first.id]


def test_retry_of_a_job_that_still_runs_is_that_job(runner):
    job = running(runner, "spin")
    assert runner.retry(job.id).id == job.id


def test_waiting_has_an_end(runner):
    job = running(runner, "spin")
    with pytest.raises(JobError, match="still RUNNING after 0 s"):
        runner.wait(job.id, 0.05)


# --- a full disk

FULL_DISK = """
import json, sys
from backend.access.asking import identify_by
from backend.access.edges import by_account
from backend.jobs.runner import JobRunner
from backend.flow.requests import IngestRequest
from backend.settings import load_settings
identify_by(lambda: by_account(load_settings(), "command"))
runner = JobRunner(load_settings(), command=sys.argv[1:])
job = runner.wait(runner.submit(IngestRequest(catalogue="fill_disk")).id, 20)
print(json.dumps([job.state, job.error, job.next_step, len(runner.metrics(job.id))]))
"""


@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0,
    reason="a small disk needs a mount namespace",
)
def test_a_job_that_fills_the_disk_still_tells_how_it_ended(quick):
    quick.home.mkdir()
    script = 'mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, quick.home, sys.executable, "-c", FULL_DISK, *COMMAND],
        cwd=REPOSITORY,
        env=os.environ | quick.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["FAILED", "The disk is full.", "Free some space and retry the job.", 1]

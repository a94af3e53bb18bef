"""Alerts as a real server gets them: once, again when it is over, whatever fails, restarts or runs twice meanwhile."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.access.asking import Asking, asked_by
from backend.access.person import Person, Role
from backend.errors import AccessDenied, FileUnusable, PromotionRefused, SettingsError, UsageError
from backend.files.holding import LOCKS, holder_of
from backend.jobs.alerts import kinds, troubles, watch
from backend.jobs.alerts.posting import Message, Target
from backend.jobs.alerts.watch import FIRST_PAUSE_S, FORGOTTEN_S, LONGEST_PAUSE_S, Alerts
from backend.jobs.schedules import Schedules, request_for
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.machine.keeper import STATES_FILE
from backend.progress import NullProgress
from backend.registry.ledger import LEDGER, Check, Ledger, RegisteredVersion, write_ledger
from backend.registry.promotion import _refused
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.refresh import refresh_gallery
from backend.settings import SecretStr, load_settings
from tests.fixtures.endpoint import shop_rows, write_projection_bundle
from tests.support.changed_catalogues import ChangingShop
from tests.support.scripted_server import scripted
from tests.support.waiting import until

OK, BAD = (204, {}, b""), (500, {}, b"")
SECRET = "T0/B1/s3cret"


@pytest.fixture
def jobs(settings, clock):
    return JobStore(settings.jobs_db, logs_dir=settings.logs_dir, clock=clock)


@pytest.fixture
def watching(settings, clock):
    """Make what watches the home and sends to these addresses."""

    def make(*urls, **changes):
        at = " ".join(f"{url}/{SECRET}" for url in urls)
        calm = {"alert_disk_mb": 0, **changes}
        return Alerts(replace(settings, alert_urls=SecretStr(at), **calm), now=clock.now)

    return make


def ended(jobs, state, *, catalogue="shop", error="The disk is full."):
    job, _ = jobs.add("quality", {"catalogue": catalogue})
    jobs.start(job.id, pid=1)
    jobs.finish(job.id, state, error=None if state is JobState.SUCCEEDED else error)
    return job


def bodies(seen):
    return [json.loads(one["body"]) for one in seen]


def told(seen):
    return [(one["kind"], one["state"]) for one in bodies(seen)]


def test_a_failed_job_is_told_once_again_when_it_fails_again_and_once_more_when_it_succeeds(watching, jobs, clock):
    with scripted(OK) as (url, seen):
        alerts = watching(url)
        ended(jobs, JobState.FAILED)
        clock.at += 100
        alerts.run()  # what ended before anybody looked is no news
        assert told(seen) == []
        first = ended(jobs, JobState.FAILED)
        ended(jobs, JobState.FAILED, catalogue="other")
        ended(jobs, JobState.CANCELLED, catalogue="third")
        for _ in range(3):
            clock.at += 10
            alerts.run()
        assert told(seen) == [("job", "problem"), ("job", "problem")]
        ended(jobs, JobState.LOST)
        alerts.run()
        ended(jobs, JobState.SUCCEEDED)
        for _ in range(3):
            clock.at += 40
            watching(url).run()  # another process, as after a restart
        assert told(seen)[2:] == [("job", "problem"), ("job", "recovered")]
        body = bodies(seen)[0]
        assert body.keys() == {"text", "kind", "state", "about", "id", "at", "version"}
        assert f"Job quality {first.id} failed: The disk is full." in body["text"]
        assert bodies(seen)[3]["about"] == body["about"]
        assert len({one["id"] for one in bodies(seen)}) == 4
        clock.at += FORGOTTEN_S
        assert alerts.run().open == ()
        assert len(seen) == 4  # a failure that nobody ran again is forgotten, not recovered


def test_what_does_not_arrive_is_sent_again_with_growing_pauses_in_order_and_does_not_hold_up_others(
    watching, jobs, clock
):
    pauses = []
    with scripted(*[BAD] * 10, OK) as (broken, seen), scripted(OK) as (sound, others):
        alerts, target = watching(broken, sound), Target(f"{broken}/{SECRET}")
        alerts.run()
        ended(jobs, JobState.FAILED)
        for tried in range(1, 11):
            found = alerts.run().to(target)
            assert (len(seen), found.error) == (tried, "It answered with status 500.")
            pauses.append(found.due - clock.at)
            clock.at = found.due - 1
            alerts.run()
            clock.at = found.due
        ended(jobs, JobState.SUCCEEDED)
        found = alerts.run()
    assert told(others) == [("job", "problem"), ("job", "recovered")]
    assert told(seen)[10:] == [("job", "problem"), ("job", "recovered")]
    assert pauses == [min(FIRST_PAUSE_S * 2**tries, LONGEST_PAUSE_S) for tries in range(10)]
    assert {(one.error, one.waiting, one.tries) for one in found.deliveries} == {("", (), 0)}


def test_of_two_keepers_one_sends(watching, settings, jobs):
    released = threading.Event()
    with scripted(OK, hang=released) as (url, seen):
        one, other = watching(url), watching(url)
        one.run()
        ended(jobs, JobState.FAILED)
        thread = threading.Thread(target=one.run)
        thread.start()
        until(lambda: holder_of(settings.home / LOCKS / "alerts"))
        other.run()  # returns although the first one is still sending
        released.set()
        thread.join()
        other.run()
    assert told(seen) == [("job", "problem")]


def test_neither_a_redirect_nor_silence_nor_nobody_passes_for_success_and_no_text_holds_the_address(
    watching, jobs, caplog
):
    with scripted(OK) as (goal, reached), scripted((302, {"Location": goal}, b"")) as (away, _):
        alerts = watching(away, "http://127.0.0.1:1", "https://nowhere.invalid")
        alerts.run()
        ended(jobs, JobState.FAILED)
        found = alerts.run()
    assert reached == []
    errors = [found.to(target).error for target in watch.targets(alerts._settings)]
    assert errors == ["It answered with status 302.", "It cannot be reached.", "It cannot be reached."]
    said = (
        caplog.text
        + (alerts._settings.home / "alerts.json").read_text()
        + str([t.shown for t in watch.targets(alerts._settings)])
    )
    assert "s3cret" not in said
    assert "http://127.0.0.1:1/…" in said


def test_the_gate_the_index_the_disk_and_the_servers_are_looked_at_as_they_are(watching, settings, monkeypatch, clock):
    bad = Check("precision", passed=False, says="0.81 instead of 0.86.")
    older = RegisteredVersion(1, "old", ("champion",), "", "", None, (replace(bad, passed=True),))
    refused = RegisteredVersion(2, "new", (), "", "", None, (bad,))
    with scripted(OK) as (url, seen):
        alerts = watching(url)
        assert alerts.run().open == ()
        write_ledger(settings.home, Ledger("twinset", (refused, older)))
        state = {
            "keeper": 1,
            "troubles": [{"title": "Endpoint", "deaths": troubles.DEATHS}, {"title": "App", "deaths": 1}],
        }
        (settings.home / STATES_FILE).write_text(json.dumps(state))
        alerts.run()
        assert [one["text"].partition(": ")[2] for one in bodies(seen)] == [
            "Version 2 was not made champion. Precision: 0.81 instead of 0.86.",
            "Endpoint died 3 times in a row.",
        ]
        (settings.home / STATES_FILE).unlink()
        write_ledger(settings.home, Ledger("twinset", (replace(refused, aliases=("champion",)), older)))
        alerts.run()
        assert told(seen)[2:] == [("gate", "recovered"), ("server", "recovered")]

        free = shutil.disk_usage(settings.home)
        disk = watching(url, alert_disk_mb=1000)
        for megabytes, expected in [(1001, []), (999, ["problem"]), (1050, []), (1101, ["recovered"])]:
            before = len(seen)
            now = free._replace(free=int(megabytes * 1e6))
            monkeypatch.setattr(troubles.shutil, "disk_usage", lambda _, now=now: now)
            disk.run()
            assert [state for _, state in told(seen[before:])] == expected
    assert troubles._OF_GATE.match(_refused(2, "champion", (bad,)).message)
    assert isinstance(_refused(2, "champion", (bad,)), PromotionRefused)


def test_what_cannot_be_told_is_no_recovery(watching, settings, caplog):
    refused = RegisteredVersion(2, "new", (), "", "", None, (Check("x", passed=False, says="no."),))
    with scripted(OK) as (url, seen):
        settings.home.mkdir()
        write_ledger(settings.home, Ledger("twinset", (refused,)))
        watching(url).run()
        (settings.home / LEDGER).write_text("damaged")
        assert [one.kind for one in watching(url).run().open] == ["gate"]
    assert told(seen) == [("gate", "problem")]
    assert "cannot be told" in caplog.text


def test_a_trial_is_real_marked_for_administrators_and_changes_nothing(watching, settings):
    with scripted(OK) as (url, seen):
        known = watching(url)._settings
        for kind in kinds.KINDS:
            assert _as(Role.ADMIN, watch.try_out, known, kind) == [(f"{url}/…", "")]
        assert told(seen) == [(kind, "trial") for kind in kinds.KINDS]
        assert all("This is a trial." in one["text"] for one in bodies(seen))
        with pytest.raises(AccessDenied):
            _as(Role.ENGINEER, watch.try_out, known, "job")
        assert len(seen) == len(kinds.KINDS)
    assert not (settings.home / "alerts.json").exists()
    assert _as(Role.ADMIN, watch.try_out, known, "job") == [(f"{url}/…", "It cannot be reached.")]
    with pytest.raises(UsageError, match="no address"):
        _as(Role.ADMIN, watch.try_out, settings, "job")


def test_a_missed_schedule_is_told_until_it_has_run(watching, settings, clock):
    schedules = Schedules(settings, clock=clock)
    _as(Role.ADMIN, lambda: schedules.add(request_for("refresh"), "daily 03:00", "UTC", catch_up=False))
    with scripted(OK) as (url, seen):
        for days, expected in [(0.1, []), (3, ["problem"]), (0, []), (None, ["recovered"])]:
            before = len(seen)
            clock.at = schedules.list()[0].next_at if days is None else clock.at + days * 86_400
            schedules.look()
            watching(url).run()
            assert [state for _, state in told(seen[before:])] == expected
    assert "Schedule of refresh: Missed 3 runs: " in bodies(seen)[0]["text"]


def _as(role, function, *given):
    class Journal:
        def write(self, *_):
            pass

    with asked_by(Asking(Person("ada", role, "app"), Journal())):
        return function(*given)


def test_what_is_known_survives_and_a_newer_or_damaged_file_is_refused(watching, settings, jobs):
    alerts = watching("http://127.0.0.1:1")
    alerts.run()
    ended(jobs, JobState.FAILED)
    found = alerts.run()
    assert watch.read(settings) == found
    assert len(found.to(Target(f"http://127.0.0.1:1/{SECRET}")).waiting) == 1
    file = settings.home / "alerts.json"
    for text in ("{", "[]", json.dumps({**asdict(found), "format": 2}), json.dumps({**asdict(found), "open": 3})):
        file.write_text(text)
        with pytest.raises(FileUnusable):
            alerts.run()
        assert file.read_text() == text


def test_the_keeper_never_waits_and_without_an_address_nothing_is_done(watching, settings, jobs, clock):
    released = threading.Event()
    Alerts(settings).look()
    assert not settings.home.joinpath("alerts.json").exists()
    with scripted(OK, hang=released) as (url, seen):
        alerts = watching(url)
        alerts.run()
        ended(jobs, JobState.FAILED)
        alerts.look()
        alerts.look()
        released.set()
        alerts._thread.join()
    assert told(seen) == [("job", "problem")]


@given(st.text(max_size=3_000))
def test_no_text_calls_a_room_or_becomes_a_link(text):
    sent = Message("job", "problem", "k", "o", f"<!channel> {text}", 0.0).body()["text"]
    assert not set(sent) & set("<>\n\r\0")
    assert len(sent) <= 2_000


@pytest.mark.parametrize("url", ["ftp://x", "file:///etc/passwd", "hooks.example/x", "https://a javascript:x"])
def test_only_web_addresses_are_taken_and_a_refusal_does_not_show_them(url, tmp_path):
    with pytest.raises(SettingsError) as refused:
        load_settings({"TWINSET_ALERT_URLS": url, "HOME": str(tmp_path)}, dotenv=tmp_path / "none")
    assert url not in str(refused.value)


def test_an_index_far_behind_its_catalogue_is_told_until_it_is_refreshed(watching, settings, tmp_path):
    shop = ChangingShop(settings.catalogues_dir, shop_rows(per_kind=6))
    folder = settings.models_dir / "m"
    embedder = write_projection_bundle(folder)
    build_gallery(shop.snapshot, embedder, folder, progress=NullProgress())
    write_ledger(settings.home, Ledger("twinset", (RegisteredVersion(1, "m", ("champion",), "", "", None),)))
    with scripted(OK) as (url, seen):
        for change, expected in [(["b001"], []), (["b002"], ["problem"]), (["b003"], []), ((), ["recovered"])]:
            if change:
                shop.drop(change)
            else:
                refresh_gallery(shop.snapshot, lambda: embedder, folder, progress=NullProgress())
            before = len(seen)
            watching(url, alert_behind=1).run()
            assert [state for _, state in told(seen[before:])] == expected
    assert "The index of shop is 2 versions, 2 products behind." in bodies(seen)[0]["text"]

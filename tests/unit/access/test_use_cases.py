"""Every use case, called as every role and as nobody: refused to whom it is not for, before anything is changed."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from backend.access.asking import Asking, asked_by, asking, identify_by
from backend.access.people import People
from backend.access.person import Person, Role
from backend.access.use_case import DONE, READ, REFUSED, USE_CASES, UseCase, carry_out, require, use_case, words
from backend.catalogue.fetch.records import store_of
from backend.catalogue.fetch.shared import SharedPictures
from backend.catalogue.loading import staging
from backend.catalogue.loading.quarantine_export import export_quarantine
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources import locations, saved_mappings
from backend.errors import AccessDenied, CatalogueError
from backend.flow.current import export, renew
from backend.flow.kinds import run_request
from backend.flow.requests import KINDS, IngestRequest, SimilarRequest
from backend.flow.roles import JOBS
from backend.jobs import audit_table, disk, earlier, tidy_home
from backend.jobs.alerts import watch
from backend.jobs.backup import archive, upgrade
from backend.jobs.runner import JobRunner
from backend.jobs.schedules import Schedules
from backend.jobs.store import JobStore
from backend.merchandising import products
from backend.merchandising.collections import exports
from backend.merchandising.collections.collection import begun
from backend.merchandising.collections.sheet import as_sheet
from backend.merchandising.collections.store import CollectionStore
from backend.merchandising.draft import Draft, Drafts
from backend.merchandising.kept_pictures import KeptPictures, keep_photo, remove_photo
from backend.merchandising.rule_store import RuleStore
from backend.merchandising.similar import exports as similar_exports
from backend.merchandising.substitutes import files
from backend.merchandising.substitutes.kept import SCHEMA, About, Check, Checks, Decision
from backend.progress import NullProgress
from backend.projection import lists
from backend.registry import fetching, golden
from backend.serving.gateway import _Gateway
from backend.serving.tokens import token_store
from backend.settings import ROOT
from backend.tuning import saved_spaces
from backend.tuning.folder import SweepFolder
from backend.tuning.space import Space
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import shop_rows

NOBODY = None
ROLES = (NOBODY, *Role)
QUIET = NullProgress()


@dataclass
class Journal:
    rows: list = field(default_factory=list)

    def write(self, person, action, about, result):
        self.rows.append((person.name, action, about, result))


class Ground:
    """A home with a stored catalogue in it, and what examples are about."""

    def __init__(self, home):
        self.settings = settings_for(home)
        shutil.copytree(ROOT / "tests" / "stored" / "before-rooms" / "catalogues", self.settings.catalogues_dir)
        self.shop = open_snapshot(self.settings.catalogues_dir, "shop")
        self.rules, self.collections = (
            RuleStore(self.settings.rules_dir, "shop"),
            CollectionStore(self.settings.collections_dir, "shop"),
        )
        self.one = begun("Summer", "ada", [])
        self.golden = golden.GoldenQuery("boot", "shop", shop_rows(1)[0]["image"], ("a",), (), 3)
        self.check = Check(About("shop", 1, "first", 1, "", 0), SCHEMA.empty_table())
        self.list = lists.SavedList("mine", "list", "first", "shop", 1, (lists.ListedProduct("a"),))
        self.sweep = SweepFolder(self.settings.sweeps_dir / "autumn")
        self.sweep.path.mkdir(parents=True)
        self.runner = JobRunner(self.settings, starts=False)
        self.job = JobStore(self.settings.jobs_db).add("similar", {})[0].id
        self.schedules = Schedules(self.settings)
        with asked_by(Asking(Person("ada", Role.ADMIN, "command"), Journal())):
            self.schedule = self.schedules.add(SimilarRequest(), "daily 03:00", "UTC")
        self.tokens, self.people = token_store(self.settings), People(self.settings.home)
        (self.settings.substitutes_dir / "shop").mkdir(parents=True)

    def state(self):
        """Every file with its bytes, but for the locks, which say nothing."""
        every = sorted(self.settings.home.rglob("*"))
        return {path: path.read_bytes() if path.is_file() else b"" for path in every if path.suffix != ".lock"}


def without_mlflow(work):
    """It takes seconds to import, and what it says is other tests' business."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "mlflow", None)
        work()


EXAMPLES = {
    "pages.read": lambda _: require(READ),
    "products.find": lambda _: _Gateway._answered(None, None, None, None),
    "products.download": lambda _: products.handed_out(lambda: "", catalogue="shop"),
    "photos.keep": lambda g: keep_photo(KeptPictures(g.settings.photos_dir), shop_rows(1)[0]["image"]),
    "photos.remove": lambda g: remove_photo(KeptPictures(g.settings.photos_dir), "0" * 64),
    "people.set": lambda g: g.people.set("eve", "viewer", seen=g.people.listed().version),
    "people.remove": lambda g: g.people.remove("eve", seen=g.people.listed().version),
    "tokens.issue": lambda g: g.tokens.issue("till"),
    "tokens.revoke": lambda g: g.tokens.revoke("till"),
    "audit.read": lambda g: audit_table.page(g.settings, audit_table.Wanted(), 1),
    "audit.export": lambda g: audit_table.export(g.settings, audit_table.Wanted(), "csv"),
    "alerts.try": lambda g: watch.try_out(g.settings, "job"),
    "home.backup": lambda g: archive.back_up(g.settings.home, g.settings.home.with_name("backup.tar"), QUIET),
    "home.restore": lambda g: archive.restore(g.settings.home / "none.tar", g.settings.home / "restored", QUIET),
    "home.upgrade": lambda g: upgrade.upgrade(replace(g.settings, home=g.settings.home / "none"), None, QUIET),
    "home.disk": lambda g: disk.disk_use(g.settings),
    "home.tidy": lambda _: tidy_home.tidy(None),
    "home.restore_version": lambda g: earlier.put_back(g.settings, "space", "wide", 1),
    "models.sign": lambda _: without_mlflow(lambda: fetching.sign_version(None, 1)),
    "rules.draft": lambda g: Drafts(g.rules).save(Draft("ada", 0)),
    "rules.discard": lambda g: Drafts(g.rules).discard("ada"),
    "rules.publish": lambda g: g.rules.publish([], base=0, by="ada"),
    "rules.restore": lambda g: g.rules.restore(1, by="ada"),
    "rules.keep_picture": lambda g: g.rules.keep_picture(shop_rows(1)[0]["image"]),
    "collections.change": lambda g: g.collections.put(g.one, base=0, by="ada"),
    "collections.remove": lambda g: g.collections.remove("summer", base=0, by="ada"),
    "collections.bring_back": lambda g: g.collections.bring_back("summer", 1, by="ada"),
    "collections.export": lambda g: [make(g.one, g.shop) for make in (exports.as_csv, exports.as_zip, as_sheet)],
    "substitutes.decide": lambda g: Checks(g.settings.substitutes_dir, "shop").decide([Decision("a", "keep", "b")]),
    "substitutes.export": lambda g: files.as_file(g.check, g.shop, "csv"),
    "substitutes.pin": lambda g: files.pins(g.check, owner="ada"),
    "similar.export": lambda g: similar_exports.as_bytes(
        g.settings.similar_dir, g.settings.catalogues_dir, "shop", "wide", QUIET
    ),
    "golden.approve": lambda g: golden.approve(g.settings.home, g.golden),
    "golden.mark": lambda g: golden.mark(g.settings.home, g.golden, "b", is_similar=False),
    "golden.remove": lambda g: golden.remove(g.settings.home, g.golden.id),
    "sources.remember": lambda g: renew.remember(g.settings, "shop", renew.Remembered(IngestRequest())),
    "sources.forget": lambda g: renew.forget(g.settings, "shop"),
    "sources.save_mapping": lambda g: saved_mappings.save_mapping(g.settings.mappings_dir, "till", ["a"], {}),
    "sources.keep_upload": lambda g: locations.keep_upload(g.settings, "a.csv", b"a,b\n"),
    "sources.say_real": lambda g: SharedPictures(store_of(g.settings)).say(["00"], is_real=True),
    "catalogue.discard": lambda g: staging.discard(g.settings, "load1"),
    "catalogue.export_rejected": lambda g: export_quarantine(g.shop),
    "catalogue.download_corrected": lambda g: export.handed_out(g.settings, "shop"),
    "lists.save": lambda g: lists.save_list(g.settings.lists_dir, g.list),
    "lists.delete": lambda g: lists.delete_list(g.settings.lists_dir, "mine"),
    "lists.keep_selection": lambda g: lists.keep_selection(g.settings.lists_dir, ["a"]),
    "spaces.save": lambda g: saved_spaces.save_space(g.settings.spaces_dir, "wide", Space({})),
    "spaces.delete": lambda g: saved_spaces.delete_space(g.settings.spaces_dir, "wide"),
    "sweeps.pause": lambda g: g.sweep.ask_to_pause(),
    "sweeps.cancel": lambda g: g.sweep.cancel(),
    "jobs.submit": lambda g: g.runner.submit(SimilarRequest(k=3)),
    "jobs.cancel": lambda g: g.runner.cancel(g.job),
    "jobs.move_to_front": lambda g: g.runner.move_to_front(g.job),
    "schedules.add": lambda g: g.schedules.add(SimilarRequest(), "hourly", "UTC"),
    "schedules.change": lambda g: g.schedules.change(g.schedule.id, is_on=False),
    "schedules.remove": lambda g: [g.schedules.remove(g.schedule.id), g.schedules._insert(g.schedule)],
    **{f"jobs.{kind}": lambda g, request=request: g.runner.submit(request()) for kind, request in KINDS.items()},
}


def declared():
    """Names of the use cases in the code, whether it is imported or not."""
    found = {wanted.name for wanted in JOBS.values()}
    for path in (ROOT / "backend").rglob("*.py"):
        if "use_case(" in (text := path.read_text("utf-8")) or "registered(" in text:
            found |= {
                node.args[0].value
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Call)
                and getattr(node.func, "id", "") in {"use_case", "registered"}
                and isinstance(node.args[0], ast.Constant)
            }
    return found


def test_every_use_case_has_an_example_here_and_only_those():
    assert declared() == EXAMPLES.keys()
    assert {name for name in USE_CASES if not name.startswith("test.")} == EXAMPLES.keys()


def test_the_guide_says_who_may_do_what():
    rows = re.findall(
        r"^\| (\w+) \| [^|]+ \| (`.*`) \|$", (ROOT / "docs/guide/people.md").read_text("utf-8"), re.MULTILINE
    )
    told = {name: role for role, names in rows for name in re.findall(r"`([^`]+)`", names)}
    assert told == {name: USE_CASES[name].role.title for name in EXAMPLES}


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    return Ground(tmp_path_factory.mktemp("roles") / "home")


def called(name, ground, role):
    """Call an example as a role; returns what it raised, if anything, and what was written down."""
    journal = Journal()
    asker = None if role is NOBODY else Asking(Person("bo", role, "app"), journal)
    identify_by(lambda: asker)
    try:
        EXAMPLES[name](ground)
    except Exception as error:  # noqa: BLE001 - what comes after the check is other tests' business
        return error, journal.rows
    return None, journal.rows


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_use_case_is_for_its_role_and_those_above_it(name, ground):
    needed, before = USE_CASES[name], ground.state()
    for role in ROLES:  # those who may not come first
        error, rows = called(name, ground, role)
        actions = {name, "jobs.submit"} if name.startswith("jobs.") else {name}
        if role is not NOBODY and role >= needed.role:
            assert not isinstance(error, AccessDenied), (role, error)
            written = {action for _, action, _, _ in rows}
            assert not needed.is_audited or written & actions, role
            continue
        assert isinstance(error, AccessDenied), (role, error)
        assert ground.state() == before, role
        refused = [] if role is NOBODY or name == "pages.read" else [REFUSED]
        assert [result for _, action, _, result in rows if action in actions] == refused


def test_a_job_is_not_carried_out_for_whom_it_is_not(settings):
    for kind, request in KINDS.items():
        lower = [role for role in Role if role < JOBS[f"{kind}"].role]
        for role in lower:
            journal = Journal()
            with asked_by(Asking(Person("bo", role, "job"), journal)), pytest.raises(AccessDenied):
                run_request(request(), settings, QUIET)
            assert [(action, result) for _, action, _, result in journal.rows] == [(f"jobs.{kind}", REFUSED)]
    assert not settings.home.exists()


def test_what_came_of_it_is_written_down_with_what_it_brought(settings):
    journal = Journal()

    @use_case("test.act", Role.VIEWER, about=lambda text: words(text=text), brings=lambda n: words(version=n))
    def act(text):
        if not text:
            raise CatalogueError("Nothing.")
        if text == "!":
            raise ZeroDivisionError
        return 0

    with asked_by(Asking(Person("bo", Role.VIEWER, "app"), journal)):
        act("so be it")
        with pytest.raises(CatalogueError):
            act("")
        with pytest.raises(ZeroDivisionError):
            act("!")
    assert [row[1:] for row in journal.rows] == [
        ("test.act", 'text="so be it" version=0', DONE),
        ("test.act", "", CatalogueError.code),
        ("test.act", "text=!", "ZeroDivisionError"),
    ]
    USE_CASES.pop("test.act")


@examples(max_examples=20)
@given(st.dictionaries(st.sampled_from("abc"), st.text() | st.integers()))
def test_words_are_told_apart_whatever_is_in_them(values):
    text = words(**values)
    assert "\n" not in text
    assert "\r" not in text


def test_two_use_cases_cannot_have_one_name():
    with pytest.raises(ValueError, match=r"pages\.read"):
        use_case("pages.read", Role.ADMIN)


def test_somebody_without_a_role_is_told_whom_to_ask():
    with asked_by(Asking(Person("bo", None, "app"), Journal())):
        with pytest.raises(AccessDenied) as told:
            carry_out(UseCase("test.none", Role.MERCHANDISER), lambda: None)
        assert "bo may not do this: it needs the role merchandiser" in str(told.value)
        assert asking().person.role is None

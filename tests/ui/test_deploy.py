"""Deploy: versions with their gate and card, aliases, golden queries, tokens, the endpoint's health, and trying it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from app.services import deploy
from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.errors import SettingsError
from backend.flow.requests import IndexRequest, to_json
from backend.jobs.queue import limits_of
from backend.jobs.store import JobStore
from backend.registry.card import card_of
from backend.registry.golden import golden_queries
from backend.registry.ledger import Check, Event, Ledger, RegisteredVersion, write_ledger
from backend.serving.tokens import token_store
from tests.fixtures.endpoint import encoded, picture
from tests.ui.conftest import assert_calm, grid, press, texts

PHOTO = encoded(picture("checks", 3))
REFUSED = (Check("metrics", False, "Worse than the champion."), Check("fidelity", True, "The index is exact."))
PASSED = tuple(replace(check, passed=True, says="Fine.") for check in REFUSED)


@pytest.fixture
def registry(screen, shop_model):
    """A champion, an earlier version, and one that the gate refused."""
    card = card_of(screen.settings.models_dir / shop_model.name, shop_model)
    versions = (
        RegisteredVersion(3, "shop-new", ("challenger",), "2026-11-25T12:00:00+00:00", "r3", card, REFUSED),
        RegisteredVersion(
            2, "shop-good", ("champion",), "2026-11-24T12:00:00+00:00", "r2", card, PASSED, "It was asked."
        ),
        RegisteredVersion(1, "", (), "2026-11-23T12:00:00+00:00", "", None),
    )
    events = (
        Event("2026-11-24T12:01:00+00:00", "promote", "champion", 2, 1, "It was asked."),
        Event("2026-11-23T12:01:00+00:00", "promote", "champion", 1, None),
    )
    write_ledger(screen.settings.home, Ledger("twinset", versions, events))
    return versions


def button(test, label):
    return next(one for one in test.button if one.label == label)


def only_job(screen):
    (job,) = screen.runner.list()
    return job.kind, job.request


def test_before_anything_is_registered_it_says_what_to_do(screen, shop_model):
    test = screen.open("deploy")
    assert_calm(test)
    assert "There are no registered versions here yet" in texts(test)


def test_the_newest_version_is_shown_with_what_the_gate_said(screen, registry):
    test = screen.open("deploy")
    assert_calm(test)
    assert "**Metrics**: Worse than the champion." in texts(test)
    table = next(frame.value for frame in test.dataframe if "Alias" in frame.value)
    assert table["Gate"].tolist() == ["refused", "passed, overridden", "not run"]
    assert table["Alias"].tolist() == ["challenger", "champion", ""]


def test_a_refused_version_is_promoted_with_a_written_reason_only(screen, registry):
    test = screen.open("deploy")
    assert button(test, "Make it champion").disabled
    test.text_input(key="reason-3").set_value("  The photographer changed. ").run()
    assert not button(test, "Make it champion").disabled
    press(test, "Make it champion")
    expected = {"alias": "champion", "reason": "The photographer changed.", "replace_catalogue": False}
    assert only_job(screen) == ("promote", {"version": 3, **expected})


@pytest.fixture
def photos(screen, shop_model):
    """A model of another catalogue than the champion's, and a registered version of it."""
    folder = screen.settings.models_dir / "photos"
    shutil.copytree(screen.settings.models_dir / shop_model.name, folder)
    ref = CatalogueRef("clothing-photos", 1)
    made = replace(bundle.read_manifest(folder), name="photos", catalogue=ref, created_at="2026-11-27T12:00:00+00:00")
    return bundle.write_manifest(folder, replace(made, index=replace(made.index, catalogue=ref)))


@pytest.mark.parametrize("where", ["Deploy as champion", "Make it champion"])
def test_another_catalogue_is_published_after_one_question(screen, registry, photos, where):
    card = card_of(screen.settings.models_dir / "photos", photos)
    newest = RegisteredVersion(4, "photos", (), "2026-11-27T12:00:00+00:00", "r4", card)
    write_ledger(screen.settings.home, Ledger("twinset", (newest, *registry)))
    test = screen.open("deploy")
    press(test, where)
    assert "This replaces the shop catalogue by clothing\\-photos. Publish?" in texts(test)
    assert screen.runner.list() == []
    press(test, "Cancel")
    assert "Publish?" not in texts(test)
    press(test, where)
    press(test, "Publish")
    _, request = only_job(screen)
    assert request["replace_catalogue"]
    assert (request.get("model"), request.get("version")) in [("photos", None), (None, 4)]
    assert "Publish?" not in texts(test)


def test_deploying_waits_for_an_index_that_is_being_built(screen, shop_model):
    store = JobStore(screen.settings.jobs_db, logs_dir=screen.settings.logs_dir)
    bundle.write_manifest(screen.settings.models_dir / shop_model.name, replace(shop_model, index=None))
    test = screen.open("deploy")
    assert "Build the index first" in texts(test)
    assert button(test, "Deploy as champion").disabled
    store.add("index", to_json(IndexRequest(shop_model.name)))
    store.claim(limits_of(screen.settings))  # it is being started
    test.run()
    assert "Deploying waits for it" in texts(test)
    assert button(test, "Build the index").disabled
    assert not button(test, "Deploy as champion").disabled


def test_one_click_goes_back(screen, registry):
    press(screen.open("deploy"), "Roll back to version 1")
    assert only_job(screen) == ("rollback", {"alias": "champion"})


def test_a_card_is_replayed_by_a_click(screen, registry):
    press(screen.open("deploy", registered="2"), "Rebuild")
    assert only_job(screen) == ("rebuild", {"version": 2, "model": "", "name": ""})


def test_the_champion_shows_its_reason_card_and_history(screen, registry):
    test = screen.open("deploy", registered="2")
    assert_calm(test)
    assert "The gate was overridden: It was asked." in texts(test)
    assert "This version is being served." in texts(test)
    assert "Make it champion" not in [one.label for one in test.button]
    lineage = next(frame.value for frame in test.dataframe if "What" in frame.value and "Is" in frame.value)
    told = dict(zip(lineage["What"], lineage["Is"], strict=True))
    assert told["Catalogue"] == "shop, version 4"
    assert told["Endpoint"] == screen.settings.effective_endpoint_url
    assert [one.label for one in test.get("download_button")] == ["Model card"]
    history = next(frame.value for frame in test.dataframe if "From" in frame.value)
    assert history["What"].tolist() == ["Champion to version 2", "Champion to version 1"]


def test_a_version_without_a_card_says_so(screen, registry):
    test = screen.open("deploy", registered="1")
    assert_calm(test)
    assert "has no readable card" in texts(test)
    assert button(test, "Rebuild").disabled


def test_a_version_that_is_not_ours_is_listed_and_cannot_be_promoted(screen, registry):
    """Somebody else put it into MLflow; its name is theirs, too."""
    why = "Version 9 of twinset was not registered by Twinset, and is not loaded."
    evil = RegisteredVersion(9, "**evil**", (), "2026-11-27T12:00:00+00:00", "", None, refused=why)
    write_ledger(screen.settings.home, Ledger("twinset", (evil, *registry)))
    test = screen.open("deploy")
    assert_calm(test)
    assert "was not registered by Twinset, and is not loaded" in texts(test)
    table = next(frame.value for frame in test.dataframe if "Alias" in frame.value)
    assert table["Gate"].tolist()[0] == "not trusted, not served"
    assert not [one for one in test.button if one.label in {"Make it champion", "Make it challenger", "Rebuild"}]


def test_a_damaged_model_is_said_and_the_others_are_there(screen, shop_model):
    bad = screen.settings.models_dir / "<b>bad"
    bad.mkdir()
    (bad / bundle.MANIFEST).write_text("{")
    test = screen.open("deploy")
    assert_calm(test)
    assert "cannot be used as a model. The manifest is not valid JSON" in texts(test)
    assert test.selectbox(key="model").options == [shop_model.name]


def test_a_damaged_ledger_is_a_sentence(screen, shop_model):
    (screen.settings.home / "registry.json").write_text("{")
    test = screen.open("deploy")
    assert not test.exception
    assert "registry.json is damaged" in test.error[0].value.replace("\\", "")


# ------------------------------------------------------------------------------------------- the endpoint


def test_health_shows_how_it_answers(screen, shop_endpoint, shop_model):
    from app.services import common

    common.endpoint().recommend(PHOTO, k=3)
    shown = texts(screen.open("deploy"))
    assert "Questions 1" in shown
    assert "Refused or failed 0" in shown
    assert "Latency, p50 " in shown
    assert "Latency, p50 –" not in shown


def test_a_picture_is_tried_and_answered(screen, shop_endpoint, shop_model):
    test = screen.open("deploy", view="Try it")
    press(test, "Ask")
    assert "Choose a picture first" in texts(test)
    test.file_uploader[0].upload("photo.png", PHOTO, "image/png")
    press(test, "Ask")
    assert_calm(test)
    assert grid(test)[0]["id"] == "c017"
    assert "of it in the endpoint" in texts(test)
    test.file_uploader[0].upload("photo.png", b"no picture", "image/png")
    press(test, "Ask")
    assert "not a PNG, JPEG, WEBP, HEIC, AVIF, GIF or TIFF" in test.error[0].value


def test_recipes_name_the_address_and_leave_the_token_out(screen, shop_endpoint, shop_model):
    from backend.serving.tokens import ensure_app_token

    test = screen.open("deploy", view="From your program")
    shown = "\n".join(code.value for code in test.code)
    assert f"{shop_endpoint}/v1/recommend" in shown
    assert f"{shop_endpoint}/invocations" in shown
    assert "$TOKEN" in shown
    assert ensure_app_token(screen.settings).reveal() not in shown


def test_a_plain_mlflow_server_gets_its_own_recipe_and_no_figures(screen, shop_model):
    screen.settings = replace(screen.settings, endpoint_url="http://127.0.0.1:9/invocations")
    test = screen.open("deploy", view="From your program")
    assert_calm(test)
    assert "A plain MLflow server is answering" in texts(test)
    assert [code.value.count("http://127.0.0.1:9/invocations") for code in test.code] == [1]
    assert "tokens are issued there" in texts(screen.open("deploy", view="Tokens"))


@pytest.mark.mlflow
def test_find_similar_is_answered_by_a_plain_mlflow_server(screen, shop_endpoint, shop_model):
    screen.settings = replace(screen.settings, endpoint_url=f"{shop_endpoint}/invocations")
    test = screen.open()
    assert_calm(test)
    assert "upload a photo instead" in texts(test)
    test.file_uploader[0].upload("photo.png", PHOTO, "image/png").run()
    assert_calm(test)
    assert grid(test)[0]["id"] == "c017"
    assert "Approve this answer" not in [one.label for one in test.button]
    assert "searched" not in texts(test)


# ------------------------------------------------------------------------------------------------- tokens


def test_a_token_is_shown_once_and_listed_without_itself(screen, shop_model):
    test = screen.open("deploy", view="Tokens")
    test.text_input(key="token_name").set_value("web-shop")
    test.number_input(key="token_days").set_value(30)
    press(test, "Create a token")
    assert_calm(test)
    (token,) = [code.value for code in test.code]
    entry = token_store(screen.settings).find(token)
    assert (entry.name, entry.scope) == ("web-shop", "ask")
    assert entry.expires_at
    assert token not in str(test.session_state._state.filtered_state)

    test.run()
    assert token not in texts(test)
    table = next(frame.value for frame in test.dataframe if "Last used" in frame.value)
    rows = table[["Name", "Last used", "State"]].to_numpy().tolist()
    assert rows == [["web-shop", "never", "good"], ["app", "never", "good"]]

    press(test, "Revoke")
    assert token_store(screen.settings).find(token) is None


def test_the_widest_scope_is_left_to_the_command_line_and_tokens_that_have_it_stay_good(screen, shop_model):
    store = token_store(screen.settings)
    earlier = store.issue("till", scope="all").reveal()
    test = screen.open("deploy", view="Tokens")
    assert test.selectbox(key="token_scope").options == [
        "Read: health, version, metrics",
        "Search: find similar products",
    ]
    assert "tokens issue NAME --scope all" in texts(test)
    with pytest.raises(SettingsError, match="cannot be created here"):
        deploy.issue_token("web-shop", "all", None)
    assert store.find(earlier).may("all")
    assert "web-shop" not in store.names()


@pytest.mark.parametrize(
    ("name", "says"), [("", "letters, digits"), ("a b", "letters, digits"), ("app", "its own token")]
)
def test_a_name_that_cannot_be_is_said(screen, shop_model, name, says):
    test = screen.open("deploy", view="Tokens")
    test.text_input(key="token_name").set_value(name)
    press(test, "Create a token")
    assert not test.exception
    assert says in texts(test)
    assert token_store(screen.settings).names() == ("app",)


# ------------------------------------------------------------------------------------------ golden queries


def test_an_answer_is_approved_where_it_is_shown_and_given_up_on_the_deploy_page(screen, shop_endpoint, shop_model):
    test = screen.open()
    test.file_uploader[0].upload("photo.png", PHOTO, "image/png").run()
    nearest = [card["id"] for card in grid(test)]
    test.text_input(key="golden_name").set_value("The checked one")
    test.multiselect(key="golden_labels").set_value(["checks"])
    press(test, "Approve this answer")
    assert_calm(test)
    (query,) = golden_queries(screen.settings.home)
    assert (query.name, query.catalogue, query.k, query.image) == ("The checked one", "shop", 12, PHOTO)
    assert (list(query.products), query.labels) == (nearest[:3], ("checks",))
    assert query.approved_with == "twinset version 1"

    test = screen.open("deploy", view="Golden queries")
    assert_calm(test)
    assert grid(test)[0]["title"] == "The checked one"
    press(test, "Remove it")
    assert golden_queries(screen.settings.home) == []
    assert "No answer has been approved yet" in texts(screen.open("deploy", view="Golden queries"))


def test_an_approval_that_expects_nothing_is_refused_with_a_sentence(screen, shop_endpoint, shop_model):
    test = screen.open()
    test.file_uploader[0].upload("photo.png", PHOTO, "image/png").run()
    test.multiselect(key="golden_products").set_value([])
    press(test, "Approve this answer")
    assert "needs an expected product or label" in test.error[0].value
    assert golden_queries(screen.settings.home) == []


def test_the_ledger_of_the_tests_is_the_one_that_is_written(shop_model, screen):
    """What the page reads is what a registration leaves: the card of a real bundle."""
    folder = screen.settings.models_dir / shop_model.name
    assert card_of(folder, bundle.read_manifest(folder)).metrics == shop_model.metrics

"""The endpoint against its own OpenAPI document: kept, served, complete, and true of whatever is asked."""

from __future__ import annotations

import ast
import base64
from dataclasses import replace

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as searching
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from backend.serving import openapi
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from backend.serving.wire.records import RECORDS
from backend.serving.wire.refusals import REFUSALS
from backend.serving.wire.routes import ANY_BYTES, INVOCATIONS, QUESTION, RECOMMEND, ROUTES
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import encoded, http_to, picture, served

PICTURES = [encoded(picture(kind, 2)) for kind in ("stripes", "blob")]
# What the endpoint's own modules do not answer with: the client's reading of other servers.
OF_CLIENTS = {"bad_answer", "not_an_endpoint", "no_filters", "not_ours", "image_rejected"}


def test_the_kept_document_is_the_one_that_is_made(repository):
    assert (repository / openapi.KEPT_AT).read_bytes() == openapi.as_json(), "run python -m backend.serving.openapi"


@pytest.mark.slow
def test_the_document_is_valid_openapi():
    schemathesis.openapi.from_dict(openapi.document()).validate()


def test_the_document_names_every_route_and_parameter():
    document = openapi.document()
    assert document["paths"].keys() == {route.path for route in ROUTES}
    assert len({record.name for record in RECORDS}) == len(RECORDS)
    asked = document["paths"][RECOMMEND.path]["post"]["parameters"]
    assert [parameter["name"] for parameter in asked] == [field.name for field in QUESTION]


def test_every_refusal_in_the_code_is_in_the_table_and_none_besides(repository):
    """Codes are written where they are raised; the table knows each of them with its status."""
    folders = ("serving", "retrieval", "imaging", "errors")
    paths = [path for folder in folders for path in (repository / "backend" / folder).rglob("*.py")]
    paths.append(repository / "backend" / "registry" / "predictor.py")
    trees = [ast.parse(path.read_text("utf-8")) for path in paths if path.parent.name != "wire"]
    known = {(refusal.code, refusal.status) for refusal in REFUSALS}
    for code, status in {one for tree in trees for one in _raised(tree)} - {(code, None) for code in OF_CLIENTS}:
        if code not in OF_CLIENTS:
            assert any(code == name and status in {None, number} for name, number in known), f"{code} {status}"
    texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {refusal.code for refusal in REFUSALS if refusal.code} - texts == set()


def _raised(tree):
    """Code and status, None where it is not written there, of each typed refusal that is made in a module."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            words = {word.arg: word.value for word in call.keywords}
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            code = call.args[0] if name == "_bad" else words.get("code")
            if isinstance(code, ast.Constant):
                status = words.get("status")
                yield code.value, status.value if isinstance(status, ast.Constant) else None


@pytest.fixture(scope="module")
def address(projection_recommender, tmp_path_factory):
    """A running endpoint over the small shop, as (address, headers with its token)."""
    settings = replace(settings_for(tmp_path_factory.mktemp("openapi") / "home"), endpoint_rate=0)
    headers = {"Authorization": f"Bearer {ensure_app_token(settings).reveal()}"}
    with http_to(build_app(settings, load=lambda: served(projection_recommender)), headers=headers) as client:
        invocation = {"inputs": [base64.b64encode(PICTURES[0]).decode()]}
        first = client.post(INVOCATIONS.path, json=invocation)  # imports MLflow, which takes a while
        assert first.status_code == 200
        yield str(client.base_url), headers


TIMEOUT_S = 60
# Wrong tokens are slowed down, and are the gateway's own tests; no schema says which bytes are a picture, or which ids
# the gallery has, so what fits the schema may be refused. What does not fit may be taken: in an address one string and a
# list of one are the same, and the token is always sent. Which wrong values are refused is the gateway's own tests.
NOT_CHECKED = [ignored_auth, negative_data_rejection, positive_data_acceptance]
# Nothing can be wrong where nothing is asked.
ASKED = [(route, GenerationMode.POSITIVE) for route in ROUTES]
ASKED += [(route, GenerationMode.NEGATIVE) for route in (INVOCATIONS, RECOMMEND)]


@pytest.mark.slow
@pytest.mark.mlflow
@pytest.mark.parametrize(("route", "mode"), ASKED, ids=lambda part: getattr(part, "path", getattr(part, "value", "")))
def test_whatever_is_asked_the_answer_is_as_documented(address, route, mode):
    url, headers = address
    schemathesis.openapi.media_type(ANY_BYTES, st.sampled_from(PICTURES) | st.binary(max_size=64))
    document = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers)
    statuses = set()

    @searching(max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=document[route.path][route.method].as_strategy(generation_mode=mode))
    def ask(case):
        statuses.add(
            case.call_and_validate(headers=headers, timeout=TIMEOUT_S, excluded_checks=NOT_CHECKED).status_code
        )

    ask()
    assert statuses & ({200} if mode == GenerationMode.POSITIVE else {400, 415, 422})

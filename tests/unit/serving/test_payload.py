"""Every request is read strictly: right ones give what was asked, wrong ones a code and a sentence."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request

from backend.errors import EndpointRejected, ImageRejected, RetrievalError, WorkbenchError
from backend.imaging.spec import PixelSpec
from backend.retrieval.filters import FILTERS
from backend.retrieval.invocation import InvocationParams
from backend.retrieval.wishes import SEVERAL_WISHES, SINGLE_WISHES
from backend.serving.payload import (
    MAX_K,
    MAX_PICTURES,
    Invocation,
    check_answer_size,
    read_invocation,
    read_pictures,
    read_question,
)

A, B = "QQ==", "Qg=="


def read(request, max_rows=5):
    return read_invocation(json.dumps(request).encode(), max_rows=max_rows)


@pytest.mark.parametrize(
    "request_",
    [
        {"dataframe_split": {"columns": ["input"], "data": [[A], [B]]}},
        {"dataframe_split": {"columns": ["input"], "index": [7, 3], "data": [[A], [B]]}},
        {"dataframe_records": [{"input": A}, {"input": B}]},
        {"instances": [A, B]},
        {"instances": [[A], [B]]},
        {"instances": [{"input": A}, {"input": B}]},
        {"inputs": [A, B]},
        {"inputs": {"input": [A, B]}},
        {"inputs": [{"input": A}, {"input": B}]},
    ],
    ids=lambda value: next(iter(value)),
)
def test_all_four_formats_give_every_row(request_):
    asked = read(request_)
    assert asked.texts == (A, B)
    assert asked.params == InvocationParams(10, "")
    assert read({**request_, "params": {"k": 3, "include_images": "hex"}}).params.k == 3


@pytest.mark.parametrize("inputs", [A, {"input": A}])
def test_inputs_may_be_a_single_text(inputs):
    assert read({"inputs": inputs}).texts == (A,)


def test_what_mlflow_gets_is_written_by_us():
    asked = read({"instances": [A, {"input": B}], "params": {"k": 2, "include_images": "png"}})
    assert json.loads(asked.as_json()) == {
        "dataframe_split": {"columns": ["input"], "data": [[A], [B]]},
        "params": {
            "k": 2,
            "include_images": "png",
            "on_error": "",
            "layout": "rows",
            "region": "",
            "colour_weight": "",
            "rules": "",
        },
    }


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"", "bad_json", 400),
        (b"{", "bad_json", 400),
        (b"\xff\xfe", "bad_json", 400),
        (b"[" * 100_000, "bad_json", 400),
        (b"[]", "bad_json", 400),
        (b'"text"', "bad_json", 400),
        (b"1" * 5_000, "bad_json", 400),
        (b"{}", "bad_format", 422),
        (b'{"instances": ["QQ=="], "inputs": ["QQ=="]}', "bad_format", 422),
        (b'{"instances": ["QQ=="], "signature_name": "x"}', "bad_format", 422),
        (b'{"instances": "QQ=="}', "bad_format", 422),
        (b'{"instances": {"input": ["QQ=="]}}', "bad_format", 422),
        (b'{"inputs": 3}', "bad_format", 422),
        (b'{"inputs": {"image": ["QQ=="]}}', "bad_format", 422),
        (b'{"instances": []}', "no_rows", 422),
        (b'{"dataframe_records": []}', "no_rows", 422),
        (b'{"dataframe_split": {"columns": ["input"], "data": []}}', "no_rows", 422),
        (b'{"dataframe_split": {"columns": ["image"], "data": [["QQ=="]]}}', "bad_columns", 422),
        (b'{"dataframe_split": {"columns": ["input", "x"], "data": [["QQ==", 1]]}}', "bad_columns", 422),
        (b'{"dataframe_split": {"columns": ["input"], "data": [["QQ==", "QQ=="]]}}', "bad_columns", 422),
        (b'{"dataframe_split": [["QQ=="]]}', "bad_columns", 422),
        (b'{"dataframe_records": [{"input": "QQ=="}, {"image": "QQ=="}]}', "bad_columns", 422),
        (b'{"instances": [null]}', "bad_columns", 422),
        (b'{"instances": [3]}', "bad_columns", 422),
        (b'{"instances": ["a","b","c","d","e","f"]}', "too_many_rows", 413),
        (b'{"instances": ["QQ=="], "params": {"k": 0}}', "bad_k", 422),
        (b'{"instances": ["QQ=="], "params": {"k": 201}}', "bad_k", 422),
        (b'{"instances": ["QQ=="], "params": {"k": true}}', "bad_k", 422),
        (b'{"instances": ["QQ=="], "params": {"k": "10"}}', "bad_k", 422),
        (b'{"instances": ["QQ=="], "params": {"k": 2.5}}', "bad_k", 422),
        (b'{"instances": ["QQ=="], "params": {"include_images": true}}', "bad_params", 422),
        (b'{"instances": ["QQ=="], "params": {"include_images": []}}', "bad_params", 422),
        (b'{"instances": ["QQ=="], "params": {"temperature": 1}}', "bad_params", 422),
        (b'{"instances": ["QQ=="], "params": [1]}', "bad_params", 422),
        (b'{"instances": ["QQ=="], "params": {"on_error": "skip"}}', "bad_params", 422),
        (b'{"instances": ["QQ=="], "params": {"layout": "columns"}}', "bad_params", 422),
    ],
)
def test_a_wrong_request_is_refused_with_a_code(body, code, status):
    with pytest.raises((EndpointRejected, RetrievalError)) as caught:
        read_invocation(body, max_rows=5)
    assert (caught.value.code, caught.value.status) == (code, status)
    assert caught.value.next_step
    assert "QQ==" not in str(caught.value)


def test_a_question_has_k_filters_and_images():
    query = [("k", "7"), ("brand", "Ada"), ("brand", "Bo"), ("price_max", "9.5"), ("in_stock", "true")]
    asked = read_question([*query, ("include_images", "false")])
    assert (asked.k, asked.include_images) == (7, False)
    assert asked.filters == {"brand": ("Ada", "Bo"), "price_max": 9.5, "in_stock": True}
    assert read_question([]) == read_question([("k", "10"), ("include_images", "true")])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ([("k", "ten")], "bad_k"),
        ([("k", "")], "bad_k"),
        ([("k", "-1")], "bad_k"),
        ([("k", "0")], "bad_k"),
        ([("k", str(MAX_K + 1))], "bad_k"),
        ([("k", "9" * 5000)], "bad_k"),
        ([("k", "²")], "bad_k"),
        ([("k", "3"), ("k", "4")], "bad_parameter"),
        ([("price_min", "3"), ("price_min", "4")], "bad_parameter"),
        ([("include_images", "maybe")], "bad_parameter"),
        ([("token", "secret")], "unknown_parameter"),
        ([("region", "0,0,1,secret")], "bad_region"),
        ([("region", "0,0,1,1"), ("region", "0,0,1,1")], "bad_parameter"),
    ],
)
def test_a_wrong_question_is_refused_with_a_code(query, code):
    with pytest.raises((EndpointRejected, RetrievalError, ImageRejected)) as caught:
        read_question(query)
    assert (caught.value.code, caught.value.status) == (code, 422)
    assert "secret" not in str(caught.value)


def test_a_wrong_filter_value_is_the_filters_own_error():
    with pytest.raises(RetrievalError, match="price_min needs a number"):
        read_question([("price_min", "cheap")])


def test_an_answer_beyond_the_limit_is_not_computed():
    spec = PixelSpec(28, 28, 1)
    check_answer_size(Invocation(("QQ==",) * 128, InvocationParams(200, "")), spec)
    check_answer_size(Invocation(("QQ==",) * 10, InvocationParams(200, "png")), spec)
    with pytest.raises(EndpointRejected, match="166 MB; at most 64") as caught:
        check_answer_size(Invocation(("QQ==",) * 128, InvocationParams(200, "hex")), spec)
    assert (caught.value.code, caught.value.status) == ("answer_too_large", 413)


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b'{"instances": [' + b"1," * 100_000 + b"1]}", "too_many_rows", 413),
        (b'{"instances": [' + b'["QQ=="],' * 100_000 + b'["QQ=="]]}', "too_many_rows", 413),
        (b'{"instances": ' + b'{"a":' * 100_000, "bad_json", 400),
        (b"[]" * 100_000, "bad_json", 400),
    ],
    ids=["numbers", "rows", "levels", "lists"],
)
def test_more_values_than_the_rows_allowed_need_are_not_even_parsed(monkeypatch, body, code, status):
    monkeypatch.setattr("backend.serving.payload._json_object", lambda _body: pytest.fail("it was parsed"))
    with pytest.raises(EndpointRejected) as caught:
        read_invocation(body, max_rows=128)
    assert (caught.value.code, caught.value.status) == (code, status)


def test_as_many_rows_as_allowed_are_read_in_the_longest_way_to_write_them():
    split = {"columns": ["input"], "index": list(range(128)), "data": [["data:image/png;base64,QQ=="]] * 128}
    assert len(read({"dataframe_split": split, "params": {"k": 3}}, max_rows=128).texts) == 128
    assert len(read({"dataframe_records": [{"input": A}] * 128}, max_rows=128).texts) == 128


# ------------------------------------------------------------------------------------------- any bytes at all

TOKENS = (
    *('{"instances": [', '{"inputs": ', '"dataframe_split": {"columns": ["input"], "data": ', '{"dataframe_records": '),
    *('"params": {"k": ', '"include_images": ', '"input"', '"QQ=="', "[", "]", "{", "}", ",", ":", "1", "1e999", "-0"),
    *("NaN", "true", "null", '"\\ud800"', '"on_error": "null"', '"layout": "columns"', "\ufeff", "\x00", " "),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(A),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["input", "columns", "data", "k", "layout", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
MEMBERS = ("dataframe_split", "dataframe_records", "instances", "inputs", "params", "x")
BODIES = (
    st.binary(max_size=200)
    | st.lists(st.sampled_from(TOKENS), max_size=14).map(lambda parts: "".join(parts).encode())
    | st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=2).map(lambda value: json.dumps(value).encode())
    | VALUES.map(lambda value: json.dumps(value).encode("utf-16"))
)


@given(BODIES)
@profile(max_examples=70)
def test_any_body_is_an_invocation_or_refused(body):
    with suppress(WorkbenchError):
        asked = read_invocation(body, max_rows=4)
        assert 1 <= len(asked.texts) <= 4
        assert read_invocation(asked.as_json(), max_rows=4) == asked


KEYS = st.sampled_from(["k", "include_images", "region", *FILTERS, *SEVERAL_WISHES, *SINGLE_WISHES]) | st.text(
    max_size=5
)
WORDS = st.sampled_from(["1", "-1", "0.5", "nan", "inf", "true", "none", "²", "9" * 400, ""]) | st.text(max_size=8)


@given(st.lists(st.tuples(KEYS, WORDS), max_size=5))
@profile(max_examples=50)
def test_any_query_is_a_question_or_refused(query):
    with suppress(WorkbenchError):
        asked = read_question(query)
        assert 1 <= asked.k <= MAX_K


def sent(body, content_type, cut):
    """A request as the server hands it over, its body in two pieces."""
    pieces = [
        {"type": "http.request", "body": body[:cut], "more_body": True},
        {"type": "http.request", "body": body[cut:]},
    ]

    async def receive():
        return pieces.pop(0)

    headers = [] if content_type is None else [(b"content-type", content_type)]
    return Request({"type": "http", "method": "POST", "headers": headers, "app": Starlette()}, receive)


LINES = (
    *(b"--b", b"--b--", b"--", b"\r\n", b"\n", b"\r", b"Content-Disposition: form-data", b'; name="image"', b"; name="),
    *(
        b'; name="unlike"',
        b'; filename="a.png"',
        b"; filename*=utf-8''%ff",
        b"Content-Type: image/png",
        b":",
        b"\x89PNG",
    ),
)
PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n\x89PNG\r\n'
FORMS = (
    st.binary(max_size=100)
    | st.lists(st.sampled_from([*LINES, PART]) | st.binary(max_size=3), max_size=14).map(b"".join)
    | st.integers(0, MAX_PICTURES + 3).map(lambda count: PART * count + b"--b--\r\n")
)
KINDS = st.sampled_from(
    [
        *(
            None,
            b"",
            b"image/png",
            b"multipart/form-data",
            b"multipart/form-data; boundary=b",
            b"MULTIPART/Form-Data;;",
        ),
        *(
            b"multipart/form-data; boundary=",
            b"multipart/form-data; boundary=b; charset=utf-7",
            b"multipart/form-data ,",
        ),
        *(b"multipart/form-data; charset=zip; boundary=b", b"multipart/form-data; boundary*=utf-8''%ff"),
    ]
)


@given(FORMS, KINDS | st.binary(max_size=30), st.integers(0, 100))
@profile(max_examples=70)
def test_any_form_is_pictures_or_refused(body, kind, cut):
    with suppress(WorkbenchError):
        pictures = asyncio.run(read_pictures(sent(body, kind, cut)))
        assert 1 <= len(pictures.like) + len(pictures.unlike) <= MAX_PICTURES


def test_a_form_that_cannot_be_read_says_what_to_send():
    with pytest.raises(EndpointRejected, match="The form cannot be read") as caught:
        asyncio.run(read_pictures(sent(b"--a", b"multipart/form-data; boundary=b", 1)))
    assert (caught.value.code, caught.value.status) == ("bad_form", 400)
    pictures = asyncio.run(read_pictures(sent(PART * 2 + b"--b--", b"multipart/form-data; boundary=b", 50)))
    assert pictures.like == (b"\x89PNG",) * 2

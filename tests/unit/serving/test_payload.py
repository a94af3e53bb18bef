"""Every request is read strictly: right ones give what was asked, wrong ones a code and a sentence."""

from __future__ import annotations

import json

import pytest

from backend.errors import EndpointRejected, RetrievalError
from backend.imaging.spec import PixelSpec
from backend.retrieval.invocation import InvocationParams
from backend.serving.payload import (
    MAX_K,
    Invocation,
    check_answer_size,
    read_invocation,
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
        "params": {"k": 2, "include_images": "png", "on_error": "", "layout": "rows"},
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
    ],
)
def test_a_wrong_question_is_refused_with_a_code(query, code):
    with pytest.raises((EndpointRejected, RetrievalError)) as caught:
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
    with pytest.raises(EndpointRejected, match="166 MB, more than the 64") as caught:
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

"""What the endpoint is asked, read strictly: every wrong input gets a sentence and a code before anything runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from backend.errors import EndpointRejected
from backend.imaging.region import Region
from backend.retrieval.filters import COLLECTION, TEXT_FILTERS, check_filters
from backend.retrieval.invocation import DEFAULT_K, MAX_K, InvocationParams, read_k
from backend.retrieval.wishes import SEVERAL_WISHES, SINGLE_WISHES, Wishes, read_wishes
from backend.serving.wire.routes import FORM, FORMATS, INPUT, MAX_PICTURES, QUESTION, SEVERAL, UNLIKE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.requests import Request

    from backend.imaging.spec import PixelSpec

# The largest answer in MLflow's protocol, in bytes: what 128 pictures with 200 neighbours each come to, without images.
MAX_ANSWER_BYTES = 64_000_000
_VALUES_PER_ROW, _OTHER_VALUES = 4, 64  # a text, its index and its comma as a data URL; columns and params
_EXAMPLE = 'For example {"dataframe_split": {"columns": ["input"], "data": [["<base64>"]]}, "params": {"k": 10}}.'
_FORM = "Send the picture itself as the body, or a multipart form with a file."
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Question:
    """What ``/v1/recommend`` is asked besides the picture; ``collections`` are to become a filter of product ids."""

    k: int
    filters: dict[str, Any]
    include_images: bool
    wishes: Wishes = field(default_factory=Wishes)
    region: Region | None = None
    suggest_region: bool = False
    collections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a question: those that it is about, and those to stay away from."""

    like: tuple[bytes, ...]
    unlike: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Invocation:
    """A request in MLflow's protocol; ``texts`` are the rows of the column ``input``."""

    texts: tuple[str, ...]
    params: InvocationParams

    def as_json(self) -> bytes:
        """Return the request in the one form that MLflow gets to see."""
        table = {"columns": [INPUT], "data": [[text] for text in self.texts]}
        return json.dumps({"dataframe_split": table, "params": asdict(self.params)}).encode()


def read_question(query: Iterable[tuple[str, str]]) -> Question:
    """Read the query parameters of ``/v1/recommend``: k, include_images, region, the filters, and the wishes.

    Raises:
        EndpointRejected: A parameter is unknown, given twice, or has a value it cannot have.
        RetrievalError: A filter or a wish has a value it cannot have.
        ImageRejected: The region is none.
    """
    values: dict[str, list[str]] = {}
    for name, value in query:
        values.setdefault(name, []).append(value)
    known = tuple(parameter.name for parameter in QUESTION)
    if values.keys() - set(known):
        raise _bad("unknown_parameter", "There is an unknown query parameter.", f"Use {', '.join(known)}.")
    for name, several in values.items():
        if len(several) > 1 and name not in SEVERAL:
            raise _bad("bad_parameter", f"{name} is given more than once.", "Send it once.")
    k = read_k(_whole_number(values.pop("k", [str(DEFAULT_K)])[0]))
    include, suggest = _flag(values, "include_images", usual="true"), _flag(values, "suggest_region", usual="false")
    region = Region.read(values.pop("region", [""])[0])
    wishes = {name: values.pop(name) for name in (*SEVERAL_WISHES, *SINGLE_WISHES) if name in values}
    collections = tuple(values.pop(COLLECTION, ()))
    filters = {name: several if name in TEXT_FILTERS else several[0] for name, several in values.items()}
    return Question(k, check_filters(filters), include, read_wishes(wishes), region, suggest, collections)


def _flag(values: dict[str, list[str]], name: str, *, usual: str) -> bool:
    found = _FLAGS.get(values.pop(name, [usual])[0].lower())
    if found is None:
        raise _bad("bad_parameter", f"{name} must be true or false.", f"Write {name}=true.")
    return found


def check_pictures(like: Sequence[bytes], unlike: Sequence[bytes]) -> Pictures:
    """Check the pictures of a form: files called ``unlike`` are to be stayed away from, all others are asked about.

    Raises:
        EndpointRejected: There is none to ask about, or there are too many.
    """
    if not like or len(like) + len(unlike) > MAX_PICTURES:
        raise _bad(
            "bad_form",
            f"The form contains {len(like)} files to search for and {len(unlike)} to move away from.",
            f"Send at least one to search for, and at most {MAX_PICTURES} in total.",
        )
    return Pictures(tuple(like), tuple(unlike))


async def read_pictures(request: Request, *, may_be_none: bool = False) -> Pictures:
    """Return the pictures of a request: its body, or the files of a form; none where the question names products.

    Raises:
        EndpointRejected: The form cannot be read, or holds none to ask about, or too many.
    """
    if media_type(request) != FORM:
        body = await request.body()
        return Pictures(() if may_be_none and not body else (body,))
    try:
        async with request.form(max_files=MAX_PICTURES + 1, max_fields=8) as form:
            files = [(name, await file.read()) for name, file in form.multi_items() if isinstance(file, UploadFile)]
    except HTTPException as error:  # as Starlette says it of a form
        raise _bad("bad_form", "The form cannot be read.", _FORM, status=400) from error
    return check_pictures(
        [data for name, data in files if name != UNLIKE], [data for name, data in files if name == UNLIKE]
    )


def media_type(request: Request) -> str:
    """Return what a request says its body is, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_invocation(body: bytes, *, max_rows: int) -> Invocation:
    """Read a request in MLflow's protocol: exactly one of its four formats, and ``params``.

    Raises:
        EndpointRejected: It is not JSON, not in the protocol, or has no row or too many.
        RetrievalError: A parameter cannot be used.
    """
    _check_values(body, max_rows)
    request = _json_object(body)
    formats = [name for name in FORMATS if name in request]
    if len(formats) != 1 or request.keys() - {*formats, "params"}:
        raise _bad(
            "bad_format",
            f"The request must contain exactly one of {', '.join(FORMATS)}, and may contain params.",
            _EXAMPLE,
        )
    texts = _READERS[formats[0]](request[formats[0]])
    if not texts:
        raise _bad("no_rows", "The request contains no picture.", _EXAMPLE)
    if len(texts) > max_rows:
        raise _too_many_rows(f"The request contains {len(texts):,} pictures; at most {max_rows:,} are allowed.")
    params = request.get("params")
    if params is not None and not isinstance(params, dict):
        raise _bad("bad_params", "params must be an object.", _EXAMPLE)
    return Invocation(texts, InvocationParams.read(params or {}))


def answer_bytes(asked: Invocation, spec: PixelSpec) -> int:
    """Estimate how long the JSON of an answer gets, before it is computed."""
    pixels = spec.height * spec.width * spec.channels
    per_image = {"": 0, "png": 2 * pixels + 200, "hex": 8 * pixels}[asked.params.include_images]
    return len(asked.texts) * asked.params.k * (200 + per_image)


def check_answer_size(asked: Invocation, spec: PixelSpec) -> None:
    """Refuse a request whose answer would be larger than ``MAX_ANSWER_BYTES``.

    Raises:
        EndpointRejected: It would.
    """
    size = answer_bytes(asked, spec)
    if size > MAX_ANSWER_BYTES:
        raise EndpointRejected(
            f"The answer would have {size / 1e6:,.0f} MB; at most {MAX_ANSWER_BYTES / 1e6:,.0f} are allowed.",
            code="answer_too_large",
            status=413,
            next_step="Send fewer pictures at once, ask for a smaller k, or leave out the images.",
        )


def _check_values(body: bytes, max_rows: int) -> None:
    """Refuse what holds more values than so many rows can need, by its commas and brackets, before it is parsed.

    The parser holds up every other thread: 25 MB of the smallest values keep it busy for seconds, 25 MB of pictures for
    some milliseconds.
    """
    most = _VALUES_PER_ROW * max_rows + _OTHER_VALUES
    if body.count(b",") > most:
        raise _too_many_rows(f"The request contains more values than the {max_rows:,} allowed pictures need.")
    if body.count(b"[") + body.count(b"{") > most:
        raise _bad("bad_json", "The body is not JSON of this protocol: it is nested too deeply.", _EXAMPLE, status=400)


def _too_many_rows(message: str) -> EndpointRejected:
    return EndpointRejected(
        message, code="too_many_rows", status=413, next_step="Send the pictures in several requests, and nothing else."
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _bad("bad_json", "The body is not valid JSON.", _EXAMPLE, status=400) from error
    if not isinstance(request, dict):
        raise _bad("bad_json", "The body must be a JSON object.", _EXAMPLE, status=400)
    return request


def _from_split(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, dict) or raw.get("columns") != [INPUT] or not isinstance(raw.get("data"), list):
        raise _bad("bad_columns", f'dataframe_split needs the one column "{INPUT}", and data.', _EXAMPLE)
    return _cells(raw["data"])


def _from_list(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise _bad("bad_format", "The rows must be a list.", _EXAMPLE)
    return _cells(raw)


def _from_inputs(raw: object) -> tuple[str, ...]:
    """``inputs`` is a column: a text, a list, or either of them under the column's name."""
    column = raw[INPUT] if isinstance(raw, dict) and raw.keys() == {INPUT} else raw
    return _from_list([column] if isinstance(column, str) else column)


def _cells(rows: list[object]) -> tuple[str, ...]:
    return tuple(_cell(row, number) for number, row in enumerate(rows))


def _cell(row: object, number: int) -> str:
    """A row is a text, a list of one text, or an object with the one column."""
    cell = row
    if isinstance(row, list) and len(row) == 1:
        cell = row[0]
    elif isinstance(row, dict) and row.keys() == {INPUT}:
        cell = row[INPUT]
    if not isinstance(cell, str):
        raise _bad("bad_columns", f'query_row {number} is not one base64 text in the column "{INPUT}".', _EXAMPLE)
    return cell


_READERS = {
    "dataframe_split": _from_split,
    "dataframe_records": _from_list,
    "instances": _from_list,
    "inputs": _from_inputs,
}


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_K)) else None


def _bad(code: str, message: str, next_step: str, *, status: int = 422) -> EndpointRejected:
    return EndpointRejected(message, code=code, status=status, next_step=next_step)

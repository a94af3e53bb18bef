"""The model as MLflow serves it: a table of encoded pictures in, a table of neighbours out, every row answered."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import mlflow.pyfunc
import pandas as pd

from backend.errors import ImageRejected, RetrievalError
from backend.imaging import pixels
from backend.imaging.region import Region
from backend.retrieval.invocation import ImageFormat, InvocationParams
from backend.retrieval.recommend import Recommender
from backend.retrieval.wishes import read_colour_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.imaging.spec import PixelSpec
    from backend.retrieval.recommend import Neighbour, Recommendation
    from backend.retrieval.rules.compiled import CompiledRules

INPUT = "input"
BUNDLE = "bundle"
COLUMNS = ("query_row", "rank", "product_id", "label", "distance", "similarity")
_MEASURES = ["distance", "similarity"]
IMAGE = "image"
NEIGHBOURS = "neighbours"
ERROR = "error"


class TwinsetModel(mlflow.pyfunc.PythonModel):
    """A bundle behind MLflow's ``predict``.

    Column ``input`` holds pictures as base64 text, or as ``data:`` addresses. The parameters are those of
    :class:`backend.retrieval.invocation.InvocationParams`; a hex image is float32 pixels in [0, 1], (H, W, C) in C order.
    """

    def __init__(self, recommender: Recommender | None = None, rules: CompiledRules | None = None) -> None:
        self._recommender, self._rules = recommender, rules

    def load_context(self, context: Any) -> None:
        """Verify and load the bundle among the model's artifacts."""
        from backend.training.embedder import load_query_embedder

        folder = Path(context.artifacts[BUNDLE])
        self._recommender = Recommender.load(folder, embedder_loader=load_query_embedder)
        self._recommender.warm_up()

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return the answers to all rows of ``model_input``, in their order; see :func:`answer_table`.

        Raises:
            ImageRejected: A row is not a usable picture, and that is to fail the request; the message names the row.
            RetrievalError: A parameter cannot be used, or there is no row.
        """
        if self._recommender is None:
            raise RetrievalError("The model has not been loaded.")
        wanted = InvocationParams.read(params or {})
        if wanted.rules not in {"", "off"} and self._rules is None:
            raise RetrievalError("This server has no rules.", next_step="Leave out `rules`, or ask a Twinset endpoint.")
        return answer_table(self._recommender, list(model_input[INPUT]), wanted, self._rules)


def answer_table(
    recommender: Recommender, texts: Sequence[Any], wanted: InvocationParams, rules: CompiledRules | None = None
) -> pd.DataFrame:
    """Answer every picture, by rules where there are any.

    In rows, each picture has k rows of ``COLUMNS``, and ``image`` where images are included. Where pictures cannot be
    used, the table has a column ``error``, and each of them one row of rank 0 without a product and a distance.
    In lists, each picture has one row: ``neighbours``, a list of records, and ``error``, empty where there is none.

    Raises:
        ImageRejected: A picture is not usable, and that is to fail the request.
        RetrievalError: There is no picture.
    """
    if not texts:
        raise RetrievalError("There is no picture to compare.", next_step="Send at least one.")
    answers = _answers(recommender, texts, wanted, rules)
    if wanted.fails(len(texts)):
        _raise_first(answers)
    draw = _Pictures(recommender, wanted.include_images)
    return _lists(answers, draw) if wanted.layout == "lists" else _rows(answers, draw)


def _answers(
    recommender: Recommender, texts: Sequence[Any], wanted: InvocationParams, rules: CompiledRules | None
) -> list[Recommendation | ImageRejected]:
    read = [_read(text) for text in texts]
    pictures, region = [one for one in read if isinstance(one, bytes)], Region.read(wanted.region)
    weight = read_colour_weight(wanted.colour_weight)
    found = iter(recommender.recommend_each(pictures, k=wanted.k, region=region, colour_weight=weight, rules=rules))
    return [next(found) if isinstance(one, bytes) else one for one in read]


def _read(text: Any) -> bytes | ImageRejected:
    """Return the bytes of a picture that is written as base64, or as a ``data:`` address, or why they cannot be had."""
    try:
        if text[:5].lower() != "data:":
            return base64.b64decode(text, validate=True)
        head, _, data = text.partition(",")
        plain = unquote_to_bytes(data)
        return base64.b64decode(plain, validate=True) if head.lower().endswith(";base64") else plain
    except (binascii.Error, ValueError, TypeError, AttributeError):
        return ImageRejected(
            "The text is not base64.",
            code="not_base64",
            next_step="Encode the bytes of the picture file as base64, without line breaks.",
            status=400,
        )


def _raise_first(answers: Sequence[Recommendation | ImageRejected]) -> None:
    for row, found in enumerate(answers):
        if isinstance(found, ImageRejected):
            message = found.message if len(answers) == 1 else f"query_row {row}: {found.message}"
            raise ImageRejected(message, code=found.code, next_step=found.next_step, status=found.status) from found


def _rows(answers: Sequence[Recommendation | ImageRejected], draw: _Pictures) -> pd.DataFrame:
    broken = any(isinstance(found, ImageRejected) for found in answers)
    columns = (*COLUMNS, *draw.columns, *((ERROR,) if broken else ()))
    blank = tuple("" for _ in draw.columns)
    rows: list[tuple[Any, ...]] = []
    for number, found in enumerate(answers):
        if isinstance(found, ImageRejected):
            rows.append((number, 0, "", "", None, None, *blank, str(found)))
        else:
            end = ("",) if broken else ()
            rows += [(number, *draw.values(neighbour), *end) for neighbour in found.neighbours]
    table = pd.DataFrame.from_records(rows, columns=columns)
    if broken:  # what is not a number must be null in JSON, which knows no NaN
        table[_MEASURES] = table[_MEASURES].astype(object).where(table[_MEASURES].notna(), None)
    return table


def _lists(answers: Sequence[Recommendation | ImageRejected], draw: _Pictures) -> pd.DataFrame:
    names = (*COLUMNS[1:], *draw.columns)
    rows = [
        ([], str(found))
        if isinstance(found, ImageRejected)
        else ([dict(zip(names, draw.values(neighbour), strict=True)) for neighbour in found.neighbours], "")
        for found in answers
    ]
    return pd.DataFrame({NEIGHBOURS: [row[0] for row in rows], ERROR: [row[1] for row in rows]})


class _Pictures:
    """Neighbours as values, with their pictures in the format that was asked for."""

    def __init__(self, recommender: Recommender, image_format: ImageFormat) -> None:
        self._recommender, self._format = recommender, image_format
        self.columns = (IMAGE,) if image_format else ()

    def values(self, n: Neighbour) -> tuple[Any, ...]:
        """Return the values of ``COLUMNS`` without ``query_row``, and of :attr:`columns`."""
        values = (n.rank, n.product_id, n.label, n.distance, n.similarity)
        if not self._format:
            return values
        thumbnail = self._recommender.gallery.picture(n.position, n.picture_sha256)
        return (*values, _image(thumbnail, self._recommender.manifest.pixels, self._format))


def _image(thumbnail: bytes, spec: PixelSpec, image_format: ImageFormat) -> str:
    decoded = pixels.decode(thumbnail, spec)
    if image_format == "hex":
        return decoded.to_float().tobytes().hex()
    return base64.b64encode(pixels.encode_png(decoded.pixels)).decode("ascii")

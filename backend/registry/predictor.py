"""The model as MLflow serves it: a table of encoded pictures in, a table of neighbours out, every row answered."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import mlflow.pyfunc
import pandas as pd

from backend import imaging
from backend.errors import ImageRejected, RetrievalError
from backend.retrieval.recommend import Recommender

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backend.pixel_spec import PixelSpec
    from backend.retrieval.recommend import Recommendation

ImageFormat = Literal["", "png", "hex"]
IMAGE_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)
INPUT = "input"
BUNDLE = "bundle"
DEFAULT_K = 10
COLUMNS = ("query_row", "rank", "product_id", "label", "distance", "similarity")
IMAGE = "image"


class TwinsetModel(mlflow.pyfunc.PythonModel):
    """A bundle behind MLflow's ``predict``.

    Column ``input`` holds base64 text of a PNG, JPEG or WEBP. Parameters: ``k``, neighbours a row, and
    ``include_images``: empty, ``png`` (base64 PNG) or ``hex`` (float32 pixels in [0, 1], (H, W, C) in C order, as hex).
    """

    def __init__(self, recommender: Recommender | None = None) -> None:
        self._recommender = recommender

    def load_context(self, context: Any) -> None:
        """Verify and load the bundle among the model's artifacts."""
        from backend.training.embedder import load_query_embedder

        folder = Path(context.artifacts[BUNDLE])
        self._recommender = Recommender.load(folder, embedder_loader=load_query_embedder)
        self._recommender.warm_up()

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return k rows for every row of ``model_input``, in its order; see the class.

        Raises:
            ImageRejected: A row is no usable picture; the message says which.
            RetrievalError: k or include_images cannot be used.
        """
        if self._recommender is None:
            raise RetrievalError("The model has not been loaded.")
        given = params or {}
        return answer_table(
            self._recommender,
            decode_inputs(list(model_input[INPUT])),
            k=int(given.get("k", DEFAULT_K)),
            include_images=given.get("include_images", ""),
        )


def decode_inputs(texts: Sequence[str]) -> list[bytes]:
    """Decode base64 texts.

    Raises:
        ImageRejected: One of them is no base64; the message says which.
    """
    return [_decode_input(text, row) for row, text in enumerate(texts)]


def _decode_input(text: str, row: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise ImageRejected(
            f"Row {row + 1} is no base64 text.",
            code="not_base64",
            next_step="Encode the bytes of the picture file as base64, without line breaks.",
            status=400,
        ) from error


def answer_table(
    recommender: Recommender, images: Sequence[bytes], *, k: int, include_images: ImageFormat = ""
) -> pd.DataFrame:
    """Answer every picture with k rows: ``COLUMNS``, and ``image`` where images are included.

    Raises:
        ImageRejected: A picture is not usable.
        RetrievalError: k or include_images cannot be used.
    """
    if include_images not in IMAGE_FORMATS:
        raise RetrievalError(
            "include_images has a value it cannot have.", next_step='Use "png", "hex", or leave it empty.'
        )
    columns = (*COLUMNS, IMAGE) if include_images else COLUMNS
    rows = [
        row
        for query_row, answer in enumerate(recommender.recommend(images, k=k))
        for row in _rows(recommender, query_row, answer, include_images)
    ]
    return pd.DataFrame.from_records(rows, columns=columns)


def _rows(
    recommender: Recommender, query_row: int, answer: Recommendation, include_images: ImageFormat
) -> Iterator[tuple[Any, ...]]:
    for n in answer.neighbours:
        row = (query_row, n.rank, n.product_id, n.label, n.distance, n.similarity)
        if include_images:
            yield (*row, _image(recommender.gallery.thumbnail(n.position), recommender.manifest.pixels, include_images))
        else:
            yield row


def _image(thumbnail: bytes, spec: PixelSpec, image_format: ImageFormat) -> str:
    decoded = imaging.decode(thumbnail, spec)
    if image_format == "hex":
        return decoded.to_float().tobytes().hex()
    return base64.b64encode(imaging.encode_png(decoded.pixels)).decode("ascii")

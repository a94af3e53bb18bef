"""The model behind MLflow's predict: every row answered, with ids, labels and distances; pictures survive the way."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from backend import imaging
from backend.errors import ImageRejected, RetrievalError
from backend.registry.store import quiet_mlflow
from backend.serving.answers import decode_response_image
from backend.serving.payload import Invocation, answer_bytes
from tests.fixtures.endpoint import encoded, picture

pytestmark = pytest.mark.mlflow

PHOTOS = [encoded(picture(kind, number)) for number in range(30) for kind in ("blob", "checks", "stripes")]


def table(photos):
    import pandas as pd

    return pd.DataFrame({"input": [base64.b64encode(photo).decode() for photo in photos]})


@pytest.fixture(scope="module")
def model(projection_recommender):
    quiet_mlflow()
    from backend.registry.predictor import TwinsetModel

    return TwinsetModel(projection_recommender)


def test_every_row_is_answered_in_order(model, projection_recommender):
    """The original design answered the first row only, and without id, label or distance."""
    found = model.predict(None, table(PHOTOS), {"k": 3})
    assert list(found.columns) == ["query_row", "rank", "product_id", "label", "distance", "similarity"]
    assert found["query_row"].tolist() == [row for row in range(90) for _ in range(3)]
    assert found["rank"].tolist() == [1, 2, 3] * 90
    for row, answer in enumerate(projection_recommender.recommend(PHOTOS, k=3)):
        part = found[found["query_row"] == row]
        assert part["product_id"].tolist() == [n.product_id for n in answer.neighbours]
        assert part["label"].tolist() == [n.label for n in answer.neighbours]
        assert part["distance"].tolist() == [n.distance for n in answer.neighbours]
        assert part["similarity"].tolist() == [n.similarity for n in answer.neighbours]


def test_without_params_there_are_ten_neighbours_and_no_pictures(model):
    found = model.predict(None, table(PHOTOS[:2]))
    assert len(found) == 20
    assert "image" not in found.columns


@pytest.mark.parametrize("image_format", ["png", "hex"])
def test_the_neighbours_picture_is_the_one_the_network_knows(model, projection_recommender, image_format):
    found = model.predict(None, table(PHOTOS[:1]), {"k": 4, "include_images": image_format})
    (answer,) = projection_recommender.recommend(PHOTOS[:1], k=4)
    spec = projection_recommender.manifest.pixels
    for text, neighbour in zip(found["image"], answer.neighbours, strict=True):
        expected = imaging.decode(projection_recommender.gallery.thumbnail(neighbour.position), spec).pixels
        np.testing.assert_array_equal(decode_response_image(text), expected)
        if image_format == "hex":
            assert text == imaging.to_float(expected).tobytes().hex()


def test_no_row_gives_no_answer_but_a_refusal(model):
    with pytest.raises(RetrievalError, match="no picture"):
        model.predict(None, table([]), {"k": 3})


@pytest.mark.parametrize("text", ["no base64!", "QQ=", "QQ==\n", None, 3.5])
def test_a_row_that_is_no_base64_is_named(model, text):
    rows = table(PHOTOS[:3])
    rows.loc[1, "input"] = text
    with pytest.raises(ImageRejected, match="Row 2 is no base64 text") as caught:
        model.predict(None, rows, {"k": 1})
    assert (caught.value.code, caught.value.status) == ("not_base64", 400)


def test_a_row_that_is_no_picture_is_named_wherever_it_stands(model):
    photos = [*PHOTOS]
    photos[77] = b"?"
    with pytest.raises(ImageRejected, match="Picture 78 of 90"):
        model.predict(None, table(photos), {"k": 1})


def test_an_unknown_image_format_is_refused(model):
    with pytest.raises(RetrievalError, match="include_images"):
        model.predict(None, table(PHOTOS[:1]), {"include_images": "bmp"})


@pytest.mark.parametrize("image_format", ["", "png", "hex"])
def test_the_estimated_size_is_not_below_the_real_one_by_much(model, projection_recommender, image_format):
    found = model.predict(None, table(PHOTOS[:9]), {"k": 20, "include_images": image_format})
    real = len(found.to_json(orient="records"))
    asked = Invocation(("QQ==",) * 9, 20, image_format)
    estimate = answer_bytes(asked, projection_recommender.manifest.pixels)
    assert real < estimate < 5 * real

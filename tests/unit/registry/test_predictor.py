"""The model behind MLflow's predict: every row answered, with ids, labels and distances; pictures survive the way."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_from_bytes

import numpy as np
import pandas as pd
import pytest

from backend.errors import ImageRejected, RetrievalError
from backend.imaging import pixels
from backend.registry.store import quiet_mlflow
from backend.retrieval.invocation import MAX_K, InvocationParams
from backend.serving.answers import decode_response_image
from backend.serving.payload import Invocation, answer_bytes
from tests.fixtures.endpoint import encoded, picture

pytestmark = pytest.mark.mlflow

PHOTOS = [encoded(picture(kind, number)) for number in range(30) for kind in ("blob", "checks", "stripes")]


def table(photos):
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
        expected = pixels.decode(projection_recommender.gallery.thumbnail(neighbour.position), spec).pixels
        np.testing.assert_array_equal(decode_response_image(text), expected)
        if image_format == "hex":
            assert text == pixels.to_float(expected).tobytes().hex()


def test_no_row_gives_no_answer_but_a_refusal(model):
    with pytest.raises(RetrievalError, match="no picture"):
        model.predict(None, table([]), {"k": 3})


@pytest.mark.parametrize("k", [0, -1, MAX_K + 1, 100_000, 2.5, True, "10", None])
def test_k_has_the_endpoints_cap(model, k):
    with pytest.raises(RetrievalError, match="k must be a whole number between 1 and 200"):
        model.predict(None, table(PHOTOS[:1]), {"k": k})
    assert len(model.predict(None, table(PHOTOS[:1]), {"k": np.int64(MAX_K)})) == 60


@pytest.mark.parametrize("text", ["no base64!", "QQ=", "QQ==\n", None, 3.5, "data:image/png;base64,?"])
def test_a_row_that_is_no_base64_is_counted_as_the_answers_are(model, text):
    rows = table(PHOTOS[:3])
    rows.loc[1, "input"] = text
    with pytest.raises(ImageRejected, match="query_row 1: The text is not base64") as caught:
        model.predict(None, rows, {"k": 1, "on_error": "raise"})
    assert (caught.value.code, caught.value.status) == ("not_base64", 400)
    found = model.predict(None, rows, {"k": 1})
    assert found["query_row"].tolist() == [0, 1, 2]
    assert found["error"].str.startswith("The text is not base64.").tolist() == [False, True, False]


def test_a_row_that_is_no_picture_is_named_wherever_it_stands(model):
    photos = [*PHOTOS]
    photos[77] = b"?"
    with pytest.raises(ImageRejected, match="query_row 77: "):
        model.predict(None, table(photos), {"k": 1, "on_error": "raise"})


@pytest.mark.parametrize("image_format", ["", "png"])
@pytest.mark.parametrize("broken", [{0}, {2}, {0, 1, 2, 3}, {1, 3}])
def test_a_broken_picture_has_its_reason_and_the_others_their_answers(model, broken, image_format):
    photos = [b"?" if row in broken else PHOTOS[row] for row in range(4)]
    found = model.predict(None, table(photos), {"k": 2, "include_images": image_format})
    assert found["query_row"].tolist() == sorted(
        [*broken, *(row for row in range(4) if row not in broken), *(row for row in range(4) if row not in broken)]
    )
    whole = model.predict(None, table(PHOTOS[:4]), {"k": 2, "include_images": image_format})
    kept = found[found["error"] == ""].drop(columns="error").astype(whole.dtypes)
    expected = whole[~whole["query_row"].isin(broken)].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), expected)
    failed = found[found["error"] != ""]
    assert set(failed["query_row"]) == broken
    assert failed["rank"].tolist() == [0] * len(broken)
    assert failed[["distance", "similarity"]].isna().all(axis=None)
    told = json.loads(json.dumps(found.to_dict(orient="records")), parse_constant=pytest.fail)  # null, not NaN
    assert [row["distance"] for row in told if row["error"]] == [None] * len(broken)


def test_a_lone_broken_picture_fails_unless_asked_otherwise(model):
    with pytest.raises(ImageRejected) as caught:
        model.predict(None, table([b"?"]), {"k": 2})
    assert "query_row" not in caught.value.message
    (row,) = model.predict(None, table([b"?"]), {"k": 2, "on_error": "row"}).to_dict(orient="records")
    assert row["error"] == str(caught.value)


def test_pictures_may_be_data_addresses(model):
    text = table(PHOTOS[:1])["input"][0]
    escaped = quote_from_bytes(PHOTOS[0], safe="")
    ways = [text, f"data:image/png;base64,{text}", f"DATA:;BASE64,{quote(text)}", f"data:image/png,{escaped}"]
    found = model.predict(None, pd.DataFrame({"input": ways}), {"k": 3})
    for row in range(1, 4):
        assert found[found["query_row"] == row]["distance"].tolist() == found["distance"].tolist()[:3]
    assert "error" not in found.columns


@pytest.mark.parametrize("k", [1, 3])
def test_in_lists_there_is_one_row_for_each_picture(model, k):
    photos = [PHOTOS[0], b"?", PHOTOS[1]]
    found = model.predict(None, table(photos), {"k": k, "layout": "lists"})
    assert list(found.columns) == ["neighbours", "error"]
    assert [len(one) for one in found["neighbours"]] == [k, 0, k]
    assert [bool(one) for one in found["error"]] == [False, True, False]
    rows = model.predict(None, table(photos), {"k": k})
    rows = rows[rows["error"] == ""].drop(columns=["query_row", "error"])
    assert [one for many in found["neighbours"] for one in many] == rows.to_dict(orient="records")
    lone = model.predict(None, table([b"?"]), {"layout": "lists"})  # how many rows Spark sends at once is chance
    assert lone["error"].all()
    with pytest.raises(ImageRejected):
        model.predict(None, table(photos), {"layout": "lists", "on_error": "raise"})


def test_the_signature_names_what_is_always_returned(model):
    from backend.registry.model_registry import signature

    found = model.predict(None, table(PHOTOS[:1]))
    outputs = {spec.name: spec.type.to_numpy() for spec in signature().outputs}
    assert list(outputs) == list(found.columns)
    assert all(found[name].dtype == kind or kind.kind == "U" for name, kind in outputs.items())


def test_an_unknown_image_format_is_refused(model):
    with pytest.raises(RetrievalError, match="include_images"):
        model.predict(None, table(PHOTOS[:1]), {"include_images": "bmp"})


@pytest.mark.parametrize("image_format", ["", "png", "hex"])
def test_the_estimated_size_is_not_below_the_real_one_by_much(model, projection_recommender, image_format):
    found = model.predict(None, table(PHOTOS[:9]), {"k": 20, "include_images": image_format})
    real = len(found.to_json(orient="records"))
    asked = Invocation(("QQ==",) * 9, InvocationParams(20, image_format))
    estimate = answer_bytes(asked, projection_recommender.manifest.pixels)
    assert real < estimate < 5 * real

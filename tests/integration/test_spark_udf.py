"""The registered model as a function in Spark: one row out for each row in, as the documents call it."""

from __future__ import annotations

import base64
import re
from itertools import pairwise

import pytest

from backend.registry.fetching import fetch_champion
from backend.registry.store import quiet_mlflow
from backend.retrieval.recommend import Recommender

pytestmark = [pytest.mark.mlflow, pytest.mark.tf, pytest.mark.spark, pytest.mark.slow]


@pytest.fixture
def mlflow(deployed):
    """MLflow with the test's registry."""
    module = quiet_mlflow()
    before = module.get_tracking_uri(), module.get_registry_uri()
    module.set_tracking_uri(deployed.effective_tracking_uri)
    module.set_registry_uri(deployed.effective_tracking_uri)
    yield module
    module.set_tracking_uri(before[0])
    module.set_registry_uri(before[1])


@pytest.fixture(scope="module")
def pictures(sample_snapshot):
    """Test products, and one file that is no picture."""
    found = [product.image for product in sample_snapshot.page(offset=0, limit=3, split="test")[0]]
    return [found[0], b"no picture", *found[1:]]


def text_of(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


@pytest.mark.parametrize("k", [1, 3])
def test_the_call_in_the_readme_gives_a_list_for_each_picture(k, repository, spark, mlflow, deployed, pictures):
    block = re.search(
        r"```python\n(find_similar = .*?)```", (repository / "docs/reference/endpoint.md").read_text("utf-8"), re.DOTALL
    )
    code = block[1].replace('"k": 3', f'"k": {k}')
    photos = spark.createDataFrame([(text_of(one),) for one in pictures], "input string").repartition(2)
    names = {"mlflow": mlflow, "spark": spark, "photos": photos}
    exec(code, names)
    answered = {row.input: row.found for row in names["found"].collect()}
    assert len(answered) == len(pictures)

    from backend.training.embedder import load_query_embedder

    _, folder = fetch_champion(deployed)
    recommender = Recommender.load(folder, embedder_loader=load_query_embedder)
    for picture in pictures:
        found = answered[text_of(picture)]
        if picture == b"no picture":
            assert (found.neighbours, bool(found.error)) == ([], True)
            continue
        (expected,) = recommender.recommend([picture], k=k)
        assert found.error == ""
        assert [one.rank for one in found.neighbours] == list(range(1, k + 1))
        assert [one.label for one in found.neighbours] == [one.label for one in expected.neighbours]
        assert [one.distance for one in found.neighbours] == pytest.approx(
            [one.distance for one in expected.neighbours], abs=1e-5
        )
        assert all(first.distance <= second.distance for first, second in pairwise(found.neighbours))


def test_without_a_result_type_the_signature_fits_what_is_returned(spark, mlflow, pictures):
    find = mlflow.pyfunc.spark_udf(spark, "models:/twinset@champion", params={"k": 1}, env_manager="local")
    photos = spark.createDataFrame([(text_of(pictures[0]),)], "input string")
    (row,) = photos.select(find("input").alias("found")).collect()
    assert row.found.asDict().keys() == {"query_row", "rank", "product_id", "label", "distance", "similarity"}
    assert row.found.rank == 1

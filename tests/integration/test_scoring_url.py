"""Endpoints that are not ours, and clients that are not ours: stock ``mlflow models serve``, and MLflow's own client."""

from __future__ import annotations

import base64
import functools
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from backend.errors import EndpointDenied, EndpointRejected
from backend.imaging.region import Region
from backend.machine.supervisor import Service, running
from backend.registry.fetching import fetch_champion
from backend.retrieval.wishes import Wishes
from backend.serving.clients import client_of, local_client
from backend.serving.gateway import build_app
from backend.serving.scoring_client import ScoringClient
from backend.serving.tokens import ensure_app_token, token_store
from backend.settings import SecretStr
from tests.fixtures.endpoint import http_to
from tests.support.browsing import free_port

pytestmark = [pytest.mark.mlflow, pytest.mark.tf, pytest.mark.spark, pytest.mark.slow]


@pytest.fixture(scope="module")
def photos(sample_snapshot):
    return [product.image for product in sample_snapshot.page(offset=0, limit=5, split="test")[0]]


@pytest.fixture(scope="module")
def stock(deployed):
    """Stock ``mlflow models serve`` of the registered version; its scoring URL."""
    port = free_port()
    _, folder = fetch_champion(deployed)
    command = (sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder.parents[1]))
    options = ("--env-manager", "local", "-h", "127.0.0.1", "-p", str(port))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )  # it starts uvicorn by name
        with running(Service("stock", "Stock MLflow", port, (*command, *options), "/ping"), deployed):
            yield f"http://127.0.0.1:{port}/invocations"


@pytest.fixture(scope="module")
def ours(deployed, champion):
    """Our own gateway's address."""
    with http_to(build_app(deployed, load=lambda: champion)) as http:
        yield str(http.base_url).rstrip("/")


def expected(champion, photo, k):
    (answer,) = champion.recommender.recommend([photo], k=k)
    return answer.neighbours


@pytest.mark.parametrize("server", ["stock", "ours"])
def test_the_app_asks_a_scoring_url_as_it_asks_an_endpoint(request, deployed, champion, photos, server):
    address = request.getfixturevalue(server)
    url = address if server == "stock" else f"{address}/invocations"
    client = local_client(replace(deployed, endpoint_url=url))
    assert isinstance(client, ScoringClient)
    answer = client.recommend(photos[0], k=4)
    wanted = expected(champion, photos[0], 4)
    assert [one.product_id for one in answer.neighbours] == [one.product_id for one in wanted]
    assert [one.distance for one in answer.neighbours] == pytest.approx([one.distance for one in wanted], abs=1e-5)
    assert all(one.image.startswith(b"\x89PNG") for one in answer.neighbours)
    rows = client.invoke(photos, k=2)
    assert [row.query_row for row in rows] == [row for row in range(len(photos)) for _ in range(2)]
    assert client.recommend(photos[0], k=1, include_images=False).neighbours[0].image == b""
    with pytest.raises(EndpointRejected, match="supports neither filters"):
        client.recommend(photos[0], k=1, filters={"brand": "Ada"})
    assert client.recommend(photos[0], k=4, wishes=Wishes()).neighbours == answer.neighbours  # nothing is wished
    with pytest.raises(EndpointRejected, match="supports neither filters nor Refine"):
        client.recommend(photos[0], k=1, wishes=Wishes(diversity=0.5))
    with pytest.raises(EndpointRejected, match="takes only whole photos"):
        client.recommend(photos[0], k=1, region=Region(0.0, 0.0, 0.5, 0.5))
    with pytest.raises(EndpointRejected) as caught:
        client.recommend(b"no picture", k=1)
    assert "Traceback" not in str(caught.value)
    with pytest.raises(EndpointRejected, match="chooses its models itself"):
        client.reload()
    client.close()


def test_a_scoring_url_of_ours_checks_the_token(deployed, ours):
    wrong = replace(deployed, endpoint_url=f"{ours}/invocations", endpoint_token=SecretStr("quite-wrong-token"))
    client = client_of(wrong, timeout_s=20)
    with pytest.raises(EndpointDenied, match="does not accept the token"):
        client.recommend(b"x", k=1)
    client.close()


def test_mlflows_own_client_is_answered_by_ours_as_by_a_stock_server(deployed, stock, ours, photos, monkeypatch):
    import pandas as pd
    from mlflow.pyfunc.scoring_server import client as stock_client

    table = pd.DataFrame({"input": [base64.b64encode(photo).decode() for photo in photos]})
    theirs = stock_client.ScoringServerClient("127.0.0.1", int(stock.split(":")[2].split("/")[0]))
    from_stock = theirs.invoke(table, params={"k": 3}).get_predictions()

    token = token_store(deployed).issue("mlflow-client", scope="ask").reveal()
    sent = functools.partial(_post, {"Authorization": f"Bearer {token}"})
    monkeypatch.setattr(stock_client.requests, "post", sent)  # it has no way of its own to send a token
    mine = stock_client.ScoringServerClient("127.0.0.1", int(ours.rsplit(":", 1)[1]))
    from_ours = mine.invoke(table, params={"k": 3}).get_predictions()
    pd.testing.assert_frame_equal(from_ours, from_stock, atol=1e-5)


def _post(own, url, data, headers):
    with requests.Session() as session:
        return session.post(url, data=data, headers={**headers, **own}, timeout=60)


def test_the_token_made_here_is_not_sent_to_a_foreign_server(deployed):
    token = ensure_app_token(deployed)
    foreign = client_of(
        replace(deployed, endpoint_url="https://adb.example/serving-endpoints/a/invocations"), timeout_s=1
    )
    prepared = requests.Request("POST", foreign.url, auth=foreign._transport._session.auth).prepare()
    assert token.reveal() not in str(prepared.headers)
    foreign.close()

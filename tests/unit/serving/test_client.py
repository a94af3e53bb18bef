"""The client hands on typed answers and typed errors, and imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from backend.errors import EndpointDenied, EndpointRejected, EndpointUnreachable, RegistryError
from backend.imaging.region import Region
from backend.serving.client import EndpointClient
from backend.serving.clients import local_client
from backend.serving.further import Further, sendable
from backend.serving.gateway import build_app
from backend.serving.server import _bound
from backend.serving.tokens import ensure_app_token
from backend.settings import SecretStr
from tests.fixtures.endpoint import encoded, http_to, picture, served
from tests.support.scripted_server import scripted

PHOTO = encoded(picture("blob", 2))


@pytest.fixture
def address(settings, projection_recommender):
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as http:
        yield str(http.base_url)


@pytest.fixture
def client(address, settings):
    client = EndpointClient(address, ensure_app_token(settings))
    yield client
    client.close()


def test_an_answer_has_neighbours_pictures_and_its_origin(client, projection_recommender):
    answer = client.recommend(PHOTO, k=4)
    (expected,) = projection_recommender.recommend([PHOTO], k=4)
    assert [n.product_id for n in answer.neighbours] == [n.product_id for n in expected.neighbours]
    first, same = answer.neighbours[0], expected.neighbours[0]
    for name in ("rank", "label", "distance", "similarity", "title", "category", "brand", "colour", "price", "stock"):
        assert getattr(first, name) == getattr(same, name)
    assert first.image == projection_recommender.gallery.thumbnail(same.position)
    assert (answer.seen, answer.notes) == (expected.seen_png, expected.notes)
    assert (answer.model_name, answer.model_version, answer.model) == ("twinset", 1, "projection")
    assert (answer.catalogue, answer.catalogue_version, answer.gallery_size) == ("shop", 4, 60)
    assert answer.timings_ms.keys() == {"decode", "embed", "search", "total"}


def test_a_region_travels(client, projection_recommender):
    photo, region = encoded(picture("checks", 3, side=64)), Region(0.25, 0.125, 1.0, 2 / 3)
    expected = projection_recommender.find([photo], k=3, region=region)
    assert client.recommend(photo, k=3, region=region).seen == expected.seen_png
    assert expected.seen_png != projection_recommender.find([photo], k=3).seen_png


def test_photos_that_are_too_large_together_are_sent_reduced(settings, projection_recommender):
    first, *others = (encoded(picture("checks", n).resize((900, 900)), compress_level=0) for n in (3, 4, 5))
    further = Further(like=(others[0],), unlike=(others[1],))
    assert len(first) < 1_000_000 < len(first) + len(others[0])
    settings = replace(settings, max_upload_mb=1)
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as http:
        settings = replace(settings, endpoint_url=str(http.base_url).rstrip("/"))
        plain, fitting = EndpointClient(settings.endpoint_url, ensure_app_token(settings)), local_client(settings)
        with pytest.raises(EndpointRejected, match="larger than the 1 MB allowed"):
            plain.recommend(first, k=3, further=further)
        answer = fitting.recommend(first, k=3, further=further)
        expected = projection_recommender.find([first, *further.like], unlike=further.unlike, k=3)
        assert [n.product_id for n in answer.neighbours] == [n.product_id for n in expected.neighbours]
        assert len(answer.seen_others) == 1
        assert fitting.recommend(first + b" " * 300_000, k=1).neighbours[0].product_id == "c017"
        plain.close()
        fitting.close()


def test_photos_that_fit_are_sent_as_they_are():
    further = Further(unlike=(PHOTO,))
    assert sendable(PHOTO, further, most_bytes=10_000) == (PHOTO, further)
    assert sendable(PHOTO * 100, None, most_bytes=0) == (PHOTO * 100, None)


def test_filters_travel(client):
    answer = client.recommend(PHOTO, k=50, filters={"brand": ["Ada", "Bo"], "in_stock": True, "price_max": 40})
    assert answer.neighbours
    for n in answer.neighbours:
        assert n.brand in {"Ada", "Bo"}
        assert n.stock > 0
        assert n.price <= 40
    assert client.recommend(PHOTO, k=1, include_images=False).neighbours[0].image == b""


def test_state_and_reload(client):
    assert client.health()["status"] == "ok"
    assert client.version()["gallery_size"] == 60
    assert client.reload()["model"]["version"] == 1


def test_a_refusal_keeps_the_endpoints_own_code_and_words(client):
    with pytest.raises(EndpointRejected, match="not a PNG, JPEG, WEBP, HEIC, AVIF, GIF or TIFF") as caught:
        client.recommend(b"no picture", k=3)
    assert (caught.value.code, caught.value.status) == ("not_an_image", 415)
    assert caught.value.next_step == "Choose a picture in one of these formats."
    with pytest.raises(EndpointRejected) as caught:
        client.recommend(PHOTO, k=3, filters={"size": "M"})
    assert caught.value.code == "unknown_parameter"


def test_an_endpoint_without_a_model_is_told_from_one_that_is_not_there(settings):
    def load():
        raise RegistryError("No version has the alias yet.")

    with http_to(build_app(settings, load=load)) as http:
        client = EndpointClient(str(http.base_url), ensure_app_token(settings))
        with pytest.raises(EndpointRejected) as caught:
            client.health()
        assert (caught.value.code, caught.value.status) == ("no_model", 503)
        client.close()


def test_a_wrong_token_is_denied_without_being_quoted(address):
    client = EndpointClient(address, SecretStr("quite-wrong"))
    with pytest.raises(EndpointDenied, match="does not accept the token") as caught:
        client.recommend(PHOTO, k=3)
    assert "quite-wrong" not in f"{caught.value} {client!r} {vars(client)}"
    client.close()


def test_nobody_there_is_said_with_what_to_do():
    listener = _bound("127.0.0.1", 0)
    port = listener.getsockname()[1]  # bound and not listening: refused for sure
    client = EndpointClient(f"http://127.0.0.1:{port}/", SecretStr("x"))
    with pytest.raises(EndpointUnreachable, match=f"Cannot reach http://127.0.0.1:{port}") as caught:
        client.health()
    assert "make run" in caught.value.next_step
    client.close()
    listener.close()


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<html>", "not_an_endpoint"),
        (200, b"[1]", "not_an_endpoint"),
        (404, b'{"detail": "Not Found"}', "not_an_endpoint"),
        (500, b'{"error": "text"}', "not_an_endpoint"),
        (418, json.dumps({"error": {"code": "teapot", "message": "No."}}).encode(), "teapot"),
    ],
)
def test_another_server_at_the_address_is_told_as_such(status, body, code):
    with scripted((status, {}, body)) as (address, _):
        client = EndpointClient(address, SecretStr("x"))
        with pytest.raises(EndpointRejected) as caught:
            client.version()
        assert (caught.value.code, caught.value.status) == (code, status)
        client.close()


def test_a_redirect_is_not_followed_with_the_token():
    with scripted((302, {"Location": "http://127.0.0.1:1/"}, b"")) as (address, _):
        client = EndpointClient(address, SecretStr("x"))
        with pytest.raises(EndpointRejected, match="status 302"):
            client.version()
        client.close()


def test_an_endpoint_that_hangs_is_given_up():
    hang = threading.Event()
    with scripted((200, {}, b"{}"), hang=hang) as (address, _):
        client = EndpointClient(address, SecretStr("x"), timeout_s=0.2)
        with pytest.raises(EndpointUnreachable, match="did not answer in time"):
            client.version()
        hang.set()
        client.close()


def test_neither_proxies_nor_netrc_come_between_us_and_the_local_endpoint(client, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert client.health()["status"] == "ok"


def test_the_local_client_knows_address_and_token(settings, address):
    client = local_client(replace(settings, endpoint_url=address))
    assert client.url == address
    assert client.health()["status"] == "ok"
    client.close()


def test_the_client_imports_nothing_heavy():
    heavy = {"mlflow", "tensorflow", "pyspark", "pandas", "pyarrow", "uvicorn", "starlette"}
    program = f"import sys, backend.serving.client; print(sorted({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"

"""A PNG in, ten neighbours with their pictures out: ``python -m tests.benchmarks.serving --json``.

Takes the champion of a home (``TWINSET_HOME``, made by ``make demo``; 60,000 items with Fashion-MNIST) and asks it, one
question after the other and in turns of 25 whose order is drawn, as three servers, each a process of its own:

1. ours: ``python -m backend serve``, the token checked, ``POST /v1/recommend?k=10``;
2. the original's pyfunc, rebuilt from its published recipe (``tests/support/original_pyfunc.py``) around the same network and
   the same gallery in TensorFlow Similarity's index, under stock ``mlflow models serve``, ``POST /invocations``;
3. an ASGI application that echoes the PNG, behind the same uvicorn.

A forward pass of the network and a search of the index for what it gave take turns with them, alone in this process, one
after the other as in an answer, each timed by itself. Then eight clients ask ours at once.
``ratio`` is the original's median over ours. Correct means that, before anything is timed, ours answered every photo with
exactly the ids of a search by brute force in float64, ties by id, and that the original answers pictures of the gallery.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from backend.bundles import bundle
from backend.flow.named import trained_on
from backend.imaging import pixels as imaging
from backend.machine.supervisor import Service, endpoint_service, running
from backend.registry.fetching import fetch_champion
from backend.registry.store import quiet_mlflow
from backend.retrieval.gallery.gallery import Gallery, load_vectors
from backend.retrieval.recommend import Recommender
from backend.serving.served import serving_threads
from backend.serving.tokens import ensure_app_token
from backend.settings import load_settings
from backend.training.embedder import load_query_embedder
from tests.support.benchmarking import machine, pin, ratio_of, told
from tests.support.browsing import free_port
from tests.support.load import Asker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from backend.settings import Settings

K, TURN = 10, 25
PHOTOS = 100
ORIGINAL = Path(__file__).resolve().parents[1] / "support" / "original_pyfunc.py"
_WARM = 3  # of every turn
_SLOW_S = 600


@dataclass(frozen=True, slots=True)
class Stage:
    """What all arms share: the champion's folder, its parts in this process, and the photos as the network's PNGs."""

    folder: Path
    recommender: Recommender
    embedder: Any
    vectors: NDArray[np.float32]
    photos: list[bytes]
    queries: NDArray[np.float32]


def set_stage(settings: Settings) -> Stage:
    """Load the champion, and turn test products into PNGs of the network's own size: the original cannot resize."""
    _, folder = fetch_champion(settings)
    manifest = bundle.verify(folder)
    products, _ = trained_on(manifest, settings).page(offset=0, limit=PHOTOS, split="test")
    pixels = np.stack([imaging.decode(product.image, manifest.pixels).pixels for product in products])
    threads = serving_threads(settings)
    embedder = load_query_embedder(folder, manifest, threads=threads)
    recommender = Recommender.load(folder, embedder_loader=load_query_embedder, threads=threads)
    photos = [imaging.encode_png(one) for one in pixels]
    return Stage(folder, recommender, embedder, load_vectors(folder), photos, embedder.embed(pixels))


def exact_ids(stage: Stage) -> list[list[str]]:
    """The K nearest products of every photo by brute force in float64, ties by id."""
    ids = np.asarray(Gallery.load(stage.folder).ids)
    similarities = stage.queries.astype(np.float64) @ np.asarray(stage.vectors, dtype=np.float64).T
    return [ids[np.lexsort((ids, -np.round(row, 6)))[:K]].tolist() for row in similarities]


def write_original(stage: Stage, place: Path) -> Path:
    """Save the original's model: the network as a SavedModel, with every gallery item in TensorFlow Similarity's index."""
    mlflow = quiet_mlflow()
    from backend.training.config import TrainConfig
    from backend.training.network import weights
    from backend.training.network.network import build_network

    manifest = bundle.read_manifest(stage.folder)
    model = build_network(TrainConfig.from_dict(manifest.config))
    model.set_weights(weights.unpack(stage.folder / bundle.WEIGHTS))
    gallery = Gallery.load(stage.folder)
    thumbnails = (imaging.decode(gallery.thumbnail(at), manifest.pixels).pixels for at in range(gallery.size))
    data = imaging.to_float(np.stack(list(thumbnails)))
    model.create_index(distance="cosine")
    labels = np.arange(gallery.size)
    model._index.batch_add(predictions=np.asarray(stage.vectors), labels=labels, data=data, build=True, verbose=0)
    model.save(str(place / "tfsim"), save_index=True)
    path = place / "original"
    mlflow.pyfunc.save_model(str(path), python_model=str(ORIGINAL), artifacts={"tfsim_model": str(place / "tfsim")})
    return path


def original_service(path: Path, port: int) -> Service:
    """Stock ``mlflow models serve`` of a saved model."""
    command = (sys.executable, "-m", "mlflow", "models", "serve", "-m", str(path), "--env-manager", "local")
    return Service("original", "The original", port, (*command, "-h", "127.0.0.1", "-p", str(port)), "/ping")


def as_invocation(photo: bytes) -> bytes:
    """A photo in MLflow's protocol."""
    table = {"columns": ["input"], "data": [[base64.b64encode(photo).decode("ascii")]]}
    return json.dumps({"dataframe_split": table}).encode()


def ask_ours(asker: Asker, photo: bytes) -> tuple[float, list[str]]:
    """Ask the endpoint; returns seconds and ids."""
    seconds, status, data = asker.post(f"/v1/recommend?k={K}", photo)
    if status != 200:
        raise SystemExit(f"the endpoint answered {status}: {data[:300]!r}")
    return seconds, [one["product_id"] for one in json.loads(data)["neighbours"]]


def ask_original(asker: Asker, photo: bytes) -> tuple[float, int]:
    """Ask the original; returns seconds and how many pictures came back."""
    seconds, status, data = asker.post("/invocations", as_invocation(photo), "application/json")
    if status != 200:
        raise SystemExit(f"the original answered {status}: {data[-600:]!r}")
    return seconds, len(json.loads(data)["predictions"])


def time_arms(stage: Stage, askers: dict[str, Asker], rounds: int) -> dict[str, list[float]]:
    """Ask every server about the same photos, and time the parts alone in this process; turns come in random order."""
    dice = random.Random(7)
    pixels = [imaging.decode(photo, stage.recommender.manifest.pixels).pixels[None] for photo in stage.photos]
    asking: dict[str, Callable[[int], Any]] = {
        "ours": lambda one: ask_ours(askers["ours"], stage.photos[one])[0],
        "original": lambda one: ask_original(askers["original"], stage.photos[one])[0],
        "echo": lambda one: askers["echo"].post("/", stage.photos[one])[0],
        "parts": lambda one: time_parts(stage, pixels[one]),
    }
    taken: dict[str, list[Any]] = {name: [] for name in asking}
    for start in range(0, rounds, TURN):
        for name in dice.sample(sorted(asking), len(asking)):
            seconds = [asking[name](number % len(stage.photos)) for number in range(start, start + TURN + _WARM)]
            taken[name].extend(seconds[_WARM:])
    forward, search = zip(*taken.pop("parts"), strict=True)
    return {**taken, "forward": list(forward), "search": list(search)}


def time_parts(stage: Stage, pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Seconds of a forward pass, and of the search for what it gave, in this process."""
    start = time.perf_counter()
    query = stage.embedder.embed(pixels)
    embedded = time.perf_counter()
    stage.recommender.index.search(query, k=K, allowed=None)
    return embedded - start, time.perf_counter() - embedded


def time_clients(stage: Stage, url: str, token: Any, *, clients: int, each: int) -> list[float]:
    """Have several clients ask ours at once; returns all times but the first of every client."""
    times: list[list[float]] = [[] for _ in range(clients)]

    def client(number: int) -> None:
        asker = Asker(url, token)
        for turn in range(each + 1):
            seconds, _ = ask_ours(asker, stage.photos[(number + turn) % len(stage.photos)])
            if turn:
                times[number].append(seconds)
        asker.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [seconds for own in times for seconds in own]


def run(settings: Settings, *, rounds: int, clients: int, each: int) -> dict[str, Any]:
    """Start all servers, compare, measure, and end them."""
    settings = replace(settings, endpoint_port=free_port(), endpoint_url="", endpoint_rate=0.0)
    token = ensure_app_token(settings)
    stage = set_stage(settings)
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        # As the endpoint has it.
        stack.enter_context(threadpool_limits(limits=serving_threads(settings), user_api="blas"))
        path = write_original(stage, Path(place))
        os.environ["TF_USE_LEGACY_KERAS"] = "1"  # for the original's process
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # uvicorn, by name
        started = time.perf_counter()
        stack.enter_context(running(endpoint_service(settings), settings))
        ready_s = time.perf_counter() - started
        ports = {"original": free_port(), "echo": free_port()}
        stack.enter_context(running(original_service(path, ports["original"]), settings))
        echo = (sys.executable, "-m", "tests.support.echo", str(ports["echo"]))
        stack.enter_context(running(Service("echo", "Echo", ports["echo"], echo, "/"), settings))
        askers = {name: Asker(f"http://127.0.0.1:{port}", timeout_s=_SLOW_S) for name, port in ports.items()}
        askers["ours"] = Asker(settings.effective_endpoint_url, token)
        found = [ask_ours(askers["ours"], photo)[1] for photo in stage.photos]
        expected = exact_ids(stage)
        equal = sum(a == b for a, b in zip(found, expected, strict=True))
        is_answering = all(ask_original(askers["original"], photo)[1] == K for photo in stage.photos[:3])
        if equal < len(expected) or not is_answering:
            return _result({"ids_equal_to_exact": f"{equal} of {len(expected)}"}, 0.0, [0.0, 0.0], correct=False)
        times = time_arms(stage, askers, rounds)
        crowd = time_clients(stage, settings.effective_endpoint_url, token, clients=clients, each=each)
        for asker in askers.values():
            asker.close()
    ratio, interval = ratio_of(times["original"], times["ours"])
    return _result(_figures(stage, times, crowd, clients, ready_s, len(expected)), ratio, interval, correct=True)


def _figures(
    stage: Stage,
    times: dict[str, list[float]],
    crowd: list[float],
    clients: int,
    ready_s: float,
    compared: int,
) -> dict[str, Any]:
    middle = {name: statistics.median(values) * 1e3 for name, values in times.items()}
    parts = middle["echo"] + middle["forward"] + middle["search"]
    p50, p99 = (float(np.percentile(crowd, at)) * 1e3 for at in (50, 99))
    return {
        "gallery": stage.recommender.size,
        "ids_equal_to_exact": f"{compared} of {compared}",
        "p50_ms": {name: round(value, 3) for name, value in middle.items()},
        "p95_ms": {name: round(float(np.percentile(values, 95)) * 1e3, 3) for name, values in times.items()},
        "parts_ms": round(parts, 3),
        "ours_over_parts": round(middle["ours"] / parts, 3),
        "clients": clients,
        "clients_p50_ms": round(p50, 3),
        "clients_p99_ms": round(p99, 3),
        "clients_p99_over_p50": round(p99 / p50, 3),
        "clients_p99_over_lone_p50": round(p99 / middle["ours"], 3),
        "clients_per_second": round(clients / (sum(crowd) / len(crowd)), 1),
        "ready_s": round(ready_s, 2),
    }


def _result(figures: dict[str, Any], ratio: float, interval: Sequence[float], *, correct: bool) -> dict[str, Any]:
    return {
        "bench": "serving",
        "ratio": ratio,
        "ci95": list(interval),
        "correct": correct,
        "figures": figures,
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--rounds", type=int, default=300, help="questions to every server")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--each", type=int, default=150, help="questions of every client")
    options = parser.parse_args()
    pin(2)
    result = run(load_settings(), rounds=options.rounds, clients=options.clients, each=options.each)
    print(told(result, as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

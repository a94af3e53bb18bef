"""A home with something of everything, to kill jobs in; what is in it, read as a user would; and what does not belong."""

from __future__ import annotations

import gc
import hashlib
import os
import re
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import Engine

from backend.bundles import bundle
from backend.catalogue.delta.log_replay import files_present, states
from backend.catalogue.fetch.layout import DATABASE
from backend.catalogue.fetch.records import store_of
from backend.catalogue.snapshot import list_catalogues, open_snapshot
from backend.files import scratch
from backend.flow.current.renew import Remembered, all_remembered, remember
from backend.flow.requests import (
    EvaluateRequest,
    IndexRequest,
    IngestRequest,
    ProjectRequest,
    RenewRequest,
    Request,
    TrainRequest,
)
from backend.jobs.runner import JobRunner
from backend.jobs.states import JobState
from backend.progress import NullProgress
from backend.projection.maps import list_maps, load_map
from backend.registry.fetching import fetch, version_numbered
from backend.registry.history import synchronise
from backend.registry.ledger import read_ledger
from backend.registry.promotion import promote
from backend.registry.store import open_store
from backend.training.preparation import unfinished_trainings
from backend.tuning.folder import list_sweeps
from tests.fixtures.models import TINY, made_products, store_catalogue
from tests.fixtures.registry import register_projection
from tests.support import picture_shop
from tests.support.picture_host import HOST, picture
from tests.support.sweeps import plan_for, record, stored_sweep

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from backend.catalogue.snapshot import Snapshot
    from backend.settings import Settings

CONFIG = replace(TINY, epochs=2, steps_per_epoch=4)
SWEEPS = 6
_TEMPORARY = re.compile(r"^\..+\..*-")
_CHECKPOINT = re.compile(
    r"(training|epochs|order|rank-\d+|events)\.jsonl?|(epoch|state)-\d+\.npz|rank-\d+\.log|.*\.zip"
)


def done(settings: Settings, request: Request, *, command: Sequence[str] | None = None) -> None:
    """Run a job to its end, which must be a good one."""
    runner = JobRunner(settings, command=command)
    job = runner.wait(runner.submit(request).id, 600)
    assert job.state is JobState.SUCCEEDED, f"{job.kind}: {job.error}\n{runner.log_tail(job.id, 30)}"


def build(settings: Settings, *, full: bool, command: Sequence[str] | None = None) -> None:
    """Make the home: a catalogue, a trained, indexed and evaluated model with copies, three versions, sweeps.

    With ``full``, there is also a catalogue that Spark loaded, in two versions, and a map. With ``command``, which starts
    workers in whose network there is a shop, there is a catalogue of its feed, too.
    """
    store_catalogue(settings.catalogues_dir, made_products())
    done(settings, TrainRequest("small", config=CONFIG, name="one"))
    done(settings, IndexRequest("one"))
    done(settings, EvaluateRequest("one", bootstrap=100))
    if full:
        done(settings, ProjectRequest("one", neighbours=4))
        for last in (12, 24):
            done(settings, ingest(settings, last))
    if command:
        load = IngestRequest("csv", "web", gone="mark", measure_quality=False)
        remember(settings, "web", Remembered(load, picture_shop.FEED))
        done(settings, RenewRequest("web"), command=command)
    for _ in range(3):
        register_projection(settings, settings.models_dir / "one")
    for number in (1, 2, 3, 1, 2, 3):  # so that a rollback can be asked for again
        promote(settings, number, reason="Made so.", progress=NullProgress())
    for number in range(SWEEPS):
        stored_sweep(settings.sweeps_dir, record(1, value=0.5), plan=plan_for(f"s{number}", "small"))
        copy_model(settings, f"copy{number}")


def copy_model(settings: Settings, name: str) -> None:
    """Have the model once more, under another name."""
    one, place = settings.models_dir / "one", settings.models_dir / name
    place.mkdir()
    for file in one.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    bundle.write_manifest(place, replace(bundle.read_manifest(one), name=name))


def ingest(settings: Settings, last: int) -> IngestRequest:
    """Load a folder of so many pictures a label into the catalogue ``shop``."""
    source = settings.home.parent / f"photos-{last}"
    for at, product in enumerate(made_products()):
        if at % 15 < last:
            (source / product.label).mkdir(parents=True, exist_ok=True)
            (source / product.label / f"{at}.png").write_bytes(product.image)
    return IngestRequest("folder", "shop", path=str(source), measure_quality=False)


# ------------------------------------------------------------------------------------------------ what is in it


def contents(settings: Settings) -> dict[str, object]:
    """Read all of a home as the product does, each part under a name; what cannot be read whole raises."""
    found: dict[str, object] = {}
    for name in list_catalogues(settings.catalogues_dir):
        found[f"catalogue {name}"] = _catalogue(open_snapshot(settings.catalogues_dir, name))
    for path in sorted(settings.models_dir.glob("[!.]*")):
        if (path / bundle.MANIFEST).is_file():
            found[f"model {path.name}"] = _digest(bundle.verify(path).to_json())
            for info in list_maps(settings.maps_dir / path.name):
                found[f"map {path.name}"] = load_map(settings.maps_dir / path.name, info.key).info.key
    for training in unfinished_trainings(settings.models_dir):
        found[f"checkpoints {training.name}"] = True
    for sweep in list_sweeps(settings.sweeps_dir):
        found[f"sweep {sweep.name}"] = (sweep.plan(), len(sweep.trials()))
    for name, kept in all_remembered(settings):
        found[f"remembered {name}"] = kept.address
    return found | _fetched(settings) | _registry(settings)


def _catalogue(snapshot: Snapshot) -> str:
    rows = snapshot.columns(["product_id", "label", "split", "price", "withdrawn_at", "image"]).to_pylist()
    for row in rows:
        row["withdrawn_at"] = row["withdrawn_at"] is not None  # when that was is another in every job
    further = snapshot.further_pictures().select(["product_id", "position", "image_sha256"]).to_pylist()
    return _digest(sorted(map(repr, (*rows, *further))))


def _fetched(settings: Settings) -> dict[str, object]:
    """Every picture of which the list says that it was fetched is there, and is the one at its address."""
    store = store_of(settings)
    if not (store.folder / DATABASE).is_file():
        return {}
    with closing(sqlite3.connect(store.folder / DATABASE)) as connection:
        rows = connection.execute("SELECT address, sha256, reason FROM fetched").fetchall()
    for address, sha256, reason in rows:
        target = address.removeprefix(f"http://{HOST}")
        expected = picture(seed=picture_shop.seed_of(target))
        assert store.read(sha256) == expected, f"{address} is not the picture that was fetched: {reason}"
    return {"fetched": True}


def _registry(settings: Settings) -> dict[str, object]:
    before = read_ledger(settings.home, settings.model_name)
    with open_store(settings) as client:
        ledger = synchronise(client, settings)
        for one in ledger.versions:
            fetch(client, settings, version_numbered(client, settings, one.version))
    told = {one.version: one.aliases for one in before.versions}
    now = {one.version: one.aliases for one in ledger.versions}
    assert told == now, f"screens show {told}, the registry holds {now}"
    assert before.events == ledger.events, f"screens show {before.events[:2]}, the registry holds {ledger.events[:2]}"
    found: dict[str, object] = {f"version {one.version}": one.model for one in ledger.versions}
    for one in ledger.versions:
        assert len(one.aliases) < 2, f"version {one.version} is {' and '.join(one.aliases)}"
        for alias in one.aliases:
            (last, *_) = [event for event in ledger.events if event.alias == alias]
            assert last.version == one.version, f"{alias} moved to {one.version}, and nothing says so"
            found[f"alias {alias}"] = one.version
    return found


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


# ------------------------------------------------------------------------------------------------ what does not belong


def left_over(settings: Settings, place: Path) -> list[str]:
    """Say what is in the home, in the folder ``place`` for temporary files, in MLflow and among processes that should not.

    Files of catalogues that no commit names are not among it: see :func:`uncommitted`.
    """
    home = settings.home
    found = [f"temporary {path.name}" for path in place.iterdir()]
    found += [str(path.relative_to(home)) for path in home.rglob("*") if not _belongs(path.relative_to(home), settings)]
    return found + list(_open_in_mlflow(settings)) + [f"process {one}" for one in processes(settings)]


def _belongs(path: Path, settings: Settings) -> bool:
    top, *rest = path.parts
    if top != "catalogues" and any(_TEMPORARY.match(part) for part in path.parts):
        return False  # those of catalogues are looked for by uncommitted()
    if top in _EMPTY:
        return not rest
    if top in _JUDGED and rest and rest[0] != ".locks":
        return _JUDGED[top](settings, rest)
    return top in _KNOWN or _FILES.fullmatch(top) is not None


def _belongs_to_sweeps(settings: Settings, rest: list[str]) -> bool:
    name, *inner = rest
    is_sweep = (settings.sweeps_dir / name / "sweep.json").is_file()
    is_trial = len(inner) == 2 and inner[0] == "trials" and re.fullmatch(r"\d{4}\.json", inner[1]) is not None
    return is_sweep and (is_trial or inner in _OF_SWEEPS)


def _belongs_to_maps(settings: Settings, rest: list[str]) -> bool:
    return (settings.models_dir / rest[0] / bundle.MANIFEST).is_file()


def _belongs_to_models(settings: Settings, rest: list[str]) -> bool:
    models, (name, *inner) = settings.models_dir, rest
    if not name.endswith(".checkpoints"):
        return (models / name / bundle.MANIFEST).is_file()
    is_of_use = any((models / name).glob("state-*.npz"))
    is_done = (models / name.removesuffix(".checkpoints") / bundle.MANIFEST).is_file()
    names = [part for part in inner if part != "ranks"]
    return is_of_use and not is_done and all(_CHECKPOINT.fullmatch(part) or part == "stop" for part in names)


_EMPTY = {"staging", "runs", "downloads"}
_KNOWN = {
    "catalogues",
    "models",
    "sweeps",
    "maps",
    "artifacts",
    "logs",
    "golden",
    "cache",
    "fetched",
    "remembered",
    "audit",
    "uploads",
    ".locks",
}
_FILES = re.compile(
    r"(jobs|mlflow)\.db(-wal|-shm|-journal)?|registry\.json|registry-key|artifact-root|tokens\.json|app-token|\..+\.lock"
)
_OF_SWEEPS = ([], ["sweep.json"], ["status.json"], ["pause"], ["stop"], ["trials"])
_JUDGED = {"models": _belongs_to_models, "sweeps": _belongs_to_sweeps, "maps": _belongs_to_maps}


def _open_in_mlflow(settings: Settings) -> Iterator[str]:
    with open_store(settings) as client:
        every = [one.experiment_id for one in client.search_experiments(view_type=3)]
        for run in client.search_runs(every, "attributes.status = 'RUNNING'"):
            yield f"run {run.info.run_name} is RUNNING"
        sources = {one.source.rpartition("/")[2] for one in client.search_model_versions()}
        for model in client.search_logged_models(every):
            if model.model_id not in sources:
                yield f"logged model {model.model_id} has no version"
    for folder in (settings.home / "artifacts").rglob("m-*"):
        if folder.name not in sources and len(folder.name) == 34:
            yield f"artifacts {folder.name} have no version"


def dispose() -> None:
    """Have MLflow's connections in this process opened anew: the file that they read is replaced with the home."""
    for one in gc.get_objects():
        if isinstance(one, Engine):
            one.dispose()


def processes(settings: Settings) -> list[str]:
    """Return the living processes of this home, with the ports on which they listen."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("TWINSET_HOME") == str(settings.home) and process.pid != os.getpid()
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                ports = [one.laddr.port for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
                found.append(f"{process.pid} {' '.join(process.cmdline()[:4])} {ports}")
        except (psutil.Error, OSError):
            continue
    return found


def uncommitted(settings: Settings) -> list[Path]:
    """Return files of catalogues that no commit names, as Delta leaves those of a killed writer."""
    found: list[Path] = []
    for log in settings.catalogues_dir.glob("*/*/_delta_log"):
        told = states(log.parent)
        named = {path for state in told for path in (*state.paths, *state.commit.feed)}
        found += [log.parent / path for path in {*files_present(log.parent)} - named]
        found += log.glob(".*.tmp*")
    return found


def age(paths: list[Path], days: float) -> None:
    """Have files be as old as that: so long a foreign writer may still be about to commit what no commit names."""
    then = time.time() - days * 86_400
    for path in paths:
        os.utime(path, (then, then))


def own_temporary(place: Path) -> None:
    """Have this process, and those that it starts, put temporary files there."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    os.environ["TMPDIR"], tempfile.tempdir = str(place), None
    assert scratch.common_folder() == place

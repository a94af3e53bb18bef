"""Whatever is put in the way of loading, none of it runs: pickles, SavedModels, Lambdas, links, paths that lead outside.

Every canary fits its hashes: what refuses it is what it is, not that it was changed.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from backend.bundles import bundle
from backend.errors import BundleError, ConfigurationError
from backend.files.storage import write_atomically
from backend.progress import NullProgress
from backend.registry.fetching import fetch_champion
from backend.registry.promotion import promote
from backend.registry.signing import BUNDLE_TAG, MANIFEST_TAG
from backend.registry.store import open_store
from backend.retrieval.gallery.gallery import load_vectors
from backend.retrieval.recommend import Recommender
from backend.training.config import TrainConfig
from backend.training.network import weights
from tests.fixtures.endpoint import load_projection
from tests.fixtures.registry import register_projection, write_model_folder


class Canary:
    """Pickled, it writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (_sing, (str(self.path),))


def _sing(path):
    from pathlib import Path

    Path(path).write_text("it ran", encoding="utf-8")
    return 0


@pytest.fixture
def song(tmp_path):
    """Where the canary would write; nothing may be there at the end."""
    path = tmp_path / "song"
    yield path
    assert not path.exists(), "code from a model ran"


@pytest.fixture
def folder(tmp_path, projection_bundle):
    """A good bundle, to be tampered with."""
    return shutil.copytree(projection_bundle, tmp_path / "models" / "projection")


def fitting(folder):
    """Write hashes that fit what was slipped in."""
    bundle.write_manifest(folder, bundle.read_manifest(folder))
    return folder


def load(folder):
    return Recommender.load(folder, embedder_loader=load_projection)


def test_the_canary_sings_where_it_is_loaded(tmp_path):
    pickle.loads(pickle.dumps(Canary(tmp_path / "heard")))
    assert (tmp_path / "heard").read_text() == "it ran"


def test_a_pickle_beside_the_files_is_refused(folder, song):
    (folder / "extra.pkl").write_bytes(pickle.dumps(Canary(song)))
    with pytest.raises(BundleError, match="does not name"):
        load(folder)


def pickled_array(song):
    buffer = io.BytesIO()
    np.save(buffer, np.array([[Canary(song)]], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def pickled_npz(song):
    buffer = io.BytesIO()
    np.savez(buffer, **{"0000": np.array([Canary(song)], dtype=object)})
    return buffer.getvalue()


def keras_file(song):
    """A .keras file with a Lambda, which is a zip file as ours is."""
    buffer = io.BytesIO()
    layer = {"class_name": "Lambda", "config": {"function": ["eA==", None, None], "name": "evil"}}
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}))
        archive.writestr("model.weights.h5", pickle.dumps(Canary(song)))
    return buffer.getvalue()


@pytest.mark.parametrize("made", [pickled_array, pickled_npz, keras_file, lambda song: pickle.dumps(Canary(song))])
def test_weights_that_are_no_plain_arrays_are_refused(folder, song, made):
    (folder / bundle.WEIGHTS).write_bytes(made(song))
    bundle.verify(fitting(folder))
    with pytest.raises(BundleError, match="cannot be read as weights"):
        weights.unpack(folder / bundle.WEIGHTS)


@pytest.mark.parametrize("made", [pickled_array, lambda song: pickle.dumps(Canary(song))])
def test_vectors_that_are_no_plain_matrix_are_refused(folder, song, made):
    (folder / bundle.VECTORS).write_bytes(made(song))
    bundle.verify(fitting(folder))
    with pytest.raises(BundleError, match="cannot be read"):
        load_vectors(folder)
    with pytest.raises(BundleError):
        load(folder)


def test_a_saved_model_is_refused_and_nothing_of_it_is_looked_at(folder, song):
    saved = folder / "saved_model"
    (saved / "variables").mkdir(parents=True)
    (saved / "saved_model.pb").write_bytes(b"\x08\x01")
    (saved / "keras_metadata.pb").write_bytes(pickle.dumps(Canary(song)))
    with pytest.raises(BundleError, match=r"saved_model/.* does not name"):
        load(fitting(folder))


@pytest.mark.parametrize("name", ["lambda", "Lambda", "__import__('os')", "../seed-cnn"])
def test_a_network_that_is_not_ours_is_not_built(folder, song, name):
    manifest = bundle.read_manifest(folder)
    bundle.write_manifest(folder, replace(manifest, config={**TrainConfig().as_dict(), "backbone": name}))
    with pytest.raises(ConfigurationError):
        TrainConfig.from_dict(bundle.verify(folder).config)


def test_links_are_refused_to_files_and_to_folders(folder, tmp_path):
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    (folder / bundle.WEIGHTS).unlink()
    (folder / bundle.WEIGHTS).symlink_to(elsewhere / bundle.WEIGHTS)
    with pytest.raises(BundleError, match="lacks"):
        load(folder)
    (folder / bundle.WEIGHTS).unlink()
    shutil.copy(elsewhere / bundle.WEIGHTS, folder)
    (folder / "more").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(BundleError, match="does not name"):
        load(folder)
    (folder / "more").unlink()
    (folder / bundle.MANIFEST).rename(elsewhere / "m")
    (folder / bundle.MANIFEST).symlink_to(elsewhere / "m")
    with pytest.raises(BundleError, match="is not a Twinset model"):
        load(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "more/../../secret"])
def test_a_manifest_that_names_a_file_outside_is_refused(folder, name):
    (folder.parent / "secret").write_text("x")
    manifest = bundle.read_manifest(folder)
    sha256 = bundle.sha256_of(folder.parent / "secret")
    outside = replace(manifest, files={**manifest.files, name: sha256})
    write_atomically(folder / bundle.MANIFEST, outside.to_json().encode())
    with pytest.raises(BundleError, match="a name is invalid"):
        load(folder)


# ---------------------------------------------------------------------------------------------- the registry


def champion_is(settings, number):
    with open_store(settings) as client:
        client.set_registered_model_alias(settings.model_name, "champion", str(number))


@pytest.mark.mlflow
def test_a_model_from_anywhere_else_is_refused_before_anything_of_it_runs(mlflow_settings, folder, song, tmp_path):
    """Somebody registers a model of their own, a pickle as MLflow makes them, and gives it our name and alias."""
    source = tmp_path / "foreign"
    source.mkdir()
    (source / "python_model.pkl").write_bytes(pickle.dumps(Canary(song)))
    flavour = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}
    (source / "MLmodel").write_text(json.dumps({"flavors": {"python_function": flavour}}))
    bare = dict.fromkeys((BUNDLE_TAG, MANIFEST_TAG), "")
    for tags in (bare, {}):  # without our tags, and with tags copied from a model of ours
        number = register_projection(mlflow_settings, folder, source=source, **tags)
        champion_is(mlflow_settings, number)
        with pytest.raises(BundleError, match=r"not registered by Twinset|not found"):
            fetch_champion(mlflow_settings)
        with pytest.raises(BundleError):
            promote(mlflow_settings, number, reason="I want it.", progress=NullProgress())


@pytest.mark.mlflow
def test_an_mlmodel_file_that_would_run_code_does_not(mlflow_settings, folder, song, tmp_path):
    source = write_model_folder(tmp_path / "logged", folder)
    text = f"flavors: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{song}']]"
    (source / "MLmodel").write_text(text)
    champion_is(mlflow_settings, register_projection(mlflow_settings, folder, source=source))
    with pytest.raises(BundleError):
        fetch_champion(mlflow_settings)


@pytest.mark.mlflow
@pytest.mark.parametrize("named", ["../../outside", "/tmp", "artifacts/../../../outside", "artifacts/link"])
def test_an_mlmodel_file_that_leads_outside_is_refused(mlflow_settings, folder, tmp_path, named):
    outside = shutil.copytree(folder, tmp_path / "outside")
    source = write_model_folder(tmp_path / "logged", folder, named=named)
    (source / "artifacts" / "link").symlink_to(outside, target_is_directory=True)
    champion_is(mlflow_settings, register_projection(mlflow_settings, folder, source=source))
    with pytest.raises(BundleError, match="outside itself"):
        fetch_champion(mlflow_settings)


@pytest.mark.mlflow
def test_a_good_one_is_fetched_all_the_same(mlflow_settings, folder):
    champion_is(mlflow_settings, register_projection(mlflow_settings, folder))
    version, found = fetch_champion(mlflow_settings)
    assert (version.version, version.model) == (1, "projection")
    assert load(found).size == 60

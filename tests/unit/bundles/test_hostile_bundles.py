"""A bundle may come from anywhere: whatever is in it, it is a typed error, before anything large is read or TensorFlow is there."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.bundles import bundle
from backend.bundles.plain_arrays import open_matrix, read_arrays
from backend.errors import BundleError, WorkbenchError
from backend.evaluation.answers import load_answers
from backend.registry.card import card_of
from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.recommend import Recommender
from tests.fixtures.endpoint import load_projection
from tests.support import hostile_bundles
from tests.support.hostile_bundles import ATTACKS, MANIFESTS, VECTORS


@pytest.fixture
def folder(tmp_path, projection_bundle):
    """A good bundle, to be made hostile."""
    return shutil.copytree(projection_bundle, tmp_path / "projection")


def load(folder):
    return Recommender.load(folder, embedder_loader=load_projection)


def never(*_args, **_options):
    raise AssertionError("the network was asked for")


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_bundle_is_a_typed_error_before_its_network_is_asked_for(folder, name):
    with pytest.raises(BundleError) as caught:
        Recommender.load(ATTACKS[name].on(folder), embedder_loader=never)
    assert len(str(caught.value)) < 1_000
    str(caught.value).encode()


def test_a_good_one_is_loaded_and_a_bad_file_of_each_kind_is_not(folder):
    """The few that stand for the others, where there is no time for all."""
    assert load(folder).size == 60
    for attack in (MANIFESTS[1], VECTORS[1], ATTACKS["a named pipe in the place of weights.npz"]):
        bad = attack.on(shutil.copytree(folder, folder.parent / str(id(attack)) / folder.name))
        with pytest.raises(BundleError):
            load(bad)


_PROGRAM = """
import json, os, sys
from pathlib import Path
from backend.errors import BundleError, WorkbenchError
from backend.evaluation.answers import load_answers
from backend.registry.card import card_of
from backend.retrieval.gallery.gallery import Gallery
from backend.retrieval.recommend import Recommender
from backend.training.embedder import load_query_embedder
from tests.support.benchmarking import peak_mb
found = []
for line in sys.stdin:
    try:
        Recommender.load(Path(line.strip()), embedder_loader=load_query_embedder)
        found.append("loaded")
    except BundleError:
        found.append("refused")
print(json.dumps({
    "found": found,
    "heavy": sorted({"tensorflow", "tf_keras", "tensorflow_similarity"} & set(sys.modules)),
    "peak_mb": peak_mb(os.getpid()),  # not getrusage, which counts what the forking process had
}))
"""


@pytest.mark.slow
def test_all_of_them_are_refused_in_one_process_without_tensorflow_and_in_little_memory(
    tmp_path, projection_bundle, repository
):
    """Its network, too, is none of ours: the good one is refused for that, and before TensorFlow is there."""
    folders = [*hostile_bundles.make_all(projection_bundle, tmp_path), projection_bundle]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input="\n".join(map(str, folders)),
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (8_000_000_000, 8_000_000_000)),
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["found"] == ["refused"] * len(folders)
    assert told["heavy"] == []
    assert told["peak_mb"] < 300


@pytest.mark.parametrize("name", ["evaluation.json", "proof.json"])
@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "[]", '{"workers": []}', "\udcff"])
def test_a_card_of_what_is_none_is_a_typed_error(folder, name, text):
    """These are read for the card, and by pages that have not verified the bundle."""
    (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WorkbenchError, match=r"proof\.json|[Tt]he (report|evaluation)"):
        card_of(folder, bundle.read_manifest(folder))


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", ["evaluation.json", "proof.json", "evaluation.parquet", "gallery.parquet"])
def test_what_is_no_file_is_not_opened_by_pages_either(folder, name, put):
    (folder / name).unlink(missing_ok=True)
    put(folder / name)
    reading = {"evaluation.parquet": load_answers, "gallery.parquet": Gallery.load}
    with pytest.raises(WorkbenchError):
        reading.get(name, lambda place: card_of(place, bundle.read_manifest(place)))(folder)


# -------------------------------------------------------------------------------------------------- the list


@pytest.mark.slow
def test_no_bad_bundle_takes_the_list_of_models_along(tmp_path, projection_bundle):
    """Every manifest that is none, as a folder beside a good one; and one that has another's name."""
    models = tmp_path / "models"
    bad = [name for name in ATTACKS if name in {a.name for a in MANIFESTS} or name.endswith("of manifest.json")]
    for number, name in enumerate(bad):
        made = ATTACKS[name].on(shutil.copytree(projection_bundle, tmp_path / str(number) / "bad"))
        shutil.move(made, models / f"bad-{number:03d}")
    shutil.copytree(projection_bundle, models / "projection")
    shutil.copytree(projection_bundle, models / "a-copy")
    found = bundle.survey(models)
    assert [one.name for one in found.bundles] == ["projection"] == [one.name for one in bundle.list_bundles(models)]
    without = sum(name.startswith("nothing") for name in bad)  # is no model, and none that is damaged
    assert len(found.left_out) == len(bad) + 1 - without
    assert all(one.reason for one in found.left_out)
    assert "belongs to projection" in found.left_out[0].reason


# ------------------------------------------------------------------------------------------------ properties

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def raw(projection_bundle):
    """The values of a good manifest."""
    return json.loads((projection_bundle / bundle.MANIFEST).read_text())


def read(raw):
    """Read a manifest; what is read can be written, and read again."""
    try:
        found = bundle.Manifest.from_json(json.dumps(raw))
    except BundleError:
        return
    text = found.to_json()
    text.encode()
    assert bundle.Manifest.from_json(text) == found


@pytest.mark.slow
@given(data=st.data())
def test_any_value_anywhere_in_a_manifest_is_read_or_refused(raw, data):
    name = data.draw(st.sampled_from(sorted(raw)))
    value = data.draw(json_values)
    inner = raw[name]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        value = {**inner, data.draw(st.sampled_from(sorted(inner))): value}
    read({**raw, name: value})


@given(text=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_no_manifest(text):
    with pytest.raises(BundleError):
        bundle.Manifest.from_json(text)


@pytest.mark.slow
@pytest.mark.parametrize("reading", [open_matrix, read_arrays])
@given(at=st.integers(0, 400), bits=st.integers(1, 255), cut=st.integers(0, 400))
def test_a_changed_header_is_read_as_numbers_or_refused(tmp_path_factory, reading, at, bits, cut):
    path = tmp_path_factory.mktemp("arrays") / "a"
    array = np.ones((3, 4), dtype=np.float32)
    with path.open("wb") as stream:
        np.save(stream, array) if reading is open_matrix else np.savez(stream, a=array)
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= bits
    path.write_bytes(data[: len(data) - cut % 3])
    try:
        found = reading(path)
    except (ValueError, OSError):
        return
    arrays = [found] if reading is open_matrix else list(found.values())
    assert sum(one.nbytes for one in arrays) <= len(data)


@pytest.mark.slow
def test_arrays_are_read_as_they_were_written(tmp_path):
    made = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.float32(2.5), "c": np.zeros((0, 4))}
    made["d"] = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "a.npz", **made)
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == made.keys()
    for name, array in made.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(10_000_000))
    with pytest.raises(ValueError, match="not plain arrays"):
        read_arrays(tmp_path / "a.npz")
    np.save(tmp_path / "m.npy", np.zeros((0, 12), dtype=np.float32))
    assert open_matrix(tmp_path / "m.npy").shape == (0, 12)


def test_figures_that_are_no_numbers_are_left_out_of_a_manifest(projection_bundle):
    """Earlier versions may have written some; JSON has no way to."""
    manifest = bundle.read_manifest(projection_bundle)
    odd = replace(manifest, metrics={"a": 0.5, "b": float("nan"), "c": float("inf")})
    assert bundle.Manifest.from_json(odd.to_json()).metrics == {"a": 0.5}
    raw = json.loads(manifest.to_json())
    earlier = json.dumps({**raw, "metrics": {"a": 1, "b": float("nan")}})
    assert bundle.Manifest.from_json(earlier).metrics == {"a": 1}

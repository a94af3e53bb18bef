"""What a registered model takes along: all that its predictor can come to need, and nothing beside it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from backend.errors import EnvironmentUnready
from backend.registry import portable


def test_the_libraries_are_those_that_the_predictor_can_come_to_need():
    assert portable.import_chain().libraries == {
        *("PIL", "faiss", "mlflow", "numpy", "pandas", "pillow_heif", "pyarrow", "tensorflow"),
        "tensorflow_similarity",
    }


def test_modules_that_are_imported_late_or_in_a_process_of_their_own_come_along_and_whole_parts_stay_behind(repository):
    modules = portable.import_chain().modules
    assert modules.keys() >= {
        "backend.registry.pyfunc_model",
        "backend.training.embedder",
        "backend.training.network.ready_made",
        "backend.training.network.colours",
        "backend.retrieval.indexes.cell_lists",
        "backend.imaging.pixels",
        "backend.files.limited",
    }
    parts = {name.split(".")[1] for name in modules if "." in name}
    assert parts == {
        *("bundles", "catalogue", "errors", "files", "imaging", "registry", "retrieval", "settings", "training"),
    }
    assert not {name for name in modules if name.startswith(("backend.catalogue.delta", "backend.training.ranks"))}
    assert len(modules) < len(list((repository / "backend").rglob("*.py"))) / 3


def test_the_copied_modules_import_each_other_and_nothing_that_lies_elsewhere(tmp_path):
    package = portable.copy_code(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["backend"]
    names = [
        ".".join(path.relative_to(tmp_path).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(package.rglob("*.py"))
        if path.name not in {"pyfunc_model.py", "predictor.py"}  # MLflow takes seconds
    ]
    code = f"import importlib, sys\nfor n in {names!r}: print(importlib.import_module(n).__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(names) > 70
    assert all(line.startswith(str(tmp_path)) for line in done.stdout.split())


def test_what_is_imported_and_what_that_needs_in_turn_is_required_as_it_is_installed_here():
    pins = dict(line.split("==") for line in portable.requirements())
    assert {name: version(name) for name in pins} == pins
    imported = {"faiss-cpu", "mlflow", "numpy", "pandas", "pillow", "pillow-heif", "pyarrow", "tensorflow"}
    assert pins.keys() >= imported | {"tensorflow-similarity", "tf-keras"}
    # What they need, among it what an extra of a library's library needs.
    assert pins.keys() >= {"protobuf", "tensorflow-metadata", "setuptools", "nmslib", "mlflow-skinny", "zipp"}
    others = {"pyspark", "delta-spark", "deltalake", "petastorm", "horovod", "hyperopt", "streamlit", "plotly"}
    assert not pins.keys() & others
    assert not [name for name in pins if name.startswith("efficientnet")]  # a bundle brings its weights


def test_a_library_that_is_not_installed_is_said():
    with pytest.raises(EnvironmentUnready, match="no_such_library is not installed"):
        portable._distributions({"no_such_library"})

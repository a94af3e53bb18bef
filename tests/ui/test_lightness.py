"""What the app's process loads, and how fast a page comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from app.navigation import PAGES
from tests.ui.conftest import MAIN

HEAVY = ("tensorflow", "tf_keras", "tensorflow_similarity", "pyspark", "mlflow", "horovod", "hyperopt", "umap", "faiss")
RERUN_LIMIT_S = 0.2
SCRIPT = """
import json, sys
from streamlit.testing.v1 import AppTest
for name in {names!r}:
    test = AppTest.from_file({main!r}, default_timeout=60)
    if name != "recommend":
        test.switch_page(f"../pages/{{name}}.py")
    test.run()
    assert not test.exception, name
    assert test.title, name
print(json.dumps(sorted(name for name in {heavy!r} if name in sys.modules)))
"""


def test_every_page_runs_from_any_directory_and_loads_no_heavy_library(tmp_path):
    """One process of its own, which stands elsewhere and has neither the root nor its directory on its path."""
    script = SCRIPT.format(names=[page.name for page in PAGES], main=str(MAIN), heavy=HEAVY)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ |= {"TWINSET_HOME": str(tmp_path / "home"), "TWINSET_ENDPOINT_PORT": "1", "TWINSET_SIGN_IN": "off"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_a_warm_rerun_of_a_page_is_quick(screen, shop_endpoint, shop_model, name):
    test = screen.open(name)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        test.run()
        times.append(time.perf_counter() - start)
    assert min(times) <= RERUN_LIMIT_S

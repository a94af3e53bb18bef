"""Examples in docstrings are run: what they say comes out."""

from __future__ import annotations

import doctest
import importlib

import pytest

from backend.settings import ROOT

FOLDERS = ("app", "backend")  # pages are scripts
FILES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py") if ">>> " in path.read_text("utf-8"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES]


@pytest.mark.parametrize("name", MODULES)
def test_what_an_example_says_comes_out(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed

"""Fixtures shared by all tests; JVM and TensorFlow starts are shared by the whole session."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings as hypothesis_settings

pytest_plugins = [
    "tests.fixtures.base",
    "tests.fixtures.catalogue",
    "tests.fixtures.models",
    "tests.fixtures.endpoint",
    "tests.fixtures.colours",
    "tests.fixtures.evaluation",
    "tests.fixtures.projection",
    "tests.fixtures.stored",
]
NEVER_FAST = {"browser", "integration"}  # folders that `make check` does not even read
# `make test` sets it: properties then hold on all their examples, not on a third of them as at each commit.
THOROUGH = os.environ.get("TESTS_THOROUGH") == "1"
MARKS = {"spark", "tf", "mlflow", "browser", "slow", "ui"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse what would be run by nobody."""
    for item in items:
        if item.path.parent.name in NEVER_FAST and not MARKS & {mark.name for mark in item.iter_markers()}:
            raise pytest.UsageError(f"{item.nodeid} needs a mark: `make check` does not look for it where it is.")
    if not THOROUGH:
        _try_fewer({getattr(item, "function", None) for item in items})


def _try_fewer(tests: set[object]) -> None:
    for test in tests:
        if found := getattr(test, "_hypothesis_internal_use_settings", None):
            fewer = hypothesis_settings(found, max_examples=max(5, found.max_examples // 3))
            test._hypothesis_internal_use_settings = fewer

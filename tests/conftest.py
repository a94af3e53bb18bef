"""Fixtures shared by all tests; JVM and TensorFlow starts are shared by the whole session."""

from __future__ import annotations

import pytest

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
MARKS = {"spark", "tf", "mlflow", "browser", "slow", "ui"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse what would be run by nobody."""
    for item in items:
        if item.path.parent.name in NEVER_FAST and not MARKS & {mark.name for mark in item.iter_markers()}:
            raise pytest.UsageError(f"{item.nodeid} needs a mark: `make check` does not look for it where it is.")

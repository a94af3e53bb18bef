"""Fixtures shared by all tests; JVM and TensorFlow starts are shared by the whole session."""

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

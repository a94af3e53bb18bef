"""What tests of jobs share."""

from __future__ import annotations

import pytest


class Clock:
    """Seconds that a test lets pass."""

    at = 1_000_000.0

    def now(self):
        return self.at

    def tick(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()

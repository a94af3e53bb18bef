"""An endpoint process that is asked with hostile pictures answers every one of them, and lives; ports are its own."""

from __future__ import annotations

import pytest

from tests.benchmarks.hostile import files, run
from tests.support.hostile_pictures import BOMBS, mutations

pytestmark = pytest.mark.slow
LONG_MADE = {"12-megapixels.heic", "16-megapixels.gif"}


def small_corpus():
    yield from ((name, make()) for name, make in BOMBS.items() if name not in LONG_MADE)
    yield from mutations(100)


def test_bombs_and_mutations_are_answered_and_the_endpoint_lives():
    result = run(small_corpus(), seconds=120)
    figures = result["figures"]
    assert result["correct"], figures
    assert (figures["deaths"], figures["server_errors"]) == (0, 0)
    assert figures["answers"]["too_costly"] >= 6
    assert figures["answers"]["too_narrow"] >= 3


def test_pictures_of_an_attack_are_refused_and_the_endpoint_lives(security_case):
    found = [one for one in files([security_case("")]) if one[0].endswith((".jpg", ".jpeg", ".png", ".webp"))]
    result = run(found, seconds=120)
    assert result["correct"]
    assert result["figures"]["answers"] == {"too_narrow": 2, "too_costly": 2}
    assert result["figures"]["over_64_mb"] == 0

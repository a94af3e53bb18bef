"""What benchmarks share: pinning, intervals, the machine, and the line that they end with."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def pin(cores: int = 2) -> int:
    """Keep this process, and all that it starts, on some cores; returns how many."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    os.sched_setaffinity(0, chosen)
    return len(chosen)


def ratio_of(reference: Sequence[float], ours: Sequence[float], *, draws: int = 2000) -> tuple[float, list[float]]:
    """Return how many times faster ours is, median over median, with its bootstrapped 95 % interval; times in s."""
    rng = np.random.default_rng(7)
    theirs, mine = np.asarray(reference), np.asarray(ours)
    drawn = [np.median(rng.choice(theirs, len(theirs))) / np.median(rng.choice(mine, len(mine))) for _ in range(draws)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return round(float(np.median(theirs) / np.median(mine)), 3), [round(float(low), 3), round(float(high), 3)]


def peak_mb(pid: int) -> float:
    """Return the most memory that a process ever had resident."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    line = next(one for one in lines if one.startswith("VmHWM"))
    return round(int(line.split()[1]) * 1024 / 1e6, 1)


def machine() -> dict[str, object]:
    """Say what the figures were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load": [round(value, 1) for value in os.getloadavg()],
    }


def told(result: dict[str, object], *, as_json: bool) -> str:
    """Return the result as the last line of a benchmark, or for a person."""
    return json.dumps(result) if as_json else json.dumps(result, indent=2)

"""Which graphics cards TensorFlow can use, asked of TensorFlow itself: a device file alone computes nothing.

``CUDA_VISIBLE_DEVICES`` may hide a card, a driver may be too old, a library may be missing. TensorFlow is asked in a
process of its own, since the app and the command line do without it, and only where there is a card at all.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_ASK = """
import sys
sys.path.insert(0, sys.argv[1])
from backend.training.runtime import prepare_tensorflow
print("cards:", len(prepare_tensorflow(1, "cpu").config.list_physical_devices("GPU")))
"""
_ASK_TIMEOUT_S = 120
# TensorFlow's messages, and what they mean: the first is said of the runtime, whatever its words are.
_SIGNS = {
    "Could not find cuda drivers": "the CUDA runtime (libcudart)",
    "UNKNOWN ERROR (303)": "the NVIDIA driver (libcuda.so.1)",
    "Cannot dlopen some GPU libraries": "some of the CUDA and cuDNN libraries",
}
_REMEDY = "Install the driver and requirements-gpu.txt, or set TWINSET_DEVICE to cpu."


@dataclass(frozen=True, slots=True)
class Cards:
    """The NVIDIA cards of a machine.

    Attributes:
        usable: How many TensorFlow can use.
        present: How many there are.
        missing: Why none of those that are there can be used; empty where one can, and where there is none.
    """

    usable: int = 0
    present: int = 0
    missing: str = ""

    @property
    def sentence(self) -> str:
        """Say that cards are idle, and why; empty where none does."""
        if not self.missing:
            return ""
        there = "There is a graphics card" if self.present == 1 else f"There are {self.present} graphics cards"
        return f"{there}, but TensorFlow cannot use {'it' if self.present == 1 else 'them'}: {self.missing}."

    @property
    def next_step(self) -> str:
        """Say what to do about it."""
        return _REMEDY if self.missing else ""


def look_at_cards(devices: Path = Path("/dev")) -> Cards:
    """Look once for each value of ``CUDA_VISIBLE_DEVICES``; seconds where there is a card, nothing where there is none.

    Args:
        devices: Folder of the device files.
    """
    return _looked_at(devices, os.environ.get("CUDA_VISIBLE_DEVICES"))


@cache
def _looked_at(devices: Path, visible: str | None) -> Cards:
    present = len(list(devices.glob("nvidia[0-9]*")))
    if not present:
        return Cards()
    if visible is not None and visible.strip() in {"", "-1"}:
        return Cards(0, present, f"CUDA_VISIBLE_DEVICES is {visible!r}, which hides all cards")
    usable, said = _asked()
    return Cards(usable, present, "" if usable else _missing(said, visible))


def _asked() -> tuple[int, str]:
    """Have TensorFlow count cards in a process of its own; returns what it said about them, too."""
    environ = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"}
    command = [sys.executable, "-c", _ASK, str(Path(__file__).parents[2])]
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=_ASK_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 0, f"TensorFlow could not be queried ({type(error).__name__})"
    found = re.search(r"^cards: (\d+)$", done.stdout, re.MULTILINE)
    return (int(found[1]) if found else 0), done.stderr


def _missing(said: str, visible: str | None) -> str:
    """Say what is missing, from TensorFlow's messages on the error stream."""
    found = [what for sign, what in _SIGNS.items() if sign in said]
    if absent := list(dict.fromkeys([*found, *re.findall(r"Could not load dynamic library '([^']+)'", said)])):
        return f"it cannot find {' and '.join(absent)}"
    hidden = f", with CUDA_VISIBLE_DEVICES={visible}" if visible is not None else ""
    if failed := re.search(r"failed call to cuInit: (?:[A-Z]+: )?(.+)", said):
        return f"the driver says {failed[1].strip()}{hidden}"
    lines = [line for line in said.splitlines() if line.strip()]
    return (lines[-1].strip().rstrip(".") if lines else "it gives no reason") + hidden

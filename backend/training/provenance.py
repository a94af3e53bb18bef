"""Which code and which libraries made a model."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from backend import __version__

LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-similarity", "numpy", "pillow", "pyarrow", "deltalake")
UNKNOWN = "unknown"
_TIMEOUT_S = 10.0


def git_commit(checkout: Path | None = None) -> str:
    """Return the commit of the code's checkout, with ``-dirty`` where files differ from it; ``unknown`` without one.

    Args:
        checkout: Folder to ask about; the one that holds this program when left out.
    """
    root = (checkout or Path(__file__).parents[2]).resolve()
    if not root.is_dir() or _git(root, "rev-parse", "--show-toplevel") != str(root):
        return UNKNOWN  # a zipped package on an executor, or a copy inside somebody else's repository
    return _git(root, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*") or UNKNOWN


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git, or one that hangs: the answer is "unknown" all the same
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def threads_of(tf: Any) -> int:
    """Return the number of threads that one operation of this process's TensorFlow may use."""
    return int(tf.config.threading.get_intra_op_parallelism_threads()) or len(os.sched_getaffinity(0))


def library_versions() -> dict[str, str]:
    """Return the versions of Twinset, of Python and of the libraries that decide what a training yields."""
    return {"twinset": __version__, "python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return UNKNOWN

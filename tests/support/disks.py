"""Disks that refuse: read-only and tiny ones, really mounted; tests skip where this user or machine allows no mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _mounted(*arguments: object) -> None:
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount")
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine allows no mounts: {done.stderr.decode().strip()}")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Have a folder, with all that is in it, on a file system that is read-only."""
    _mounted("--bind", folder, folder)
    try:
        _mounted("-o", "remount,ro,bind", folder)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # a JVM may hold a file open


@contextmanager
def disk_of(place: Path, size: str) -> Iterator[Path]:
    """Mount an empty disk of a size, e.g. ``3m``, at a folder that is made."""
    place.mkdir()
    _mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)

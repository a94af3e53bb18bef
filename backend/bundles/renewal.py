"""New files for a bundle that may be in use: the whole folder changes in one step, with the manifest that names them."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from backend.bundles.bundle import MANIFEST, read_manifest, sha256_of, workplace
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from backend.bundles.bundle import Manifest

_EXCHANGE, _FROM_HERE = 2, -100  # of Linux's renameat2


def renew(
    folder: Path, fresh: Mapping[str, Path], change: Callable[[Manifest], Manifest], *, drop: Iterable[str] = ()
) -> Manifest:
    """Put files into a bundle and change its manifest, all in one step; returns what was written.

    Whoever has the old files open keeps them; whoever opens the bundle gets the old one or the new, never a mixture.

    Args:
        folder: The bundle.
        fresh: The new files by their name in the bundle; on the same disk, and moved away from where they are.
        change: Makes the new manifest from the one that is there.
        drop: Names of files that go.

    Raises:
        BundleError: The folder is no bundle.
    """
    manifest = read_manifest(folder)
    kept = {name: sha256 for name, sha256 in manifest.files.items() if name not in {*fresh, *drop}}
    hashes = {name: sha256_of(path) for name, path in fresh.items()}
    complete = replace(change(manifest), files={**kept, **hashes})
    with workplace(folder, "renewal") as place:
        successor = place / folder.name
        successor.mkdir()
        for name in kept:
            _bring(folder / name, successor / name)
        for name, path in fresh.items():
            path.replace(successor / name)
        write_atomically(successor / MANIFEST, complete.to_json().encode())
        exchange(successor, folder)
    return complete


def _bring(source: Path, target: Path) -> None:
    """Have a file stand in a second place, without a copy where the file system can do that."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def exchange(one: Path, other: Path) -> None:
    """Have two folders change places in one step; where the file system cannot do that, in three."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    if not libc.renameat2(_FROM_HERE, paths[0], _FROM_HERE, paths[1], _EXCHANGE):
        return
    if ctypes.get_errno() not in {errno.ENOSYS, errno.EINVAL}:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
    aside = one.with_name(f"{one.name}.aside")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)

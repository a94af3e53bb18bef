"""A cache of small values that can be told from their keys, what may happen to its files, and a process that uses it.

Run as a module, it does to one folder what other such processes do at the same time, and fails on a wrong value.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.feeding.content_cache import ContentCache, keys_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHAPE, ROW = (4, 3), 36 + 4 * 3 * 2  # a row's bytes on disk: digest, checksum, and values of two bytes
KEYS = keys_of([b"%d" % number for number in range(12)])
DAMAGES = ("flip", "cut", "grow", "empty", "garbage", "link", "folder", "remove", "remove all")


def cache(folder: Path, space: str = "small", *, limit_bytes: int = 1_000_000) -> ContentCache:
    return ContentCache(folder, space, SHAPE, np.uint16, limit_bytes=limit_bytes)


def values_of(keys: Sequence[str]) -> NDArray[np.uint16]:
    drawn = [np.frombuffer(hashlib.sha256(key.encode()).digest()[:24], np.uint16) for key in keys]
    return np.array(drawn, np.uint16).reshape(-1, *SHAPE)


def check(found: ContentCache, keys: Sequence[str]) -> NDArray[np.bool_]:
    """Ask for keys; each answer must be the right value, or none."""
    values, is_there = found.get(keys)
    np.testing.assert_array_equal(values, np.where(is_there[:, None, None], values_of(keys), 0))
    return is_there


def damage(folder: Path, how: str, where: int) -> None:
    """Do something bad to one of the shards, or to all."""
    shards: list[Path] = []
    with suppress(FileNotFoundError):  # another process removed it all
        shards = sorted(folder.glob("*/*.rows"))
    if how == "remove all" or not shards:
        shutil.rmtree(folder, ignore_errors=True)
        return
    path = shards[where % len(shards)]
    with suppress(OSError):  # another process did the like
        _spoil(path, how, where)


def _spoil(path: Path, how: str, where: int) -> None:
    data = bytearray(path.read_bytes() if path.is_file() else b"")
    if how == "flip" and data:
        data[where % len(data)] ^= 1 << where % 8
        path.write_bytes(data)
    elif how == "cut":
        with path.open("r+b") as file:
            file.truncate(where % (len(data) + 1))
    elif how in {"grow", "empty", "garbage"}:
        random_bytes = random.Random(where).randbytes(ROW * (1 + where % 3))
        path.write_bytes({"grow": data + random_bytes, "empty": b"", "garbage": random_bytes}[how])
    else:
        path.unlink() if path.is_file() or path.is_symlink() else path.rmdir()
        if how == "link":
            path.symlink_to("/dev/zero")
        elif how == "folder":
            path.mkdir()


def main() -> None:
    folder, rng = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    ours, hits = cache(folder, limit_bytes=20 * ROW), 0
    for _ in range(int(sys.argv[3])):
        keys = rng.sample(KEYS, rng.randint(1, len(KEYS)))
        step = rng.random()
        if step < 0.4:
            ours.put(keys, values_of(keys))
        elif step < 0.8:
            hits += int(check(ours, keys).sum())
        elif step < 0.9:
            ours = cache(folder, limit_bytes=20 * ROW)
        else:
            damage(folder, rng.choice(DAMAGES), rng.randrange(1000))
    print(hits)


if __name__ == "__main__":
    main()

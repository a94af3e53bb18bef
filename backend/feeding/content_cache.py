"""What was made of pictures, by the hash of their bytes, kept below the home for the next training of any catalogue.

A space holds values of one kind, such as the pixels of one spec. Its shards are files that never change, written as a
whole by any number of processes at once: digests (N, 32), a checksum of each row, uint32 (N,), and values (N, ...).
Nothing in a shard is believed: a row counts only if its checksum, which covers space and key, too, is right. So whatever
happens to the files, and whenever they go, the answer is the right value or none. Rows are read, not mapped: whoever maps
a file that is cut meanwhile is killed.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import shutil
import stat
import time
import zlib
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL

from backend.files import scratch
from backend.files.plain_files import open_plain
from backend.files.storage import disk_error, write_atomically
from backend.imaging.spec import CONTRACT

if TYPE_CHECKING:
    import io
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

    from backend.imaging.spec import PixelSpec
    from backend.settings import Settings

_SUFFIX, _FORMAT = ".rows", 1
_DIGEST, _SUM = 32, 4  # bytes of a key and of a row's checksum
_SHARD_BYTES = 64_000_000  # of a shard at most, unless a single row is larger
_FREE_SHARE = 10  # of the disk's free space, all shards take one part in so many at most
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CacheFolder:
    """Where all spaces of a home are; may travel to an executor, and does nothing where there is no such home.

    Attributes:
        path: The folder; it is made when something is kept, inside of a home that is there.
        limit_bytes: How large all spaces together may become.
    """

    path: Path
    limit_bytes: int

    def space(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> ContentCache:
        """Return the cache of one kind of values; see :class:`ContentCache`."""
        return ContentCache(self.path, name, shape, dtype, limit_bytes=self.limit_bytes)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"path": str(self.path), "limit_bytes": self.limit_bytes}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> CacheFolder:
        """Build it from what :meth:`as_dict` returned."""
        return cls(Path(raw["path"]), raw["limit_bytes"])

    def shards(self) -> list[tuple[Path, int, int]]:
        """Return the shards of all spaces, each with its bytes and when it was last used, the longest ago first."""
        found = []
        for path in (path for space in _inside(self.path) for path in _inside(space) if path.suffix == _SUFFIX):
            with suppress(OSError):  # it has gone meanwhile
                facts = path.lstat()
                found += [(path, facts.st_size, facts.st_mtime_ns)] * stat.S_ISREG(facts.st_mode)
        return sorted(found, key=lambda shard: shard[2])

    @property
    def n_bytes(self) -> int:
        """What all spaces take."""
        return sum(size for _, size, _ in self.shards())

    def clear(self) -> None:
        """Remove everything; whoever is reading or writing goes on, and makes again what is not there any more."""
        scratch.remove(self.path)

    def make_room(self, size: int, *, since: int) -> bool:
        """Remove shards until ``size`` bytes more can be kept, and return whether they can.

        What was used after ``since`` stays: a training that reads more than there is room for would otherwise throw
        out, at every turn, what it needs next.
        """
        shards = self.shards()
        total = sum(n_bytes for _, n_bytes, _ in shards)
        free = shutil.disk_usage(self.path.parent).free
        most = min(self.limit_bytes, (free + total) // _FREE_SHARE)
        for path, n_bytes, used in shards:
            if total + size <= most or used >= since:
                break
            path.unlink(missing_ok=True)
            total -= n_bytes
        return total + size <= most


def cache_folder(settings: Settings) -> CacheFolder:
    """Return where a home keeps what was made of pictures."""
    return CacheFolder(settings.content_cache_dir, settings.content_cache_mb * 1_000_000)


@dataclass(frozen=True, slots=True)
class _Shard:
    path: Path
    keys: list[bytes]
    sums: NDArray[np.uint32]


class ContentCache:
    """Values of one kind by the SHA-256 of the encoded picture that they come from; used for one pass over a split.

    Args:
        folder: Where all spaces of the home are.
        space: What the values are, and all that they depend on besides the picture; a folder's name.
        shape: Of one value.
        dtype: Ditto; of plain numbers.
        limit_bytes: How large all spaces together may become.
    """

    def __init__(self, folder: Path, space: str, shape: tuple[int, ...], dtype: DTypeLike, *, limit_bytes: int) -> None:
        self._all, self._folder = CacheFolder(folder, limit_bytes), folder / space
        self._shape, self._dtype = tuple(shape), np.dtype(dtype)
        self._row = self._dtype.itemsize * math.prod(self._shape)
        self._start = zlib.crc32(f"{_FORMAT} {space} {self._dtype.str} {self._shape}".encode())
        self._since = time.time_ns()
        self._shards: dict[str, _Shard] = {}
        self._rows: dict[bytes, tuple[str, int]] = {}  # name of a shard, and row in it, by key

    def get(self, keys: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Look values up by the hexadecimal SHA-256 of their pictures.

        Returns:
            Values (N, *shape), zero where there is none, and whether there is one, (N,).
        """
        self._look_for_shards()
        digests = [bytes.fromhex(key) for key in keys]
        values, found = np.zeros((len(keys), self._row), dtype=np.uint8), np.zeros(len(keys), dtype=np.bool_)
        wanted: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for place, digest in enumerate(digests):
            if digest in self._rows:
                name, row = self._rows[digest]
                wanted[name].append((place, row))
        for name, pairs in wanted.items():
            self._read(self._shards[name], pairs, values, found)
        return values.view(self._dtype).reshape(len(keys), *self._shape), found

    def put(self, keys: Sequence[str], values: NDArray[Any]) -> None:
        """Keep values (N, *shape) under the hexadecimal SHA-256 of their pictures, if there is room; else do nothing."""
        if not self._folder.parent.parent.is_dir():  # the home is another machine's
            return
        flat = np.ascontiguousarray(values, dtype=self._dtype).reshape(len(keys), math.prod(self._shape))
        rows = {bytes.fromhex(key): row for row, key in enumerate(keys)}
        fresh = [digest for digest in rows if digest not in self._rows]
        most = max(1, _SHARD_BYTES // (_DIGEST + _SUM + self._row))
        try:
            for start in range(0, len(fresh), most):
                part = fresh[start : start + most]
                self._write(part, flat[[rows[digest] for digest in part]].view(np.uint8))
        except OSError as error:  # nothing depends on it
            logger.warning("not kept for the next training: %s", disk_error(error, "train again") or error)

    def _write(self, digests: list[bytes], rows: NDArray[np.uint8]) -> None:
        """Write a shard named after its keys, so that processes that make the same at once keep it once."""
        keys = b"".join(digests)
        size = len(keys) + _SUM * len(digests) + rows.size
        if not self._all.make_room(size, since=self._since):
            return
        sums = np.array([self._sum(digest, row) for digest, row in zip(digests, rows, strict=True)], dtype="<u4")
        self._folder.parent.mkdir(exist_ok=True)
        self._folder.mkdir(exist_ok=True)
        path = self._folder / _name(keys)
        write_atomically(path, b"".join([keys, sums.tobytes(), rows.tobytes()]), lasting=False)
        _touch(path)
        if not self._all.make_room(0, since=self._since):  # others wrote at the same time
            path.unlink(missing_ok=True)

    def _sum(self, digest: bytes, row: NDArray[np.uint8]) -> int:
        return zlib.crc32(row.data, zlib.crc32(digest, self._start))

    def _look_for_shards(self) -> None:
        """Read the keys of shards that are new, and forget all of them once one is gone: another may hold its keys, too."""
        names = {path.name for path in _inside(self._folder) if path.suffix == _SUFFIX}
        if self._shards.keys() - names:
            self._shards, self._rows = {}, {}
        for name in sorted(names - self._shards.keys()):
            if shard := self._opened(self._folder / name):
                self._shards[name] = shard
                self._rows |= {key: (name, row) for row, key in enumerate(shard.keys)}

    def _opened(self, path: Path) -> _Shard | None:
        with suppress(OSError), open_plain(path) as stream:  # gone meanwhile, or no file of ours
            size, width = os.fstat(stream.fileno()).st_size, _DIGEST + _SUM + self._row
            count, rest = divmod(size, width)
            if not rest and 0 < size <= max(_SHARD_BYTES, width):
                keys, sums = stream.read(_DIGEST * count), stream.read(_SUM * count)
                if path.name == _name(keys) and len(sums) == _SUM * count:
                    split = [keys[start : start + _DIGEST] for start in range(0, len(keys), _DIGEST)]
                    return _Shard(path, split, np.frombuffer(sums, "<u4"))
            _remove_damaged(path)
        return None

    def _read(
        self, shard: _Shard, pairs: list[tuple[int, int]], values: NDArray[np.uint8], found: NDArray[np.bool_]
    ) -> None:
        """Read rows of a shard, given as (place among the values, row), into their places."""
        with suppress(OSError), open_plain(shard.path) as stream:  # gone meanwhile
            for place, row in pairs:
                found[place] = self._is_right(stream, shard, row, values[place])
            if all(found[place] for place, _ in pairs):
                _touch(shard.path)
            else:
                _remove_damaged(shard.path)
        values[[place for place, _ in pairs if not found[place]]] = 0  # what was read of them

    def _is_right(self, stream: io.BufferedReader, shard: _Shard, row: int, value: NDArray[np.uint8]) -> bool:
        offset = (_DIGEST + _SUM) * len(shard.keys) + self._row * row
        n_bytes = os.preadv(stream.fileno(), [value.data], offset)
        return n_bytes == self._row and self._sum(shard.keys[row], value) == shard.sums[row]


def _inside(folder: Path) -> list[Path]:
    """Return what a folder holds; nothing where it is none, or has gone meanwhile."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return list(folder.iterdir())
    return []


def _name(keys: bytes) -> str:
    return f"{hashlib.sha256(keys).hexdigest()[:32]}{_SUFFIX}"


def _touch(path: Path) -> None:
    """Note that a shard was used now, by this machine's clock."""
    now = time.time_ns()
    with suppress(OSError):  # it has gone meanwhile, or is another's: then others note it
        os.utime(path, ns=(now, now))


def _remove_damaged(path: Path) -> None:
    logger.warning("%s is damaged; its contents are computed again", path)
    with suppress(OSError):  # of a disk that is read-only: it is passed over every time
        path.unlink(missing_ok=True)


def contract_of(spec: PixelSpec) -> str:
    """Name all that pixels depend on besides the picture, for the name of a space."""
    size = f"{spec.height}x{spec.width}x{spec.channels}"
    return f"{size}-{spec.background}-c{CONTRACT}-pillow{PIL.__version__}"


def keys_of(images: Sequence[bytes]) -> list[str]:
    """Return the key of each encoded picture."""
    return [hashlib.sha256(image).hexdigest() for image in images]

"""A backup: one tar file, whose last member lists all others with their SHA-256.

Nothing is packed: what a home holds is packed already. The list comes last, so that a file without it was cut short.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from backend import __version__
from backend.access.asking import asking
from backend.access.person import Role
from backend.access.use_case import DONE, use_case, words
from backend.errors import FileUnusable
from backend.files import scratch
from backend.files.home import HOME_FORMAT
from backend.jobs.backup.frozen import freeze

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.progress import Progress

LIST = "twinset-backup.jsonl"
FORMAT = 1
_CHUNK = 1 << 20
_DAMAGED = (tarfile.TarError, ValueError, KeyError, TypeError, EOFError)


@dataclass(frozen=True, slots=True)
class About:
    """What a backup says of itself.

    Attributes:
        home: Format of the home.
        twinset: Version of Twinset that made it.
        made: When, ISO 8601 in UTC.
        files, bytes: How much is in it.
    """

    home: int
    twinset: str
    made: str
    files: int
    bytes: int
    format: int = FORMAT


class _Hashed:
    """Reads a stream to a fixed length and hashes what it read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.hash = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.hash.update(data)
        return data


@use_case("home.backup", Role.ADMIN, about=lambda _home, output, _progress: words(file=output))
def back_up(home: Path, output: Path, progress: Progress) -> About:
    """Write a backup of a home, also while everything runs; only its owner may read it, for it holds the home's keys.

    Raises:
        FileUnusable: There is no home, or the file is there already.
        InUse: A part of the home is changed all the time.
        Cancelled: The user asked to stop; no file is left.
    """
    if not home.is_dir():
        raise FileUnusable(f"There is no home at {home}.", next_step="Set TWINSET_HOME to the folder of the home.")
    if output.exists():
        raise FileUnusable(f"{output} exists already.", next_step="Choose another name, or remove it first.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with scratch.held_folder(home, ".backup.work-") as place:
        freeze(home, place / "home", progress)
        partial = output.with_name(f".{output.name}.part")
        try:
            about = _write(place / "home", partial, progress)
            os.link(partial, output)  # refused where somebody else was quicker
        finally:
            partial.unlink(missing_ok=True)
    return about


def _write(frozen: Path, output: Path, progress: Progress) -> About:
    paths = sorted(path for path in frozen.rglob("*") if path.is_file())
    lines, total = [], 0
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, path in enumerate(paths):
            progress.check_cancelled()
            progress.report(number, len(paths), note="Writing the backup")
            name = path.relative_to(frozen).as_posix()
            with path.open("rb") as content:
                member, hashed = tar.gettarinfo(arcname=name, fileobj=content), _Hashed(content)
                member.type, member.linkname = tarfile.REGTYPE, ""  # a second name of a file is a file here, too
                member.size = os.fstat(content.fileno()).st_size
                tar.addfile(member, hashed)
            total += member.size
            lines.append([name, member.size, hashed.hash.hexdigest()])
        about = About(HOME_FORMAT, __version__, datetime.now(UTC).isoformat(timespec="seconds"), len(lines), total)
        data = "".join(f"{json.dumps(one)}\n" for one in (asdict(about), *lines)).encode()
        member = tarfile.TarInfo(LIST)
        member.size, member.mode = len(data), 0o600
        tar.addfile(member, io.BytesIO(data))
        stream.flush()
        os.fsync(handle)
    return about


def check(backup: Path, progress: Progress) -> About:
    """Read all of a backup and compare it with its list.

    Raises:
        FileUnusable: It is none, was cut short, or a file in it is damaged; the message names the first.
    """
    return _read(backup, None, progress)


@use_case("home.restore", Role.ADMIN, is_audited=False)  # a home that is not there yet has no audit
def restore(backup: Path, home: Path, progress: Progress) -> About:
    """Put a backup back as a home, byte for byte; the home appears as a whole, or not at all.

    Raises:
        FileUnusable: There is something at ``home`` already, or the backup is damaged or of a newer version.
        Cancelled: The user asked to stop; nothing is left.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise FileUnusable(
            f"{home} is not empty.", next_step="Move it away first, or set TWINSET_HOME to another folder."
        )
    home.parent.mkdir(parents=True, exist_ok=True)
    with scratch.held_folder(home.parent, f".{home.name}.restoring-") as place:
        about = _read(backup, place / "home", progress)
        if home.is_dir():
            home.rmdir()
        (place / "home").rename(home)
    found = asking()
    found.journal.write(found.person, "home.restore", words(file=backup), DONE)
    return about


def _read(backup: Path, place: Path | None, progress: Progress) -> About:
    """Read a backup, into a folder where one is given, and compare it with its list."""
    found: dict[str, tuple[int, str]] = {}
    try:
        with backup.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                progress.check_cancelled()
                if member.name == LIST:
                    return _as_listed(backup, tar, member, found)
                content = tar.extractfile(member) if member.isreg() and _is_inside(member.name) else None
                if content is None or member.name in found:
                    raise _damaged(backup, f"it contains {member.name[:100]!r}")
                found[member.name] = (member.size, _taken(content, place and place / member.name))
                progress.report(stream.tell(), backup.stat().st_size, note="Reading the backup")
    except _DAMAGED as error:
        raise _damaged(backup, "it cannot be read as a tar file") from error
    raise _damaged(backup, "it was cut short")


def _taken(content: IO[bytes], target: Path | None) -> str:
    hashed = _Hashed(content)
    if target is None:
        while hashed.read(_CHUNK):
            pass
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as stream:
            shutil.copyfileobj(hashed, stream, _CHUNK)
    return hashed.hash.hexdigest()


def _as_listed(backup: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, found: dict[str, tuple[int, str]]) -> About:
    content = tar.extractfile(member)
    if content is None:
        raise _damaged(backup, "its list is no file")
    lines: Iterator[bytes] = iter(content)
    raw = json.loads(next(lines, b"{}"))
    if raw.get("format", 0) > FORMAT or raw.get("home", 0) > HOME_FORMAT:
        raise FileUnusable(f"{backup} was made by a newer Twinset.", next_step="Update this Twinset, then restore it.")
    about = About(**raw)
    listed = {name: (size, digest) for name, size, digest in map(json.loads, lines)}
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) != found.get(name):
            raise _damaged(backup, f"{name} is missing or differs from the list")
    return about


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _damaged(backup: Path, why: str) -> FileUnusable:
    return FileUnusable(f"{backup} is not an intact backup: {why}.", next_step="Use another backup.")

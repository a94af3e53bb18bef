"""Fetch one file over HTTP: with progress, and going on where an interrupted transfer stopped."""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError, MaxRetryError

from backend.errors import DatasetDamaged, DatasetUnavailable, SettingsError
from backend.files.storage import disk_watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHUNK = 1 << 17
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL, _REDIRECTION = 206, 300
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download waits, and how often it tries again.

    Attributes:
        timeout_s: Seconds to wait for a connection, and for more data on one.
        attempts: Times that a started transfer is taken up again before it is given up.
        first_pause_s: Pause before the second attempt; it doubles with every further one.
    """

    timeout_s: float = 5.0
    attempts: int = 5
    first_pause_s: float = 0.5


class _Interrupted(Exception):
    """The transfer broke off; what has arrived is kept."""


def download(
    url: str, target: Path, *, md5: str, on_bytes: Callable[[int, int], None], patience: Patience | None = None
) -> Path:
    """Fetch ``url`` into ``target``, which is there only once its checksum is right.

    What arrived stays in ``target`` + ``.part`` when the transfer breaks off, and the next call goes on from there.

    Args:
        url: An http or https address.
        target: File to make; its folder exists.
        md5: Checksum that the whole file must have.
        on_bytes: Told the bytes here and the bytes in all; may raise to stop.
        patience: Timeouts and attempts; those of :class:`Patience` when left out.

    Raises:
        DatasetUnavailable: The server does not answer or refuses, or the transfer broke off too often.
        DatasetDamaged: The server's file has another checksum.
        StorageFull: No space is left for it.
        SettingsError: The address is neither http nor https.
    """
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"{url} is not an http or https address.", next_step="Correct TWINSET_FASHION_MNIST_URL.")
    patience = patience or Patience()
    part = target.with_name(target.name + ".part")
    resumed = _fetch_all(url, part, on_bytes, patience)
    found = md5_of(part)
    if found != md5 and resumed:  # an old part of another file: once more, from the start
        part.unlink()
        _fetch_all(url, part, on_bytes, patience)
        found = md5_of(part)
    if found != md5:
        part.unlink()
        raise DatasetDamaged(
            f"{target.name} from {url} is damaged: its MD5 is {found}, not {md5}.",
            next_step="Try again later, or get the file from elsewhere and set TWINSET_FASHION_MNIST_DIR.",
        )
    return part.replace(target)


def md5_of(path: Path) -> str:
    """Return the MD5 of a file as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _fetch_all(url: str, part: Path, on_bytes: Callable[[int, int], None], patience: Patience) -> bool:
    """Fetch until the file is whole; tell whether anything of an earlier transfer was kept."""
    resumed = part.exists()
    pause = threading.Event()
    reason: _Interrupted | None = None
    for attempt in range(patience.attempts):
        if reason is not None:
            pause.wait(patience.first_pause_s * 2 ** (attempt - 1))
        try:
            _fetch_rest(url, part, on_bytes, patience)
        except _Interrupted as error:
            reason = error
        else:
            return resumed
    raise DatasetUnavailable(
        f"The download from {url} was interrupted {patience.attempts} times: {reason}.",
        next_step="Try again: the download resumes where it stopped.",
    ) from reason


def _fetch_rest(url: str, part: Path, on_bytes: Callable[[int, int], None], patience: Patience) -> None:
    have = part.stat().st_size if part.exists() else 0
    asked = {"Accept-Encoding": "identity", "Connection": "close"} | ({"Range": f"bytes={have}-"} if have else {})
    trusted = ssl.get_default_verify_paths()  # the system's certificates, a company's own among them
    try:
        response = requests.get(
            url, headers=asked, stream=True, timeout=patience.timeout_s, verify=trusted.cafile or trusted.capath or True
        )
    except requests.RequestException as error:
        raise _unanswered(error, url) from error
    with response:
        if response.status_code >= _REDIRECTION:
            raise _refusal(response, url, part)
        start, total = _extent(response, have)
        _append(response, part, start, total, on_bytes)


def _unanswered(error: requests.RequestException, url: str) -> Exception:
    """Say why nobody answered; a connection that was there and broke off may be made again."""
    cause = error.args[0] if error.args else None
    broke_off = isinstance(error, requests.ReadTimeout) or not isinstance(cause, MaxRetryError)
    if isinstance(error, requests.ConnectionError | requests.ReadTimeout) and broke_off:
        return _Interrupted(_innermost(error))
    return DatasetUnavailable(
        f"{url} cannot be reached: {_innermost(error)}.",
        next_step="Check the network, or set TWINSET_FASHION_MNIST_DIR to a folder that has the four files.",
    )


def _innermost(error: BaseException) -> str:
    """Return what the system said, below the layers that pass it on with their own names in front."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).rstrip(".") or type(error).__name__


def _refusal(response: requests.Response, url: str, part: Path) -> Exception:
    status = response.status_code
    if status == _RANGE_NOT_SATISFIABLE:
        part.unlink(missing_ok=True)  # more is here than there is to have: it is not this file
        return _Interrupted("the partial download did not match")
    if status in _TRY_AGAIN:
        return _Interrupted(f"the server answered {status}")
    return DatasetUnavailable(
        f"{url} is refused: the server answered {status} {response.reason}.",
        next_step="Check the address and the proxy settings, or set TWINSET_FASHION_MNIST_DIR.",
    )


def _extent(response: requests.Response, have: int) -> tuple[int, int]:
    """Return where this answer's first byte belongs, and the size of the whole file (0 when unknown)."""
    length = int(response.headers.get("Content-Length") or 0)
    if response.status_code != _PARTIAL:
        return 0, length
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != have:
        raise _Interrupted("the server sent a different range than requested")
    return have, int(match[2])


def _append(
    response: requests.Response, part: Path, start: int, total: int, on_bytes: Callable[[int, int], None]
) -> None:
    done = start
    response.raw.enforce_content_length = False  # how much arrived is counted here, and kept
    with part.open("r+b" if start else "wb") as stream:
        stream.seek(start)
        on_bytes(done, total)
        while data := _next(response):
            _write(stream.write, data)
            done += len(data)
            on_bytes(done, total)
        _write(stream.flush)
    if done < total:
        raise _Interrupted(f"{done:,} of {total:,} bytes arrived")


def _next(response: requests.Response) -> bytes:
    """Return what arrived, as it was sent: the checksum is that of the file, whatever a server says of its encoding."""
    try:
        data: bytes = response.raw.read1(_CHUNK, decode_content=False)
    except (OSError, HTTPError) as error:
        raise _Interrupted(_innermost(error)) from error
    return data


def _write(write: Callable[..., object], *data: bytes) -> None:
    with disk_watched("retry, or set TWINSET_CACHE_DIR to another disk", so=", so the download cannot be kept"):
        write(*data)

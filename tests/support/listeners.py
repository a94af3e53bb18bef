"""Where the processes below this one listen, looked at while something runs."""

from __future__ import annotations

import ipaddress
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_EVERY_S = 0.01
_STATE, _INODE, _LISTENS = 3, 9, "0A"  # of a line of /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Listening:
    """One socket that waits for connections."""

    pid: int
    command: str
    address: str
    port: int


def outside(seen: set[Listening]) -> set[Listening]:
    """Those that another machine could reach."""
    return {one for one in seen if not _is_loopback(one.address)}


def _is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def listening_now(root: int | None = None) -> set[Listening]:
    """All listening sockets of a process and its descendants; of this one when left out."""
    seen = set()
    parent = psutil.Process(root)
    for process in [parent, *parent.children(recursive=True)]:
        try:
            command = " ".join(process.cmdline())
            sockets = process.net_connections("tcp")
        except psutil.Error:  # it ended meanwhile
            continue
        for one in sockets:
            if one.status == psutil.CONN_LISTEN:
                seen.add(Listening(process.pid, command, one.laddr.ip, one.laddr.port))
    return seen


def _sockets_that_wait() -> set[str]:
    """Inodes of all sockets of this machine that wait for connections: one glance, however many processes there are."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {columns[_INODE] for columns in lines if columns[_STATE] == _LISTENS}


@contextmanager
def listeners() -> Iterator[set[Listening]]:
    """Collect what begins to listen inside; complete at the end.

    Whose a socket is takes long to find out on a busy machine, and ranks wait for each other only for a moment: that is
    looked up when there is one that was not there before.
    What a training before left open in this process is none of it: Horovod stops its rendezvous without closing it.
    """
    seen: set[Listening] = set()
    before, known, done = listening_now(), _sockets_that_wait(), threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_EVERY_S):
            if new := _sockets_that_wait() - known:
                known.update(new)
                seen.update(listening_now() - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()

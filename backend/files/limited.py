"""A process of its own for what strangers send: with limits on memory, CPU and time, and killed where it exceeds one.

The process runs a function that is named by its place, ``package.module:function``, from bytes to bytes; it is asked
through its standard input and answers through its standard output. What comes back is data, never a pickle: whoever
took over a process that reads hostile input must not be able to run code in the one that asked.

It ends with its owner, however that dies: its input is a pipe to the owner, and the system ends it when that breaks,
also in the middle of a library's work. It gets neither settings nor secrets.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NoReturn, Self

from backend import errors
from backend.errors import Cancelled, WorkbenchError
from backend.files.niceness import keep_yielding

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[2]
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
# One thread each: threads take address space, and what is read here is small.
_FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_HEAD = 9  # bytes before an answer: what it is, and its length
_ANSWER, _ERROR, _NO_MEMORY, _BROKEN = b"A", b"E", b"M", b"B"
_TRACE = 4_000  # letters
_PIECE = 1 << 16


Limit = Literal["memory", "time", "answer", "damage"]
_EXCEEDED: dict[Limit, str] = {
    "memory": "Reading it takes more memory than is allowed.",
    "time": "Reading it takes longer than is allowed.",
    "answer": "Its output is larger than is allowed.",
    "damage": "The process reading it crashed.",
}


class LimitExceeded(WorkbenchError):
    """Something from outside takes more to read than it may, or breaks whatever reads it; ``limit`` says which."""

    code = "limit_exceeded"
    status = 422

    def __init__(self, limit: Limit, message: str = "", *, next_step: str = "") -> None:
        super().__init__(message or _EXCEEDED[limit], next_step=next_step)
        self.limit: Limit = limit


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process may take.

    Attributes:
        memory_bytes: Address space, the program with its libraries included (numpy and Arrow: some 600 MB).
        cpu_s: CPU time for each question, its own start not counted.
        wall_s: Time from a question to its answer, the start of the process included.
        answer_bytes: Size of an answer.
    """

    memory_bytes: int
    cpu_s: float
    wall_s: float
    answer_bytes: int = 64_000_000


class LimitedProcess:
    """A process with limits; one question at a time. Use it as a context manager: it is gone afterwards.

    Args:
        function: What answers, as ``package.module:function``; it takes and returns bytes, and may raise
            WorkbenchErrors, which are raised again here.
        limits: What it may take.
    """

    def __init__(self, function: str, limits: Limits) -> None:
        self._limits = limits
        self._is_cancelled = self._is_late = False
        self._deadline = 0.0
        self._got = bytearray()
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "backend.files.limited", function, json.dumps(asdict(limits))],
            cwd=REPOSITORY if REPOSITORY.is_dir() else None,  # executors of a cluster have a zip
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
            | {"PYTHONPATH": str(REPOSITORY), **_FRUGAL},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # a terminal's Ctrl-C is for its owner
        )
        assert process.stdin is not None  # noqa: S101 - what mypy narrows by
        assert process.stdout is not None  # noqa: S101
        self._questions, self._answers = process.stdin, process.stdout
        os.set_blocking(self._questions.fileno(), False)

    @property
    def is_running(self) -> bool:
        """Whether it can be asked something else."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        self._process.kill()
        self._process.wait()
        self._questions.close()
        self._answers.close()

    def cancel(self) -> None:
        """End the process; whoever waits for an answer gets ``Cancelled``. Called from any thread."""
        self._is_cancelled = True
        self._process.kill()

    def ask(self, question: bytes) -> bytes:
        """Send a question and wait for its answer; errors are those of :meth:`answer`."""
        self.send(question)
        while (answer := self.answer(self._limits.wall_s)) is None:
            pass
        return answer

    def send(self, question: bytes) -> None:
        """Send a question; its time begins. What hinders it, :meth:`answer` says."""
        self._deadline = time.monotonic() + self._limits.wall_s
        self._got.clear()
        left = memoryview(len(question).to_bytes(8, "little") + question)
        with suppress(BrokenPipeError):
            while left and self._wait(self._questions, select.POLLOUT, self._deadline):
                left = left[os.write(self._questions.fileno(), left) :]

    def answer(self, wait_s: float) -> bytes | None:
        """Wait at most ``wait_s`` seconds for the answer to what was sent; None where it is not there yet.

        Raises:
            LimitExceeded: The process took too much, or broke down; it has ended then.
            Cancelled: It was cancelled.
            WorkbenchError: What the function raised, of the same class.
            RuntimeError: The function failed unexpectedly; the text is its traceback.
        """
        until = min(time.monotonic() + wait_s, self._deadline)
        while len(self._got) < self._size():
            if not self._wait(self._answers, select.POLLIN, until):
                if time.monotonic() < self._deadline:
                    return None
                self._is_late = True
                self._process.kill()
            piece = os.read(self._answers.fileno(), _PIECE)
            if not piece:
                self._ended()
            self._got += piece
            if self._size() > self._limits.answer_bytes:
                self._process.kill()
                raise LimitExceeded("answer")
        return _opened(bytes(self._got[:1]), bytes(self._got[_HEAD : self._size()]))

    def _size(self) -> int:
        """Bytes of the whole answer, as far as is known."""
        return _HEAD + (int.from_bytes(self._got[1:_HEAD], "little") if len(self._got) >= _HEAD else 0)

    @staticmethod
    def _wait(pipe: IO[bytes], event: int, until: float) -> bool:
        poll = select.poll()  # unlike select, it takes any number of open files
        poll.register(pipe, event)
        return bool(poll.poll(max(until - time.monotonic(), 0.0) * 1000))

    def _ended(self) -> NoReturn:
        """Say why a process ended that owes an answer."""
        status = self._process.wait()
        if self._is_cancelled:
            raise Cancelled("It was cancelled.")
        if self._is_late or status in {-signal.SIGXCPU, -signal.SIGPROF}:
            raise LimitExceeded("time")
        # A kill that is not ours is the system's, for want of memory; C++ and Rust abort where they get none.
        raise LimitExceeded("memory" if status in {-signal.SIGKILL, -signal.SIGABRT} else "damage")


def _opened(kind: bytes, content: bytes) -> bytes:
    if kind == _ANSWER:
        return content
    if kind == _ERROR:
        raise _revived(json.loads(content))
    if kind == _NO_MEMORY:
        raise LimitExceeded("memory")
    raise RuntimeError(content.decode("utf-8", "replace"))


def _revived(fields: dict[str, Any]) -> WorkbenchError:
    """Build an error again from its parts, of a class of the error tree only."""
    found = getattr(errors, str(fields.pop("name")), None)
    error = Exception.__new__(
        found if isinstance(found, type) and issubclass(found, WorkbenchError) else WorkbenchError
    )
    WorkbenchError.__init__(error, str(fields.pop("message")), next_step=str(fields.pop("next_step")))
    error.__dict__.update(fields)
    return error


# ------------------------------------------------------------------------------------------- inside the process


def main(function: str, limits: Limits) -> None:
    """Answer questions until the owner closes the pipe."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    _bind(limits)
    module, _, name = function.partition(":")
    call: Callable[[bytes], bytes] = getattr(importlib.import_module(module), name)
    while (question := _question()) is not None:
        _allow_cpu(limits.cpu_s)
        _die_with_owner(is_on=True)
        kind, content = _tried(call, question)
        _die_with_owner(is_on=False)
        with os.fdopen(answers, "wb", closefd=False) as file:
            file.write(kind + len(content).to_bytes(8, "little") + content)


def _tried(call: Callable[[bytes], bytes], question: bytes) -> tuple[bytes, bytes]:
    try:
        return _ANSWER, call(question)
    except WorkbenchError as error:
        return _ERROR, json.dumps({"name": type(error).__name__, **vars(error)}).encode()
    except MemoryError:
        return _NO_MEMORY, b""
    except Exception:  # noqa: BLE001 - the owner raises it again
        import traceback

        return _BROKEN, traceback.format_exc()[-_TRACE:].encode()


def _bind(limits: Limits) -> None:
    """Take the limits on; of all processes, the system is to end this one first when memory runs out."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # a system without it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _allow_cpu(seconds: float) -> None:
    """Have the system end this process after that much more CPU time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft + 1, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, seconds)  # counts parts of a second, too


def _die_with_owner(*, is_on: bool) -> None:
    """Have the system signal, with an end as its default, when the other side of the input is closed."""
    pipe = sys.stdin.fileno()
    flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_ASYNC if is_on else flags & ~os.O_ASYNC)
    if is_on and select.select([pipe], [], [], 0)[0]:  # it was closed just before
        sys.exit(1)


def _question() -> bytes | None:
    """Read the next question; None where the owner asks no more."""
    size = _read(8)
    return None if size is None else _read(int.from_bytes(size, "little"))


def _read(size: int) -> bytes | None:
    got = bytearray()
    while len(got) < size:
        piece = os.read(sys.stdin.fileno(), min(size - len(got), _PIECE))
        if not piece:
            return None
        got += piece
    return bytes(got)


if __name__ == "__main__":
    keep_yielding()
    main(sys.argv[1], Limits(**json.loads(sys.argv[2])))

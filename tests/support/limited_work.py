"""What the tests of limited processes have them do."""

from __future__ import annotations

import os
import signal
import sys
import time

from backend.errors import CatalogueNotFound, ImageRejected


def twice(question: bytes) -> bytes:
    return question * 2


def environment(_question: bytes) -> bytes:
    return "\n".join(sorted(os.environ)).encode()


def chatter(question: bytes) -> bytes:
    print("a library talks")
    sys.stderr.write("and complains\n")
    return question


def eat(question: bytes) -> bytes:
    return b"x" * int(question)


def eat_in_between(question: bytes) -> bytes:
    return str(len(b"x" * int(question))).encode()


def spin(_question: bytes) -> bytes:
    while True:
        pass


def sleep(question: bytes) -> bytes:
    time.sleep(float(question))
    return question


def die(question: bytes) -> bytes:
    os.kill(os.getpid(), getattr(signal, question.decode()))
    return question


def refuse(question: bytes) -> bytes:
    if question == b"picture":
        raise ImageRejected("It is none.", code="damaged", next_step="Take another.")
    raise CatalogueNotFound("There is none.", next_step="Load one.")


def fail(_question: bytes) -> bytes:
    raise KeyError("a mistake of ours")

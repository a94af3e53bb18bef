"""How a command ends: what is printed where, and with which exit status.

With ``--json`` there is exactly one object on the output stream, whatever happened. Statuses: 0 done; 1 the user can
mend it; 2 wrong usage; 3 ``rules plan`` found something to do; 70 Twinset broke; 130 stopped by Ctrl-C; 141 whoever read the output closed it.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import Cancelled, UsageError, WorkbenchError
from backend.errors.addresses import shown
from backend.files.storage import AGAIN, system_error

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, MENDABLE, USAGE, CHANGES, BROKE, STOPPED, CLOSED = 0, 1, 2, 3, 70, 130, 141


def wants_json(words: Sequence[str]) -> bool:
    """Tell whether one JSON object is wanted, also where the rest of the command line cannot be understood."""
    given = itertools.takewhile(lambda word: word != "--", words)
    return any(len(word) > len("--") and "--json".startswith(word) for word in given)


def open_streams() -> None:
    """Give a process that was started without standard streams some that lead nowhere.

    Otherwise the next file to be opened, a database perhaps, takes a stream's number, and what is printed goes there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _lead_nowhere(number)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


def write_result(text: str, status: int) -> int:
    """Print what a command found, and return its exit status: another one where it cannot be printed."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        return write_result(text.encode(encoding, "backslashreplace").decode(encoding), status)
    except OSError as error:
        _lead_nowhere(1)  # or the interpreter tries once more when it ends, and complains
        if isinstance(error, BrokenPipeError):
            return CLOSED
        complain(f"The output cannot be written: {error.strerror}.")
        return MENDABLE
    return status


def write_failure(error: BaseException, *, as_json: bool) -> int:
    """Say why a command failed, on the error stream, and with ``as_json`` as an object; return its exit status."""
    known, status = _explained(error)
    if status == BROKE:
        complain("".join(traceback.format_exception(error)).rstrip())
    complain(known.message)
    if known.next_step:
        complain(f"-> {known.next_step}")
    if not as_json:
        return status
    failure = {"code": known.code, "message": known.message, "next_step": known.next_step}
    return write_result(json.dumps({"error": failure}), status)


def complain(text: str) -> None:
    """Write to the error stream, if anybody still reads it."""
    with suppress(OSError):
        print(shown(text), file=sys.stderr, flush=True)


def as_json(result: dict[str, Any]) -> str:
    """Return a result as strict JSON; a figure that is not finite becomes null."""
    return json.dumps(_finite(result), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _explained(error: BaseException) -> tuple[WorkbenchError, int]:
    if isinstance(error, KeyboardInterrupt):
        error = Cancelled("Stopped at your request.")
    if isinstance(error, BrokenPipeError):
        return Cancelled("The output was closed by its reader."), CLOSED
    error = error if isinstance(error, WorkbenchError) else system_error(error, AGAIN) or error
    if isinstance(error, WorkbenchError):
        return error, STOPPED if isinstance(error, Cancelled) else USAGE if isinstance(error, UsageError) else MENDABLE
    message = f"Something unexpected went wrong in Twinset: {type(error).__name__}: {error}"
    return _Broke(
        message, next_step="Report it with the lines above; with `--json` they are on standard error too."
    ), BROKE


class _Broke(WorkbenchError):
    code = "internal_error"


def _lead_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)

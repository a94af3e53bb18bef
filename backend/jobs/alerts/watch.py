"""Watching a home and sending what changed: once per occurrence, and once more when it is over.

What is open, and what still has to be sent to whom, is in one file, so that a restart repeats nothing and loses nothing.
Whoever looks holds a lock meanwhile: of two keepers one sends. A process killed between a sent message and the note of it
sends it again, with the same id.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import FileUnusable, InUse, UsageError, WorkbenchError
from backend.files.holding import LOCKS, held
from backend.files.storage import write_atomically
from backend.files.typed_json import built, parsed
from backend.jobs.alerts import troubles
from backend.jobs.alerts.kinds import KINDS
from backend.jobs.alerts.posting import Message, post, targets
from backend.jobs.alerts.troubles import Trouble  # noqa: TC001 - a field's type, read from JSON
from backend.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from backend.jobs.alerts.posting import Target
    from backend.settings import Settings

FORMAT = 1
LOOK_EVERY_S = 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 3_600.0
FORGOTTEN_S = 14 * 86_400.0  # a failed job that nobody ran again
OVERLAP_S = 60.0  # a job that ended before the last look may have been recorded after it
_MOST_WAITING = 100  # messages for one address; of more, the oldest are dropped
_FILE = "alerts.json"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How sending to an address goes.

    Attributes:
        target: Key of the address.
        waiting: What has to be sent, oldest first.
        tries: How often sending the first of these failed, and when it is tried again.
        error: Why it failed last; empty if it did not.
        sent_at: When a message arrived last; 0 for never.
    """

    target: str
    waiting: tuple[Message, ...] = ()
    tries: int = 0
    due: float = 0.0
    error: str = ""
    sent_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known from earlier looks; times in seconds since the epoch."""

    format: int = FORMAT
    looked_at: float = 0.0
    open: tuple[Trouble, ...] = ()
    deliveries: tuple[Delivery, ...] = ()

    def to(self, target: Target) -> Delivery:
        """Return how sending to an address goes."""
        return next((one for one in self.deliveries if one.target == target.key), Delivery(target.key))


def read(settings: Settings) -> Watched:
    """Return what is known; nothing before the first look.

    Raises:
        FileUnusable: The file is damaged, or a newer Twinset's.
    """
    path = settings.home / _FILE
    try:
        raw = parsed(path.read_bytes())
        if raw["format"] > FORMAT:
            raise FileUnusable(f"{path} was written by a newer Twinset.", next_step="Update this Twinset.")
        found: Watched = built(Watched, raw, _FILE)
    except FileNotFoundError:
        return Watched()
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FileUnusable(
            f"{path} is damaged.", next_step="Remove it; open alerts are then sent once more."
        ) from error
    return found


class Alerts:
    """Looks after a home, and sends.

    Args:
        settings: Of the home.
        now: Seconds since the epoch.
    """

    def __init__(self, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._settings, self._now = settings, now
        self._started = float("-inf")
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Look and send in a thread, at most every half minute; whoever calls this again and again never waits."""
        is_busy = self._thread is not None and self._thread.is_alive()
        if not targets(self._settings) or is_busy or self._now() - self._started < LOOK_EVERY_S:
            return
        self._started = self._now()
        self._thread = threading.Thread(target=self._run_quietly, name="alerts", daemon=True)
        self._thread.start()

    def _run_quietly(self) -> None:
        try:
            self.run()
        except (WorkbenchError, OSError) as error:
            logger.warning("Alerts cannot be sent for now: %s", error)

    def run(self) -> Watched:
        """Look once, send what is due, and return what is known then; where somebody else does, nothing is done.

        Raises:
            FileUnusable: The file of what is known is damaged, or a newer Twinset's.
        """
        self._settings.home.mkdir(parents=True, exist_ok=True)
        lock = self._settings.home / LOCKS / "alerts"
        with suppress(InUse), held(lock, "The alerts", "are being sent", NullProgress()):
            before = read(self._settings)
            found = self._write(self._queued(before, self._found(before)))
            for target in targets(self._settings):
                found = self._sent(found, target)
            return found
        return read(self._settings)

    def _found(self, before: Watched) -> list[Trouble]:
        """Return what is wrong now; where that cannot be told, what was."""
        settings, of = self._settings, {kind: [one for one in before.open if one.kind == kind] for kind in KINDS}
        since = before.looked_at - OVERLAP_S if before.looked_at else self._now()
        remembered = [one for one in of["job"] if not self._is_forgotten(one)]
        looks: dict[str, Callable[[], Iterable[Trouble]]] = {
            "job": lambda: troubles.of_jobs(settings, since, remembered).values(),
            "gate": lambda: troubles.of_gate(settings),
            "behind": lambda: troubles.of_index(settings),
            "disk": lambda: troubles.of_disk(settings, is_known=bool(of["disk"])),
            "schedule": lambda: troubles.of_schedules(settings, self._now()),
            "server": lambda: troubles.of_servers(settings),
        }
        for kind, look in looks.items():
            try:
                of[kind] = list(look())
            except (WorkbenchError, OSError) as error:
                logger.warning("Whether there is a trouble of the kind %s cannot be told: %s", kind, error)
        return [one for found in of.values() for one in found]

    def _is_forgotten(self, one: Trouble) -> bool:
        return one.kind == "job" and one.since < self._now() - FORGOTTEN_S

    def _queued(self, before: Watched, found: Sequence[Trouble]) -> Watched:
        """Return what is known now, with a message to every address for whatever began or ended."""
        now, known = self._now(), {one.key: one for one in before.open}
        is_new = {
            one.key: known.get(one.key, one).occurrence != one.occurrence or one.key not in known for one in found
        }
        open_now = tuple(replace(one, since=now if is_new[one.key] else known[one.key].since) for one in found)
        over = [one for one in before.open if one.key not in is_new and not self._is_forgotten(one)]
        news = [_message(one, "problem", now) for one in found if is_new[one.key]]
        news += [_message(one, "recovered", now) for one in over]
        sending = [before.to(target) for target in targets(self._settings)]
        sending = [replace(one, waiting=(*one.waiting, *news)[-_MOST_WAITING:]) for one in sending]
        return Watched(looked_at=now, open=open_now, deliveries=tuple(sending))

    def _sent(self, found: Watched, target: Target) -> Watched:
        """Send what waits for an address, in order, until something does not arrive."""
        at = found.to(target)
        while at.waiting and at.due <= self._now():
            first, *rest = at.waiting
            if error := post(target, first):
                pause_s = min(FIRST_PAUSE_S * 2**at.tries, LONGEST_PAUSE_S)
                at = replace(at, tries=min(at.tries + 1, 20), due=self._now() + pause_s, error=error)
                logger.warning("An alert did not reach %s: %s", target.shown, error)
            else:
                at = Delivery(target.key, tuple(rest), sent_at=self._now())
            others = (one for one in found.deliveries if one.target != target.key)
            found = self._write(replace(found, deliveries=(*others, at)))
        return found

    def _write(self, found: Watched) -> Watched:
        write_atomically(self._settings.home / _FILE, json.dumps(asdict(found)).encode())
        return found


def _message(one: Trouble, state: str, at: float) -> Message:
    return Message(one.kind, state, one.key, one.occurrence, one.text, at)


@use_case("alerts.try", Role.ADMIN, about=lambda _, kind: words(kind=kind))
def try_out(settings: Settings, kind: str) -> list[tuple[str, str]]:
    """Send a sample of a kind of alert to every address, marked as a trial.

    Returns:
        For each address, how it is shown, and why the sample did not arrive; empty if it did.

    Raises:
        UsageError: There is no address, or no such kind.
    """
    if kind not in KINDS:
        raise UsageError(f"There is no kind of alert {kind!r}.", next_step=f"Kinds are: {', '.join(KINDS)}.")
    found = targets(settings)
    if not found:
        raise UsageError("There is no address to send alerts to.", next_step="Set TWINSET_ALERT_URLS.")
    message = Message(kind, "trial", f"trial:{kind}", str(time.time()), KINDS[kind].sample, time.time())
    return [(target.shown, post(target, message)) for target in found]

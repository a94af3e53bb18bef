"""The folder of a sweep: all that is known of it, in small JSON files that are replaced whole.

sweep.json         what it is to do
status.json        how it is doing as a whole, written by its process
trials/0001.json   one file a trial, written by whoever runs it, after every epoch
pause, stop        begin no further trial; end those that run

Whoever runs the sweep holds the lock of the folder, see :mod:`backend.files.holding`.
Nothing is kept anywhere else: a sweep whose process is killed goes on from this folder. Executors must see it at the
same path.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import Cancelled, ConfigurationError, InUse, WorkbenchError
from backend.files.holding import held, holder_of, lock_of
from backend.files.storage import disk_watched, write_atomically
from backend.progress import NullProgress
from backend.tuning.plan import SweepPlan
from backend.tuning.records import SweepStatus, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.files.holding import Holder
    from backend.progress import Progress

logger = logging.getLogger(__name__)
_PLAN, _STATUS, _TRIALS, _PAUSE, _STOP = "sweep.json", "status.json", "trials", "pause", "stop"


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """Reads and writes the files of one sweep."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return self.path.name

    @property
    def exists(self) -> bool:
        """Whether there is a sweep; a folder that a killed process left half made is none."""
        return (self.path / _PLAN).is_file()

    def create(self, plan: SweepPlan) -> None:
        """Make the folder of a new sweep.

        Raises:
            ConfigurationError: There is a sweep of that name.
        """
        if self.exists:
            raise self._exists_already()
        (self.path / _TRIALS).mkdir(parents=True, exist_ok=True)
        self.write_plan(plan)

    def taken(self) -> WorkbenchError | None:
        """Return why a new sweep cannot have this name; None where it can."""
        if self.exists:
            return self._exists_already()
        holder = self.holder
        return InUse(f"{holder.sentence(self._title)}.", next_step="Choose another name.") if holder else None

    def _exists_already(self) -> ConfigurationError:
        return ConfigurationError(
            f"There is already a sweep {self.name!r}.", next_step="Resume it, or choose another name."
        )

    @property
    def _title(self) -> str:
        return f"The sweep {self.name!r}"

    def write_plan(self, plan: SweepPlan) -> None:
        """Write down what the sweep is to do."""
        self._write(_PLAN, plan.as_dict())

    def plan(self) -> SweepPlan:
        """Read what the sweep is to do.

        Raises:
            ConfigurationError: There is no such sweep, or its file is damaged.
        """
        path = self.path / _PLAN
        if not self.exists:
            raise ConfigurationError(
                f"There is no sweep {self.name!r}.", next_step="`python -m backend tune list` lists them."
            )
        try:
            return SweepPlan.from_dict(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"The sweep {self.name!r} cannot be read: {error}.", next_step=f"Restore {path} from a copy."
            ) from error

    def status(self) -> SweepStatus:
        """Read how the sweep is doing; a fresh one where nothing was written yet."""
        path = self.path / _STATUS
        return SweepStatus.from_dict(json.loads(path.read_text("utf-8"))) if path.is_file() else SweepStatus()

    def write_status(self, status: SweepStatus) -> None:
        """Say how the sweep is doing."""
        self._write(_STATUS, status.as_dict())

    def update_status(self, **changes: Any) -> SweepStatus:
        """Change a part of the status; only the sweep's process does."""
        status = replace(self.status(), **changes)
        self.write_status(status)
        return status

    # ------------------------------------------------------------------------------------------- trials

    def write_trial(self, record: TrialRecord) -> None:
        """Write a trial; a reader sees the old record or the new one."""
        self._write(f"{_TRIALS}/{record.number:04d}.json", record.as_dict())

    def trial(self, number: int) -> TrialRecord:
        """Read one trial.

        Raises:
            ConfigurationError: There is no such number.
        """
        path = self.path / _TRIALS / f"{number:04d}.json"
        if not path.is_file():
            raise ConfigurationError(
                f"The sweep {self.name!r} has no trial {number}.", next_step=f"`tune show {self.name}` lists them."
            )
        return TrialRecord.from_dict(json.loads(path.read_text("utf-8")))

    def trials(self) -> list[TrialRecord]:
        """Read all trials, in their order; one that cannot be read is logged and left out."""
        found = []
        for path in sorted((self.path / _TRIALS).glob("[0-9]*.json")):
            try:
                found.append(TrialRecord.from_dict(json.loads(path.read_text("utf-8"))))
            except (ValueError, TypeError, KeyError) as error:
                logger.warning("Trial %s of %s cannot be read: %s", path.stem, self.name, error)
        return found

    # ------------------------------------------------------------------------------------------- steering

    @use_case("sweeps.pause", Role.ENGINEER, about=lambda self: words(sweep=self.path.name))
    def ask_to_pause(self) -> None:
        """Have no further trial begun; those that run go on to their end."""
        (self.path / _PAUSE).touch()

    def ask_to_stop(self) -> None:
        """End all trials at their next look."""
        (self.path / _STOP).touch()

    @use_case("sweeps.cancel", Role.ENGINEER, about=lambda self: words(sweep=self.path.name))
    def cancel(self) -> None:
        """End all trials at their next look, as somebody wishes."""
        self.ask_to_stop()

    def forget_wishes(self) -> None:
        """Run on."""
        for name in (_PAUSE, _STOP):
            (self.path / name).unlink(missing_ok=True)

    @property
    def is_to_pause(self) -> bool:
        """Whether no further trial may begin."""
        return (self.path / _PAUSE).exists() or self.is_to_stop

    @property
    def is_to_stop(self) -> bool:
        """Whether trials should end."""
        return (self.path / _STOP).exists()

    def check_stopped(self) -> None:
        """Raise ``Cancelled`` if trials should end."""
        if self.is_to_stop:
            raise Cancelled("The sweep was stopped.", next_step="Resume it; this trial then runs again.")

    @contextmanager
    def held(self, progress: Progress | None = None, doing: str = "is already running") -> Iterator[None]:
        """Be the one process that runs this sweep, or does something else with all of it; ``doing`` is told to others.

        Raises:
            InUse: Another one does.
        """
        listener, instead = progress or NullProgress(), "choose another name"
        with held(lock_of(self.path), self._title, doing, listener, otherwise=instead):
            yield

    @property
    def holder(self) -> Holder | None:
        """Who runs this sweep; None where no process does, also where one was killed."""
        return holder_of(lock_of(self.path))

    @property
    def is_running(self) -> bool:
        """Whether a process runs this sweep; a killed one does not."""
        return self.holder is not None

    def _write(self, name: str, value: dict[str, Any]) -> None:
        with disk_watched("resume the sweep"):
            write_atomically(self.path / name, json.dumps(value, indent=1).encode())


def never_begun(sweeps_dir: Path) -> list[Path]:
    """Return the folders of sweeps that have no plan yet."""
    return [path for path in sweeps_dir.glob("[!.]*") if path.is_dir() and not SweepFolder(path).exists]


def list_sweeps(sweeps_dir: Path) -> list[SweepFolder]:
    """Return the folders of all sweeps, the newest first."""
    found = [path.parent for path in sweeps_dir.glob(f"*/{_PLAN}") if not path.parent.name.startswith(".")]
    return [SweepFolder(path) for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]

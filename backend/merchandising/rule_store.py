"""Rules that are kept: a Delta table for each catalogue, in which every published set is one commit.

The version of a set is the Delta version of its commit, and every commit holds the whole set in one file, so any version
is what Delta's own time travel reads there, and what this module reads from the commit alone, however long the log is.
Versions are never vacuumed: a thousand rules take some 40 kB. Whoever is killed leaves the set before or the one after.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.commit_files import checkpoint, commit_files, create_table, write_file
from backend.catalogue.delta.log_replay import DataFile, states
from backend.catalogue.delta.stored_rows import StoredRows
from backend.errors import CatalogueError, CatalogueNotFound, RetrievalError, RulesChanged
from backend.files.locking import lock_beside, locked
from backend.merchandising.conflicts import check_publishable
from backend.merchandising.merging import Difference, difference, merged
from backend.merchandising.rule_pictures import RulePictures
from backend.retrieval.rules.rule import ACTIONS, MAX_TEXT, SCOPES
from backend.retrieval.rules.rule_set import EMPTY, RuleSet, as_plain, from_plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from backend.retrieval.rules.rule import Rule

FORMAT = 1  # of what the column ``rule`` holds
_FORMAT = "twinset.rules.format"
# What people ask of the table by SQL stands in columns of its own; the rule itself is the JSON text in the last one.
_COLUMNS = ("id", "action", "scope", "owner", "starts", "ends", "zone", "rule")
_SCHEMA = pa.schema([*(pa.field(name, pa.string(), nullable=False) for name in _COLUMNS)])
_FIELDS = [{"name": name, "type": "string", "nullable": False} for name in _COLUMNS]
_PROPERTIES = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.constraints.id_not_empty": "length(id) > 0",
    "delta.constraints.action_known": f"action IN ({', '.join(map(repr, ACTIONS))})",
    "delta.constraints.scope_known": f"scope IN ({', '.join(map(repr, SCOPES))})",
    _FORMAT: str(FORMAT),
}
_SHOWN = 3  # rules that a message names


@dataclass(frozen=True, slots=True)
class Published:
    """One version in the history of a catalogue's rules.

    Attributes:
        version: Of the set.
        at: ISO time in UTC.
        by: Who published it.
        note: Why.
        restored: The version that it has the rules of, where it undoes others; 0 where it does not.
        added, changed, removed: How many rules; None where somebody else wrote the commit and did not say.
    """

    version: int
    at: str
    by: str = ""
    note: str = ""
    restored: int = 0
    added: int | None = None
    changed: int | None = None
    removed: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


class RuleStore:
    """The rules of one catalogue; threads and processes may share it.

    Args:
        rules_dir: Folder of the rules of all catalogues.
        catalogue: Its name.

    Raises:
        CatalogueError: The name is none that a catalogue may have.
    """

    def __init__(self, rules_dir: Path, catalogue: str) -> None:
        self.folder = delta_log.catalogue_folder(rules_dir, catalogue)
        self.catalogue = catalogue
        self.table = self.folder / "table"
        self.pictures = RulePictures(self.folder / "pictures")
        self._known = EMPTY

    def newest(self) -> int:
        """Return the newest version, ``EMPTY`` where none was published; two file names are looked at, as a rule."""
        if self._known == EMPTY or not self._commit(self._known).exists():
            self._known = delta_log.newest_version(self.table) or EMPTY
        while self._commit(self._known + 1).exists():
            self._known += 1
        return self._known

    def read(self, version: int | None = None) -> RuleSet:
        """Return the rules of a version, or the newest ones; none at ``EMPTY``.

        Raises:
            CatalogueNotFound: There is no such version.
            CatalogueError: The table is damaged, or was written by a newer version of Twinset.
            RetrievalError: A rule in it cannot be used.
        """
        version = self.newest() if version is None else version
        if version == EMPTY:
            return RuleSet()
        self._require(version)
        about = self._published(version)
        rules = [from_plain(self._parsed(text, version)) for text in self._texts(version)]
        return RuleSet.of(rules, version=version, published_at=about.at, by=about.by, note=about.note)

    def history(self, *, limit: int = 100, before: int | None = None) -> list[Published]:
        """Return the versions, newest first; ``before`` one for the next page."""
        last = self.newest() if before is None else min(before - 1, self.newest())
        return [self._published(version) for version in range(last, max(last - limit, EMPTY), -1)]

    def changes(self, version: int) -> Difference:
        """Return which rules a version added, changed and removed."""
        return difference(self.read(version - 1).rules, self.read(version).rules)

    def publish(self, rules: Iterable[Rule], *, base: int, by: str, note: str = "") -> RuleSet:
        """Publish rules that were made of version ``base``; what others published since then stays.

        Returns:
            The published set: the newest one itself where nothing is different.

        Raises:
            RulesChanged: A rule was changed here and, since ``base``, by somebody else; nothing is published.
            CatalogueNotFound: There is no version ``base``.
            RetrievalError: The rules contradict each other in a way that is refused.
        """
        mine = RuleSet.of(rules).rules
        with self._locked():
            newest = self.read()
            whole, both = merged(self.read(base).rules, mine, newest.rules)
            if both:
                raise self._changed(both, base, newest.version)
            return self._commit_set(newest, whole, {"by": by, "note": note})

    def restore(self, version: int, *, by: str, note: str = "") -> RuleSet:
        """Publish the rules of an older version as the newest one: so anything is undone, an undoing too.

        Raises:
            CatalogueNotFound: There is no such version.
        """
        with self._locked():
            older = self.read(version)
            try:
                newest = self.read()
            except (CatalogueError, RetrievalError):  # damaged: any older one may take its place
                newest = RuleSet(version=self.newest())
            return self._commit_set(newest, older.rules, {"by": by, "note": note, "restored": version})

    # ------------------------------------------------------------------------------------------- writing

    def _locked(self) -> Any:
        return locked(lock_beside(self.table))

    def _commit_set(self, newest: RuleSet, rules: Iterable[Rule], about: dict[str, Any]) -> RuleSet:
        """Commit rules after the newest ones; the lock is held."""
        wanted = RuleSet.of(rules)
        if wanted.rules == newest.rules:
            return newest
        check_publishable(wanted.rules)
        if delta_log.newest_version(self.table) is None:
            create_table(self.table, _FIELDS, _PROPERTIES)
        version = newest.version + 1
        note = {
            "rules": FORMAT,
            **{name: value[:MAX_TEXT] if isinstance(value, str) else value for name, value in about.items()},
            **difference(newest.rules, wanted.rules).counts,
        }
        added = [self._written(version, wanted.rules)] if wanted.rules else []
        commit_files(self.table, added, self._files(newest.version), note=note, operation="WRITE")
        checkpoint(self.table)
        return self.read(version)

    def _written(self, version: int, rules: tuple[Rule, ...]) -> dict[str, Any]:
        """Write the file of a version: one that somebody who was killed left there is replaced."""
        rows = [
            {name: getattr(rule, name) for name in _COLUMNS if name not in {"scope", "rule"}}
            | {"scope": rule.scope.kind, "rule": json.dumps(as_plain(rule), ensure_ascii=False, allow_nan=False)}
            for rule in rules
        ]
        return write_file(self.table / f"rules-{version:020d}.parquet", pa.Table.from_pylist(rows, _SCHEMA))

    def _changed(self, both: list[str], base: int, newest: int) -> RulesChanged:
        """Say who changed rules since ``base``, and when."""
        who: dict[str, Published] = {}
        for version in range(newest, base, -1):
            for name in self.changes(version).ids & set(both):
                who.setdefault(name, self._published(version))
        said = [
            f"{name} (by {who[name].by or 'an unknown user'} on {datetime.fromisoformat(who[name].at):%d %b %Y %H:%M} UTC, "
            f"version {who[name].version})"
            for name in both[:_SHOWN]
        ]
        more = f" and {len(both) - _SHOWN} more" if len(both) > _SHOWN else ""
        return RulesChanged(
            f"Another person changed the same rules since version {base}: {', '.join(said)}{more}.",
            next_step="Your draft is kept. Compare it with the new version, then edit these rules again or drop your change.",
        )

    # ------------------------------------------------------------------------------------------- reading

    def _commit(self, version: int) -> Path:
        return self.table / "_delta_log" / f"{version:020d}.json"

    def _require(self, version: int) -> None:
        if not EMPTY < version <= self.newest():
            raise CatalogueNotFound(
                f"The rules of {self.catalogue} have no version {version}.",
                next_step=f"Their versions are 1 to {self.newest()}." if self.newest() else "None was published yet.",
            )

    def _actions(self, version: int) -> list[dict[str, Any]]:
        """Return what a commit's file says."""
        try:
            lines = self._commit(version).read_text(encoding="utf-8").splitlines()
            return [action for line in lines if isinstance(action := json.loads(line), dict)]
        except (OSError, ValueError) as error:
            raise self._damaged(version, error) from error

    def _info(self, version: int) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
        """Return what a commit says about itself, our note on it, and the files that it adds."""
        actions = self._actions(version)
        info: dict[str, Any] = next((one["commitInfo"] for one in actions if "commitInfo" in one), {})
        return info, delta_log.note_of(info), [one["add"] for one in actions if "add" in one]

    def _published(self, version: int) -> Published:
        info, note, _ = self._info(version)
        at = datetime.fromtimestamp(int(info.get("timestamp", 0)) / 1000, UTC).isoformat(timespec="seconds")
        counts = {name: _count(note.get(name)) for name in ("added", "changed", "removed")}
        by, why = str(note.get("by") or ""), str(note.get("note") or "")
        return Published(version, at, by, why, _count(note.get("restored")) or 0, **counts)

    def _texts(self, version: int) -> list[str]:
        """Return the JSON texts of a version: from its commit where it is ours, else as Delta tells."""
        _, note, added = self._info(version)
        if (found := note.get("rules")) is not None:
            self._require_format(found, version)
            rows = StoredRows([self.table / file["path"] for file in added], schema=_SCHEMA)
        else:
            table = delta_log.open_table(self.table, version)
            self._require_format(table.metadata().configuration.get(_FORMAT, FORMAT), version)
            rows = delta_log.rows_of(table, _SCHEMA)
        texts: list[str] = rows.table(["rule"])["rule"].to_pylist()
        return texts

    def _files(self, version: int) -> list[DataFile]:
        """Return what the next commit removes."""
        if version == EMPTY:
            return []
        _, note, added = self._info(version)
        if "rules" in note:
            return [DataFile(file["path"], identity={"path": file["path"]}) for file in added]
        return list((states(self.table)[-1].files or {}).values())

    def _require_format(self, found: object, version: int) -> None:
        if str(found) != str(FORMAT):
            raise CatalogueError(
                f"Version {version} of the rules of {self.catalogue} was written by a newer version of Twinset.",
                next_step="Update Twinset, or publish an older version again.",
            )

    def _parsed(self, text: str, version: int) -> Any:
        try:
            return json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise self._damaged(version, error) from error

    def _damaged(self, version: int, error: Exception) -> CatalogueError:
        return CatalogueError(
            f"Version {version} of the rules of {self.catalogue} cannot be read: {error}.",
            next_step=f"Restore {self.table} from a backup, or publish another version again.",
        )


def _count(number: object) -> int | None:
    return number if isinstance(number, int) else None

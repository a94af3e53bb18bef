"""The published rules of a catalogue, kept as :mod:`backend.merchandising.kept_sets` keeps sets, and their pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import ChangedMeanwhile
from backend.merchandising.conflicts import check_publishable
from backend.merchandising.kept_pictures import KeptPictures
from backend.merchandising.kept_sets import KeptSets, Published
from backend.retrieval.rules.rule import ACTIONS, SCOPES, Rule
from backend.retrieval.rules.rule_set import EMPTY, RuleSet, as_plain, from_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Published", "RuleStore"]


class RuleStore(KeptSets[Rule]):
    """The rules of one catalogue; threads and processes may share it.

    Args:
        rules_dir: Folder of the rules of all catalogues.
        catalogue: Its name.

    Raises:
        CatalogueError: The name is none that a catalogue may have.
    """

    noun, format = "rules", 1
    columns = ("id", "action", "scope", "owner", "starts", "ends", "zone", "rule")
    constraints: ClassVar[Mapping[str, str]] = {
        "id_not_empty": "length(id) > 0",
        "action_known": f"action IN ({', '.join(map(repr, ACTIONS))})",
        "scope_known": f"scope IN ({', '.join(map(repr, SCOPES))})",
    }
    changed, same = ChangedMeanwhile, "the same rules"
    changed_step = (
        "Your draft is kept. Compare it with the new version, then edit these rules again or drop your change."
    )

    def __init__(self, rules_dir: Path, catalogue: str) -> None:
        super().__init__(rules_dir, catalogue)
        self.pictures = KeptPictures(self.folder / "pictures", lasting=True)  # never tidied: old versions need them

    def read(self, version: int | None = None) -> RuleSet:
        """Return the rules of a version, or the newest ones; none at ``EMPTY``; raises as :meth:`items`."""
        version = self.newest() if version is None else version
        if version == EMPTY:
            return RuleSet()
        rules, about = self.items(version), self.published(version)
        return RuleSet.of(rules, version=version, published_at=about.at, by=about.by, note=about.note)

    @use_case(
        "rules.publish",
        Role.MERCHANDISER,
        about=lambda self, _rules, **about: words(catalogue=self.catalogue, base=about["base"], note=about.get("note")),
        brings=lambda done: words(version=done.version),
    )
    def publish(self, rules: Iterable[Rule], *, base: int, by: str, note: str = "") -> RuleSet:
        """Publish rules that were made of version ``base``; what others published since then stays.

        Returns:
            The published set: the newest one itself where nothing is different.

        Raises:
            ChangedMeanwhile: A rule was changed here and, since ``base``, by somebody else; nothing is published.
            CatalogueNotFound: There is no version ``base``.
            RetrievalError: The rules contradict each other in a way that is refused.
        """
        return self.read(self._publish(RuleSet.of(rules).rules, base, {"by": by, "note": note}))

    @use_case(
        "rules.restore",
        Role.MERCHANDISER,
        about=lambda self, version, **about: words(catalogue=self.catalogue, restored=version, note=about.get("note")),
        brings=lambda done: words(version=done.version),
    )
    def restore(self, version: int, *, by: str, note: str = "") -> RuleSet:
        """Publish the rules of an older version as the newest one: so anything is undone, an undoing too.

        Raises:
            CatalogueNotFound: There is no such version.
        """
        return self.read(self._restore(version, {"by": by, "note": note}))

    @use_case("rules.keep_picture", Role.MERCHANDISER, is_audited=False)
    def keep_picture(self, image: bytes) -> str:
        """Keep a picture that a rule is for; returns its SHA-256."""
        return self.pictures.keep(image)

    def _row(self, item: Rule) -> dict[str, str]:
        row = {name: getattr(item, name) for name in self.columns if name not in {"scope", "rule"}}
        text = json.dumps(as_plain(item), ensure_ascii=False, allow_nan=False)
        return {**row, "scope": item.scope.kind, "rule": text}

    def _item(self, raw: Any) -> Rule:
        return from_plain(raw)

    def _check(self, items: Sequence[Rule]) -> None:
        check_publishable(RuleSet.of(items).rules)

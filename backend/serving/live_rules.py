"""Rules as the endpoint applies them: those published last, taken up while it runs, and older ones by request.

A thread looks every quarter of a second whether there are newer ones; two file names tell. They are looked up in the
gallery there, and swapped in as one: an answer is made with one set of rules from beginning to end.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from backend.errors import CatalogueError, CatalogueNotFound, EndpointRejected, WorkbenchError
from backend.merchandising.compiling import compiled
from backend.merchandising.draft import Drafts
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import DRAFT, RULES_OFF, RULES_ON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backend.retrieval.recommend import Recommender
    from backend.retrieval.rules.compiled import CompiledRules
    from backend.serving.served import Served

_EVERY_S = 0.25
_KEPT = 8  # sets that were asked for by their version
_log = logging.getLogger(__name__)


class LiveRules:
    """The rules of one model that is served; any number of threads may ask.

    Args:
        rules_dir: Folder of the rules of all catalogues.
        recommender: The model.
    """

    def __init__(self, rules_dir: Path, recommender: Recommender) -> None:
        store = RuleStore(rules_dir, recommender.manifest.searched.name)
        self._store, self._recommender = store, recommender
        self._current: CompiledRules | None = None
        self._renewing = Lock()
        self._problem = ""

        # It holds on to nothing of this object: a model that was swapped out goes at once.
        def of_version(version: int, at: datetime | None) -> CompiledRules:
            return compiled(store.read(version), store, recommender, at=at)

        self._of_version = lru_cache(maxsize=_KEPT)(of_version)

    def current(self) -> CompiledRules:
        """Return the rules in force.

        Raises:
            EndpointRejected: They cannot be read, and none were before.
        """
        found = self._current
        return self._renewed(None) if found is None else found

    def asked(self, wanted: str, at: datetime | None = None) -> CompiledRules:
        """Return the rules that a question wants: those in force, a version's, or a draft's.

        Args:
            wanted: ``on``, a number, or ``draft:`` and a name.
            at: The time that they are to hold for; now when left out.

        Raises:
            RetrievalError: A draft cannot be used.
            EndpointRejected: There is no such version, or it cannot be read.
        """
        try:
            if wanted.startswith(DRAFT):
                return self._of_draft(wanted.removeprefix(DRAFT), at)
            if wanted == RULES_ON:
                return self.current() if at is None else self._of_version(self._store.newest(), at)
            return self._of_version(int(wanted), at)
        except CatalogueNotFound as error:
            raise EndpointRejected(
                error.message, code="no_such_rules", status=404, next_step=error.next_step
            ) from error
        except CatalogueError as error:
            raise EndpointRejected(error.message, code="no_rules", status=503, next_step=error.next_step) from error

    def told(self) -> dict[str, Any]:
        """Return which rules are in force, and why newer ones are not."""
        found = self.current()
        unknown = sorted({name for _, name in found.unknown})
        return {"version": found.version, "digest": found.digest, "problem": self._problem, "unknown_products": unknown}

    def look(self) -> None:
        """Take up newer rules, where there are any."""
        found = self._current
        if found is not None and (self._problem or self._is_outdated(found)):
            self._renewed(found)

    def _is_outdated(self, found: CompiledRules) -> bool:
        is_over = found.until is not None and datetime.now(UTC) >= found.until
        return is_over or self._store.newest() != found.version

    def _of_draft(self, person: str, at: datetime | None) -> CompiledRules:
        draft = Drafts(self._store).open(person)
        rules = RuleSet.of(draft.rules(self._store.read(draft.base)), version=draft.base)
        return compiled(rules, self._store, self._recommender, at=at)

    def _renewed(self, known: CompiledRules | None) -> CompiledRules:
        """Read the newest rules; where that fails, those that are known stay in force."""
        with self._renewing:
            if self._current is not known and self._current is not None:
                return self._current  # another thread was quicker
            try:
                found = compiled(self._store.read(), self._store, self._recommender)
            except WorkbenchError as error:
                return self._kept(known, error)
            self._problem, self._current = "", found
            _log.info("rules of version %s are in force", found.version)
            return found

    def _kept(self, known: CompiledRules | None, error: WorkbenchError) -> CompiledRules:
        if error.message != self._problem:
            _log.warning("the rules cannot be read: %s", error)
        self._problem = error.message
        if known is None:
            raise EndpointRejected(
                f"The rules cannot be read. {error.message}",
                code="no_rules",
                status=503,
                next_step="Send rules=off for answers without them.",
            ) from error
        return known


class RulesServed:
    """The rules of whatever is served: a model that is swapped out takes its rules along.

    Args:
        rules_dir: Folder of the rules of all catalogues.
        served: Gives what is served, if anything is.
    """

    def __init__(self, rules_dir: Path, served: Callable[[], Served | None]) -> None:
        self._rules_dir, self._served = rules_dir, served
        self._of: WeakKeyDictionary[Served, LiveRules] = WeakKeyDictionary()
        self._making, self._ended = Lock(), Event()

    def of(self, served: Served) -> LiveRules:
        """Return the rules of what is served."""
        with self._making:
            if served not in self._of:
                self._of[served] = LiveRules(self._rules_dir, served.recommender)
            return self._of[served]

    def asked(self, served: Served, wanted: str, at: datetime | None = None) -> CompiledRules | None:
        """Return the rules that a question wants, None where it wants none; see :meth:`LiveRules.asked`."""
        return None if wanted == RULES_OFF else self.of(served).asked(wanted, at)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look for newer rules while inside."""
        thread = Thread(target=self._watch, name="rules", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        """Have no name for what is served while waiting: it could not go."""
        served = self._served()
        if served is not None and served in self._of:
            self._of[served].look()

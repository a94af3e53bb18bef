"""Rules as the endpoint applies them: those published last, taken up while it runs, and older ones by request.

A thread looks every quarter of a second whether there are newer ones; two file names tell. They are looked up in the
gallery there, and swapped in as one: an answer is made with one set of rules from beginning to end.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from backend.errors import CatalogueError, CatalogueNotFound, EndpointRejected, WorkbenchError
from backend.merchandising.compiling import catalogue_of, compiled
from backend.merchandising.draft import Drafts
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import DRAFT, RULES_OFF, RULES_ON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.retrieval.rules.compiled import CompiledRules
    from backend.serving.served import Served

_EVERY_S = 0.25
_KEPT = 8  # sets that were asked for by their version
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Ready:
    served: Served
    rules: CompiledRules


class LiveRules:
    """The rules of whatever is served; any number of threads may ask.

    Args:
        rules_dir: Folder of the rules of all catalogues.
    """

    def __init__(self, rules_dir: Path) -> None:
        self._rules_dir = rules_dir
        self._stores: dict[str, RuleStore] = {}
        self._ready: _Ready | None = None
        self._asked: OrderedDict[tuple[int, str, str], _Ready] = OrderedDict()
        self._lock, self._ended = Lock(), Event()
        self._problem = ""

    def current(self, served: Served) -> CompiledRules:
        """Return the rules in force for what is served.

        Raises:
            EndpointRejected: They cannot be read, and none were before.
        """
        ready = self._ready
        return ready.rules if ready is not None and ready.served is served else self._renewed(served)

    def asked(self, served: Served, wanted: str, at: datetime | None = None) -> CompiledRules | None:
        """Return the rules that a question wants: those in force, none, a version's, or a draft's.

        Args:
            served: What is served.
            wanted: ``on``, ``off``, a number, or ``draft:`` and a name.
            at: The time that they are to hold for; now when left out.

        Raises:
            RetrievalError: A draft cannot be used.
            EndpointRejected: There is no such version, or it cannot be read.
        """
        if wanted == RULES_OFF:
            return None
        if wanted == RULES_ON and at is None:
            return self.current(served)
        try:
            return self._found(served, wanted, at)
        except CatalogueNotFound as error:
            raise EndpointRejected(
                error.message, code="no_such_rules", status=404, next_step=error.next_step
            ) from error
        except CatalogueError as error:
            raise EndpointRejected(error.message, code="no_rules", status=503, next_step=error.next_step) from error

    def _found(self, served: Served, wanted: str, at: datetime | None) -> CompiledRules:
        store = self._store(served)
        if wanted.startswith(DRAFT):
            draft = Drafts(store).open(wanted.removeprefix(DRAFT))
            rules = RuleSet.of(draft.rules(store.read(draft.base)), version=draft.base)
            return self._compiled(served, rules, at)
        version = store.newest() if wanted == RULES_ON else int(wanted)
        key = (id(served), str(version), "" if at is None else at.isoformat())
        with self._lock:
            known = self._asked.get(key)
        if known is None or known.served is not served:
            known = _Ready(served, self._compiled(served, store.read(version), at))
            with self._lock:
                self._asked[key] = known
                while len(self._asked) > _KEPT:
                    self._asked.popitem(last=False)
        return known.rules

    def told(self, served: Served) -> dict[str, Any]:
        """Return which rules are in force, and why newer ones are not."""
        found = self.current(served)
        unknown = sorted({name for _, name in found.unknown})
        return {"version": found.version, "digest": found.digest, "problem": self._problem, "unknown_products": unknown}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look for newer rules while inside."""
        thread = Thread(target=self._watched, name="rules", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    # ------------------------------------------------------------------------------------------- inside

    def _watched(self) -> None:
        while not self._ended.wait(_EVERY_S):
            ready = self._ready
            if ready is not None and (self._problem or self._is_outdated(ready)):
                self._renewed(ready.served, again=True)

    def _is_outdated(self, ready: _Ready) -> bool:
        until = ready.rules.until
        is_over = until is not None and datetime.now(UTC) >= until
        return is_over or self._store(ready.served).newest() != ready.rules.version

    def _renewed(self, served: Served, *, again: bool = False) -> CompiledRules:
        with self._lock:
            ready = self._ready
            if not again and ready is not None and ready.served is served:
                return ready.rules  # another thread was quicker
        before = ready.rules if ready is not None and ready.served is served else None
        try:
            found = self._compiled(served, self._store(served).read(), None)
        except WorkbenchError as error:
            if error.message != self._problem:
                _log.warning("the rules cannot be read: %s", error)
            self._problem = error.message
            if before is None:
                raise EndpointRejected(
                    f"The rules cannot be read. {error.message}",
                    code="no_rules",
                    status=503,
                    next_step="Send rules=off for answers without them.",
                ) from error
            return before
        self._problem = ""
        with self._lock:
            self._ready = _Ready(served, found)
        _log.info("rules of version %s are in force", found.version)
        return found

    def _store(self, served: Served) -> RuleStore:
        name = catalogue_of(served.recommender)
        if name not in self._stores:
            self._stores[name] = RuleStore(self._rules_dir, name)
        return self._stores[name]

    def _compiled(self, served: Served, rules: RuleSet, at: datetime | None) -> CompiledRules:
        return compiled(rules, self._store(served), served.recommender, at=at)

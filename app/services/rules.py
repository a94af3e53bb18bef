"""What screens do with rules: drafts and their publishing, what is wrong in them, and files.

Nothing is lost where two people, or two windows, change the same: the second is refused, and says so.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from bisect import bisect_right
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app.services import common
from backend.errors import CatalogueError, ChangedMeanwhile, EndpointError, RetrievalError
from backend.merchandising.conflicts import conflicts
from backend.merchandising.draft import Drafts
from backend.merchandising.known_products import KnownProducts
from backend.merchandising.merging import by_id, merged
from backend.merchandising.rule_files.csv_file import as_csv
from backend.merchandising.rule_files.plan import plan
from backend.merchandising.rule_files.yaml_file import as_yaml
from backend.merchandising.rule_store import RuleStore
from backend.retrieval.rules.rule_set import RuleSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backend.merchandising.conflicts import Conflict
    from backend.merchandising.draft import Draft
    from backend.merchandising.rule_files.plan import Plan
    from backend.retrieval.rules.rule import Rule

UP_S = 4.0  # a running endpoint uses a new version within two seconds
_EVERY_S = 0.1


@st.cache_resource(max_entries=8, show_spinner=False)
def store(catalogue: str) -> RuleStore:
    """The published rules of a catalogue."""
    return RuleStore(common.settings().rules_dir, catalogue)


def published(catalogue: str, version: int | None = None) -> RuleSet:
    """The rules of a version, the newest unless one is given.

    Raises:
        CatalogueError: The table is damaged, or there is no such version.
    """
    return _set(catalogue, store(catalogue).newest() if version is None else version)


@st.cache_resource(max_entries=16, show_spinner=False)
def _set(catalogue: str, version: int) -> RuleSet:
    return store(catalogue).read(version)


@st.cache_resource(max_entries=4, show_spinner="Reading the products")
def _known(catalogue: str, version: int) -> KnownProducts:
    return KnownProducts.of(common.snapshot(catalogue, version))


def known(catalogue: str) -> KnownProducts | None:
    """The products that rules may name; None where the catalogue is not on this machine."""
    try:
        return _known(catalogue, common.snapshot(catalogue).version)
    except CatalogueError:
        return None


def problems(catalogue: str, rules: Sequence[Rule]) -> list[Conflict]:
    """What is wrong with rules, what is refused first."""
    try:
        version = common.snapshot(catalogue).version
    except CatalogueError:
        version = 0
    return _problems(catalogue, version, RuleSet.of(rules).digest, rules)


@st.cache_data(ttl=60, max_entries=32, show_spinner=False)
def _problems(
    catalogue: str,
    version: int,  # noqa: ARG001 - part of the cache's key, as the digest is
    digest: str,  # noqa: ARG001
    _rules: Sequence[Rule],
) -> list[Conflict]:
    pictures = store(catalogue).pictures.names()
    return conflicts(_rules, now=datetime.now(UTC), known=known(catalogue), pictures=pictures)


# ------------------------------------------------------------------------------------------------ drafts


def draft(catalogue: str, person: str) -> Draft:
    """Somebody's draft, on the newest version unless another person changed the same rules; see :func:`torn`."""
    drafts = Drafts(store(catalogue))
    found = drafts.open(person)
    newest = published(catalogue)
    if found.base == newest.version:
        return found
    rules, both = _merged(catalogue, found, newest)
    return found if both else drafts.save(replace(found, base=newest.version).of(rules, newest))


def rules_of(catalogue: str, mine: Draft) -> tuple[Rule, ...]:
    """All rules as they would be if a draft were published now, before what others did is brought in."""
    return mine.rules(published(catalogue, mine.base))


def torn(catalogue: str, mine: Draft) -> list[str]:
    """Ids of the rules that this draft and, since it began, another person changed."""
    newest = published(catalogue)
    return [] if mine.base == newest.version else _merged(catalogue, mine, newest)[1]


def settle(catalogue: str, mine: Draft, *, keep_mine: bool) -> None:
    """Bring a draft to the newest version; of rules that both changed, keep these or those."""
    newest = published(catalogue)
    rules, both = _merged(catalogue, mine, newest)
    whole, own = by_id(rules), by_id(rules_of(catalogue, mine))
    if keep_mine:
        whole = {name: rule for name, rule in whole.items() if name not in both}
        whole |= {name: own[name] for name in both if name in own}
    Drafts(store(catalogue)).save(replace(mine, base=newest.version).of(whole.values(), newest))


def _merged(catalogue: str, mine: Draft, newest: RuleSet) -> tuple[list[Rule], list[str]]:
    return merged(published(catalogue, mine.base).rules, rules_of(catalogue, mine), newest.rules)


def put(catalogue: str, person: str, rule: Rule | None, *, was: Rule | None = None) -> None:
    """Put a rule into somebody's draft, or take one out of it.

    Args:
        catalogue: Whose rules.
        person: Whose draft.
        rule: The rule as it is to be; None to remove ``was``.
        was: The rule as the person saw it; None for a new one.

    Raises:
        ChangedMeanwhile: It is not that any more; the draft stays as it is.
    """
    mine = draft(catalogue, person)
    rules = by_id(rules_of(catalogue, mine))
    name = (rule or was).id  # type: ignore[union-attr] # one of both is given
    if rules.get(name) != was:
        raise ChangedMeanwhile(
            f"The rule {name} was changed in another window, or by another person.",
            next_step="Your input is still here. Copy what you need, close the form, and edit the rule again.",
        )
    rules.pop(name, None)
    rules |= {} if rule is None else {name: rule}
    set_rules(catalogue, mine, rules.values())


def set_rules(catalogue: str, mine: Draft, rules: Iterable[Rule]) -> None:
    """Make these all the rules of a draft.

    Raises:
        ChangedMeanwhile: The draft was changed in another window.
        RetrievalError: They are refused.
    """
    Drafts(store(catalogue)).save(mine.of(rules, published(catalogue, mine.base)))


def discard(catalogue: str, person: str) -> None:
    """Forget somebody's draft."""
    Drafts(store(catalogue)).discard(person)


def publish(catalogue: str, mine: Draft, note: str) -> tuple[RuleSet, bool]:
    """Publish a draft; returns the rules, and whether the endpoint answers by them already.

    Raises:
        ChangedMeanwhile: Another person changed the same rules, or another window the draft, which is kept.
        RetrievalError: The rules are refused.
    """
    done = Drafts(store(catalogue)).publish(mine, note=note)
    return done, _is_taken_up(catalogue, done.version)


def undo(catalogue: str, version: int, person: str, note: str, *, newest: int) -> tuple[RuleSet, bool]:
    """Publish the rules of an older version; returns them, and whether the endpoint answers by them already.

    Raises:
        ChangedMeanwhile: There is a newer version than ``newest``, the one that the person saw.
    """
    if store(catalogue).newest() != newest:
        raise ChangedMeanwhile(
            f"Another version was published after version {newest}.",
            next_step="Nothing was undone. Check the history before you go back.",
        )
    done = store(catalogue).restore(version, by=person, note=note)
    return done, _is_taken_up(catalogue, done.version)


def _is_taken_up(catalogue: str, version: int) -> bool:
    """Wait until the endpoint answers by a version; False where it does not in time, or does not search the catalogue."""
    until = time.monotonic() + UP_S
    while time.monotonic() < until:
        try:
            told = common.status_client().version()
        except EndpointError:
            return False
        if told["catalogue"]["name"] != catalogue:
            return False
        if told.get("rules", {}).get("version", -1) >= version:
            return True
        time.sleep(_EVERY_S)
    return False


# ------------------------------------------------------------------------------------------------ files


def read_file(catalogue: str, name: str, data: bytes) -> Plan:
    """Say what a file of rules would change.

    Raises:
        WorkbenchError: It cannot be read, or a rule in it cannot be used.
    """
    suffix = Path(name).suffix.lower()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rules{suffix if suffix in {'.csv', '.tsv'} else '.yaml'}"
        path.write_bytes(data)
        return plan(path, store(catalogue), known(catalogue))


def adopt(catalogue: str, person: str, planned: Plan) -> None:
    """Make the rules of a file somebody's draft, which has to be empty.

    Raises:
        ChangedMeanwhile: It is not, or other rules were published since the file was read.
    """
    mine = draft(catalogue, person)
    if mine or mine.base != planned.now.version:
        raise ChangedMeanwhile(
            "Your draft has changes." if mine else "Other rules were published in the meantime.",
            next_step="Publish or discard them first, then import the file." if mine else "Import the file again.",
        )
    Drafts(store(catalogue)).save(mine.of(planned.then.rules, planned.now))


def as_files(rules: RuleSet) -> tuple[str, str, list[str]]:
    """Return rules as YAML and as CSV, and what the CSV does not hold."""
    text, notes = as_csv(rules.rules)
    return as_yaml(rules), text, notes


def keep_picture(catalogue: str, image: bytes) -> str:
    """Keep a picture that a rule is for; returns its SHA-256."""
    return store(catalogue).keep_picture(image)


def revision(catalogue: str, mine: Draft | None) -> str:
    """Tell one state of the rules from another: what is published, what is live, and the draft of a preview."""
    version = store(catalogue).newest()
    passed = bisect_right(_moments(catalogue, version), datetime.now(UTC))
    return f"{version} {passed} {mine.revision if mine else ''}"


@st.cache_resource(max_entries=16, show_spinner=False)
def _moments(catalogue: str, version: int) -> list[datetime]:
    """When rules of a version start and end, ascending; none where they cannot be read, which the endpoint tells."""
    try:
        return sorted(time for rule in published(catalogue, version).rules for time in rule.times if time)
    except (CatalogueError, RetrievalError):
        return []


def sha256_of(image: bytes) -> str:
    """The name under which a picture is kept."""
    return hashlib.sha256(image).hexdigest()

"""Aliases move: forwards through the gate, or past it with a written reason; and back at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backend.bundles import bundle
from backend.errors import BundleError, PromotionRefused, RegistryError
from backend.registry.alias_moves import move
from backend.registry.fetching import fetch, version_at, version_numbered
from backend.registry.gate import judge
from backend.registry.history import events_of, load_ledger, note_checks, synchronise
from backend.registry.ledger import CHAMPION, Check, Event, previous_version
from backend.registry.signing import NotOurs
from backend.registry.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient

    from backend.progress import Progress
    from backend.registry.fetching import ModelVersion
    from backend.registry.ledger import Ledger
    from backend.settings import Settings

_LONGEST_REASON = 1_000


@dataclass(frozen=True, slots=True)
class Promotion:
    """An alias has moved: to which version, from which, what the gate said, and why it was overruled."""

    version: ModelVersion
    before: int | None
    checks: tuple[Check, ...] = ()
    reason: str = ""


def promote(
    settings: Settings,
    number: int,
    *,
    alias: str = CHAMPION,
    reason: str = "",
    replace_catalogue: bool = False,
    progress: Progress,
) -> Promotion:
    """Move an alias to a version that passes the gate, or past it for a reason, which is kept.

    Only the champion has a gate: it answers customers. A version that becomes champion is no challenger any more.
    ``replace_catalogue`` says that it may answer from another catalogue than the champion does.

    Raises:
        PromotionRefused: The gate does not let it through; what it said is kept with the version. Or it would replace
            the catalogue that is searched, and nobody said that it may.
        RegistryError: There is no such version, or the store cannot be reached.
        BundleError: What is stored is damaged or not ours.
    """
    reason = reason.strip()[:_LONGEST_REASON]
    with open_store(settings) as client:
        progress.report(0, 2, note=f"Running the gate for version {number}")
        version, folder = fetch(client, settings, version_numbered(client, settings, number), alias)
        before, champion = _present(client, settings, alias)
        if alias == CHAMPION and not (replace_catalogue or reason):
            _require_same(synchronise(client, settings), bundle.read_manifest(folder).catalogue.name)
        checks = judge(settings, folder, champion) if alias == CHAMPION else ()
        progress.check_cancelled()
        is_clear = all(check.passed for check in checks)
        if checks:
            note_checks(client, settings, number, checks, "" if is_clear else reason)
        if not is_clear and not reason:
            synchronise(client, settings)
            raise _refused(number, alias, checks)
        progress.report(1, 2, note=f"Moving the alias {alias}")
        overruled = "" if is_clear else reason
        move(client, settings, Event(_now(), "promote", alias, number, before, overruled))
    progress.report(2, 2, note=f"Version {number} is {alias}")
    return Promotion(version, before, checks, overruled)


def require_same_catalogue(settings: Settings, catalogue: str) -> None:
    """Make sure that a champion of this catalogue replaces none of another: that is asked before it is done.

    Raises:
        PromotionRefused: It would.
        RegistryError: The store cannot be reached.
    """
    _require_same(load_ledger(settings), catalogue)


def _require_same(ledger: Ledger, catalogue: str) -> None:
    if searched := ledger.replaced_by(catalogue):
        raise PromotionRefused(
            f"This would replace the {searched} catalogue by {catalogue}: every answer would come from {catalogue}.",
            next_step="If it should, deploy it on the Deploy page, which asks for confirmation, or add "
            "`--replace-catalogue`.",
        )


def roll_back(settings: Settings, *, alias: str = CHAMPION, progress: Progress) -> Promotion:
    """Move an alias back to the version in whose place the present one came; no gate: that version stood there before.

    Raises:
        RegistryError: There is nothing to go back to, or the store cannot be reached.
        BundleError: What is stored is damaged.
    """
    progress.report(0, 1, note=f"Moving the alias {alias} back")
    with open_store(settings) as client:
        present = int(version_at(client, settings, alias).version)
        earlier = previous_version(tuple(events_of(client.get_registered_model(settings.model_name))), alias)
        if earlier is None:
            raise RegistryError(
                f"No other version was {alias} before version {present}.",
                next_step="Promote one by its number instead.",
            )
        version, _ = fetch(client, settings, version_numbered(client, settings, earlier), alias)
        move(client, settings, Event(_now(), "rollback", alias, earlier, present))
    progress.report(1, 1, note=f"Version {earlier} is {alias} again")
    return Promotion(version, present)


def _present(client: MlflowClient, settings: Settings, alias: str) -> tuple[int | None, Path | None]:
    """Return the version at an alias and its folder; a champion that is damaged is no measure for anything."""
    try:
        found = version_at(client, settings, alias)
    except (RegistryError, NotOurs):
        return None, None
    try:
        return int(found.version), fetch(client, settings, found)[1]
    except BundleError:
        return int(found.version), None


def _refused(number: int, alias: str, checks: tuple[Check, ...]) -> PromotionRefused:
    failed = " ".join(f"{check.name.capitalize()}: {check.says}" for check in checks if not check.passed)
    return PromotionRefused(
        f"Version {number} was not made {alias}. {failed}",
        next_step=(
            "Fix it, or promote it anyway with a reason: on the Deploy page under Versions, or by "
            f"`python -m backend models promote {number} --reason …`."
        ),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""Tags of the registry that are ours: each version's card and gate, and every move of an alias; and the ledger of all.

They are in MLflow, so that every Twinset that uses the registry sees them.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from backend.errors import RegistryError
from backend.registry.card import ModelCard
from backend.registry.ledger import Check, Event, Ledger, RegisteredVersion, checks_from_json, write_ledger
from backend.registry.signing import BUNDLE_TAG, NotOurs, check_ours
from backend.registry.store import ABSENT, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlflow import MlflowClient

    from backend.settings import Settings

CARD_TAG, GATE_TAG, REASON_TAG = "twinset.card", "twinset.gate", "twinset.reason"
_EVENT_TAG = "twinset.moved."
_MOST = 10_000
T = TypeVar("T")
_log = logging.getLogger(__name__)


def load_ledger(settings: Settings) -> Ledger:
    """Read from MLflow what the registry holds, and write it where screens read it; empty while there is no store.

    Raises:
        RegistryError: The store cannot be reached.
    """
    if not settings.tracking_uri and not (settings.home / "mlflow.db").is_file():
        return Ledger(settings.model_name)
    with open_store(settings) as client:
        return synchronise(client, settings)


def synchronise(client: MlflowClient, settings: Settings) -> Ledger:
    """The same, with a store that is open."""
    from mlflow.exceptions import MlflowException

    name = settings.model_name
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return Ledger(name)
    found = client.search_model_versions(f"name = '{name}'", max_results=_MOST)
    refusals = _refusals(settings, found)
    aliases = _standing(model, {number for number, why in refusals.items() if not why})
    versions = [_version(one, aliases, refusals[int(one.version)]) for one in found]
    ledger = Ledger(name, tuple(sorted(versions, key=lambda one: -one.version)), tuple(events_of(model)))
    settings.home.mkdir(parents=True, exist_ok=True)
    write_ledger(settings.home, ledger)
    return ledger


def standing(client: MlflowClient, settings: Settings) -> dict[str, int]:
    """Return which version of ours is at each alias: MLflow's, or else the last that Twinset moved it to."""
    found = client.search_model_versions(f"name = '{settings.model_name}'", max_results=_MOST)
    ours = {number for number, why in _refusals(settings, found).items() if not why}
    return _standing(client.get_registered_model(settings.model_name), ours)


def _refusals(settings: Settings, found: Iterable[Any]) -> dict[int, str]:
    """Say of each version why it is not served; nothing of those that are ours."""
    reasons: dict[int, str] = {}
    for one in found:
        reasons[int(one.version)] = ""
        try:
            check_ours(settings, one)
        except NotOurs as error:
            reasons[int(one.version)] = str(error)
    return reasons


def _standing(model: Any, ours: set[int]) -> dict[str, int]:
    moved = events_of(model)
    stands: dict[str, int] = {}
    for alias, number in model.aliases.items():
        candidates = [int(number), *(event.version for event in moved if event.alias == alias)]
        found = next((one for one in candidates if one in ours), None)
        if found is not None:
            stands[alias] = found
            if found != int(number):
                _log.warning(
                    "%s was moved to version %s, which is not trusted: version %s is used", alias, number, found
                )
    return stands


def events_of(model: Any) -> list[Event]:
    """Return how the aliases of a registered model moved, newest first; what is no move of ours is left out."""
    tags = sorted(((key, text) for key, text in model.tags.items() if key.startswith(_EVENT_TAG)), reverse=True)
    return [event for _, text in tags if (event := _read(Event.from_json, text)) is not None]


def note_event(client: MlflowClient, settings: Settings, event: Event) -> None:
    """Keep that an alias moved."""
    key = f"{_EVENT_TAG}{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    client.set_registered_model_tag(settings.model_name, key, json.dumps(asdict(event), ensure_ascii=False))


def note_checks(client: MlflowClient, settings: Settings, version: int, checks: Sequence[Check], reason: str) -> None:
    """Keep what the gate said of a version, and why it was overruled if it was."""
    text = json.dumps([asdict(check) for check in checks], ensure_ascii=False)
    client.set_model_version_tag(settings.model_name, str(version), GATE_TAG, text)
    if reason:
        client.set_model_version_tag(settings.model_name, str(version), REASON_TAG, reason)


def _version(version: Any, aliases: dict[str, int], refused: str) -> RegisteredVersion:
    tags, number = version.tags, int(version.version)
    made = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return RegisteredVersion(
        version=number,
        model=tags.get(BUNDLE_TAG, ""),
        aliases=tuple(sorted(alias for alias, stands in aliases.items() if stands == number)),
        registered_at=made.isoformat(timespec="seconds"),
        run_id=version.run_id or "",
        card=None if refused or CARD_TAG not in tags else _read(ModelCard.from_json, tags[CARD_TAG]),
        checks=() if refused else _read(checks_from_json, tags.get(GATE_TAG, "[]")) or (),
        reason=tags.get(REASON_TAG, ""),
        refused=refused,
    )


def _read(read: Callable[[str], T], text: str) -> T | None:
    """Read a tag; whoever reaches MLflow can write anything into it, which must not take the others along."""
    try:
        return read(text)
    except RegistryError as error:
        _log.warning("left out: %s", error)
        return None

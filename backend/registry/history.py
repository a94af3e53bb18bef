"""Tags of the registry that are ours: each version's card and gate, and every move of an alias; and the ledger of all.

They lie in MLflow, so that every Twinset that uses the registry sees them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.registry.card import ModelCard
from backend.registry.fetching import ABSENT, BUNDLE_TAG
from backend.registry.ledger import Check, Event, Ledger, RegisteredVersion, write_ledger
from backend.registry.store import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient

    from backend.settings import Settings

CARD_TAG, GATE_TAG, REASON_TAG = "twinset.card", "twinset.gate", "twinset.reason"
_EVENT_TAG = "twinset.moved."
_MOST = 10_000


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
    aliases: dict[int, list[str]] = {}
    for alias, number in model.aliases.items():
        aliases.setdefault(int(number), []).append(alias)
    found = [
        _version(one, aliases.get(int(one.version), []))
        for one in client.search_model_versions(f"name = '{name}'", max_results=_MOST)
    ]
    ledger = Ledger(name, tuple(sorted(found, key=lambda one: -one.version)), tuple(events_of(model)))
    settings.home.mkdir(parents=True, exist_ok=True)
    write_ledger(settings.home, ledger)
    return ledger


def events_of(model: Any) -> list[Event]:
    """Return how the aliases of a registered model moved, newest first."""
    told = sorted(((key, text) for key, text in model.tags.items() if key.startswith(_EVENT_TAG)), reverse=True)
    return [Event(**json.loads(text)) for _, text in told]


def note_event(client: MlflowClient, settings: Settings, event: Event) -> None:
    """Keep that an alias moved."""
    key = f"{_EVENT_TAG}{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    client.set_registered_model_tag(settings.model_name, key, json.dumps(asdict(event), ensure_ascii=False))


def note_checks(client: MlflowClient, settings: Settings, version: int, checks: Sequence[Check], reason: str) -> None:
    """Keep what the gate said of a version, and why it was overruled if it was."""
    told = json.dumps([asdict(check) for check in checks], ensure_ascii=False)
    client.set_model_version_tag(settings.model_name, str(version), GATE_TAG, told)
    if reason:
        client.set_model_version_tag(settings.model_name, str(version), REASON_TAG, reason)


def _version(found: Any, aliases: list[str]) -> RegisteredVersion:
    tags = found.tags
    made = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    return RegisteredVersion(
        version=int(found.version),
        model=tags.get(BUNDLE_TAG, ""),
        aliases=tuple(sorted(aliases)),
        registered_at=made.isoformat(timespec="seconds"),
        run_id=found.run_id or "",
        card=ModelCard.from_json(tags[CARD_TAG]) if CARD_TAG in tags else None,
        checks=tuple(Check(**check) for check in json.loads(tags.get(GATE_TAG, "[]"))),
        reason=tags.get(REASON_TAG, ""),
    )

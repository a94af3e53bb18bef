"""An alias moves in several steps in the store; a process that is killed among them leaves a note of the move, and the
next start finishes it: alias, history and the file that screens read say the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from backend.files.storage import write_atomically
from backend.registry.history import events_of, note_event, synchronise
from backend.registry.ledger import CHALLENGER, CHAMPION, Event
from backend.registry.runs.open_runs import hold_run

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient

    from backend.settings import Settings

_NOTE = "move.json"


def move(client: MlflowClient, settings: Settings, event: Event) -> None:
    """Move an alias, and note that it did; a champion is no challenger any more."""
    work = hold_run(settings)
    with work.hold:
        write_atomically(work.folder / _NOTE, json.dumps(asdict(event)).encode())
        client.set_registered_model_alias(settings.model_name, event.alias, str(event.version))
        _complete(client, settings, event, is_noted=False)  # the same move may have been made within this second
        work.closed()


def finish(client: MlflowClient, settings: Settings, folder: Path) -> None:
    """Finish the move that a killed process noted in this folder, if it got as far as the alias."""
    if not (folder / _NOTE).is_file():
        return
    event = Event(**json.loads((folder / _NOTE).read_text("utf-8")))
    model = client.get_registered_model(settings.model_name)
    if int(model.aliases.get(event.alias, -1)) == event.version != event.before:
        _complete(client, settings, event, is_noted=event in events_of(model))


def _complete(client: MlflowClient, settings: Settings, event: Event, *, is_noted: bool) -> None:
    model = client.get_registered_model(settings.model_name)
    if event.alias == CHAMPION and int(model.aliases.get(CHALLENGER, -1)) == event.version:
        client.delete_registered_model_alias(settings.model_name, CHALLENGER)
    if not is_noted:
        note_event(client, settings, event)
    synchronise(client, settings)

"""The commands of the list of people: who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.access.people import NO_ROLE, People
from backend.access.person import Role
from backend.cli.text import table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.access.people import Listed
    from backend.settings import Settings

Result = dict[str, Any]


def add_people(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``people`` with its actions; ``command`` makes one with ``--json`` and a handler."""
    group = commands.add_parser("people", help="manage who may do what")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    made = [command(actions, "list", "List people with their roles.", show)]
    given = command(actions, "set", "Give a person a role, or revoke all access.", give)
    taken = command(actions, "remove", "Remove a person from the list and revoke their tokens.", remove)
    for one in (given, taken):
        one.add_argument("name", metavar="NAME", help="e-mail address or account, as the sign-in names them")
    given.add_argument("role", choices=[*(one.title for one in Role), NO_ROLE], help="none revokes all access")
    for one in (*made, given, taken):
        one.set_defaults(show=_as_text)


def show(_options: argparse.Namespace, settings: Settings) -> Result:
    """``people list``."""
    return _result(People(settings.home).listed())


def give(options: argparse.Namespace, settings: Settings) -> Result:
    """``people set``."""
    people = People(settings.home)
    return _result(people.set(options.name, options.role, seen=people.listed().version))


def remove(options: argparse.Namespace, settings: Settings) -> Result:
    """``people remove``."""
    people = People(settings.home)
    return _result(people.remove(options.name, seen=people.listed().version))


def _result(listed: Listed) -> Result:
    rows = [
        {"name": one.name, "role": one.role or NO_ROLE, "changed_by": one.by, "changed_at": one.at}
        for one in listed.people
    ]
    return {"version": listed.version, "people": rows}


def _as_text(result: Result) -> str:
    return table(result["people"]) if result["people"] else "The list is empty."

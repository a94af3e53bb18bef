"""Use cases: one decorator says who may do something, and has what came of it written down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from backend.access.asking import asking
from backend.access.person import Role
from backend.errors import AccessDenied, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.access.person import Person

P = ParamSpec("P")
R = TypeVar("R")
DONE, REFUSED = "done", "refused"
_QUOTED = frozenset(' \t\r\n"=')


@dataclass(frozen=True, slots=True)
class UseCase:
    """One thing that can be done with Twinset.

    Attributes:
        name: ``area.verb``, as ``rules.publish``; what the audit calls it.
        role: The least role that may.
        is_audited: Whether each use is written down: what changes or hands out something is.
    """

    name: str
    role: Role
    is_audited: bool = True


USE_CASES: dict[str, UseCase] = {}


def registered(name: str, role: Role, *, is_audited: bool = True) -> UseCase:
    """Make a use case that is carried out by :func:`carry_out`; several functions may be one.

    Raises:
        ValueError: There is another of that name.
    """
    made = UseCase(name, role, is_audited)
    if USE_CASES.setdefault(name, made) != made:
        raise ValueError(f"There is another use case {name}.")
    return made


def use_case(
    name: str,
    role: Role,
    *,
    is_audited: bool = True,
    about: Callable[..., str] | None = None,
    brings: Callable[[Any], str] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a use case: refused to whom it is not for, and written down with its result.

    Args:
        name: ``area.verb``.
        role: The least role that may.
        is_audited: Whether each use is written down.
        about: Returns on what, in which version, as ``name=value`` words; takes the function's arguments.
        brings: Returns further such words, the new version say; takes what the function returned.

    The function then also raises AccessDenied.
    """
    found = registered(name, role, is_audited=is_audited)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            said = about(*args, **kwargs) if about else ""
            done: R = carry_out(found, lambda: function(*args, **kwargs), said, brings)
            return done

        return checked

    return decorate


READ = registered("pages.read", Role.VIEWER, is_audited=False)


def words(**values: object) -> str:
    """Return values as ``name=value`` words for the audit, without those that are empty; a text with spaces is quoted."""
    shown = {name: str(value) for name, value in values.items() if value is not None and value is not False}
    quoted = {name: json.dumps(text) if set(text) & _QUOTED else text for name, text in shown.items() if text}
    return " ".join(f"{name}={text}" for name, text in quoted.items())


def carry_out(wanted: UseCase, work: Callable[[], R], about: str = "", brings: Callable[[R], str] | None = None) -> R:
    """Do something for whoever asks, if they may, and write down what came of it; see :func:`use_case`.

    Raises:
        AccessDenied: Nobody is signed in, or their role does not allow it.
    """
    found = asking()
    result = "interrupted"
    try:
        _require(wanted, found.person)
        done = work()
    except AccessDenied:
        result = REFUSED
        raise
    except WorkbenchError as error:
        result = error.code
        raise
    except Exception as error:
        result = type(error).__name__
        raise
    else:
        result = DONE
        about = f"{about} {brings(done) if brings else ''}".strip()
        return done
    finally:
        if wanted.is_audited or result == REFUSED:
            found.journal.write(found.person, wanted.name, about, result)


def require(wanted: UseCase) -> None:
    """Refuse somebody whose role does not allow a use case.

    Raises:
        AccessDenied: Nobody is signed in, or their role does not allow it.
    """
    _require(wanted, asking().person)


def _require(wanted: UseCase, person: Person) -> None:
    if not person.may(wanted.role):
        raise AccessDenied(
            f"{person.name} may not do this: it needs the role {wanted.role.title}.",
            next_step="Ask an administrator of Twinset for that role.",
        )

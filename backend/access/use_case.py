"""Use cases: one decorator says who may do something, and has what came of it written down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from backend.access.asking import asking
from backend.errors import AccessDenied, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.access.person import Role

P = ParamSpec("P")
R = TypeVar("R")
DONE, REFUSED = "done", "refused"


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


def use_case(
    name: str, role: Role, *, is_audited: bool = True, about: Callable[..., str] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a use case: refused to whom it is not for, and written down with its result.

    Args:
        name: ``area.verb``.
        role: The least role that may.
        is_audited: Whether each use is written down.
        about: Returns on what, in which version, as ``name=value`` words; takes the function's arguments.

    The function then also raises AccessDenied.
    """
    found = USE_CASES[name] = UseCase(name, role, is_audited)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            return carry_out(found, lambda: function(*args, **kwargs), about(*args, **kwargs) if about else "")

        return checked

    return decorate


def carry_out(wanted: UseCase, work: Callable[[], R], about: str = "") -> R:
    """Do something for whoever asks, if they may, and write down what came of it.

    Raises:
        AccessDenied: Nobody is signed in, or their role does not allow it.
    """
    found = asking()
    result = "interrupted"
    try:
        require(wanted)
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
        return done
    finally:
        if wanted.is_audited or result == REFUSED:
            found.journal.write(found.person, wanted.name, about, result)


def require(wanted: UseCase) -> None:
    """Refuse somebody whose role does not allow a use case.

    Raises:
        AccessDenied: Nobody is signed in, or their role does not allow it.
    """
    person: Any = asking().person
    if not person.may(wanted.role):
        raise AccessDenied(
            f"{person.name} may not do this: it needs the role {wanted.role.title}.",
            next_step="Ask an administrator of Twinset for that role.",
        )

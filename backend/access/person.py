"""People and their roles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Way = Literal["app", "command", "endpoint", "job"]


class Role(IntEnum):
    """What somebody may do; each role may do what those before it may."""

    VIEWER = 1  # look, and ask for similar products
    MERCHANDISER = 2  # rules, collections, substitutes, labels, tables for shops
    ENGINEER = 3  # loads, trainings, sweeps, models, deployments
    ADMIN = 4  # people, tokens, removal, the home

    @property
    def title(self) -> str:
        """Its name, in lower case."""
        return self.name.lower()

    @classmethod
    def named(cls, text: str) -> Role | None:
        """Return the role of a name, in any case; None if there is none."""
        return cls.__members__.get(text.strip().upper())


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who asks.

    Attributes:
        name: As the sign-in has it: an e-mail address, or the name of an account of this machine.
        role: What they may do; None for somebody who is known and may do nothing.
        way: How they came.
        address: Where from, an IP address; empty for this machine.
    """

    name: str
    role: Role | None
    way: Way
    address: str = ""

    def may(self, needed: Role) -> bool:
        """Whether their role is this one or a higher one."""
        return self.role is not None and self.role >= needed

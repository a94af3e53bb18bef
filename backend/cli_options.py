"""Arguments that many commands take: one name and one meaning for each, whichever command it is."""

from __future__ import annotations

import argparse
from typing import Any

NEWEST = "name of the model; default: the newest"


class _NamedOnce(argparse.Action):
    """Keeps a name that can be given in two ways, and refuses two names."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        before = getattr(namespace, self.dest, "")
        if before and before != values:
            parser.error(f"a model is named twice: {before} and {values}")
        setattr(namespace, self.dest, values)


def add_model(command: Any, *, help_text: str = NEWEST, flag: str = "--model", bare: bool = False) -> None:
    """Add ``--model``, by which every command names a model.

    Args:
        command: The parser of the command.
        help_text: What is said of it.
        flag: Another name, for a second model.
        bare: Also take the name without the flag, as the command did before; help does not mention it.
    """
    command.add_argument(flag, default="", action=_NamedOnce, metavar="MODEL", help=help_text)
    if bare:
        command.add_argument(
            flag.lstrip("-"), nargs="?", default=argparse.SUPPRESS, action=_NamedOnce, help=argparse.SUPPRESS
        )

"""Arguments that many commands take: one name and one meaning for each, whichever command it is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NEWEST = "name of the model; default: the newest"
# What an argument is where its command says no more, by what it is called there.
HELPS = {
    "CATALOGUE": "name of the catalogue",
    "SWEEP": "name of the sweep",
    "OTHER_SWEEP": "name of the sweep to compare it with",
    "TRIAL": "number of the trial",
    "SPACE": "name of the search space",
    "LIST": "name of the list",
    "JOB": "id of the job",
    "PRODUCT_ID": "id of a product",
    "VERSION": "number of the version",
    "ALIAS": "alias of a registered version, default champion",
    "SEED": "random seed",
}


class _NamedOnce(argparse.Action):
    """Keeps a name that can be given in two ways, and refuses two names; ``flag`` is the other way, which is then not needed."""

    def __init__(self, *words: Any, flag: argparse.Action | None = None, **options: Any) -> None:
        super().__init__(*words, **options)
        self._flag = flag

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest, "")
        if before and before != values:
            parser.error(f"two models are given: {before} and {values}")
        if self.required and not values:
            parser.error(f"{option_string} has no model name")
        setattr(namespace, self.dest, values)
        if self._flag and values:
            self._flag.required = False  # a parser reads one command line


def add_ranged(command: Any, ranges: Mapping[str, tuple[float, float]], defaults: object, **helps: str) -> None:
    """Add options that hold a number; the help of each says what it may be.

    Args:
        command: The parser of the command.
        ranges: The lowest and the highest value by name.
        defaults: Has the usual values as attributes.
        helps: What is said of each, by name.
    """
    for name, help_text in helps.items():
        usual = getattr(defaults, name)
        low, high = (f"{value:,}" for value in ranges[name])
        command.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(usual),
            default=usual,
            help=f"{help_text}; {low} to {high}, default {usual:,}",
        )


def arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.Action, str]]:
    """Yield all arguments below a parser, each with what it is called in the help of its command."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to its arguments
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for child in action.choices.values():
                yield from arguments(child)
        else:
            yield action, str(action.metavar or action.dest).upper()


def describe(parser: argparse.ArgumentParser) -> None:
    """Say of all arguments below a parser what they are, where their names tell it."""
    for action, called in arguments(parser):
        if action.help is None:
            action.help = HELPS.get(called)


def add_model(
    command: Any, *, help_text: str = NEWEST, flag: str = "--model", bare: bool = False, required: bool = False
) -> None:
    """Add ``--model``, by which every command names a model.

    Args:
        command: The parser of the command.
        help_text: What is said of it.
        flag: Another name, for a second model.
        bare: Also take the name without the flag, as the command did before; help does not mention it.
        required: Whether it has to be named; otherwise none means the newest.
    """
    named = command.add_argument(
        flag, default="", action=_NamedOnce, metavar="MODEL", required=required, help=help_text
    )
    if bare:
        word, hidden = flag.lstrip("-"), argparse.SUPPRESS
        command.add_argument(word, nargs="?", default=hidden, action=_NamedOnce, flag=named, help=hidden)

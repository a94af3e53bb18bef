"""The generated part of the documents: commands, settings and errors, as the code has them.

``python -m tests.support.reference`` (``make docs``) writes the files; ``tests/test_documentation.py`` compares them.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from backend.cli import outcome
from backend.cli.main import parser
from backend.errors import WorkbenchError
from backend.serving.wire.records import RECORDS
from backend.serving.wire.refusals import REFUSALS
from backend.serving.wire.routes import PARAMS, QUESTION, ROUTES
from backend.settings import PREFIX, ROOT, SecretStr, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend.serving.wire.shapes import Field, Schema

_NAMES = {"string": "text", "integer": "whole number", "boolean": "true or false", "array": "list", "null": "null"}
FOLDER = ROOT / "docs"
_WRITTEN = "<!-- Written by `make docs` from the code: change it there. -->\n"
_CALLS = (
    "Every command is called as `python -m backend COMMAND`, or as `twinset COMMAND` with the script that set-up writes\n"
    "to `.venv/bin`. `--help` works everywhere. `--json` prints exactly one JSON object on standard output, also on\n"
    'failure: `{"error": {"code": …, "message": …, "next_step": …}}`.'
)
_ROUTES = (
    "What the [endpoint](endpoint.md) accepts, and what it answers. The same for programs: [openapi.json](openapi.json),\n"
    "which the endpoint serves at `/openapi.json`."
)
STATUSES = {
    outcome.DONE: "Done",
    outcome.MENDABLE: "You can fix it: the message says what happened and what to do",
    outcome.USAGE: "Wrong usage: an unknown command or option, an argument that is missing or cannot be read",
    outcome.CHANGES: "`rules plan` found something to publish; 0 where there is nothing, 1 where it would be refused",
    outcome.BROKE: "Twinset itself failed; the traceback is on standard error",
    outcome.STOPPED: "Stopped with Ctrl-C",
    outcome.CLOSED: "The reader of the output closed it, as `head` does",
}


@cache
def pages() -> dict[str, str]:
    """The text of every generated file by its path below the documents."""
    return {
        "reference/cli.md": cli(),
        "reference/settings.md": settings(),
        "reference/errors.md": errors(),
        "reference/routes.md": routes(),
        "decisions/README.md": decisions(),
    }


def cli() -> str:
    rows = [f"| {status} | {text} |" for status, text in STATUSES.items()]
    top = parser()
    parts = [
        "# Commands",
        _WRITTEN,
        _CALLS,
        _table("Option", _options(top)),
        "## Exit statuses",
        "\n".join(["| Status | Meaning |", "|---|---|", *rows]),
        *(part for child in _children(top) for part in _command(*child, "##")),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _children(command: argparse.ArgumentParser) -> list[tuple[str, str, argparse.ArgumentParser]]:
    """Name, help and parser of every command below one."""
    groups = [action for action in command._actions if isinstance(action, argparse._SubParsersAction)]
    return [
        (name, next(one.help or "" for one in group._choices_actions if one.dest == name), child)
        for group in groups
        for name, child in group.choices.items()
    ]


def _command(name: str, help_text: str, command: argparse.ArgumentParser, mark: str) -> list[str]:
    parts = [f"{mark} {name}", command.description or f"{help_text[:1].upper()}{help_text[1:]}"]
    options = [row for row in _options(command) if not row[0].startswith(("`-h", "`--json"))]
    parts += [_table("Argument", options)] if options else []
    if command.epilog:
        title, *lines = command.epilog.splitlines()
        parts += [title[:1].upper() + title[1:], _table("Field", [line.split(": ", 1) for line in lines])]
    below = [_command(f"{name} {child}", *rest, "###") for child, *rest in _children(command)]
    return parts + [part for parts_below in below for part in parts_below]


def _options(command: argparse.ArgumentParser) -> list[list[str]]:
    formatter = command._get_formatter()
    found = [action for action in command._actions if action.help != argparse.SUPPRESS and not _is_group(action)]
    return [[_called(action), _meaning(action, formatter._expand_help(action))] for action in found]


def _is_group(action: argparse.Action) -> bool:
    return isinstance(action, argparse._SubParsersAction)


def _called(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    if not action.option_strings:
        return f"`{value}{'…' if action.nargs in {'*', '+'} else ''}`"
    takes = "" if action.nargs == 0 else f" {value}{'…' if action.nargs in {'*', '+'} else ''}"
    return f"`{', '.join(action.option_strings)}{takes}`"


def _meaning(action: argparse.Action, text: str) -> str:
    notes = [text[:1].upper() + text[1:]]
    says_default = "default" in text or action.nargs == 0 or action.default in (None, "", [], argparse.SUPPRESS)
    notes += [] if says_default else [f"default {action.default}"]
    notes += ["required"] if action.required and action.option_strings else []
    return "; ".join(notes)


def _table(first: str, rows: Iterable[Iterable[str]]) -> str:
    return _grid([first, "Meaning"], rows)


def settings() -> str:
    rows = [
        f"| `{PREFIX}{item.name.upper()}` | {_default(item.default)} | {item.metadata['help']} |"
        for item in fields(Settings)
    ]
    return "\n".join([
        "# Settings", "", _WRITTEN,
        "Twinset reads them from the environment, or else from the file `.env` of the checkout. A name that begins with",
        f"`{PREFIX}` and is not in this table is refused. The **System** page shows the values in force.", "",
        "| Setting | Default | Meaning |", "|---|---|---|", *rows, "",
    ])  # fmt: skip


def _default(value: object) -> str:
    is_empty = value in (Path(), SecretStr(""), "")
    return "" if is_empty else f"`{value}`"


def errors() -> str:
    tree = [
        f"| {'&emsp;' * depth}`{kind.__name__}` | `{kind.code}` | {kind.status} | {_first_line(kind)} |"
        for depth, kind in _tree(WorkbenchError, 0)
    ]
    codes = [f"| `{code}` | {' · '.join(sorted(texts)) or '…'} |" for code, texts in sorted(_special_codes().items())]
    return "\n".join([
        "# Errors", "", _WRITTEN,
        "Every error says what happened (`message`) and what to do about it (`next_step`). `code` is stable. `status` is",
        "the HTTP status if the endpoint answers with the error.", "",
        "| Error | Code | Status | Meaning |", "|---|---|---|---|", *tree, "",
        "## Particular causes", "",
        "Pictures, tables and requests are refused under codes of their own. `…` is filled in when it happens.", "",
        "| Code | Message |", "|---|---|", *codes, "",
    ])  # fmt: skip


def _tree(kind: type[WorkbenchError], depth: int) -> list[tuple[int, type[WorkbenchError]]]:
    below = sorted((one for one in kind.__subclasses__() if one.__module__ == WorkbenchError.__module__), key=_place)
    return [(depth, kind), *(row for one in below for row in _tree(one, depth + 1))]


def _place(kind: type) -> int:
    return list(vars(sys.modules[kind.__module__])).index(kind.__name__)


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0].replace("``", "`")


def _special_codes() -> dict[str, set[str]]:
    """Messages by the codes that are given where an error is raised, from the code's text."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "backend").rglob("*.py")):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if 'code="' in text else ():
            if isinstance(node, ast.Call):
                code = next((k.value for k in node.keywords if k.arg == "code"), None)
                if isinstance(code, ast.Constant):
                    found[code.value] |= {text for text in (_text(one) for one in node.args[:1]) if text}
    return found


def _text(node: ast.expr) -> str:
    """A text as it stands in the code, with ``…`` where something is filled in; empty where it is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def routes() -> str:
    """Routes, parameters, answers and refusals of the endpoint, from the tables that its OpenAPI document is made of."""
    rows = [[f"`{one.method} {one.path}`", f"`{one.scope}`" if one.scope else "none", one.title] for one in ROUTES]
    refused = [[f"`{one.code}`" if one.code else "of the error met", str(one.status), one.meaning] for one in REFUSALS]
    parts = [
        "# Routes",
        _WRITTEN,
        _ROUTES,
        _grid(["Route", "Scope", "What it does"], rows),
        "## Parameters of /v1/recommend",
        "They are in the address.",
        _grid(["Parameter", "Type", "Meaning"], _rows(QUESTION)),
        "## Parameters of /invocations",
        "They are in the object `params` of the body.",
        _grid(["Parameter", "Type", "Meaning"], _rows(PARAMS)),
        "## Records",
        "Of what is accepted and answered, by name.",
        *(
            part
            for record in RECORDS
            for part in (
                f"### {record.name}",
                record.meaning,
                _grid(["Field", "Type", "Meaning"], _rows(record.fields)),
            )
        ),
        "## Refusals",
        "The code is in `error.code` of the answer.",
        _grid(["Code", "Status", "Meaning"], refused),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _rows(given: Iterable[Field]) -> list[list[str]]:
    return [[f"`{one.name}`", f"{_type(one.schema)}{', several' if one.several else ''}", one.meaning] for one in given]


def _type(schema: Schema) -> str:
    """A type as people read it; see :mod:`backend.serving.wire.shapes`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" if value else "empty" for value in schema["enum"])
    kind = schema.get("type", "any")
    kinds = kind if isinstance(kind, list) else [kind]
    text = " or ".join(_NAMES.get(one, one) for one in kinds)
    if "items" in schema:
        text = text.replace("list", f"list of {_type(schema['items'])}")
    if isinstance(schema.get("additionalProperties"), Mapping):
        text += f" of {_type(schema['additionalProperties'])} by name"
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    limits = f", {low} to {high}" if low is not None and high is not None else ""
    return f"{text}{limits}{', default ' + json.dumps(schema['default']) if 'default' in schema else ''}"


def _grid(heads: list[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (heads, *rows)]
    return "\n".join([f"| {lines[0]} |", "|---" * len(heads) + "|", *(f"| {line} |" for line in lines[1:])])


def decisions() -> str:
    """The list of decisions, newest day first."""
    lines, day = [], ""
    for path in sorted((FOLDER / "decisions").glob("[0-9]*.md"), key=lambda path: (_backwards(path), path.name)):
        title, _, date = path.read_text("utf-8").splitlines()[:3]
        lines += ["", f"## {date}", ""] if date != day else []
        lines.append(f"- [{title.removeprefix('# ')}]({path.name})")
        day = date
    what = "What was chosen, why, at what cost, and what else was considered; one file each."
    return "\n".join(["# Decisions", "", _WRITTEN, what, *lines, ""])


def _backwards(path: Path) -> int:
    return -int(path.name[:10].replace("-", ""))


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")

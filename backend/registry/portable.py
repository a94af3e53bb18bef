"""What a registered model takes along to start where nothing of Twinset is: the modules it needs, and its requirements.

Both are read from the source, beginning with the file that MLflow runs and following every import, those in functions
too: what only some pictures, networks and kinds of index need (HEIC, faiss) is loaded when the first of them comes, and
is not in memory when a model is logged.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backend.errors import EnvironmentUnready

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PACKAGE = Path(__file__).resolve().parents[1]
MODEL_CODE = PACKAGE / "registry" / "pyfunc_model.py"
_START = f"{PACKAGE.name}.registry.{MODEL_CODE.stem}"
# A function that is named by its place runs in a process of its own: see backend.files.limited.
_PLACE = re.compile(rf"({PACKAGE.name}(?:\.\w+)+)(?::\w+)?")
# TensorFlow imports it where legacy Keras is asked for, as backend.training.runtime does, and does not require it.
_UNSAID = {"tensorflow": "tf_keras"}
_REQUIREMENT = re.compile(r"([\w.-]+)\s*(?:\[([^\]]*)\])?[^;]*(?:;(.*))?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w.-]+)['\"]")


class Chain(NamedTuple):
    """What the predictor reaches: its own modules, by dotted name, and the top-level names of libraries."""

    modules: dict[str, Path]
    libraries: frozenset[str]


@cache
def import_chain() -> Chain:
    """Follow the imports of the file that MLflow runs."""
    modules: dict[str, Path] = {}
    names, todo = set[str](), [_START]
    while todo:
        name = todo.pop()
        path = _source_of(name)
        if path is None or name in modules:
            continue
        modules[name] = path
        named = set(_named(ast.parse(path.read_text("utf-8"))))
        names |= named
        todo += [*named, name.rpartition(".")[0]]  # a package is imported with each of its modules
    libraries = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {PACKAGE.name}
    return Chain(modules, frozenset(libraries))


def _source_of(name: str) -> Path | None:
    """Return the file of one of our modules; None for whatever else has such a name."""
    first, *rest = name.split(".")
    place = PACKAGE.joinpath(*rest)
    files = (place / "__init__.py", place.with_suffix(".py")) if first == PACKAGE.name else ()
    return next((file for file in files if file.is_file()), None)


def _named(node: ast.AST) -> Iterator[str]:
    """Names that the code below a node imports when it runs, wherever in it; a module's members are among them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (str(child.module), *(f"{child.module}.{alias.name}" for alias in child.names))
        elif isinstance(child, ast.Constant) and (place := _PLACE.fullmatch(str(child.value))):
            yield place[1]
        yield from _named(child)


def copy_code(place: Path) -> Path:
    """Copy the modules that the predictor needs into a new folder, as a package of the same name, and return that."""
    target = place / PACKAGE.name
    for path in import_chain().modules.values():
        copy = target / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return target


def requirements() -> list[str]:
    """Return what pip is to install for the predictor, each in the version that is installed here.

    That is what the chain imports, and what these need in turn, or a model would meet, a year later, libraries that
    nobody tried it with. A file of constraints would say the same of the latter, and is not found where MLflow makes a
    container with conda: it copies one file only.

    Raises:
        EnvironmentUnready: A library is not installed here.
    """
    versions = _closure(_distributions(import_chain().libraries))
    return [f"{name}=={versions[name]}" for name in sorted(versions)]


def _distributions(libraries: Iterable[str]) -> set[str]:
    """Return the distributions that hold these libraries, and what they import without saying so."""
    known, found = _holders(), set()
    for library in (*libraries, *(_UNSAID[name] for name in libraries if name in _UNSAID)):
        holders = set(known.get(library, ()))
        if not holders:
            raise EnvironmentUnready(f"{library} is not installed.", next_step="Run `make setup`.")
        found |= holders  # mlflow lies in three
    return found


@cache
def _holders() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _closure(direct: Iterable[str]) -> dict[str, str]:
    """Return name and installed version of distributions and of all that they need, as far as it is installed."""
    found: dict[str, str] = {}
    seen, todo = set[tuple[str, frozenset[str]]](), [(name, frozenset[str]()) for name in direct]
    while todo:
        if (one := todo.pop()) in seen:
            continue
        seen.add(one)
        try:
            found[_normal(one[0])] = metadata.version(one[0])
        except metadata.PackageNotFoundError:  # for another platform, or another Python
            continue
        todo += _needed(*one)
    return found


def _needed(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Names and extras of what a distribution needs, for itself and for the extras that are asked of it."""
    for line in metadata.requires(name) or ():
        if match := _REQUIREMENT.match(line):
            needed, its_extras, condition = match.groups(default="")
            of_extras = set(_EXTRA.findall(condition))
            if not of_extras or of_extras & extras:
                yield needed, frozenset(its_extras.replace(" ", "").split(",")) - {""}


def _normal(name: str) -> str:
    """Write the name of a distribution as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()

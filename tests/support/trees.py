"""The modules of this checkout, parsed once for all tests that read them."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a module: to walk a tree costs more than whatever is asked of it."""
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))

"""The command ``twinset``: the command line of this checkout, whatever folder it is called from; standard library only."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The shell starts Python by name: a path in the first line may be neither long nor hold a blank.
_LAUNCHER = """#!/bin/sh
'''exec' {python} "$0" "$@"
'''
# PYTHON_ARGCOMPLETE_OK
import sys

sys.path[0] = {root!r}
from backend.__main__ import start

sys.exit(start())
"""


def write_launcher(path: Path, python: Path, root: Path) -> None:
    """Write the command to a file, to be run by an interpreter over the checkout at ``root``."""
    path.write_text(_LAUNCHER.format(python=shlex.quote(str(python)), root=str(root)), encoding="utf-8")
    path.chmod(0o755)

"""Where settings come from besides the environment: a file of the checkout, and files that hold one value each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the ``NAME=value`` lines of a file; none where there is no file."""
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def with_files(variables: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    """Read settings from files that ``…_FILE`` names, as secrets are handed to containers; a value itself comes first."""
    found = dict(variables)
    for name in known:
        path = found.pop(f"{name}_FILE", "")
        if not path or name in found:
            continue
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{name}_FILE names {path}, which cannot be read: {error}.",
                next_step="Correct the path, or let the account that runs Twinset read the file.",
            ) from error
    return found

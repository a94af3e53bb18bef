"""Where a logged model is, and where in it the bundle is; nothing of it is run."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import yaml

from backend.errors import BundleError
from backend.files.plain_files import read_plain

_LONGEST_MLMODEL = 1_000_000  # bytes; it holds signature and example, a few thousand


def local_path(uri: str) -> Path | None:
    """Return the folder that an artifact address names on this machine; None for one elsewhere."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(uri) if parts.scheme == "" else None


def bundle_in(model_folder: Path) -> Path:
    """Find the bundle in a logged model by what its MLmodel file says.

    Raises:
        BundleError: There is no such file, it names no bundle, or one outside of the model.
    """
    try:
        text = read_plain(model_folder / "MLmodel", _LONGEST_MLMODEL).decode("utf-8")
        named = Path(yaml.safe_load(text)["flavors"]["python_function"]["artifacts"]["bundle"]["path"])
    except (OSError, KeyError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise BundleError(
            f"The registered model was not found at {model_folder}.", next_step="Deploy the model again."
        ) from error
    folder = model_folder / named
    steps = [folder, *folder.parents[: len(named.parts) - 1]]
    if named.is_absolute() or ".." in named.parts or any(step.is_symlink() for step in steps):
        raise BundleError(
            f"The registered model at {model_folder} refers to a folder outside itself.",
            next_step="Deploy the model again.",
        )
    return folder

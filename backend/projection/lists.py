"""Named lists of products, one JSON file each below ``lists`` of the home; and selections, by a short id for links."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, get_args

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.errors import ProjectionError
from backend.files.sheet_text import as_csv
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

ListKind = Literal["list", "suspects", "unseen"]
LIST_KINDS: tuple[ListKind, ...] = get_args(ListKind)
SELECTIONS = "selections"
KEPT_SELECTIONS = 500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,59}")
_SHORT = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class ListedProduct:
    """One product of a list, with the label that it had when it was listed."""

    product_id: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class SavedList:
    """Products that someone chose.

    Attributes:
        name: Letters, digits, blanks, hyphens and underscores.
        kind: A plain list, products whose label is doubted, or a class to keep out of training.
        model: Model on whose map they were chosen.
        catalogue: Catalogue that they are of.
        catalogue_version: Its version.
        products: Which.
        created_at: ISO time.
    """

    name: str
    kind: ListKind
    model: str
    catalogue: str
    catalogue_version: int
    products: tuple[ListedProduct, ...]
    created_at: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the products, each once, ascending; products without one are passed over."""
        return tuple(sorted({product.label for product in self.products} - {""}))

    def to_json(self) -> str:
        """Return it as indented JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def to_csv(self) -> str:
        """Return it as CSV; text that a spreadsheet would run as a formula is quoted."""
        return as_csv([("product_id", "label"), *((one.product_id, one.label) for one in self.products)])


@use_case("lists.save", Role.MERCHANDISER, about=lambda _folder, saved: words(list=saved.name))
def save_list(folder: Path, saved: SavedList) -> SavedList:
    """Keep a list under its name; one of the same name is replaced.

    Raises:
        ProjectionError: The name cannot be one, the kind is unknown, or there is no product.
    """
    _check(saved)
    kept = replace(saved, created_at=datetime.now(UTC).isoformat(timespec="seconds"))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{saved.name}.json", kept.to_json().encode())
    return kept


def load_list(folder: Path, name: str) -> SavedList:
    """Read a list.

    Raises:
        ProjectionError: There is no such name, or the file is something else.
    """
    path = folder / f"{name}.json"
    if not _NAME.fullmatch(name) or not path.is_file():
        known = ", ".join(found.name for found in saved_lists(folder)[:5]) or "none yet"
        raise ProjectionError(f"There is no list {name!r}.", next_step=f"Lists are: {known}.")
    try:
        return _read(path)
    except (ValueError, TypeError, KeyError) as error:
        raise ProjectionError(f"The list {name} cannot be read.", next_step="Save it again.") from error


def saved_lists(folder: Path) -> list[SavedList]:
    """Return all lists, newest first; files that are none are passed over."""
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            found.append(_read(path))
        except (ValueError, TypeError, KeyError):
            continue
    return sorted(found, key=lambda one: one.created_at, reverse=True)


@use_case("lists.delete", Role.MERCHANDISER, about=lambda _folder, name: words(list=name))
def delete_list(folder: Path, name: str) -> None:
    """Remove a list; raises ProjectionError where there is none of that name."""
    load_list(folder, name)
    (folder / f"{name}.json").unlink(missing_ok=True)


@use_case("lists.keep_selection", Role.VIEWER, is_audited=False)
def keep_selection(folder: Path, ids: Iterable[str]) -> str:
    """Keep a selection under a short id made of its products, so that a link can name it; the newest are kept."""
    chosen = sorted(set(ids))
    data = json.dumps(chosen, ensure_ascii=False).encode()
    short = hashlib.sha256(data).hexdigest()[:12]
    place = folder / SELECTIONS
    place.mkdir(parents=True, exist_ok=True)
    if not (place / f"{short}.json").is_file():
        write_atomically(place / f"{short}.json", data)
        stored = sorted(place.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in stored[KEPT_SELECTIONS:]:
            path.unlink(missing_ok=True)
    return short


def selection(folder: Path, short: str) -> tuple[str, ...]:
    """Return the products of a selection, ascending.

    Raises:
        ProjectionError: There is none of that id (any more).
    """
    path = folder / SELECTIONS / f"{short}.json"
    if not _SHORT.fullmatch(short) or not path.is_file():
        raise ProjectionError("The selection in this link is no longer stored.", next_step="Select the products again.")
    return tuple(json.loads(path.read_text(encoding="utf-8")))


def listed(ids: Sequence[str], labels: Sequence[str]) -> tuple[ListedProduct, ...]:
    """Return products as a list holds them."""
    return tuple(ListedProduct(name, label) for name, label in zip(ids, labels, strict=True))


def _check(saved: SavedList) -> None:
    if not _NAME.fullmatch(saved.name):
        raise ProjectionError(
            f"{saved.name[:60]!r} is not a valid list name.",
            next_step="Use up to 60 letters, digits, spaces, hyphens and underscores.",
        )
    if saved.kind not in LIST_KINDS:
        raise ProjectionError(f"There is no kind of list {saved.kind!r}.", next_step=f"Use {', '.join(LIST_KINDS)}.")
    if not saved.products:
        raise ProjectionError("The list has no products.", next_step="Select some first.")


def _read(path: Path) -> SavedList:
    raw = json.loads(path.read_text(encoding="utf-8"))
    return SavedList(**{**raw, "products": tuple(ListedProduct(**product) for product in raw["products"])})

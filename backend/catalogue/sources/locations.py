"""Where products may be loaded from: paths on the server that a setting allows, and uploads, kept by content."""

from __future__ import annotations

import hashlib
import io
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from backend.access.person import Role
from backend.access.use_case import use_case
from backend.bundles.bundle import workplace
from backend.catalogue.sources.guessing import guess_mapping, profile_of
from backend.catalogue.sources.pictures.files import FOREIGN_SUFFIXES, PICTURE_SUFFIXES
from backend.catalogue.sources.pictures.listing import FolderSource, LabelFrom, ZipSource
from backend.catalogue.sources.pictures.names import composed
from backend.catalogue.sources.saved_mappings import mappings_for
from backend.catalogue.sources.tables.choice import tables_in
from backend.catalogue.sources.tables.excel_table import is_workbook
from backend.catalogue.sources.tables.files import PARQUET_MAGIC
from backend.catalogue.sources.tables.listing import TableSource
from backend.catalogue.sources.tables.streams import GZIP_MAGIC
from backend.catalogue.sources.zip_bounds import is_zip
from backend.errors import CatalogueError, DatasetUnavailable
from backend.files.plain_files import open_plain
from backend.files.storage import disk_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.catalogue.fetch.finding import AddressBook
    from backend.catalogue.sources.tables.opening import TableKind
    from backend.settings import Settings

Kind = Literal["folder", "zip", "csv", "parquet", "delta"]
# Tables that are read from their start; which of them a file is, its content says.
_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".xml", ".rss", ".atom"})
_TAKEN = "Choose a folder of pictures, a zip, a CSV, JSON, XML, Excel or Parquet file, or a Delta table."
# Files that people try, and what to do with them.
_ADVICE = {
    ".xls": "Save the sheet as CSV in UTF-8 and load that.",
    ".ods": "Save the sheet as CSV in UTF-8 and load that.",
    ".tar": "Unpack it first, or pack a zip.",
    ".rar": "Unpack it first, or pack a zip.",
    ".7z": "Unpack it first, or pack a zip.",
    **dict.fromkeys(PICTURE_SUFFIXES | FOREIGN_SUFFIXES, "Choose the folder that contains the pictures, or zip it."),
}
_SAFE_LENGTH, _SAFE_SUFFIX = 60, 10  # letters of up to four bytes, where a name may have 255 bytes
_CHUNK_BYTES = 1 << 20


def source_roots(settings: Settings) -> list[Path]:
    """Return the folders on the server that products may be loaded from, resolved; none where the setting is empty."""
    names = [name.strip() for name in settings.source_roots.split(os.pathsep)]
    return [Path(name).expanduser().resolve() for name in names if name]


def require_allowed(path: Path, settings: Settings) -> Path:
    """Return the resolved path, which is below one of the roots or among the uploads; it need not exist.

    Raises:
        CatalogueError: It is not.
    """
    resolved = path.expanduser().resolve()
    allowed = [*source_roots(settings), settings.uploads_dir.resolve()]
    if any(resolved.is_relative_to(root) for root in allowed):
        return resolved
    raise CatalogueError(
        f"{path} is not in a folder from which products may be loaded.",
        next_step="Upload it, or add its folder to the setting TWINSET_SOURCE_ROOTS.",
    )


def detect(path: Path) -> Kind:
    """Find out what a path is, by looking at it rather than at its name.

    Raises:
        DatasetUnavailable: There is nothing.
        CatalogueError: Products cannot be loaded from a file of its type.
    """
    try:
        if path.is_dir():
            return _folder_kind(path)
        with open_plain(path.resolve()) as file:
            start = file.read(4)
        return _file_kind(path, start)
    except FileNotFoundError:
        raise DatasetUnavailable(f"{path} does not exist.", next_step="Check the path.") from None
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}.", next_step="Check its permissions.") from error


def open_source(
    kind: Kind,
    path: Path,
    *,
    columns: Mapping[str, str] | None,
    label_from: LabelFrom,
    version: int | None,
    name: str = "",
    table: str = "",
) -> FolderSource | ZipSource | TableSource:
    """Make the source of a path; a folder or zip with one table at its top is that table, with the pictures beside it.

    Args:
        kind: As :func:`detect` says.
        path: The file or folder.
        columns: Column by product field, for tables; guessed where there are none.
        label_from: Where the labels of a folder or zip of pictures come from.
        version: Version of a Delta table; the newest when None.
        name: What the column ``source`` will say; the file's name when empty.
        table: Which table of a folder or zip it is, or ``table_choice.ONLY_PICTURES``; the only one when empty.

    Raises:
        DatasetUnavailable: There is no such file.
        CatalogueError: It is not of that kind, or there are several tables and none is named.
    """
    if kind == "folder" or kind == "zip":  # noqa: PLR1714 - what the type checker follows
        tables = tables_in(kind, path)
        chosen = tables.choose(table)
        notes = tables.unread(chosen)
        if not chosen:
            return (FolderSource if kind == "folder" else ZipSource)(path, label_from, name, notes)
        inner: TableKind = "parquet" if chosen.lower().endswith(".parquet") else "csv"
        place, member = (path / chosen, "") if kind == "folder" else (path, chosen)
        return _mapped(TableSource(place, (), inner, version, name or path.resolve().name, member, notes), columns)
    return _mapped(TableSource(path, (), kind, version, name), columns)


def with_addresses(
    source: FolderSource | ZipSource | TableSource, addresses: AddressBook
) -> FolderSource | ZipSource | TableSource:
    """Return a source whose pictures are also found where they were fetched from the web; only tables name addresses."""
    return replace(source, addresses=addresses) if isinstance(source, TableSource) else source


def with_saved(source: FolderSource | ZipSource | TableSource, folder: Path) -> FolderSource | ZipSource | TableSource:
    """Return a table with the mapping that was last saved for its header, where there is one, and say so."""
    if not isinstance(source, TableSource):
        return source
    saved = next(iter(mappings_for(folder, source.available())), None)
    if saved is None:
        return source
    note = f"Its columns are read as saved under the name “{saved.name}”."
    return replace(source, columns=tuple(saved.columns.items()), notes=(*source.notes, note))


def _mapped(source: TableSource, columns: Mapping[str, str] | None) -> TableSource:
    """Say whose export it is, and which column is what; guess it where nobody says so."""
    source = replace(source, profile=profile_of(source))
    mapping, notes = (dict(columns), ()) if columns else guess_mapping(source)
    return replace(source, columns=tuple(mapping.items()), notes=(*source.notes, *notes))


@use_case("sources.keep_upload", Role.MERCHANDISER, is_audited=False)
def keep_upload(settings: Settings, name: str, data: BinaryIO | bytes) -> Path:
    """Store an upload below the home folder, by its content: the same file again is the same path.

    Args:
        settings: Where uploads are kept, and how large one may be.
        name: Its name as the user has it; only what is safe of it is kept.
        data: Its content.

    Raises:
        CatalogueError: It is larger than the setting allows.
        StorageFull: No space is left.
    """
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        settings.uploads_dir.mkdir(parents=True, exist_ok=True)
        return _stored(settings.uploads_dir, _safe(name), stream, most=settings.max_source_upload_mb)
    except OSError as error:
        if (known := disk_error(error, "try again", so=f", so the upload {name} cannot be stored")) is not None:
            raise known from error
        raise CatalogueError(
            f"The upload {name} cannot be stored: {error.strerror}.", next_step="Try again."
        ) from error


def _folder_kind(path: Path) -> Kind:
    if (path / "_delta_log").is_dir():
        return "delta"
    is_parquet = False
    for entry in path.rglob("*"):
        if _counts(entry.relative_to(path)) and entry.is_file():
            if entry.suffix.lower() != ".parquet":
                return "folder"
            is_parquet = True
    return "parquet" if is_parquet else "folder"


def _counts(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts)


def _file_kind(path: Path, start: bytes) -> Kind:
    suffix = ".tar" if path.name.lower().endswith(".tar.gz") else path.suffix.lower()
    if suffix in _ADVICE:
        raise CatalogueError(f"Products cannot be loaded from a {suffix[1:]} file.", next_step=_ADVICE[suffix])
    if start == PARQUET_MAGIC:
        return "parquet"
    if is_zip(path):
        return "csv" if is_workbook(path) else "zip"
    if suffix in _TABLE_SUFFIXES or (suffix == ".gz" and start.startswith(GZIP_MAGIC)):
        return "csv"
    if suffix in {".zip", ".parquet", ".xlsx", ".gz"}:
        raise CatalogueError(
            f"{path.name} is not a {suffix[1:]} file, or it is damaged.", next_step="Save or download it again."
        )
    raise CatalogueError(f"Unsupported file type: {path.name}.", next_step=_TAKEN)


def _stored(uploads: Path, name: str, stream: BinaryIO, *, most: int) -> Path:
    """Write beside, then rename: an upload is there as a whole or not at all."""
    with workplace(uploads / "upload", "partial") as place:
        partial = place / "upload"
        with partial.open("wb") as file:
            digest = _copied(stream, file, most=most)
        kept = uploads / digest[:16] / name
        kept.parent.mkdir(exist_ok=True)
        partial.replace(kept)
    return kept


def _copied(stream: BinaryIO, file: BinaryIO, *, most: int) -> str:
    """Copy a stream of at most ``most`` MB; return the SHA-256 of its content."""
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK_BYTES):
        size += len(chunk)
        if size > most * 1_000_000:
            raise CatalogueError(
                f"The upload is larger than the {most} MB allowed.",
                next_step="Put the file on the server and load it by its path, or raise the setting.",
            )
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest()


def _safe(name: str) -> str:
    """Keep letters, digits, dots, hyphens and underscores of a file's own name, and its suffix however long it is."""
    own = composed(name.replace("\\", "/")).rpartition("/")[2]
    safe = Path(re.sub(r"[^\w.\-]+", "_", own).lstrip("."))
    suffix = safe.suffix[:_SAFE_SUFFIX]
    return (safe.stem[: _SAFE_LENGTH - len(suffix)] + suffix) or "upload"

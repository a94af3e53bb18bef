"""Sources that are nothing but pictures: a folder of them, or a zip; the sub-folder may be the label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from backend.catalogue.sources.pictures.files import Listed, PictureFolder, product_ids
from backend.catalogue.sources.pictures.folders import read_folders
from backend.catalogue.sources.pictures.names import composed
from backend.catalogue.sources.pictures.zipped import PictureZip
from backend.catalogue.sources.sources import Picture, entry_table
from backend.errors import CatalogueError, DatasetUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

LabelFrom = Literal["folder", "none"]
_NEXT = "Choose one with PNG, JPEG, WEBP or HEIC files, in one subfolder per label."


@dataclass(frozen=True, slots=True)
class FolderSource:
    """The pictures below a folder, which every executor must see at the same path.

    The id of a product is the path of its picture below the folder, without suffix.

    Attributes:
        folder: The folder; made absolute.
        label_from: "folder" takes the name of the sub-folder directly above a picture; "none" leaves labels null, and
            so are those of pictures directly in the folder. Folders named train, test and the like give the split.
        name: What the column ``source`` says; the folder's name when left out.
        notes: Sentences for the user about what is not read.
    """

    folder: Path
    label_from: LabelFrom = "folder"
    name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder.absolute())
        object.__setattr__(self, "name", self.name or self.folder.resolve().name or "folder")

    def entries(self) -> pa.Table:
        """List the pictures, ordered by path; files of other formats are among them, with a reason.

        Raises:
            DatasetUnavailable: There is no such folder.
            CatalogueError: It holds no picture, or it cannot be looked into.
        """
        if not self.folder.is_dir():
            raise DatasetUnavailable(f"There is no folder {self.folder}.", next_step="Check the path.")
        files = PictureFolder(self.folder).files()
        if not files:
            raise CatalogueError(f"The folder {self.folder} contains no pictures.", next_step=_NEXT)
        return _entries(files, self.label_from)

    def remarks(self) -> tuple[str, ...]:
        """Say what is not read."""
        return self.notes

    def read(self, entries: pa.RecordBatch) -> list[Picture]:
        """Return the files' bytes; None for one that is gone."""
        return _pictures(PictureFolder(self.folder), entries)


@dataclass(frozen=True, slots=True)
class ZipSource:
    """The pictures in a zip, which every executor must see at the same path; as :class:`FolderSource`."""

    path: Path
    label_from: LabelFrom = "folder"
    name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.absolute())
        object.__setattr__(self, "name", self.name or self.path.name)

    def entries(self) -> pa.Table:
        """List the pictures, ordered by path; files of other formats and locked ones are among them, with a reason.

        Raises:
            DatasetUnavailable: There is no such file.
            CatalogueError: It is no zip, or it holds no picture.
        """
        files = PictureZip(self.path).files()
        if not files:
            raise CatalogueError(f"The zip {self.path.name} contains no pictures.", next_step=_NEXT)
        return _entries(files, self.label_from)

    def remarks(self) -> tuple[str, ...]:
        """Say what is not read, and how names were read that do not say it themselves."""
        return (*self.notes, *PictureZip(self.path).remarks())

    def read(self, entries: pa.RecordBatch) -> list[Picture]:
        """Return the members' bytes; the zip stays open in a worker process."""
        return _pictures(PictureZip(self.path), entries)


def _entries(files: Sequence[Listed], label_from: LabelFrom) -> pa.Table:
    paths = [composed(file.path) for file in files]
    said = read_folders([PurePosixPath(path).parts[:-1] for path in paths])
    return entry_table(
        {
            "product_id": product_ids(paths),
            "label": [each.label if label_from == "folder" else None for each in said],
            "split": [each.split for each in said],
            "reason": [file.reason for file in files],
            "locator": [file.locator for file in files],
            "position": range(len(files)),
        }
    )


def _pictures(files: PictureFolder | PictureZip, entries: pa.RecordBatch) -> list[Picture]:
    locators = entries.column("locator").to_pylist()
    read = files.reader()
    return [None if locator is None else read(locator) for locator in locators]

"""Pictures that many products share, as "image coming soon": no product's picture, unless somebody says that they are.

What is said of a picture is kept by its hash: it holds for all tables and addresses, and for the runs to come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.catalogue.fetch.layout import DATABASE, LAYOUT
from backend.errors import CatalogueError
from backend.files.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backend.catalogue.fetch.store import PictureStore

PLACEHOLDER_FROM = 20  # products that share a picture, though neither their group nor their title


class SharedPicture(NamedTuple):
    """A picture that many products share.

    Attributes:
        sha256: Of its bytes, hexadecimal.
        products: Of one source that have it, sizes and colours of one counted once.
        addresses: Of that source that lead to it.
        is_real: Whether somebody said that it does show these products.
    """

    sha256: str
    products: int
    addresses: int
    is_real: bool


class SharedPictures:
    """The shared pictures of a store; see :class:`backend.files.database.Database` for its errors."""

    def __init__(self, store: PictureStore) -> None:
        self._database = Database(store.folder / DATABASE, LAYOUT)

    def find(self, source: str) -> list[SharedPicture]:
        """Find, and keep, which pictures many products of a source share that have nothing else in common; most first."""
        counted = (
            "SELECT f.sha256, COUNT(DISTINCT w.owner) AS products, COUNT(DISTINCT w.address) AS addresses FROM wanted w "
            "JOIN fetched f USING (address) WHERE w.source = ? AND f.sha256 != '' GROUP BY f.sha256"
        )
        with self._database.writing() as connection:
            connection.execute(
                f"INSERT OR IGNORE INTO shared (sha256) SELECT sha256 FROM ({counted}) WHERE products >= ?",  # noqa: S608 - our own words
                (source, PLACEHOLDER_FROM),
            )
            rows = connection.execute(
                f"SELECT c.*, s.is_real FROM ({counted}) c JOIN shared s USING (sha256) ORDER BY products DESC, sha256",  # noqa: S608
                (source,),
            ).fetchall()
        return [SharedPicture(row[0], row[1], row[2], bool(row[3])) for row in rows]

    @use_case(
        "sources.say_real",
        Role.ENGINEER,
        about=lambda _self, pictures, *, is_real: words(pictures=" ".join(pictures), real=str(is_real)),
    )
    def say(self, pictures: Sequence[str], *, is_real: bool) -> None:
        """Keep whether pictures show the products that share them; ``False`` takes back what was said.

        Args:
            pictures: Hashes, each in full.
            is_real: What holds for all of them from now on.

        Raises:
            CatalogueError: One was not found to be shared by many products; then nothing is kept.
        """
        with self._database.writing() as connection:
            for sha256 in pictures:
                kept = connection.execute("UPDATE shared SET is_real = ? WHERE sha256 = ?", (is_real, sha256))
                if not kept.rowcount:
                    raise CatalogueError(
                        f"No placeholder picture {sha256[:80]} was found.",
                        next_step="Copy its hash from the result of a fetch.",
                    )

    def real(self, pictures: Iterable[str]) -> set[str]:
        """Return which of some pictures show the products that share them, as somebody said."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT sha256 FROM shared WHERE is_real").fetchall()
        return {row[0] for row in rows} & set(pictures)

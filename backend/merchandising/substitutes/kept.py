"""The substitutes that were found for a catalogue, what was decided about them, and the last readiness: kept in the home.

A decision is a line at the end of a file, so that two windows never overwrite each other's. It names the twin that it is
about: where a later search still finds that twin, the decision stays, and the checking goes on where it was.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.catalogue.delta.delta_log import catalogue_folder
from backend.errors import CatalogueNotFound, RetrievalError
from backend.files.locking import lock_beside, locked
from backend.files.plain_files import open_plain, read_plain
from backend.files.storage import write_atomically
from backend.files.typed_json import built, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_FORMAT = 1
_FOUND, _DECISIONS, _READINESS = "found.arrow", "decisions.jsonl", "readiness.json"
_LONGEST = 10_000_000  # bytes
Decided = Literal["", "keep", "reject"]
SCHEMA = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("twins", pa.list_(pa.string()), nullable=False),
        pa.field("similarities", pa.list_(pa.float32()), nullable=False),
        pa.field("photo", pa.binary()),  # small, of what is a photo and no product
    ]
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a product: whether a twin of it is kept or rejected; empty where it is only shown."""

    product_id: str
    decided: Decided
    twin: str


@dataclass(frozen=True, slots=True)
class About:
    """With what substitutes were found.

    Attributes:
        catalogue, version: The catalogue, and the version that stock and prices are from.
        model, model_version: What compared them.
        at: ISO time.
        selected: Products or photos that were selected.
        reasons: Those without a twin, by why.
        missing: Ids that were named and are not searched; products that were selected and are not searched yet.
        unreadable: Photos that could not be read.
        states_stock: Whether any product states its stock; where none does, all count as in stock.
        request: What was asked for.
    """

    catalogue: str
    version: int
    model: str
    model_version: int
    at: str
    selected: int
    reasons: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    unreadable: int = 0
    states_stock: bool = True
    request: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """Substitutes to check: the rows with a twin, in the order of the selection, and what was decided so far."""

    about: About
    rows: pa.Table
    decisions: dict[str, Decision] = field(default_factory=dict)

    @cached_property
    def ids(self) -> list[str]:
        """The products that have a twin."""
        found: list[str] = self.rows["product_id"].to_pylist()
        return found

    @cached_property
    def current(self) -> list[Decision]:
        """What holds for each row: its decision, or else its best twin, open."""
        return [
            self.decisions.get(one) or Decision(one, "", twins[0])
            for one, twins in zip(self.ids, self.rows["twins"].to_pylist(), strict=True)
        ]

    @property
    def counts(self) -> dict[str, int]:
        """Rows by what was decided: ``keep``, ``reject``, and empty."""
        found = Counter(one.decided for one in self.current)
        return {name: found[name] for name in get_args(Decided)}

    def kept(self, *, unchecked: bool = False) -> list[tuple[int, Decision]]:
        """Return row and decision of those kept, and, where wanted, of those not checked yet."""
        wanted = {"keep", ""} if unchecked else {"keep"}
        return [(at, one) for at, one in enumerate(self.current) if one.decided in wanted]


class Checks:
    """What is kept for one catalogue.

    Args:
        substitutes_dir: The folder of all catalogues.
        catalogue: Name of the catalogue.
    """

    def __init__(self, substitutes_dir: Path, catalogue: str) -> None:
        self._catalogue, self._folder = catalogue, catalogue_folder(substitutes_dir, catalogue)

    def save(self, about: About, rows: pa.Table) -> None:
        """Keep substitutes in place of those found before; decisions about twins that are still among them stay."""
        self._folder.mkdir(parents=True, exist_ok=True)
        head = {"format": str(_FORMAT), "about": json.dumps(asdict(about))}
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, SCHEMA.with_metadata(head)) as writer:
            writer.write_table(rows.cast(SCHEMA))
        with locked(lock_beside(self._folder / _DECISIONS)):
            still = _that_stand(self._decisions(), rows)
            write_atomically(self._folder / _FOUND, sink.getvalue().to_pybytes())
            write_atomically(self._folder / _DECISIONS, b"".join(map(_line, still.values())))

    def load(self) -> Check:
        """Return the substitutes that were found last.

        Raises:
            CatalogueNotFound: None were looked for.
            RetrievalError: The file is damaged, or of a later version of this program.
        """
        try:
            with pa.OSFile(str(self._folder / _FOUND)) as source:
                rows = pa.ipc.open_file(source).read_all()
        except FileNotFoundError as error:
            raise CatalogueNotFound(
                f"No substitutes were looked for in {self._catalogue} yet.",
                next_step="Find them on the Substitutes page, or with `python -m backend substitutes find`.",
            ) from error
        except (OSError, pa.ArrowInvalid) as error:
            raise self._unreadable() from error
        head = {name.decode(): value.decode() for name, value in (rows.schema.metadata or {}).items()}
        if head.get("format") != str(_FORMAT) or not rows.schema.equals(SCHEMA):
            raise self._unreadable()
        about: About = built(About, parsed(head["about"]), "the substitutes")
        return Check(about, rows, _that_stand(self._decisions(), rows))

    @use_case(
        "substitutes.decide",
        Role.MERCHANDISER,
        about=lambda self, decisions: words(catalogue=self._catalogue, decisions=len(decisions)),
    )
    def decide(self, decisions: Sequence[Decision]) -> None:
        """Keep decisions, in their order; later ones hold. What was found need not name the product any more."""
        data = b"".join(map(_line, decisions))
        with locked(lock_beside(self._folder / _DECISIONS)), (self._folder / _DECISIONS).open("ab") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def save_readiness(self, figures: dict[str, Any]) -> None:
        """Keep the figures of a readiness."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._folder / _READINESS, json.dumps({"format_version": _FORMAT, **figures}).encode())

    def readiness(self) -> dict[str, Any] | None:
        """Return the figures of the last readiness; None where there are none that can be read."""
        try:
            found: dict[str, Any] = parsed(read_plain(self._folder / _READINESS, _LONGEST))
        except (OSError, ValueError, RecursionError):
            return None
        return found if found.pop("format_version", None) == _FORMAT else None

    def _decisions(self) -> Iterable[Decision]:
        try:
            with open_plain(self._folder / _DECISIONS) as stream:
                lines = stream.read().split(b"\n")
        except FileNotFoundError:
            return
        for line in filter(None, lines):
            try:
                yield built(Decision, dict(zip(Decision.__slots__, parsed(line), strict=True)), "a decision")
            except (ValueError, TypeError):  # a line that was not written to its end
                continue

    def _unreadable(self) -> RetrievalError:
        return RetrievalError(f"The substitutes of {self._catalogue} cannot be read.", next_step="Find them again.")


def _line(one: Decision) -> bytes:
    return json.dumps([one.product_id, one.decided, one.twin], ensure_ascii=False).encode() + b"\n"


def _that_stand(decisions: Iterable[Decision], rows: pa.Table) -> dict[str, Decision]:
    """Return the last decision about each product, unless its twin is not among the candidates any more."""
    last = {one.product_id: one for one in decisions}
    twins = dict(zip(rows["product_id"].to_pylist(), rows["twins"].to_pylist(), strict=True)) if last else {}
    return {name: one for name, one in last.items() if one.twin in (twins.get(name) or ())}

"""Pins and blocks as CSV, in the layout that other tools use: one row a seed product, with what is pinned and blocked.

``pinned`` has ids in the order of their places, parted by ``|`` or commas; nothing between two bars is a place that is left
free. A CSV holds pins and blocks of single seed products that are always in force. All other rules stay as they are when one
is read, and are counted when one is written.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backend.catalogue.sources.tables.csv_table import CsvTable
from backend.catalogue.sources.tables.files import TableFile
from backend.errors import RetrievalError
from backend.files.sheet_text import guarded, unguarded
from backend.merchandising.merging import by_id
from backend.merchandising.wording import counted, listed
from backend.retrieval.rules.rule import Rule, Scope, unusable
from backend.retrieval.rules.rule_set import RuleSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

COLUMNS = ("seed", "pinned", "blocked")
_CALLED = {
    "seed": ("seed", "seed id", "product", "product id", "sku", "id"),
    "pinned": ("pinned", "pins", "pinned ids", "pinned products", "promoted"),
    "blocked": ("blocked", "blocks", "blocked ids", "blocked products", "excluded"),
}
_BAR, _COMMA = "|", ","
_NEXT = "The first line must be seed,pinned,blocked."


@dataclass(frozen=True, slots=True)
class Row:
    """What a CSV says of one seed: ids by place, and ids that are blocked."""

    pinned: Mapping[int, str]
    blocked: Sequence[str]


def as_csv(rules: Iterable[Rule]) -> tuple[str, list[str]]:
    """Return rules as CSV, and sentences that count what it does not hold."""
    rules = list(rules)
    held = _held(rules)
    pins: dict[str, dict[int, str]] = defaultdict(dict)
    blocks: dict[str, dict[str, None]] = defaultdict(dict)
    for rule in held:
        (seed,) = rule.scope.values
        if rule.slot:
            pins[seed][rule.slot] = rule.products[0]
        else:
            blocks[seed].update(dict.fromkeys(rule.products))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for seed in sorted(pins.keys() | blocks.keys()):
        slots = range(1, max(pins[seed], default=0) + 1)
        cells = (seed, _joined([pins[seed].get(slot, "") for slot in slots]), _joined(list(blocks[seed])))
        writer.writerow([guarded(cell) for cell in cells])
    return file.getvalue(), _left_out(rules, held)


def from_csv(path: Path, existing: Iterable[Rule]) -> tuple[list[Rule], list[str]]:
    """Read pins and blocks: they take the place of those that a CSV holds; all other rules stay.

    A rule that the CSV says again keeps its id, its reason and its owner.

    Returns:
        All rules, ascending by id, and sentences about what was passed over.

    Raises:
        RetrievalError: The file is no such table, or a row of it cannot be used; the message says which.
        CatalogueError: It cannot be read as CSV.
    """
    rows, notes = _rows(path)
    existing = list(existing)
    held = _held(existing)
    rules = {rule.id: rule for rule in existing if rule not in held}
    for seed, row in rows.items():
        mine = [rule for rule in held if rule.scope.values == (seed,)]
        rules |= by_id([*_pins(seed, row, mine), *_blocks(seed, row, mine)])
    return list(RuleSet.of(rules.values()).rules), notes


# ------------------------------------------------------------------------------------------------ writing


def _held(rules: Iterable[Rule]) -> list[Rule]:
    """Return the rules that a CSV holds, by who wins: of several pins on one place, one."""
    found: dict[tuple[object, ...], Rule] = {}
    for rule in sorted(rules, key=lambda one: one.rank):
        if _fits(rule):
            found.setdefault((rule.scope, rule.slot) if rule.slot else (rule.id,), rule)
    return list(found.values())


def _fits(rule: Rule) -> bool:
    is_one = rule.action in {"pin", "block"} and rule.scope.kind == "product" and len(rule.scope.values) == 1
    is_usual = not (rule.starts or rule.ends or rule.priority or rule.where)
    names = (*rule.scope.values, *rule.products)
    return is_one and is_usual and all(_BAR not in name and name == name.strip() for name in names)


def _joined(ids: Sequence[str]) -> str:
    """Join ids so that they are parted as they were: a bar at the end says that commas part nothing."""
    text = _BAR.join(ids)
    return f"{text}{_BAR}" if _COMMA in text and _BAR not in text else text


def _left_out(rules: Sequence[Rule], held: Sequence[Rule]) -> list[str]:
    notes = []
    if left := [rule.id for rule in rules if rule not in held]:
        what = counted(len(left), "rule is", "rules are")
        notes.append(
            f"{what} not in the CSV, which contains only pins and blocks in answers for single products that are always "
            f"in force: {listed(left)}."
        )
    if said := [rule.id for rule in held if rule.reason or rule.owner]:
        what = counted(len(said), "rule has a reason or an owner", "rules have a reason or an owner")
        notes.append(f"{what} that the CSV does not contain: {listed(said)}.")
    return notes


# ------------------------------------------------------------------------------------------------ reading


def _rows(path: Path) -> tuple[dict[str, Row], list[str]]:
    table = CsvTable(TableFile(path))
    columns = _columns(list(table.columns()))
    rows: dict[str, Row] = {}
    for number, row in enumerate(table.rows(None), 2):
        if row.problem and row.problem.startswith("empty_row"):
            continue
        if row.problem:
            raise unusable(f"Row {number:,} of {path.name}: {row.problem.partition(': ')[2]}", _NEXT)
        cells = {name: unguarded(str(row.values.get(column) or "").strip()) for name, column in columns.items()}
        seed = cells["seed"]
        if not seed or seed in rows:
            wrong = f"has the seed {seed[:40]!r} again" if seed else "has no seed"
            raise unusable(f"Row {number:,} of {path.name} {wrong}.", "Write one row for each seed product.")
        pinned = {slot: name for slot, name in enumerate(_parted(cells.get("pinned", "")), 1) if name}
        rows[seed] = Row(pinned, list(dict.fromkeys(filter(None, _parted(cells.get("blocked", ""))))))
    unread = [name for name in table.columns() if name not in columns.values()]
    return rows, [f"{counted(len(unread), 'column')} of {path.name} was not read: {listed(unread)}."] if unread else []


def _columns(names: Sequence[str]) -> dict[str, str]:
    plain = {" ".join(name.lower().replace("_", " ").replace("-", " ").split()): name for name in reversed(names)}
    found = {field: next((plain[one] for one in called if one in plain), "") for field, called in _CALLED.items()}
    if not found["seed"] or not (found["pinned"] or found["blocked"]):
        raise unusable("The CSV has no column for seeds, or none for what is pinned or blocked.", _NEXT)
    return {field: name for field, name in found.items() if name}


def _parted(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(_BAR if _BAR in cell else _COMMA)]


def _pins(seed: str, row: Row, mine: Sequence[Rule]) -> list[Rule]:
    kept = {rule.slot: rule for rule in mine if rule.slot}
    rules = []
    for slot, product in row.pinned.items():
        old = kept.get(slot)
        same = old is not None and old.products == (product,)
        rules.append(old if old is not None and same else _made(seed, f"pin-{slot}", product, slot=slot))
    return rules


def _blocks(seed: str, row: Row, mine: Sequence[Rule]) -> list[Rule]:
    """Return the blocks: older ones with those of their products that are still there, and one for what is new."""
    rules, left = [], dict.fromkeys(row.blocked)
    for old in (rule for rule in mine if rule.action == "block"):
        still = tuple(product for product in old.products if product in row.blocked)
        left = {product: None for product in left if product not in still}
        rules += [replace(old, products=still)] if still else []
    if left:
        made = _made(seed, "block", *left)
        taken = next((rule for rule in rules if rule.id == made.id), None)
        rules = [rule for rule in rules if rule is not taken]
        rules.append(replace(taken, products=(*taken.products, *left)) if taken else made)
    return rules


def _made(seed: str, what: str, *products: str, slot: int | None = None) -> Rule:
    """Make a rule whose id depends on its seed and place only, so that the same CSV makes the same rules."""
    name = f"csv-{hashlib.sha256(seed.encode()).hexdigest()[:12]}-{what}"
    try:
        return Rule(name, "pin" if slot else "block", Scope("product", (seed,)), products, slot=slot)
    except RetrievalError as error:
        raise unusable(f"The row of the seed {seed[:40]!r}: {error.message}", error.next_step) from error

"""Exports of shops read: ``python -m tests.benchmarks.feeds_parse --json`` (``--rows N``, ``--rounds N``).

A Google feed as text with tabs, the same one as XML, a Shopify and a WooCommerce export, each made here with ``--rows``
rows, listed as a load lists them: recognised, read by their grammar, values parsed, the row kept as it was. Before times
count, every row must be a product or counted, with the ids, groups, prices, stock figures and pictures that it was made
with. ``ratio`` is the slower of the two required rates over what is required: 30,000 rows a second of CSV, 10,000 of XML.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.catalogue.sources.locations import detect, open_source
from backend.catalogue.sources.tables.reading import reading_of
from tests.support.benchmarking import machine, ratio_of, told
from tests.support.shop_exports import GOOGLE_HEADER, SHOPIFY_HEADER, WOO_HEADER

if TYPE_CHECKING:
    import pyarrow as pa

ASKED = {"csv": 30_000, "xml": 10_000}
CDN = "https://cdn.example.com"


def offer(at: int) -> dict[str, str]:
    return {
        "id": f"SKU-{at}",
        "title": f"Rain jacket – no. {at}",
        "link": f"https://shop.example.com/p/{at}?v={at}",
        "description": "Taped seams, packs into its own pocket",
        "image_link": f"{CDN}/{at}.jpg",
        "brand": "Fjell",
        "additional_image_link": f"{CDN}/{at}-back.jpg,{CDN}/{at}-hood.jpg",
        "availability": "in_stock",
        "price": f"{at % 900}.50 USD",
        "gtin": str(4006381333931 + at),
        "condition": "new",
        "item_group_id": f"G{at // 4}",
        "product_type": "Men > Jackets > Rain",
        "color": "Red",
        "gender": "male",
    }


def written(folder: Path, rows: int) -> dict[str, Path]:
    """Write the exports; returns each by the name of what is measured."""
    with (folder / "google.tsv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, GOOGLE_HEADER.split(","), delimiter="\t")
        writer.writeheader()
        writer.writerows(map(offer, range(rows)))
    with (folder / "google.xml").open("w", encoding="utf-8") as file:
        file.write('<rss xmlns:g="http://base.google.com/ns/1.0"><channel>\n')
        for at in range(rows):
            cells = "".join(
                f"<g:{name}>{part.replace('>', '&gt;')}</g:{name}>"
                for name, value in offer(at).items()
                for part in (value.split(",") if name.startswith("additional") else [value])
            )
            file.write(f"<item>{cells}</item>\n")
        file.write("</channel></rss>")
    return {
        "csv": folder / "google.tsv",
        "xml": folder / "google.xml",
        "shopify": _table(folder / "shopify.csv", SHOPIFY_HEADER, [_variant(at) for at in range(rows)]),
        "woocommerce": _table(folder / "woo.csv", WOO_HEADER, [_product(at) for at in range(rows)]),
    }


def _table(path: Path, header: str, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header.split(","), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _variant(at: int) -> dict[str, str]:
    first = {
        "Title": f"Jacket {at // 4}",
        "Vendor": "Fjell",
        "Type": "Jacket",
        "Option1 Name": "Size",
        "Status": "active",
    }
    return {
        "Handle": f"G{at // 4}",
        "Option1 Value": str(at % 4),
        "Variant SKU": f"SKU-{at}",
        "Variant Price": f"{at % 900}.50",
        "Variant Inventory Qty": "4",
        "Image Src": f"{CDN}/{at}.jpg",
        "Variant Image": f"{CDN}/{at}.jpg",
        **(first if at % 4 == 0 else {}),
    }


def _product(at: int) -> dict[str, str]:
    kind = {"Type": "variable"} if at % 4 == 0 else {"Type": "variation", "Parent": f"SKU-{at - at % 4}"}
    return {
        "ID": str(at),
        "SKU": f"SKU-{at}",
        "Name": f"Jacket {at}",
        "Regular price": f"{at % 900},50",
        "Stock": "4",
        "Categories": "Men > Jackets",
        "Images": f"{CDN}/{at}.jpg, {CDN}/{at}-back.jpg",
        **kind,
    }


def listed(path: Path) -> pa.Table:
    return open_source(detect(path), path, columns=None, label_from="folder", version=None).entries()


def is_right(name: str, entries: pa.Table, rows: int) -> bool:
    """Tell whether every row is what it was made as."""
    reading = reading_of(entries)
    if reading is None or reading.rows != rows or rows != entries.num_rows + sum(reading.other_rows.values()):
        return False
    numbers = [at for at in range(rows) if name != "woocommerce" or at % 4]
    groups = {"woocommerce": "SKU-{}"}.get(name, "G{}")
    of = 1 if name != "woocommerce" else 4
    wanted = {
        "product_id": [f"SKU-{at}" for at in numbers],
        "group_id": [groups.format(at // 4 * of) for at in numbers],
        "price": [at % 900 + 0.5 for at in numbers],
        "locator": [f"{CDN}/{at}.jpg" for at in numbers],
    }
    return all(entries[column].to_pylist() == values for column, values in wanted.items())


def run(rows: int, rounds: int) -> dict[str, Any]:
    rates: dict[str, list[float]] = {}
    is_correct = True
    with tempfile.TemporaryDirectory() as place:
        paths = written(Path(place), rows)
        for name, path in paths.items():
            is_correct &= is_right(name, listed(path), rows)
        for _ in range(rounds):
            for name, path in paths.items():
                started = time.perf_counter()
                listed(path)
                rates.setdefault(name, []).append(rows / (time.perf_counter() - started))
    worst = min(ASKED, key=lambda name: sorted(rates[name])[rounds // 2] / ASKED[name])
    # Times in seconds for as many rows as are required in one.
    ratio, ci95 = ratio_of([1.0] * rounds, [ASKED[worst] / rate for rate in rates[worst]])
    return {
        "bench": "feeds_parse",
        "ratio": ratio,
        "ci95": ci95,
        "correct": is_correct,
        "figures": {f"{name}_rows_s": round(sorted(found)[rounds // 2]) for name, found in rates.items()}
        | {"rows": rows},
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--rows", type=int, default=60_000, help="rows of each export")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is read")
    options = parser.parse_args()
    print(told(run(options.rows, options.rounds), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())

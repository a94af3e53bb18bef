"""What the jobs that make and keep catalogues brought, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import words
from app.services import catalogue

if TYPE_CHECKING:
    from backend.catalogue.items import IngestReport

_GONE = {"keep": "kept", "mark": "marked as withdrawn", "delete": "deleted"}


def loaded(result: dict[str, Any]) -> list[str]:
    """Say what came of loaded or checked products."""
    report = catalogue.report_of(result)
    if report.staged:
        return [f"{_found(report)} Nothing is stored in {report.catalogue} yet."]
    if report.version == report.base_version:
        return [
            f"{_found(report)} Nothing has changed since version {report.version} of {report.catalogue}.",
            *report.notes,
        ]
    return [_stored(report), *_measured(result), *report.notes]


def renewed(result: dict[str, Any]) -> list[str]:
    """Say what came of products that were loaded again; where nothing is new, there is no more than that sentence."""
    return list(result["notes"]) if "unchanged_since" in result else loaded(result)


def _found(report: IngestReport) -> str:
    rejected = sum(report.rejected.values())
    cannot = f", {rejected:,} cannot" if rejected else ""
    return f"{words.count(report.kept, 'product')} of {report.source} can be used{cannot}."


def _stored(report: IngestReport) -> str:
    counts = report.counts
    told = [f"{counts.new:,} new", f"{counts.changed:,} changed", f"{counts.unchanged:,} unchanged"]
    if counts.gone:
        told.append(f"{counts.gone:,} no longer in the source ({_GONE[report.gone_policy]})")
    if rejected := sum(report.rejected.values()):
        told.append(f"{rejected:,} rejected")
    return f"The catalogue {report.catalogue} is now at version {report.version}: {', '.join(told)}."


def _measured(result: dict[str, Any]) -> list[str]:
    measured, left_out = result.get("measured"), result.get("left_out", 0)
    told = [] if measured is None else [f"{words.count(measured, 'picture was', 'pictures were')} measured."]
    return (
        [*told, f"{words.count(left_out, 'picture')} could not be read, so no measurement is possible."]
        if left_out
        else told
    )


def measured(result: dict[str, Any]) -> list[str]:
    """Say what came of measured pictures."""
    if not result["measured"] and not result.get("left_out"):
        return [f"All pictures of {result['catalogue']} were already measured."]
    return _measured(result)


def resplit(result: dict[str, Any]) -> list[str]:
    """Say what came of products given other uses."""
    if not result["moved"]:
        return [f"All products of {result['catalogue']} already have the right use."]
    moved = words.count(result["moved"], "product was", "products were")
    if "leaks" in result:
        groups = words.count(result["leaks"], "group has", "groups have")
        return [f"{moved} given another use: {groups} a single use now, in version {result['version']}."]
    return [f"{moved} given another use, in version {result['version']}."]


def restored(result: dict[str, Any]) -> list[str]:
    """Say what came of a restored version."""
    return [
        f"{result['catalogue']} was restored to version {result['restored']}; this is now version {result['version']}."
    ]


def searchable(result: dict[str, Any]) -> list[str]:
    """Say what came of preparing to find similar products."""
    products = words.count(result["products"], "product")
    return [f"{products} of {result['catalogue']} can be found by a photo now.", *words.left_out(result["left_out"])]


def tidied(result: dict[str, Any]) -> list[str]:
    """Say what came of tidying up."""
    found = []
    if "files_before" in result:
        before, after = result["files_before"], result["files_after"]
        found.append(
            f"{words.count(before, 'file')} of {result['catalogue']} were combined into {after:,}."
            if after != before
            else f"There were no small files to combine in {result['catalogue']}: {words.count(before, 'file')}."
        )
    if "files_removed" in result:
        files = words.count(result["files_removed"], "old file was", "old files were")
        removed = f"{files} removed, {words.size(result['bytes_freed'])} freed."
        found.append(
            f"{removed if result['files_removed'] else 'There were no old files to remove.'} "
            f"The oldest version of {result['catalogue']} that can be opened is {result['oldest_readable']}."
        )
    return found


def listed(result: dict[str, Any]) -> list[str]:
    """Say what came of the list of similar products."""
    told = (
        f"{words.count(result['products'], 'product')} of {result['catalogue']} with the {result['k']} most like each."
    )
    changed = result["inserted"] + result["updated"] + result["deleted"]
    if not changed:
        return [told, "Nothing has changed since the last time."]
    looked = "all products" if result["is_whole"] else words.count(result["searched"], "product")
    return [told, f"{words.count(changed, 'entry', 'entries')} changed; {looked} looked up."]


def fetched(result: dict[str, Any]) -> list[str]:
    """Say what came of fetching pictures, or what it would take."""
    if "ready" not in result:
        return [_estimate(result)]
    failed = sum(result["failed"].values())
    told = [
        (
            f"{words.count(result['ready'], 'picture is', 'pictures are')} ready to load: "
            f"{result['fetched']:,} fetched ({words.size(result['n_bytes'])}), {result['unchanged']:,} unchanged."
        )
    ]
    if failed:
        reasons = ", ".join(f"{words.reason(code)} {count:,}" for code, count in result["failed"].items())
        told.append(f"{words.count(failed, 'picture')} could not be fetched: {reasons}.")
    if result["placeholders"]:
        told.append(
            f"{words.count(result['placeholders'], 'address leads', 'addresses lead')} to placeholder pictures."
        )
    return told


def exported(result: dict[str, Any]) -> list[str]:
    """Say what a corrected table has, and what could not be corrected."""
    rows, cells = words.count(result["rows"], "row"), words.count(result["cells"], "cell")
    told = [
        f"The table is ready to download: {rows}, {cells} corrected in {words.count(result['changed'], 'row')}."
        if result["cells"]
        else f"The table is ready to download: {rows}, and nothing had to be corrected."
    ]
    if result["left_out"]:
        few = words.count(result["left_out"], "row cannot", "rows cannot")
        told.append(f"{few} be corrected here and would not be loaded; the last column says why.")
    return told


def _estimate(result: dict[str, Any]) -> str:
    hosts = words.count(len(result["hosts"]), "host")
    due = f"{words.count(result['due'], 'picture')} on {hosts} to fetch"
    if result["seconds"] is None:
        return f"{due}."
    return f"{due}: about {words.size(result['n_bytes'])}, {words.duration(result['seconds'])}."


def simulated(result: dict[str, Any]) -> list[str]:
    """Say what rules would change in the answers."""
    return list(result["summary"])

"""What the Catalogue page asks of the list of similar products that the shop's own page reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.services import common, deploy
from backend.merchandising.rule_store import RuleStore
from backend.merchandising.similar.exports import as_bytes
from backend.merchandising.similar.stand import stand
from backend.progress import NullProgress
from backend.registry.ledger import CHAMPION

if TYPE_CHECKING:
    from backend.merchandising.similar.layouts import LayoutName
    from backend.merchandising.similar.stand import Stand


def of(catalogue: str) -> Stand | None:
    """Return how the list of a catalogue stands; None where there is none."""
    champion = deploy.ledger().at(CHAMPION)
    version = champion.version if champion is not None else 0
    found = common.settings()
    rules = RuleStore(found.rules_dir, catalogue).newest()
    return stand(found.similar_dir, catalogue, model_version=version, rules_version=rules)


def file_of(catalogue: str, layout: LayoutName) -> bytes:
    """Return the list as a file; errors are those of an export."""
    found = common.settings()
    return as_bytes(found.similar_dir, found.catalogues_dir, catalogue, layout, NullProgress())

"""What a rule that is not saved yet moves in the answer for one product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app.components.rules import titles
from app.components.rules.scope import product_ids
from app.services import common, rules, trials
from backend.errors import CatalogueError, EndpointError, EndpointUnreachable, RetrievalError
from backend.retrieval.rules.rule import NAMED_BY, conditions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.retrieval.rules.rule import Rule

RESULTS = 20
_TRIED = 6


def show(catalogue: str, before: Sequence[Rule], after: Sequence[Rule], rule: Rule) -> None:
    """Say at once how many results of an example change: of a product that is chosen, or of the photo the rule is for."""
    image = _example(catalogue, rule)
    if image is not None:
        show_in(catalogue, before, after, rule, image)


def show_in(catalogue: str, before: Sequence[Rule], after: Sequence[Rule], rule: Rule, image: bytes) -> None:
    """Say how many results change in the answer to a picture."""
    try:
        moved, of = trials.moves(catalogue, before, after, image, RESULTS)
    except EndpointUnreachable:
        st.caption("What moves cannot be shown: the search service is not running.")
        return
    except (EndpointError, RetrievalError) as error:
        notices.show(error)
        return
    text = f"**{moved:d} of {words.count(of, 'result')} {'changes' if moved == 1 else 'change'}** in this example."
    st.markdown(f":material/swap_vert: {text}")
    if not rule.holds_at(titles.now()):
        st.caption("The rule is not live now, so nothing moves yet.")


def _example(catalogue: str, rule: Rule) -> bytes | None:
    """Return the picture whose answer is the example: the rule's own photo, or that of a product that is chosen."""
    if rule.scope.kind == "picture":
        return rules.store(catalogue).pictures.read(rule.scope.values[0])
    try:
        version = common.snapshot(catalogue).version
        options = _offered(catalogue, version, rule)
        if not options:
            return None
        chosen = st.selectbox("Example product", options, key="rule_example", width=320)
        return common.product(catalogue, version, chosen).image
    except CatalogueError:
        return None


def _offered(catalogue: str, version: int, rule: Rule) -> list[str]:
    """Return products to choose from, first those that the rule is for."""
    known, scope = rules.known(catalogue), rule.scope
    if known is None:
        return []
    own = scope.values if scope.kind in {"product", "nearest"} else ()
    if scope.kind in NAMED_BY:
        own = tuple(sorted(known.matching(conditions({scope.kind: scope.values})))[:_TRIED])
    usual = [one.product_id for one in common.examples(catalogue, version, _TRIED)] if scope.kind == "all" else []
    return [one for one in dict.fromkeys([*own, *usual, *product_ids(catalogue)]) if one in known.ids]

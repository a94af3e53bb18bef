"""What a rule that is not saved yet moves in the answer for one product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app.components.rules.scope import product_ids
from app.services import common, rules
from backend.errors import CatalogueError, EndpointError, EndpointUnreachable, RetrievalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.catalogue.items import Product
    from backend.retrieval.rules.rule import Rule

RESULTS = 20
_TRIED = 6


def show(catalogue: str, before: Sequence[Rule], after: Sequence[Rule], rule: Rule) -> None:
    """Say at once how many results of an example change: of a product that the rule is for, or of any that is chosen."""
    example = _example(catalogue, rule)
    if example is None:
        return
    try:
        moved, of = rules.moves(catalogue, before, after, example.image, RESULTS)
    except EndpointUnreachable:
        st.caption("What moves cannot be shown: the search service is not running.")
        return
    except (EndpointError, RetrievalError) as error:
        notices.show(error)
        return
    text = f"**{moved} of {words.count(of, 'result')} {'changes' if moved == 1 else 'change'}** in this example."
    st.markdown(f":material/swap_vert: {text}")
    if not moved:
        st.caption("The rule may be for other answers, or not live now.")


def _example(catalogue: str, rule: Rule) -> Product | None:
    """Let a product be chosen whose answer is the example; the products that the rule is for come first."""
    try:
        version = common.snapshot(catalogue).version
        usual = [one.product_id for one in common.examples(catalogue, version, _TRIED)]
        known = rules.known(catalogue)
        own = [*(rule.scope.values if rule.scope.kind in {"product", "nearest"} else ()), *rule.products]
        options = [one for one in dict.fromkeys([*own, *usual, *product_ids(catalogue)]) if known and one in known.ids]
        if not options:
            return None
        chosen = st.selectbox("Example product", options, key="rule_example", width=320)
        return common.product(catalogue, version, chosen)
    except CatalogueError:
        return None

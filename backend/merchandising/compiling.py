"""Rules that are kept, looked up in the gallery of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.retrieval.rules.compiled import CompiledRules

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from backend.merchandising.rule_store import RuleStore
    from backend.retrieval.recommend import Recommender
    from backend.retrieval.rules.rule_set import RuleSet


def compiled(
    rules: RuleSet, store: RuleStore, recommender: Recommender, *, at: datetime | None = None
) -> CompiledRules:
    """Return rules as a model applies them, those that are in force at a time, or now.

    Args:
        rules: The set.
        store: Where its pictures are.
        recommender: The model with its gallery.
        at: The time.
    """

    def embed(sha256: str) -> NDArray[np.float32]:
        return recommender.embedding(store.pictures.read(sha256))

    return CompiledRules(rules, recommender.gallery, embed, now=at)

"""A refresh of the similar-products table is what making everything again gives, row for row."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.merchandising.similar.answers import Answering, as_rows
from backend.merchandising.similar.moves import Moves
from backend.merchandising.similar.near import near_of
from backend.merchandising.similar.refresh import refreshed, state_of
from backend.merchandising.similar.ruled import RulesAt
from backend.merchandising.similar.source import Source
from backend.retrieval import arrange
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.further import Further, PicturesIndex
from backend.retrieval.rules.rule import Rule, Scope, conditions
from backend.retrieval.rules.rule_set import RuleSet
from tests.support.made_galleries import gallery_of, manifest_of, unit

PICTURE = "a" * 64
ORDER = [("product_id", "ascending"), ("rank", "ascending")]


class Shop:
    """Products that come, change and go; few different pictures, so that many are equally near."""

    def __init__(self, seed, *, has_groups, has_further):
        self.rng = np.random.default_rng(seed)
        self.looks = unit(self.rng.standard_normal((14, 4)))
        self.has_groups, self.has_further = has_groups, has_further
        self.products = {}
        self.put(int(self.rng.integers(2, 40)))

    def put(self, count):
        for number in self.rng.choice(60, min(count, 60), replace=False):
            # Every other picture is one of a few, the rest are of their own.
            own = unit(self.rng.standard_normal((1, 4)))[0]
            look = self.looks[self.rng.integers(14)] if self.rng.integers(2) else own
            group = f"g{self.rng.integers(6)}" if self.has_groups and self.rng.integers(3) else None
            more = self.looks[self.rng.integers(0, 14, self.rng.integers(3))] if self.has_further else self.looks[:0]
            self.products[f"p{number:02d}"] = (look, group, more, float(self.rng.integers(9)))

    def drop(self, count):
        for name in self.rng.permutation(sorted(self.products))[: min(count, len(self.products) - 1)]:
            del self.products[name]

    def price(self):
        for name in self.rng.permutation(sorted(self.products))[:3]:
            self.products[name] = (*self.products[name][:3], float(self.rng.integers(9)))

    @property
    def source(self):
        ids = sorted(self.products)
        brands = [f"b{int(name[1:]) % 3}" for name in ids]
        looks, groups, more, prices = zip(*(self.products[name] for name in ids), strict=True)
        index = ExactIndex(np.stack(looks).astype(np.float32))
        if owners := [at for at, some in enumerate(more) for _ in some]:
            count = len(owners)
            vectors = np.concatenate(more).astype(np.float32)
            places = np.arange(1, count + 1, dtype=np.int32)
            index = PicturesIndex(
                index, Further(np.array(owners, np.int32), places, np.zeros((count, 32), np.uint8), vectors)
            )
        return Source(
            manifest_of("made", 4), index, gallery_of(ids, {"group_id": groups, "price": prices, "brand": brands})
        )


NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def some_rules(shop, version):
    """Rules of every kind, some of which stay from version to version."""
    rng, rules = shop.rng, []
    for number in range(int(rng.integers(0, 5))):
        action = str(rng.choice(["pin", "soft pin", "boost", "bury", "block", "fall-back"]))
        kind = str(rng.choice(["all", "product", "nearest", "brand", "picture"]))
        ids = [f"p{one:02d}" for one in rng.choice(60, 3, replace=False)]
        values = {"all": (), "brand": ("b1",), "picture": (PICTURE,)}.get(kind, tuple(ids))
        by_where = action in {"boost", "bury", "block"} and rng.integers(2)
        rules.append(
            Rule(
                f"{action.replace(' ', '-')}-{number}",
                action,
                Scope(kind, values, radius=0.3 if kind == "picture" else 0.0),
                products=() if by_where else tuple(ids[:1] if "pin" in action else ids[::-1]),
                where=conditions({"price_max": int(rng.integers(1, 8))}) if by_where else (),
                slot=int(rng.integers(1, 5)) if "pin" in action else None,
                strength=1.5 if action in {"boost", "bury"} else None,
            )
        )
    return RulesAt(RuleSet.of(rules, version=version), NOW, {PICTURE: shop.looks[0]})


def whole(source, rules, k, depth):
    own = np.arange(source.index.size)
    near = near_of(source.index, own, depth)
    answering = Answering(source, rules, k=k)
    found = answering.answer(own, near)
    return state_of(source, rules, answering, near, found.reach, found.far), as_rows(found, source.ids)


@pytest.mark.slow
@given(st.integers(0, 2**32), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 6), st.integers(0, 20))
@profile(max_examples=40)
def test_a_refresh_gives_what_making_everything_again_gives(seed, has_groups, has_further, has_rules, k, more):
    with pytest.MonkeyPatch.context() as patch:  # rules look at some of the products, as in a large catalogue
        patch.setattr(arrange, "_CANDIDATES", 4)
        patch.setattr(arrange, "_CANDIDATES_EACH", 2)
        check(seed, has_groups=has_groups, has_further=has_further, has_rules=has_rules, k=k, more=more)


def check(seed, *, has_groups, has_further, has_rules, k, more):
    shop = Shop(seed, has_groups=has_groups, has_further=has_further)
    rules = some_rules(shop, 1) if has_rules else RulesAt(at=NOW)
    kept, rows = whole(shop.source, rules, k, k + more)
    for change in shop.rng.permutation(["put", "drop", "both", "price", "rules", "all", "nothing"]):
        if change in {"put", "both", "all"}:
            shop.put(2)
        if change in {"drop", "both", "all"}:
            shop.drop(2)
        if change in {"price", "all"}:
            shop.price()
        if change in {"rules", "all"} and has_rules:
            rules = some_rules(shop, rules.rules.version + 1)
        source = shop.source
        found = refreshed(kept, source, rules, Moves.between(kept, source), k=k)
        if not has_rules and change in {"price", "rules", "nothing"}:
            assert not len(found.asked)  # no list depends on a price
        left = rows.filter(pc.invert(pc.is_in(rows["product_id"], value_set=found.asked)))
        rows = pa.concat_tables([left, as_rows(found.answers, source.ids)]).sort_by(ORDER)
        kept = found.kept
        expected = whole(source, rules, k, k + more)[1]
        assert rows.equals(expected), (change, rows.to_pylist(), expected.to_pylist())


def test_the_answers_are_the_nearest_others_each_group_once_and_none_of_the_own():
    shop = Shop(5, has_groups=True, has_further=True)
    source = shop.source
    _, rows = whole(source, RulesAt(at=NOW), 4, 12)
    groups = [shop.products[name][1] for name in sorted(shop.products)]
    ids = sorted(shop.products)
    for at, name in enumerate(ids):
        allowed = np.array([one is None or one != groups[at] for one in groups])
        allowed[at] = False
        found = source.index.search(source.index.embeddings(np.array([at])), k=len(ids), allowed=allowed)
        seen, expected = set(), []
        for position, distance in zip(found.positions[0], found.distances[0], strict=True):
            if groups[position] is None or groups[position] not in seen:
                seen.add(groups[position])
                expected.append((ids[position], float(np.float32(1) - distance)))
        mine = rows.filter(pc.equal(rows["product_id"], name))
        assert mine["similar_id"].to_pylist() == [one for one, _ in expected[:4]]
        assert mine["similarity"].to_pylist() == [one for _, one in expected[:4]]
        assert mine["rank_before"].to_pylist() == mine["rank"].to_pylist()


def test_a_rule_whose_picture_is_lost_changes_nothing_and_holds_nothing_up():
    """Regression: the endpoint answered without such a rule, and the table could not be made."""
    source = Shop(5, has_groups=True, has_further=False).source
    lost = Rule("lost", "pin", Scope("picture", (PICTURE,), radius=1.0), products=(source.ids[3].as_py(),), slot=1)
    rules = RulesAt(RuleSet.of([lost], version=1), NOW)
    assert rules.compiled(source.gallery).unknown == (("lost", PICTURE),)
    _, rows = whole(source, rules, 4, 12)
    assert rows.equals(whole(source, RulesAt(at=NOW), 4, 12)[1])


ROUND = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])  # angles of products on a circle


def on_a_circle(**angles):
    ids = sorted(angles)
    turns = np.array([angles[name] for name in ids])
    index = ExactIndex(np.stack([np.cos(turns), np.sin(turns), 0 * turns, 0 * turns], axis=1).astype(np.float32))
    return Source(manifest_of("made", 4), index, gallery_of(ids))


@pytest.mark.parametrize("change", ["a candidate leaves", "a boosted one comes"])
def test_a_candidate_that_is_not_shown_brings_in_one_that_a_rule_moves(monkeypatch, change):
    """Two are shown and four looked at: the third leaves, and the fifth, which is boosted, is looked at."""
    monkeypatch.setattr(arrange, "_CANDIDATES", 4)
    monkeypatch.setattr(arrange, "_CANDIDATES_EACH", 2)
    before = {f"p{number:02d}": angle for number, angle in enumerate(ROUND)}
    after = {**before, "p90": 0.35} if "comes" in change else {key: before[key] for key in before if key != "p03"}
    boosted = "p90" if "comes" in change else "p05"
    rules = RulesAt(RuleSet.of([Rule("b", "boost", products=(boosted,), strength=3.0)], version=1), NOW)
    kept, rows = whole(on_a_circle(**before), rules, 2, 8)
    source = on_a_circle(**after)
    found = refreshed(kept, source, rules, Moves.between(kept, source), k=2)
    mine = as_rows(found.answers, source.ids)
    assert "p00" in found.asked.to_pylist()
    assert boosted in mine.filter(pc.equal(mine["product_id"], "p00"))["similar_id"].to_pylist()
    left = rows.filter(pc.invert(pc.is_in(rows["product_id"], value_set=found.asked)))
    assert pa.concat_tables([left, mine]).sort_by(ORDER).equals(whole(source, rules, 2, 8)[1])

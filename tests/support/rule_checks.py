"""Random rules and questions over a small shop, and what must hold of every answer, worked out from the products alone.

Nothing here uses how rules are compiled or carried out: products are plain rows, similarities one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from backend.progress import NullProgress
from backend.retrieval.arrange import Asked
from backend.retrieval.closeness import Verdict
from backend.retrieval.gallery.gallery import build_gallery
from backend.retrieval.recommend import Recommender
from backend.retrieval.rules.answering import RuledAnswers
from backend.retrieval.rules.compiled import CompiledRules
from backend.retrieval.rules.rule import ACTIONS, MAX_STRENGTH, Rule, Scope, conditions
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import Wishes
from tests.fixtures.endpoint import ShopSnapshot, load_projection, shop_rows, write_projection_bundle

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LINE = 0.8
WHERE = (
    {"brand": ["Ada"]},
    {"brand": ["Bo", "Cy"]},
    {"category": ["pattern"]},
    {"price_max": 30},
    {"price_min": 25, "brand": ["Ada"]},
    {"sold_out": True},
    {"sold_out": False},
    {"in_stock": True},
    {"label": ["checks"]},
)
FILTERS = (
    {},
    {},
    {"brand": ["Ada", "Bo"]},
    {"price_min": 20},
    {"in_stock": True},
    {"label": ["blob"]},
    {"brand": ["Cy"]},
)


class Line:
    """A judge whose matches begin at one similarity."""

    def verdict(self, similarity, *, nearest=None, is_strange=None):
        return Verdict("close" if similarity >= LINE else "related")


@dataclass
class Shop:
    """Products as rows in the order of the gallery, and what searches and answers among them."""

    rows: list[dict]
    recommender: object
    vectors: np.ndarray
    answers: RuledAnswers = field(init=False)

    def __post_init__(self):
        self.answers = RuledAnswers(
            self.recommender.index, self.recommender.gallery, self.recommender.manifest.pixels, Line()
        )

    def compiled(self, rules):
        return CompiledRules(
            RuleSet.of(rules, version=1),
            self.recommender.gallery,
            lambda name: self.vectors[int(name[:4], 16) % len(self.rows)],
            now=NOW,
        )


def small_shop(folder):
    """37 products, some of them variants of one, some sold out, some of which nothing is known."""
    rows = [row | {"split": "train"} for row in shop_rows(13)][:37]
    for at, row in enumerate(rows):
        row["group_id"] = f"g{at // 3 % 5}" if at % 4 else None
        row["availability"] = ("in stock", "out of stock", None)[at % 3] if at % 2 else None
    build_gallery(ShopSnapshot(rows), write_projection_bundle(folder), folder, progress=NullProgress())
    recommender = Recommender.load(folder, embedder_loader=load_projection)
    rows = sorted(rows, key=lambda row: row["product_id"])
    return Shop(rows, recommender, recommender.index.embeddings(np.arange(len(rows))))


def cases(shop, seed, *, sets, questions):
    """Random sets of rules, compiled, each with random questions."""
    rng = np.random.default_rng(seed)
    ids = [row["product_id"] for row in shop.rows]
    for _ in range(sets):
        rules = [random_rule(rng, ids, number) for number in range(rng.integers(1, 12))]
        ready = shop.compiled(rules)
        for _ in range(questions):
            yield rules, ready, random_question(rng, shop)


@dataclass(frozen=True)
class Question:
    vector: np.ndarray
    filters: dict
    k: int
    wishes: Wishes
    products: tuple[int, ...] = ()


def random_rule(rng, ids, number):
    action = ACTIONS[rng.integers(len(ACTIONS))]
    rule = {"id": f"r{number}", "action": action, "scope": _scope(rng, ids), "priority": int(rng.integers(-2, 3))}
    names = tuple(rng.choice([*ids, "gone"], size=rng.integers(1, 4), replace=False).tolist())
    if action in {"pin", "soft pin"}:
        return Rule(**rule, products=names[:1], slot=int(rng.integers(1, 9)))
    if action == "fall-back":
        return Rule(**rule, products=names)
    by = {"where": conditions(WHERE[rng.integers(len(WHERE))])} if rng.random() < 0.5 else {"products": names}
    if action == "block":
        return Rule(**rule, **by)
    strength = float(rng.choice([0.1, 0.5, 1.0, 2.0, MAX_STRENGTH]))
    return Rule(**rule, **by, strength=strength, crosses=bool(rng.random() < 0.2))


def _scope(rng, ids):
    some = tuple(rng.choice(ids, size=rng.integers(1, 4), replace=False).tolist())
    picture = f"{rng.integers(len(ids)):04x}" + "0" * 60
    choices = [
        *[Scope()] * 4,
        *(Scope("product", some), Scope("nearest", some), Scope("picture", (picture,), float(rng.choice([0.05, 0.4])))),
        *(Scope("label", ("checks",)), Scope("category", ("pattern",)), Scope("brand", ("Ada", "Bo"))),
    ]
    return choices[rng.integers(len(choices))]


def random_question(rng, shop):
    at = int(rng.integers(len(shop.rows)))
    is_product = rng.random() < 0.3
    vector = shop.vectors[at] + (0 if is_product else rng.normal(0, 0.15, shop.vectors.shape[1]))
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    sort = "price" if rng.random() < 0.1 else "similarity"
    diversity = 0.4 if rng.random() < 0.15 and sort == "similarity" else 0.0
    wishes = Wishes(collapse="groups" if rng.random() < 0.6 else "none", diversity=diversity, sort=sort)
    filters = FILTERS[rng.integers(len(FILTERS))]
    return Question(vector, filters, int(rng.integers(1, 13)), wishes, (at,) if is_product else ())


def asked_of(shop, question):
    allowed = shop.recommender.gallery.allowed(question.filters)
    return Asked(question.vector, question.vector[None], question.k, question.wishes, question.products, allowed)


def answered(shop, question, compiled):
    return shop.answers.shown(asked_of(shop, question), compiled)


# ------------------------------------------------------------------------------------------ worked out by hand


def fits(row, where):
    """Whether a product fulfils conditions; what is not known fulfils none but ``sold_out=False``."""
    for name, value in dict(where).items():
        if name == "sold_out":
            is_out = row["availability"] == "out of stock" or (row["stock"] is not None and row["stock"] <= 0)
            passes = is_out == value
        elif name == "in_stock":
            passes = ((row["stock"] or 0) > 0) == value
        elif name == "price_min":
            passes = row["price"] is not None and row["price"] >= value
        elif name == "price_max":
            passes = row["price"] is not None and row["price"] <= value
        else:
            passes = row[name] in value
        if not passes:
            return False
    return True


def acts_on(rule, row):
    return row["product_id"] in rule.products or (bool(rule.where) and fits(row, rule.where))


class Expected:
    """What can be said of an answer without computing it."""

    def __init__(self, shop, rules, question):
        self.rows, self.question = shop.rows, question
        self.alike = shop.vectors @ question.vector
        passing = {at for at, row in enumerate(self.rows) if fits(row, question.filters)}
        order = sorted(passing, key=lambda at: (-self.alike[at], at))
        everywhere = [rule for rule in rules if rule.action == "block" and rule.scope.kind == "all"]
        open_ = [at for at in order if not any(acts_on(rule, self.rows[at]) for rule in everywhere)]
        self.nearest = open_[0] if open_ else None
        self.rules = [rule for rule in rules if self._touches(rule, shop)]
        blocks = [rule for rule in self.rules if rule.action == "block"]
        self.eligible = {at for at in passing if not any(acts_on(rule, self.rows[at]) for rule in blocks)}
        self.order = [at for at in order if at in self.eligible]

    def _touches(self, rule, shop):
        kind, values = rule.scope.kind, rule.scope.values
        asked = self.question.products
        if not asked and self.nearest is not None and self.alike[self.nearest] >= 0.9999:
            asked = (self.nearest,)
        about = [self.rows[at] for at in {*asked, *([] if self.nearest is None else [self.nearest])}]
        if kind == "all":
            return True
        if kind == "product":
            return any(self.rows[at]["product_id"] in values for at in asked)
        if kind == "nearest":
            return self.nearest is not None and self.rows[self.nearest]["product_id"] in values
        if kind == "picture":
            anchor = shop.vectors[int(values[0][:4], 16) % len(self.rows)]
            return 1 - float(anchor @ self.question.vector) <= rule.scope.radius
        return any(row[kind] in values for row in about)

    def of(self, *actions):
        return [rule for rule in self.rules if rule.action in actions]

    def place(self, product_id):
        return next((at for at, row in enumerate(self.rows) if row["product_id"] == product_id), None)


def hard_pins(expected):
    """Slots and positions of the pins that win, by priority and then by id."""
    slots, seen = {}, set()
    for rule in sorted(expected.of("pin"), key=lambda one: (-one.priority, one.id)):
        at = expected.place(rule.products[0])
        if at in expected.eligible and at not in seen and rule.slot not in slots:
            slots[rule.slot] = at
            seen.add(at)
    return slots


def broken(shop, rules, question, shown):
    """Return the names of the invariants that an answer breaks; ``shown`` is None where no rule touched it."""
    expected = Expected(shop, rules, question)
    is_sorted = question.wishes.sort != "similarity"
    if shown is None:
        moving = expected.of("block", "fall-back", *(() if is_sorted else ("pin", "soft pin", "boost", "bury")))
        return ["a rule was passed over"] if any(_must_show(expected, rule) for rule in moving) else []
    positions = [one.position for one in shown]
    found = []
    if not set(positions) <= expected.eligible:
        found.append("something ineligible appears")
    if len(positions) > question.k or len(set(positions)) < len(positions):
        found.append("a product twice, or too many")
    found += _groups_twice(expected, question, positions)
    named = {rule.id for rule in expected.rules}
    if any(not set(one.rules) <= named for one in shown):
        found.append("a rule is named that does not touch the answer")
    found += _ends_wrongly(expected, question, positions)
    if is_sorted:
        return found + (["a rule moved something in a sorted answer"] if _moved(expected, shown) else [])
    found += _pins_wrongly(expected, question, positions)
    return found + (_shifts_wrongly(expected, question, shown) if not question.wishes.diversity else [])


def _must_show(expected, rule):
    """Whether a rule that touches a question cannot leave its answer as it was."""
    question = expected.question
    if rule.action == "block":
        unblocked = sorted(
            (at for at, row in enumerate(expected.rows) if fits(row, question.filters)),
            key=lambda at: (-expected.alike[at], at),
        )[: question.k]
        return any(acts_on(rule, expected.rows[at]) for at in unblocked)
    if rule.action in {"pin", "soft pin"}:
        return expected.place(rule.products[0]) in expected.eligible and rule.slot <= question.k
    return False


def _groups_twice(expected, question, positions):
    if question.wishes.collapse != "groups":
        return []
    pinned = {expected.place(rule.products[0]) for rule in expected.of("pin", "soft pin")}
    groups = [expected.rows[at]["group_id"] for at in positions if at not in pinned]
    pinned_groups = {expected.rows[at]["group_id"] for at in positions if at in set(hard_pins(expected).values())}
    groups = [group for group in groups if group is not None]
    if question.wishes.sort == "similarity" and set(groups) & pinned_groups:
        return ["a group beside its pinned variant"]
    return ["a group twice"] if len(set(groups)) < len(groups) else []


def _pins_wrongly(expected, question, positions):
    found = []
    slots = hard_pins(expected)
    for slot, at in slots.items():
        if slot <= len(positions) and positions[slot - 1] != at and _is_full_before(expected, slots, question, slot):
            found.append("a pin is not at its place")
        if slot > question.k and at in positions and _is_full_before(expected, slots, question, question.k):
            found.append("a pin from behind the last place is shown")
    hard = set(slots.values())
    softs = [(rule, expected.place(rule.products[0])) for rule in expected.of("soft pin")]
    claims = [*slots, *(rule.slot for rule, _ in softs)]
    is_crowded = any(sum(claim <= place for claim in claims) > place for place in claims)
    for rule, at in softs if not is_crowded else ():
        is_only = sum(other == at for _, other in softs) == 1 and at not in hard
        if is_only and at in expected.eligible and rule.slot <= len(positions) and at not in positions[: rule.slot]:
            found.append("a soft pin is below its place")
    return found


def _is_full_before(expected, slots, question, slot):
    """Whether there are surely enough others to fill the places before a pin."""
    groups = {expected.rows[at]["group_id"] or f"#{at}" for at in expected.order if at not in set(slots.values())}
    pinned = {expected.rows[at]["group_id"] or f"#{at}" for at in slots.values()}
    return len(groups - pinned) >= slot


def _shifts_wrongly(expected, question, shown):
    """Unpinned products: matches before others, and those without a shift in their order."""
    fixed = {expected.place(rule.products[0]) for rule in expected.of("pin", "soft pin")}
    fixed |= {expected.place(name) for rule in expected.of("fall-back") for name in rule.products}
    free = [one.position for one in shown if one.position not in fixed]
    shifts = {at: [r for r in expected.of("boost", "bury") if acts_on(r, expected.rows[at])] for at in free}
    found = []
    still = [at for at in free if not shifts[at]]
    if still != sorted(still, key=lambda at: (-expected.alike[at], at)):
        found.append("products that no rule moves changed their order")
    kept = [expected.alike[at] >= LINE for at in free if not any(rule.crosses for rule in shifts[at])]
    if kept != sorted(kept, reverse=True):
        found.append("the match line was crossed")
    return found


def _ends_wrongly(expected, question, positions):
    """A fall-back stands behind all that was found, and only where there was too little."""
    if expected.of("pin", "soft pin") or question.wishes.diversity or question.wishes.sort != "similarity":
        return []
    named = {expected.place(name) for rule in expected.of("fall-back") for name in rule.products}
    if len(expected.order) >= 2 * question.k + 8 and question.wishes.collapse == "none":
        nearest = set(expected.order[: max(60, 4 * question.k)])
        return ["a fall-back in a full answer"] if set(positions) - nearest and named & set(positions) else []
    return []


def _moved(expected, shown):
    return any(set(one.rules) & {rule.id for rule in expected.of("pin", "soft pin", "boost", "bury")} for one in shown)

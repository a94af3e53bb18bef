"""Rules tried on questions before anybody sees their answers: what would change, what it costs, and which rule does it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backend.errors import RetrievalError
from backend.merchandising.merging import difference, places_changed
from backend.merchandising.wording import said
from backend.retrieval.asked_again import answer_again
from backend.retrieval.rules.rule import PINS
from backend.retrieval.rules.rule_set import RuleSet
from backend.retrieval.wishes import RULES_ON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from backend.merchandising.questions.question import Question
    from backend.progress import Progress
    from backend.retrieval.asked_again import Embedded
    from backend.retrieval.recommend import Recommender
    from backend.retrieval.recommendation import Neighbour
    from backend.retrieval.rules.compiled import CompiledRules
    from backend.retrieval.rules.rule import Rule
    from backend.retrieval.wishes import Wishes

    Compile = Callable[[RuleSet], CompiledRules]

_EVERY = 20
_EXAMPLES, _PRODUCTS = 20, 200  # the most that are listed
_BLOCKS = 10  # new blocks that are tried one by one


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A question that rules are tried on; ``name`` is what people know it by, ``kind`` where it is from."""

    name: str
    kind: str
    embedded: Embedded
    k: int
    filters: dict[str, Any]
    wishes: Wishes

    @classmethod
    def of(cls, row: Question) -> Trial:
        """Return a logged question, by whatever rules it was answered."""
        wishes = replace(row.asked_wishes, rules=RULES_ON, rules_at=None)
        name = f"{row.question[:12] or ', '.join(wishes.like)}, {row.time:%d %b %Y %H:%M}"
        return cls(name, "logged", row.embedded, row.k, row.asked_filters, wishes)


@dataclass(slots=True)
class Effect:
    """What one rule does to the answers.

    Attributes:
        rule: It.
        change: ``added``, ``changed`` or ``removed`` against the rules of now; empty where it is one of them.
        answers: Answers that it moves a product in, or takes one from; None where that was not counted.
        better, worse: Answers in which the product that it pins is at least as similar as what would be in its place, and
            less.
    """

    rule: Rule
    change: str
    answers: int | None = 0
    better: int = 0
    worse: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return what is told of it, as JSON values."""
        told: dict[str, Any] = {"id": self.rule.id, "rule": said(self.rule), "change": self.change}
        told["answers"] = self.answers
        return told | ({"pin_better": self.better, "pin_worse": self.worse} if self.rule.action in PINS else {})


@dataclass(slots=True)
class Simulated:
    """What would change.

    Attributes:
        questions: By where they are from.
        unanswerable: Questions that name products or filters that this gallery does not have.
        answers_changed: Answers with another product in any place.
        places, places_changed: All places of all answers, and those with another product.
        given_away: Sum over all answers of the mean similarity that is lost.
        before, after: How often each product is in an answer.
        effects: Of each rule, by its id.
        examples: The answers that change most.
    """

    questions: Counter[str] = field(default_factory=Counter)
    unanswerable: int = 0
    answers_changed: int = 0
    places: int = 0
    places_changed: int = 0
    given_away: float = 0.0
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    effects: dict[str, Effect] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def vanishing(self) -> list[str]:
        """Products that are in no answer any more, those that were in most first."""
        return [name for name, _ in self.before.most_common() if name not in self.after]

    @property
    def appearing(self) -> list[str]:
        """Products that were in no answer before, those that are in most first."""
        return [name for name, _ in self.after.most_common() if name not in self.before]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        asked, changed = self.questions.total(), self.answers_changed
        effects = sorted(self.effects.values(), key=lambda one: (-(one.answers or 0), one.rule.id))
        return {
            "questions": asked,
            "approved": self.questions["approved"],
            "logged": self.questions["logged"],
            "unanswerable": self.unanswerable,
            "answers_changed": changed,
            "places_changed": self.places_changed,
            "places": self.places,
            "similarity_given_away": self.given_away / asked if asked else 0.0,
            "similarity_given_away_where_changed": self.given_away / changed if changed else 0.0,
            "vanishing": self.vanishing[:_PRODUCTS],
            "vanishing_count": len(self.vanishing),
            "appearing": self.appearing[:_PRODUCTS],
            "appearing_count": len(self.appearing),
            "rules": [one.as_dict() for one in effects],
            "examples": self.examples,
            "summary": self.summary(),
        }

    def summary(self) -> list[str]:
        """Return it in sentences."""
        asked, changed = self.questions.total(), self.answers_changed
        lost = self.given_away / changed if changed else 0.0
        lines = [f"{changed:,} of {asked:,} answers change, in {self.places_changed:,} of {self.places:,} places."]
        if changed:
            lines.append(f"The answers that change give away {lost:.3f} of similarity on average.")
        for names, what in ((self.vanishing, "no longer appear"), (self.appearing, "appear for the first time")):
            if names:
                shown = f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
                lines.append(f"{len(names):,} products {what} in any answer: {shown}.")
        better, worse = (sum(getattr(one, name) for one in self.effects.values()) for name in ("better", "worse"))
        if better + worse:
            lines.append(
                f"Pinned products are at least as similar as the automatic result {better:,} of {better + worse:,} times."
            )
        if self.unanswerable:
            lines.append(f"{self.unanswerable:,} questions cannot be answered any more and were left out.")
        return lines


def simulate(
    trials: Sequence[Trial], recommender: Recommender, now: RuleSet, then: RuleSet, make: Compile, progress: Progress
) -> Simulated:
    """Answer questions by the rules of now and by those that may be published, and compare.

    Args:
        trials: The questions.
        recommender: The model that answers.
        now: The rules that are published.
        then: Those that may be.
        make: Looks rules up in the model's gallery.
        progress: Told how far it is.

    Raises:
        RetrievalError: There is no question.
        Cancelled: The user asked to stop.
    """
    if not trials:
        raise RetrievalError(
            "There is no question to try the rules on.",
            next_step="Approve an answer on the Find similar page, or wait for questions to be logged.",
        )
    found = Simulated(effects=_effects(now, then))
    before, after = make(now), make(then)
    blocks = _Blocks(found.effects.values(), recommender, make)
    for number, trial in enumerate(trials):
        if number % _EVERY == 0:
            progress.report(number, len(trials), unit="questions", note="Trying the rules")
            progress.check_cancelled()
        try:
            answers = [_answer(trial, recommender, rules) for rules in (before, after)]
        except RetrievalError:  # it names what is not in the gallery any more
            found.unanswerable += 1
            continue
        _count(found, trial, *answers)
        blocks.count(trial, *answers)
    found.examples = sorted(found.examples, key=lambda one: -one["places_changed"])[:_EXAMPLES]
    progress.report(len(trials), len(trials), unit="questions", note="Trying the rules")
    return found


def _answer(trial: Trial, recommender: Recommender, rules: CompiledRules | None) -> tuple[Neighbour, ...]:
    return answer_again(recommender, trial.embedded, k=trial.k, filters=trial.filters, wishes=trial.wishes, rules=rules)


def _effects(now: RuleSet, then: RuleSet) -> dict[str, Effect]:
    """Return all rules that are in either set, and what is to become of them; those removed as they are now."""
    changes = difference(now.rules, then.rules)
    told = {name: what for what in ("added", "changed", "removed") for name in getattr(changes, what)}
    rules = {rule.id: rule for rule in (*now.rules, *then.rules)}
    return {name: Effect(rule, told.get(name, "")) for name, rule in rules.items()}


def _count(found: Simulated, trial: Trial, before: tuple[Neighbour, ...], after: tuple[Neighbour, ...]) -> None:
    was, will = _ids(before), _ids(after)
    found.questions[trial.kind] += 1
    found.before.update(was)
    found.after.update(will)
    moved = places_changed(was, will)
    found.places += max(len(was), len(will))
    found.places_changed += moved
    _count_rules(found, before, after)
    if not moved:
        return
    lost = _mean(before) - _mean(after)
    found.answers_changed += 1
    found.given_away += lost
    told = {"question": trial.name, "kind": trial.kind, "places_changed": moved, "similarity_given_away": lost}
    found.examples.append({**told, "before": was, "after": will})
    if len(found.examples) > 50 * _EXAMPLES:
        found.examples = sorted(found.examples, key=lambda one: -one["places_changed"])[:_EXAMPLES]


def _count_rules(found: Simulated, before: tuple[Neighbour, ...], after: tuple[Neighbour, ...]) -> None:
    for name in {name for one in after for name in one.rules}:
        effect = found.effects[name]
        effect.answers = (effect.answers or 0) + 1
    for name in {name for one in before for name in one.rules}:
        if (effect := found.effects[name]).change == "removed":
            effect.answers = (effect.answers or 0) + 1
    for one in after:
        for name in one.rules:
            if (effect := found.effects[name]).rule.action in PINS:
                is_better = one.rank_before is not None and one.rank_before <= one.rank
                effect.better += is_better
                effect.worse += not is_better


def _ids(answer: Iterable[Neighbour]) -> list[str]:
    return [one.product_id for one in answer]


def _mean(answer: tuple[Neighbour, ...]) -> float:
    return sum(one.similarity for one in answer) / len(answer) if answer else 0.0


class _Blocks:
    """Counts the answers that new blocks take products from: what is not there names no rule, so each is tried alone."""

    def __init__(self, effects: Iterable[Effect], recommender: Recommender, make: Compile) -> None:
        blocks = [one for one in effects if one.rule.action == "block"]
        tried = [one for one in blocks if one.change in {"added", "changed"}][:_BLOCKS]
        for one in blocks:
            one.answers = 0 if one in tried else None
        self._tried = [(one, make(RuleSet.of([one.rule]))) for one in tried]
        self._recommender = recommender

    def count(self, trial: Trial, before: tuple[Neighbour, ...], after: tuple[Neighbour, ...]) -> None:
        """Count an answer."""
        gone = set(_ids(before)) - set(_ids(after))
        may = [one for one in self._tried if gone and (one[0].rule.where or gone & set(one[0].rule.products))]
        if not may:
            return
        gone &= set(_ids(_answer(trial, self._recommender, None)))
        for effect, alone in may:
            if gone - set(_ids(_answer(trial, self._recommender, alone))):
                effect.answers = (effect.answers or 0) + 1

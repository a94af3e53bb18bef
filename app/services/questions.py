"""What the System page asks of the log of questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.services import common
from backend.merchandising.questions.question_store import QuestionStore
from backend.merchandising.questions.report import report

if TYPE_CHECKING:
    from backend.merchandising.questions.question import Question


def logged() -> list[str]:
    """Return the catalogues that questions were logged for."""
    folder = common.settings().questions_dir
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [name for name in names if QuestionStore(folder, name).is_there]


def told(catalogue: str) -> dict[str, Any]:
    """Return the figures of a catalogue's log."""
    found = common.settings()
    return report(found.questions_dir, found.catalogues_dir, catalogue)


def newest(catalogue: str, limit: int) -> list[Question]:
    """Return the last questions."""
    return QuestionStore(common.settings().questions_dir, catalogue).newest(limit)

"""The log of questions on the System page: how much was asked, how often nothing was close, what never appears."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.merchandising.questions.question_store import QuestionStore
from tests.support.logged_rows import row
from tests.ui.conftest import assert_calm, texts


@pytest.mark.slow
def test_what_was_asked_is_shown_once_there_is_something(screen, shop_catalogue):
    test = screen.open("system", view="Questions")
    assert "No questions were logged. They appear here once the endpoint has answered some." in texts(test)
    rows = [replace(row(number), has_match=number != 1, product_ids=("s001",)) for number in range(4)]
    QuestionStore(screen.settings.questions_dir, "shop").append(rows)
    test = screen.open("system", view="Questions")
    assert_calm(test)
    for shown in ("Questions 4", "Nothing was close 25%", "Products never shown 59"):
        assert shown in texts(test)
    most, never, last = (frame.value for frame in test.dataframe)
    assert most.to_dict("list") == {"Product": ["s001"], "Answers": [4]}
    assert len(never) == 59
    assert last["First product"].tolist() == ["s001"] * 4
    assert last["Filters"].tolist() == ["brand: Ada"] * 4

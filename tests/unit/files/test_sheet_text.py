from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.files.sheet_text import guarded, unguarded


@pytest.mark.parametrize("text", ["=1+1", "+49 30", "-12", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''=1"])
def test_what_a_spreadsheet_would_run_is_marked_as_text(text):
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("value", ["bag", "", "'quoted'", "a=b", -12.5, None])
def test_everything_else_stays_as_it_is(value):
    assert guarded(value) == value


@given(st.text(st.sampled_from("'=+-@\t\r\na"), max_size=5))
def test_every_text_comes_back(text):
    assert unguarded(guarded(text)) == text

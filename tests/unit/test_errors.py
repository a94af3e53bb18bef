"""Every error says what happened and what to do; the tree in the docstring is the tree in the code."""

from __future__ import annotations

import inspect
import re

from backend import errors
from backend.errors import WorkbenchError


def tree() -> dict[str, type[WorkbenchError]]:
    found = inspect.getmembers(errors, inspect.isclass)
    return {name: cls for name, cls in found if issubclass(cls, WorkbenchError)}


def test_the_picture_of_the_tree_is_complete():
    assert set(re.findall(r"[├└]── (\w+)", errors.__doc__)) == tree().keys() - {"WorkbenchError"}


def test_codes_tell_errors_apart():
    codes = [cls.code for cls in tree().values()]
    assert len(codes) == len(set(codes))


def test_the_text_is_message_and_next_step():
    assert str(WorkbenchError("It broke.", next_step="Mend it.")) == "It broke. Mend it."
    assert str(WorkbenchError("It broke.")) == "It broke."

"""What the README says is what the code does."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from backend.cli.main import parser
from backend.flow.requests import KINDS
from backend.settings import PREFIX, Settings


@pytest.fixture(scope="module")
def readme(repository) -> str:
    return (repository / "README.md").read_text("utf-8")


def test_every_setting_is_in_the_table_with_its_default_and_help(readme):
    rows = dict(re.findall(r"^\| `(TWINSET_\w+)` \| (.+?) \|$", readme, re.MULTILINE))
    expected = {PREFIX + item.name.upper(): _row(item) for item in fields(Settings)}
    assert rows == expected


def _row(item) -> str:
    default = item.default
    empty = default == Path() or str(default) == "SecretStr('')" or default == ""
    return f"{'' if empty else f'`{default}`'} | {item.metadata['help']}"


def test_every_page_and_job_kind_is_explained(repository, readme):
    from app.navigation import PAGES

    for page in PAGES:
        assert f"**{page.title}**" in readme
    for kind in KINDS:
        assert f"`{kind}`" in readme


def test_every_command_in_the_readme_can_be_parsed(readme):
    commands = re.findall(r"python -m backend ([^`\n#]+)", readme)
    assert len(commands) >= 8
    for command in commands:
        words = [word for word in shlex.split(command) if word != "…"]
        parser().parse_args(words)


def test_every_make_target_in_the_readme_exists(repository, readme):
    targets = set(re.findall(r"^([a-z]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", readme)) <= targets


def test_the_flow_is_told_in_one_line(readme):
    assert "catalogue -> train <-> tune -> index -> evaluate -> explore -> deploy -> recommend" in readme


def test_pictures_that_the_readme_shows_exist(repository, readme):
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme)
    assert pictures
    assert all((repository / picture).is_file() for picture in pictures)

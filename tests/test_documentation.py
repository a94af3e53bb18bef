"""What the documents say is what the code does."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from dataclasses import fields
from itertools import groupby
from pathlib import Path

import pytest

from backend import __version__
from backend.bundles import bundle
from backend.catalogue import items
from backend.cli import outcome
from backend.cli.main import parser
from backend.flow.requests import KINDS
from backend.serving.wire.routes import ROUTES
from backend.settings import PREFIX, Settings
from tests.support import reference
from tests.support.trees import nodes_of

AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "tests/benchmarks/README.md")
LONGEST_README = 150  # lines
LARGEST_PICTURE = 200_000  # bytes
# Turns that no native reader would use.
TURNS = (
    *("stands in", "lies in", " is asked", "nobody answers", "of one's own", "some hundred", "so that it"),
    *("what there is not", "without a word", "is said", "gives up", "for want of", "stand together", "stands "),
    *("asked for", "as much again", "to go by", "makes of", "what there is", "takes up", "cannot be the name"),
    *("tidied away", "becomes of", "perhaps", "by heart", "rightly"),
)
# Decisions and the changelog may still have these; a page, a message or a help text may not.
TURNS_OF_MESSAGES = (
    *(" anew", "whoever", "whatever", "nobody", "somebody", " of its own", "give up", "given up", "from then on"),
    *("goes on", "is none", " holds ", "looks at", "look at ", "learnt from", "tells", "has to be", "blanks"),
    *("to the last bit", "as you asked"),
)
# Of strangers, or not ours to choose.
OTHER_VARIABLES = {"TWINSET_"}


@pytest.fixture(scope="module")
def documents(repository) -> dict[str, str]:
    """Text by path of every document."""
    paths = [repository / name for name in AT_THE_ROOT] + sorted((repository / "docs").rglob("*.md"))
    return {path.relative_to(repository).as_posix(): path.read_text("utf-8") for path in paths}


@pytest.fixture(scope="module")
def readme(documents) -> str:
    return documents["README.md"]


@pytest.fixture(scope="module")
def everything(documents) -> str:
    return "\n".join(documents.values())


def test_what_is_generated_is_what_the_code_says(documents):
    for name, text in reference.pages().items():
        assert documents[f"docs/{name}"] == text, "run `make docs`"


def test_every_setting_is_in_the_table_with_its_default_and_help(documents):
    text = documents["docs/reference/settings.md"]
    rows = dict(re.findall(r"^\| `(TWINSET_\w+)` \| (.+?) \|$", text, re.MULTILINE))
    expected = {PREFIX + item.name.upper(): _row(item) for item in fields(Settings)}
    assert rows == expected


def _row(item) -> str:
    default = item.default
    empty = default == Path() or str(default) == "SecretStr('')" or default == ""
    return f"{'' if empty else f'`{default}`'} | {item.metadata['help']}"


def test_every_setting_that_a_document_names_exists(everything):
    known = {PREFIX + item.name.upper() for item in fields(Settings)}
    assert {name.removesuffix("_FILE") for name in re.findall(r"\bTWINSET_\w*", everything)} - known <= OTHER_VARIABLES


def test_every_page_and_job_kind_is_explained(readme, documents):
    from app.navigation import PAGES

    guide = "\n".join(text for path, text in documents.items() if path.startswith("docs/guide/"))
    for page in PAGES:
        assert f"**{page.title}**" in readme
        assert re.search(rf"^# {page.title}$", guide, re.MULTILINE)
    told = set(re.findall(r"^\| `(\w+)` \|", documents["docs/guide/jobs.md"], re.MULTILINE))
    assert told == set(KINDS)


def test_every_command_in_a_document_can_be_parsed(everything):
    commands = sorted(set(re.findall(r"python -m backend ([^`\n#]+)", everything)) - {"COMMAND", "--version", "…"})
    assert len(commands) >= 60
    for _, alike in groupby(commands, key=lambda command: command.split()[0]):  # a parser takes a while to build
        reads = parser()
        for command in alike:
            reads.parse_args([word for word in shlex.split(command) if word != "…"])


def test_exit_statuses_are_those_of_the_code():
    assert set(reference.STATUSES) == {
        *(outcome.DONE, outcome.MENDABLE, outcome.USAGE, outcome.CHANGES),
        *(outcome.BROKE, outcome.STOPPED, outcome.CLOSED),
    }


def test_every_make_target_and_benchmark_in_a_document_exists(repository, everything):
    targets = set(re.findall(r"^([a-z]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", everything)) <= targets
    named = set(re.findall(r"python -m tests\.benchmarks\.(\w+)", everything))
    assert named == {path.stem for path in (repository / "tests" / "benchmarks").glob("*.py")}


def test_every_file_of_ours_that_a_document_names_exists(repository, everything):
    named = set(re.findall(r"`((?:app|assets|backend|deploy|docs|pages|tests)/[\w./-]*)`", everything))
    assert len(named) > 20
    assert {name for name in named if "NAME" not in name and not (repository / name).exists()} == set()


def test_the_readme_is_short_and_says_how_to_start_and_to_test(repository, readme):
    assert len(readme.splitlines()) <= LONGEST_README
    assert re.search(r"^make run ", readme, re.MULTILINE)
    assert re.search(r"^make test ", readme, re.MULTILINE)
    assert "\nmake test\n" in (repository / ".ci" / "run").read_text()


def test_the_order_of_the_packages_is_the_one_that_is_checked(repository, documents):
    contracts = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one.get("exhaustive"))
    block = documents["docs/architecture.md"].split("```")[1].partition(" backend/")[2]
    told = re.findall(r"^   (\w+(?: │ \w+)*)  ", block, re.MULTILINE)
    assert [line.replace("│", "|") for line in told] == layers


def test_the_flow_is_told_in_one_line(readme):
    assert "catalogue -> train <-> tune -> index -> evaluate -> explore -> deploy -> recommend" in readme


def test_pictures_that_the_readme_shows_exist(repository, readme):
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme)
    assert pictures
    assert all((repository / picture).stat().st_size <= LARGEST_PICTURE for picture in pictures)


def test_links_lead_somewhere_and_to_every_document(repository, documents):
    reached = {"README.md", "tests/benchmarks/README.md"}
    for path, text in documents.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", _without_code(text)):
            if "://" in link:
                continue
            name, _, anchor = link.partition("#")
            target = (repository / path).parent / name if name else repository / path
            assert target.resolve().exists(), f"{path}: {link}"
            found = target.resolve().relative_to(repository).as_posix()
            assert not anchor or anchor in _anchors(documents[found]), f"{path}: {link}"
            reached.add(found)
    assert documents.keys() - reached == set()


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def _anchors(text: str) -> set[str]:
    """The anchors that headings get where Markdown is shown as pages."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_decision_is_dated_and_names_the_alternatives(repository):
    names = {1: "January", 11: "November", 12: "December"}
    files = sorted((repository / "docs" / "decisions").glob("[0-9]*.md"))
    assert len(files) > 90
    for path in files:
        title, empty, date, *rest = path.read_text("utf-8").splitlines()
        year, month, day = (int(part) for part in path.name.split("-")[:3])
        assert (title[:2], empty, date) == ("# ", "", f"{day} {names[month]} {year}"), path.name
        assert "\n**Alternatives.** " in "\n".join(rest), path.name


def test_the_newest_version_of_the_changelog_is_the_one_in_the_code(repository, documents):
    assert re.search(r"^## (\S+)$", documents["CHANGELOG.md"], re.MULTILINE).group(1) == __version__
    assigned = re.compile(r"^__version__ *=", re.MULTILINE)
    places = [path for folder in ("app", "backend", "pages") for path in (repository / folder).rglob("*.py")]
    assert [path for path in places if assigned.search(path.read_text("utf-8"))] == [
        repository / "backend" / "__init__.py"
    ]


def test_the_columns_and_constraints_of_a_catalogue_are_those_of_the_code(documents):
    text = documents["docs/reference/catalogue-schema.md"]
    names, parts = re.findall(r"^## (.+)$", text, re.MULTILINE), re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    told = dict(zip(names, parts, strict=True))
    columns = {
        "products": items.PRODUCT_COLUMNS,
        "pictures": items.PICTURE_COLUMNS,
        "picture_bytes": items.BYTES_COLUMNS,
        "quality": items.QUALITY_COLUMNS,
    }
    assert {name: _columns(told[name]) for name in columns} == {name: [*known] for name, known in columns.items()}
    of_products = {"image", *(name for name, _, _ in items.PRODUCT_COLUMNS)}
    own = [column for column in items.QUARANTINE_COLUMNS if column[0] not in of_products or not column[2]]
    assert _columns(told["quarantine"]) == own
    rules = {
        "products": items.PRODUCT_CONSTRAINTS,
        "pictures": items.PICTURE_CONSTRAINTS,
        "picture_bytes": items.BYTES_CONSTRAINTS,
    }
    condition = re.compile(r"^\| `(\w+)` \| `(.+)` \|$", re.MULTILINE)
    found = {name: condition.findall(told[f"Constraints of {name}"]) for name in rules}
    assert found == {name: [*known] for name, known in rules.items()}


def _columns(text: str) -> list[tuple[str, str, bool]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (yes|no) \|", text, re.MULTILINE)
    return [(name, kind, null == "yes") for name, kind, null in rows]


def test_every_file_and_field_of_a_bundle_is_described(documents):
    text = documents["docs/reference/bundle-format.md"]
    for name in (bundle.MANIFEST, bundle.WEIGHTS, bundle.VECTORS, bundle.GALLERY, bundle.CELLS):
        assert f"| `{name}` |" in text
    table = text.partition("## Manifest")[2]
    named = {name for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == {item.name for item in fields(bundle.Manifest)}


def test_every_route_of_the_endpoint_is_described(documents):
    assert all(f"`{route.path}`" in documents["docs/reference/endpoint.md"] for route in ROUTES)


def test_what_troubleshooting_quotes_is_what_twinset_says(repository, documents):
    sources = "".join(path.read_text("utf-8") for path in sorted((repository / "backend").rglob("*.py")))
    table = documents["docs/operations.md"].partition("## Troubleshooting")[2]
    quoted = [q for row in re.findall(r"^\| (\".+?) \|", table, re.MULTILINE) for q in re.findall(r'"(.+?)"', row)]
    assert len(quoted) > 15
    pieces = [piece.strip(" .,:") for text in quoted for piece in re.split(r"…|\d+", text)]
    assert [piece for piece in pieces if len(piece) > 8 and piece not in sources] == []


def test_documents_are_written_in_plain_english(documents):
    ours = {path: text for path, text in documents.items() if path.removeprefix("docs/") not in reference.pages()}
    found = [(path, turn) for path, text in ours.items() for turn in TURNS if turn in " ".join(text.split()).lower()]
    assert found == []


def test_what_users_read_is_in_plain_english(repository):
    """Words of pages, messages, help texts; docstrings and comments are for those who change the code."""
    found = []
    for path in sorted(path for top in ("app", "backend", "pages") for path in (repository / top).rglob("*.py")):
        nodes = nodes_of(path)
        notes = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        texts = [
            node.value.lower()
            for node in nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes
        ]
        said = [(text, turn) for text in texts for turn in TURNS + TURNS_OF_MESSAGES if turn in " ".join(text.split())]
        found += [(path.name, turn, text) for text, turn in said]
    assert found == []

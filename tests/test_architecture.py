"""The arrows, the sizes and the silence at import hold, or the build fails."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions

import pytest
from grimp import build_graph

from app.components.jobs import kinds
from backend.flow import requests
from backend.flow.kinds import JOB_KINDS
from tests.support.page_text import Pages
from tests.support.trees import nodes_of

HEAVY = ("tensorflow", "tf_keras", "tensorflow_similarity", "pyspark", "mlflow", "horovod", "hyperopt", "umap")
MAX_FUNCTION, MAX_MODULE, MAX_PAGE = 40, 300, 80
MAX_IN_FOLDER, MAX_SAME_PREFIX, MAX_FLOORS = 20, 3, 24
AT_THE_ROOT = {"backend": 8, "app": 7}
# Who may import what is heavy, or could be exchanged: a module, or a package with all that is in it.
DOORS = {
    "tensorflow": {"backend.training.runtime"},
    "pyspark": {
        *("backend.spark", "backend.catalogue", "backend.tuning", "backend.training.ranks.distributed"),
        *("backend.flow.index_on_spark", "backend.merchandising.similar.by_partition"),
    },
    "delta": {"backend.catalogue"},
    "deltalake": {"backend.catalogue", "backend.tuning.snapshot"},
    "petastorm": {"backend.feeding.petastorm"},
    "hyperopt": {"backend.tuning"},
    "horovod": {"backend.training.ranks"},
    "mlflow": {"backend.registry"},
    "faiss": {"backend.retrieval.indexes", "backend.evaluation.duplicates", "backend.catalogue.quality.duplicates"},
    "numba": {"backend.projection"},
    "tenacity": {"backend.catalogue.fetch"},
    "protego": {"backend.catalogue.fetch"},
    "prometheus_client": {"backend.serving.metrics"},
    "sklearn": {"backend.evaluation.calibrate"},
    "umap": {"backend.projection"},
    "fcntl": {"backend.files"},
    "defusedxml": {"backend.catalogue.sources.tables.xml_table"},
    "python_calamine": {"backend.catalogue.sources.tables.excel_table"},
    "onnxruntime": set(),
    "pymilvus": set(),
    "psycopg": set(),
}


def sources(repository, *folders):
    return [path for folder in folders for path in sorted((repository / folder).rglob("*.py"))]


@pytest.mark.slow  # `make check` runs it as a step of its own
def test_the_arrows_between_the_parts_hold(repository):
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(
        [*command, "--config", "pyproject.toml"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_the_contract_on_the_arrows_has_no_hole(repository):
    """Every part has its floor, no arrow is excused, and the floors stay few."""
    told = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert [contract for contract in told["contracts"] if contract.get("ignore_imports")] == []
    (floors,) = (contract for contract in told["contracts"] if contract.get("containers") == ["backend"])
    assert (floors["exhaustive"], floors["exhaustive_ignores"]) == (True, ["__main__"])
    assert len([name for floor in floors["layers"] for name in floor.split("|")]) <= MAX_FLOORS


@cache
def imports(path):
    """Top-level names of what a module imports, wherever in it."""
    nodes = nodes_of(path)
    names = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names}


def test_what_benchmarks_import_of_ours_is_there(repository):
    """Also inside functions, which nobody runs before the next measurement."""
    lacking = [
        f"{path.name}: {node.module}.{one.name}"
        for path in sources(repository, "tests/benchmarks")
        for node in nodes_of(path)
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in {"app", "backend", "tests"}
        for one in node.names
        if one.name not in bound(repository / node.module.replace(".", "/"))
    ]
    assert lacking == []


@cache
def bound(place):
    """Names that can be imported from a module or a package: its members, and the modules in it."""
    modules = (
        {path.stem if path.suffix == ".py" else path.name for path in place.iterdir()} if place.is_dir() else set()
    )
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    nodes = nodes_of(file) if file.is_file() else ()
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return modules | defined | assigned | {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}


def test_folders_stay_small_and_no_name_carries_a_folder_in_it(repository):
    found = defaultdict(list)
    for path in sources(repository, "app", "backend", "pages"):
        if path.name != "__init__.py":
            found[path.parent.relative_to(repository).as_posix()].append(path.stem)
    limits = dict.fromkeys(found, MAX_IN_FOLDER) | AT_THE_ROOT
    assert {folder: len(names) for folder, names in found.items() if len(names) > limits[folder]} == {}
    for folder, names in found.items():
        prefixes = Counter(name.partition("_")[0] for name in names)
        assert {prefix: n for prefix, n in prefixes.items() if n > MAX_SAME_PREFIX} == {}, folder


def test_every_library_that_could_be_exchanged_has_its_doors(repository):
    through = defaultdict(set)
    for path in sources(repository, "app", "backend", "pages"):
        module = ".".join(path.relative_to(repository).with_suffix("").parts)
        for name in DOORS.keys() & imports(path):
            doors = {door for door in DOORS[name] if module == door or module.startswith(f"{door}.")}
            through[name] |= doors or {f"not a door: {module}"}
    assert {name: through[name] for name in DOORS} == DOORS


# Protocols of a single method that many classes have by chance, and those whose instances are asked what they offer.
NO_PORTS = {
    "ActiveJobs",
    "EmbedderLoader",
    "EpochListener",
    "HasRejected",
    "MayGoOn",
    "Products",
    "Remarking",
    "RememberingEmbedder",
}
# What does nothing, or hands on what it is told, may stand beside a port.
BESIDE_A_PORT = {"Alone", "NullProgress", "NullTracker", "Span"}


def test_a_port_stands_apart_from_what_implements_it(repository):
    """Nobody who asks through a port gets an implementation with it, or asks which one it has."""
    modules = {
        ".".join(path.relative_to(repository).with_suffix("").parts): nodes_of(path)
        for path in sources(repository, "backend")
    }
    classes = [(home, node) for home, nodes in modules.items() for node in nodes if isinstance(node, ast.ClassDef)]
    ports = {node.name: (home, _members(node)) for home, node in classes if _is_port(node)}
    assert len(ports) >= 8
    for name, (home, members) in ports.items():
        named = {f"{node.module}" for node in modules[home] if isinstance(node, ast.ImportFrom)}
        beside = {made.name for at, made in classes if members <= _members(made) and at in {home, *named}}
        assert beside - BESIDE_A_PORT - {name} == set(), name
    asked = [
        ast.unparse(node)
        for nodes in modules.values()
        for node in nodes
        if isinstance(node, ast.Call) and _called(node) == "isinstance" and ports.keys() & set(_names(node.args[1]))
    ]
    assert asked == []


def _is_port(node):
    return any("Protocol" in _names(base) for base in node.bases) and node.name not in NO_PORTS


def _members(node):
    methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    fields = {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
    return methods | fields | {name for item in node.body if isinstance(item, ast.Assign) for name in _names(item)}


def _names(node):
    return [found.id for found in ast.walk(node) if isinstance(found, ast.Name)]


def test_no_module_needs_itself(repository):
    """Neither at import nor later: a circle through an import inside a function is one, too."""
    graph = build_graph("backend", "app", exclude_type_checking_imports=True)
    arrows = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(arrows).prepare()


def test_every_kind_of_job_is_in_each_of_the_tables():
    assert JOB_KINDS.keys() == requests.KINDS.keys() == kinds.KINDS.keys()
    assert [kind.request for kind in JOB_KINDS.values()] == [requests.KINDS[name] for name in JOB_KINDS]


REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)[=<>]=?[^# ]+ *(?:# (?P<why>.+))?")


def declared(path):
    """What a requirements file asks for, by name, and why it does where no module imports it."""
    rows = [row for row in path.read_text("utf-8").splitlines() if row and not row.startswith(("#", "-c "))]
    found = {match["name"]: match["why"] or "" for match in map(REQUIREMENT.fullmatch, rows)}
    return {
        canonical(name): why.removeprefix("kept: ") if why.startswith("kept: ") else "" for name, why in found.items()
    }


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(repository, *folders):
    """Distributions by the name of each library that is imported, at the top of a module or anywhere in it."""
    of = packages_distributions()
    names = {name for path in sources(repository, *folders) for name in imports(path)}
    libraries = names - sys.stdlib_module_names - {"app", "backend", "pages", "tests"}
    return {name: {canonical(distribution) for distribution in of.get(name, [])} for name in libraries}


@pytest.mark.parametrize(
    ("folders", "files"),
    [
        (("app", "backend", "pages"), ["requirements.in"]),
        pytest.param(("tests",), ["requirements-dev.in", "requirements.in"], marks=pytest.mark.slow),
    ],
)
def test_what_is_imported_is_declared_and_what_is_declared_is_imported_or_says_why_not(repository, folders, files):
    own, *more = (declared(repository / name) for name in files)
    libraries = imported(repository, *folders)
    known = own.keys() | set().union(*more)
    assert {name: distributions for name, distributions in libraries.items() if not distributions & known} == {}
    used = set().union(*libraries.values())
    assert {name for name, why in own.items() if name not in used and not why} == set()
    assert {name for name, why in own.items() if name in used and why} == set(), "imported by now: say by whom instead"


def test_no_module_at_a_root_has_the_name_of_a_library(repository):
    """Regression: ``backend/requests.py`` was taken for the library by whoever ran a script in that folder."""
    ours = {path.stem for folder in AT_THE_ROOT for path in (repository / folder).iterdir()}
    assert ours & set(packages_distributions()) - {"app", "backend"} == set()


def test_functions_modules_and_pages_stay_small(repository):
    too_long = []
    for path in sources(repository, "app", "backend", "pages"):
        limit = MAX_PAGE if path.parent.name == "pages" else MAX_MODULE
        if (lines := len(path.read_text("utf-8").splitlines())) > limit:
            too_long.append(f"{path.relative_to(repository)}: {lines} lines")
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1 - _docstring_lines(node)
                if length > MAX_FUNCTION:
                    too_long.append(f"{path.relative_to(repository)}:{node.name}: {length} lines")
    assert too_long == []


def _docstring_lines(node) -> int:
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first.end_lineno - first.lineno + 1 if is_docstring else 0


LIGHT = [
    "backend.flow.requests",
    "backend.flow.kinds",
    "backend.machine.doctor",
    "backend.jobs.runner",
    "backend.catalogue.snapshot",
    "backend.serving.client",
    "backend.serving.tokens",
    "backend.cli.main",
    "backend.worker",
    "backend.retrieval.recommend",
    "backend.training.config",
    "backend.training.ranks.preflight",
    "backend.tuning.checks",
    "backend.tuning.report",
    "app.services.tuning",
    "app.navigation",
    "app.services.common",
]


@pytest.fixture(scope="module")
def importing(repository, tmp_path_factory):
    """A fresh process far from here: what is in memory after each of LIGHT in turn, threads and files after everything."""
    everything = [
        ".".join(path.relative_to(repository).with_suffix("").parts)
        for path in sources(repository, "backend")
        # The last three are loaded by MLflow itself, whose import makes a folder for its own settings.
        if path.name not in {"__main__.py", "__init__.py", "pyfunc_model.py", "predictor.py", "scoring.py"}
    ]
    code = (
        "import importlib, json, sys, threading\nfound = {}\n"
        f"for name in {LIGHT!r}:\n"
        "    importlib.import_module(name)\n"
        f"    found[name] = [h for h in {HEAVY!r} if h in sys.modules]\n"
        f"for name in {everything!r}: importlib.import_module(name)\n"
        "print(json.dumps([found, threading.active_count()]))"
    )
    home = tmp_path_factory.mktemp("importing")
    environ = {"PYTHONPATH": str(repository), "HOME": str(home), "PATH": "/usr/bin:/bin"}
    environ["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environ, capture_output=True, text=True, check=True
    )
    return *json.loads(done.stdout), list(home.iterdir())


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_no_heavy_library(importing, module):
    assert importing[0][module] == []


def test_importing_everything_writes_nothing(importing):
    """No work at import: no folder, file, client or session, wherever the process stands."""
    assert importing[1:] == (1, [])


def test_only_the_settings_read_the_environment(repository):
    """``os.environ`` may be handed to children and prepared for libraries; settings are read in one place."""
    readers = [
        str(path.relative_to(repository))
        for path in sources(repository, "app", "backend", "pages")
        if path.name not in {"settings.py", "bootstrap.py", "doctor.py"}  # the doctor has a check of that name
        and any(re.fullmatch(r"TWINSET_[A-Z_]*", text) for text in _literals(path))
    ]
    assert readers == []


def _literals(path):
    return [node.value for node in nodes_of(path) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.mark.parametrize("word", ["../shared", "/work/", "/root/", "pypi.org", "repo1.maven", "localhost.localdomain"])
def test_nothing_names_a_place_that_is_not_ours(repository, word):
    listed = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True).stdout
    exempt = {".ci/run", "tests/test_architecture.py"}
    guilty = []
    for name in set(listed.splitlines()) - exempt:
        path = repository / name
        if path.suffix in {".png", ".ico", ".woff2", ".parquet", ".npy", ".npz", ".db"} or not path.is_file():
            continue
        if word in path.read_text("utf-8"):
            guilty.append(name)
    assert guilty == []


DOOR = "backend/training/runtime.py"
AFTER_THE_DOOR = {"loaded", "prepare_tensorflow", "prepare_training", "prepare_similarity"}


def test_tensorflow_is_imported_behind_one_door_or_after_it(repository):
    """The door chooses device and memory: TensorFlow itself is imported there only, what imports it only after a call."""
    wrong = []
    for path in sources(repository, "app", "backend", "pages"):
        name = str(path.relative_to(repository))
        if not re.search("tensorflow|keras", path.read_text("utf-8")):
            continue
        for function in nodes_of(path):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
                wrong += [f"{name}: {module}" for module in _imported_too_early(function) if name != DOOR]
    assert wrong == []


def _imported_too_early(scope):
    """Modules that stand on TensorFlow and are imported in a function, or a module, before it called the door."""
    inside = list(_without_functions(scope))
    doors = [node.lineno for node in inside if isinstance(node, ast.Call) and _called(node) in AFTER_THE_DOOR]
    for node in inside:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            is_tensorflow = module.split(".")[0] in {"tensorflow", "tf_keras", "keras"}
            stands_on_it = module.split(".")[0] == "tensorflow_similarity" or module.startswith("horovod.tensorflow")
            if is_tensorflow or (stands_on_it and min(doors, default=node.lineno) >= node.lineno):
                yield module


def _without_functions(scope):
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _without_functions(child)


def test_no_text_reaches_a_page_as_markup(repository):
    """Whatever Streamlit reads as Markdown is our own, a number, or went through ``words.plain`` or ``words.prose``."""
    modules = {
        ".".join(path.relative_to(repository).with_suffix("").parts): path.read_text("utf-8")
        for path in sources(repository, "app", "pages")
    }
    assert Pages(modules, [path.read_text("utf-8") for path in sources(repository, "backend")]).unescaped() == []


# Pages on which something was forgotten; where it says ESCAPE, plain() would mend it.
FORGOTTEN = {
    "a value": "def show(load):\n    st.caption(f'From {ESCAPE(load.source)}')",
    "an option": "def show(load):\n    st.pills('Which', ESCAPE(load.names))",
    "a help": "def show(load):\n    st.button('Go', help=ESCAPE(load.note))",
    "a loop": "def show(load):\n    for name in ESCAPE(load.names):\n        st.markdown(name)",
    "a variable": "def show(load):\n    told = ESCAPE(load.name).strip() or 'none'\n    st.error(told)",
    "a list": "def show(load):\n    told = []\n    told.append(ESCAPE(load.name))\n    st.error(', '.join(told))",
    "words": "def show(load):\n    st.metric('Model', **ESCAPE(load.words))",
    "a parameter": "def show(load):\n    write(ESCAPE(load.name))\n\ndef write(text):\n    st.markdown(text)",
    "a function": "def show(load):\n    st.info(say(load))\n\ndef say(load):\n    return f'{load.rows:,} of {ESCAPE(load.name)}'",
}


@pytest.mark.parametrize("code", FORGOTTEN.values(), ids=FORGOTTEN)
def test_text_that_nobody_escaped_is_found(code):
    assert len(Pages({"app.some": code.replace("ESCAPE", "")}).unescaped()) == 1
    assert Pages({"app.some": code.replace("ESCAPE", "plain")}).unescaped() == []


def _called(node):
    return getattr(node.func, "id", getattr(node.func, "attr", ""))

"""The scripts in assets/ are linted and type-checked where Node.js is; nothing else of Twinset needs it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest

from backend.settings import ROOT

pytestmark = pytest.mark.slow

TOOLS = ROOT / "tests" / "javascript"
SCRIPTS = sorted(str(path) for path in (ROOT / "assets").glob("*.js"))


def run(*command, cwd=TOOLS):
    """Exit code, and all that was said."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=240)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def tool(shared_settings, tmp_path_factory):
    """Finds a tool at its pinned version; they are fetched once, into the user's cache."""
    if shutil.which("npm") is None:
        pytest.skip("Node.js is not installed")
    lock = (TOOLS / "package-lock.json").read_bytes()
    tools = shared_settings.cache_dir / f"javascript-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not tools.is_dir():
        fresh = tmp_path_factory.mktemp("javascript") / "tools"
        fresh.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(TOOLS / name, fresh)
        code, said = run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0", cwd=fresh)
        if code:
            pytest.skip(f"npm cannot fetch the tools: {said.strip()[-200:]}")
        tools.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(fresh, tools)
    return lambda name: str(tools / "node_modules" / ".bin" / name)


@pytest.fixture
def checks(tool):
    """The linter and the type checker."""
    return [
        (tool("biome"), "lint", "--error-on-warnings", f"--config-path={TOOLS}"),
        (tool("tsc"), "--project", str(TOOLS)),
    ]


def test_the_scripts_are_linted_and_typed(checks):
    lint, types = checks
    assert run(*lint, *SCRIPTS)[0] == 0, run(*lint, *SCRIPTS)[1]
    assert run(*types) == (0, "")


def test_the_checks_see_what_is_wrong(checks, tmp_path):
    lint, _ = checks
    wrong = tmp_path / "wrong.js"
    wrong.write_text('/** @type {number} */\nconst size = "12";\nif (size == 1) debugger;\nexport default size;\n')
    code, said = run(*lint, str(wrong))
    assert code
    assert "noDebugger" in said
    code, said = run(checks[1][0], "--checkJs", "--noEmit", "--strict", str(wrong))
    assert code
    assert "Type 'string' is not assignable to type 'number'" in said

# Twinset: `make run` to use it, `make test` to check it; both set everything up first.
PYTHON ?= python3.11
BIN := .venv/bin
# One more than there are cores: some tests wait for a server or a process.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
FAST := not spark and not tf and not mlflow and not browser and not slow and not ui
# Folders without a fast test; tests/conftest.py sees to it.
UNREAD := browser integration
# Lines of app, backend and pages that the fast tests and the pages must reach, in per cent.
FLOOR := 85
PAGES := ui and not spark and not tf and not mlflow and not browser
ENGINES := (spark or tf) and not browser

# Where a machine sets this, every process of the tests would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run demo doctor check format docs test test-engines test-others bench requirements clean

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

setup: ## virtual environment, pinned packages, Horovod, Delta JARs; instant when nothing changed
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed; install it or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m backend.machine.bootstrap

run: setup ## prepare the demo if there is none yet, then start MLflow, the endpoint and the app
	@exec $(BIN)/python -m backend run $(if $(SOURCE),--source $(SOURCE))

demo: setup ## run the whole path once and print its figures (SOURCE=sample for the built-in catalogue)
	@$(BIN)/python -m backend demo --json $(if $(SOURCE),--source $(SOURCE))

doctor: setup ## check that this machine is ready
	@$(BIN)/python -m backend doctor

format: setup ## put every file into the one format
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

docs: setup ## write the reference of commands, settings, errors and routes anew from the code
	@$(BIN)/python -m tests.support.reference
	@$(BIN)/python -m backend.serving.openapi

check: setup ## format, lint, types, imports and the fast tests
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "$(FAST)" $(UNREAD:%=--ignore=tests/%) $(MEASURED)

# To measure costs a fifth of the time: only the fast tests and the pages do so, and none in `make check` or `make test MEASURED=`.
test: export TESTS_THOROUGH := 1
test: MEASURED := --cov --cov-report= --cov-fail-under=0
test: check ## everything: also all pages, Spark, TensorFlow, MLflow and a real browser
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "$(PAGES)" $(MEASURED) --cov-append
	$(if $(MEASURED),$(BIN)/coverage report --sort=miss --fail-under=$(FLOOR))
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-engines test-others

# Side by side, and of one length: each waits much of its time, for a JVM, a process or a page. What starts every engine in a
# process of its own can stand in either.
WHOLE := $(addprefix tests/integration/test_, $(addsuffix .py, demo crashes cluster left_behind spark_session))
test-engines:
	$(BIN)/python -m pytest -q -m "$(ENGINES)" $(WHOLE:%=--deselect=%)

test-others:
	$(BIN)/python -m pytest -q -m "not ($(FAST)) and not ($(PAGES)) and not ($(ENGINES))"
	$(BIN)/python -m pytest -q $(WHOLE)

bench: setup ## upload to painted neighbours, in a real browser
	@$(BIN)/python -m tests.benchmarks.find_similar --json

requirements: setup ## resolve requirements.in and requirements-dev.in anew
	@for name in requirements requirements-dev; do $(BIN)/pip-compile -q --strip-extras --allow-unsafe --no-header \
	  --no-emit-options --no-emit-index-url --no-emit-find-links --no-build-isolation --annotation-style=line -o $$name.txt $$name.in; done

clean: ## remove all state of this checkout; the next run starts afresh
	@rm -rf .twinset .coverage* .pytest_cache .ruff_cache .mypy_cache .import_linter_cache

# The one way to run everything. Begin with a machine that has python3 (3.11 or later, with venv) and make; the rest
# is set up here, from locked wheels. `make` alone lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --exclude-newer "1 week" --custom-compile-command "make lock"
READY_TO_RUN := $(VENV)/.ready-to-run
READY_TO_DEVELOP := $(VENV)/.ready-to-develop

export NO_COLOR := 1
export PIP_NO_COLOR := 1
export PIP_PROGRESS_BAR := off

.DEFAULT_GOAL := help
.PHONY: help setup run stop test check fix bench soak screenshots bundle lock clean

help:  ## list these targets
	@echo "QazTech: make TARGET"
	@sed -n 's/^\([a-z]*\):.*  ## /\1 /p' $(MAKEFILE_LIST) | while read -r name text; do printf '  %-8s %s\n' "$$name" "$$text"; done

setup: $(READY_TO_RUN)  ## prepare .venv with the command .venv/bin/qaztech (wheels only, nothing is compiled)
	@echo "Ready: $(BIN)/qaztech (make run starts the embedded country)."

run: $(READY_TO_RUN)  ## start the embedded country and print its page and three lines to paste
	@$(BIN)/qaztech up

stop:  ## stop the embedded country
	@if [ -x $(BIN)/qaztech ]; then $(BIN)/qaztech down; else echo "Nothing to stop: not set up yet (make run)."; fi

test: $(READY_TO_DEVELOP)  ## set up everything and run all checks and tests; PARTS="unit house" runs only those
	@sh scripts/install_packages.sh
	@$(MAKE) --no-print-directory check
	@$(BIN)/python scripts/run_tests.py $(PARTS)

check: $(READY_TO_DEVELOP)  ## lint, format, types, layers: what needs no test run
	@echo "== lint"
	@$(BIN)/ruff check --quiet . || { echo "make fix repairs much of this by itself."; exit 1; }
	@echo "== format"
	@$(BIN)/ruff format --check --quiet . || { echo "make fix formats what is named here:"; $(BIN)/ruff format --check .; exit 1; }
	@echo "== types"
	@$(BIN)/mypy --no-error-summary
	@echo "== layers"
	@$(BIN)/lint-imports --no-logo --no-cache

fix: $(READY_TO_DEVELOP)  ## repair and format what can be repaired by itself
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .
	@echo "Done. make check says what is left."

bench: $(READY_TO_DEVELOP)  ## measure beside a pair of nginx and LiteLLM's proxy, and write the tables of docs/performance.md
	@sh scripts/install_packages.sh
	@$(BIN)/python -m bench --output docs/performance.md

soak: $(READY_TO_DEVELOP)  ## the tests too long for make test
	@sh scripts/install_packages.sh
	@$(BIN)/python -m pytest -m slow

screenshots: $(READY_TO_DEVELOP)  ## make the pictures of docs/screenshots anew, from a running country
	@$(BIN)/python scripts/screenshots.py

bundle: $(READY_TO_DEVELOP)  ## make one archive in dist/ that installs without a network; RELEASE_KEY=FILE signs it
	@$(BIN)/python scripts/bundle.py --key "$(RELEASE_KEY)"

lock: $(READY_TO_DEVELOP)  ## make the locks anew from pyproject.toml (asks the package index)
	@$(LOCK) --extra demo --extra traffic --extra analysis --extra embeddings --extra model --extra tracing --extra postgresql --group dev pyproject.toml -o requirements/dev.lock
	@$(LOCK) --no-annotate --extra demo --extra traffic --extra tracing --extra postgresql --extra analysis --group build -c requirements/dev.lock pyproject.toml -o requirements/run.lock
	@echo "Done. Look at the difference before you commit it."

clean:  ## remove what setup and tests have made (not the country's data: that is `qaztech down` and its home folder)
	@rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	@find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@echo "Clean."

$(BIN)/python:
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or later with its venv module is needed, and '$(PYTHON)' is not that."; \
	  echo "On Debian or Ubuntu: apt-get install python3-venv. Another interpreter: make setup PYTHON=python3.12"; exit 1; }
	@echo "== setting up: $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(READY_TO_RUN): requirements/run.lock pyproject.toml | $(BIN)/python
	@echo "== setting up: what it runs on (pinned wheels, about a minute the first time)"
	@$(PIP) install -qq --require-hashes --only-binary :all: -r requirements/run.lock || { \
	  echo "The packages could not be installed. Can this machine reach a Python package index? (pip config list)"; exit 1; }
	@$(PIP) install -qq --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(READY_TO_DEVELOP): requirements/dev.lock $(READY_TO_RUN)
	@echo "== setting up: what it is tested with"
	@$(PIP) install -qq --require-hashes --only-binary :all: -r requirements/dev.lock || { \
	  echo "The packages could not be installed. Can this machine reach a Python package index? (pip config list)"; exit 1; }
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q src
	@touch $@

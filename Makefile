# `make demo` and `make test` are all that a bare Debian 12 with Python 3.11 needs, in either order: each installs what it
# needs into .venv, from the locks and by their hashes, says what it does, and does it only once.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := $(wildcard ffd ffctl tests bench)
# programs that are not named *.py
SCRIPTS := $(wildcard demo/run bench/run)
# FireFly's SDK, for the tests that speak through it; without npm they are skipped and say so
SDK := tests/sdk/node_modules/installed
NPM := $(shell command -v npm 2>/dev/null)

.PHONY: help demo test lint format bench man lock clean

help:
	@echo "make demo    install into .venv and stream the Python library through a fresh ffd"
	@echo "make test    install what the tests need and run them; ARGS='-k tail -x' goes to pytest"
	@echo "make lint    ruff, flake8-async and mypy"
	@echo "make format  let ruff lay out the code"
	@echo "make bench   measure the main job beside bare SQLite; ARGS go to bench/run"
	@echo "make man     write the manual pages anew from the programs"
	@echo "make lock    lock the dependencies of pyproject.toml; ARGS=--upgrade takes the newest"
	@echo "make clean   remove .venv and every cache"

demo: .venv/installed
	$(BIN)/python demo/run $(ARGS)

test: .venv/installed-dev $(if $(NPM),$(SDK))
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
# 114 wants a list of every startable function, 124 forbids an async method that a Protocol asks for
	$(BIN)/flake8-async --disable=ASYNC9,ASYNC114,ASYNC124 $$(find ffd ffctl -name '*.py')
	$(BIN)/mypy $(SOURCES)
# one by one: each is a __main__
	set -e; for script in $(SCRIPTS); do $(BIN)/mypy $$script; done

format: .venv/installed-dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: .venv/installed-dev
	$(BIN)/python bench/run $(ARGS)

man: .venv/installed-dev
	$(BIN)/python man/generate $(ARGS)

lock: .venv/installed-dev
	packaging/lock $(ARGS)

clean:
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/sdk/node_modules
	find ffd ffctl tests bench demo man -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.venv/installed: requirements.lock pyproject.toml packaging/install
	PYTHON=$(PYTHON) packaging/install requirements.lock
	@touch $@

# The developers' lock holds the users' lock, so what this installs is good for `make demo` too.
.venv/installed-dev: requirements-dev.lock pyproject.toml packaging/install
	PYTHON=$(PYTHON) packaging/install requirements-dev.lock
	@touch .venv/installed $@

# From the lock, by its hashes, out of whatever registry npm is told to use.
$(SDK): tests/sdk/package.json tests/sdk/package-lock.json tests/sdk/.npmrc
	cd tests/sdk && npm ci --loglevel=error && touch node_modules/installed \
		|| echo "make: npm cannot install the SDK, so its tests are skipped" >&2

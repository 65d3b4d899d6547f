# Every target sets up what it needs; nothing but Python 3.11 is expected.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.requirements
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help venv demo test check format lint imports types tests faults fuzz bench psql requirements clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | sort | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

$(STAMP): requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned dependencies into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

venv: $(STAMP) ## set up .venv, nothing else

demo: venv ## the main job: embedded database, built-in emulator, 25 symbols, 60 days
	@$(BIN)/python master_backfill.py --demo $(or $(ARGS),--days 60)

test: check ## set up and run every check (what CI runs)

check: venv format lint imports types tests ## format, lint, import contract, types, tests

format: venv ## check the formatting (write it with: .venv/bin/ruff format)
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format" >&2; exit 1; }

lint: venv ## lint
	@$(BIN)/ruff check --quiet .

imports: venv ## check that imports run downward only
	@$(BIN)/lint-imports --no-cache --no-logo

types: venv ## type-check
	@$(BIN)/mypy

tests: venv ## run the tests on both cores
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -q $(ARGS)

faults: venv ## the whole fault suite: 200 seeded schedules of faults, restarts, cuts and kills
	@$(BIN)/python -m pytest -n 2 --dist load -q -m "faults or not faults" tests/faults $(ARGS)

fuzz: venv ## fuzz decoders and parsers with a hundred times as many examples, new ones each time
	@FUZZ_TIMES=$${FUZZ_TIMES:-100} $(BIN)/python -m pytest -n 2 --dist load -q tests/fuzz $(ARGS)

bench: venv ## measure: write path, memory, pacing (figures for BACKFILL_ARCHITECTURE.md)
	@$(BIN)/python scripts/benchmark.py all $(ARGS)

psql: venv ## open the embedded database in psql
	@$(BIN)/python scripts/database.py psql $(ARGS)

requirements: venv ## pin the newest versions anew, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		--extra dev pyproject.toml -o requirements.txt

clean: ## remove .venv and the caches
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

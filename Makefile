# What people and CI run. `make` alone lists it. Every target that needs the environment makes it first.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Where it is set, each of the hundreds of processes of a test run would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PACKAGES := askance loop selection training serving

# The environment is made anew when what it is made from has changed: by content, since a clone has new dates.
SOURCES := $(wildcard pyproject.toml hatch_build.py serving/web/package-lock.json)
STAMP := $(VENV)/.setup-$(shell cat $(SOURCES) | cksum | tr ' ' '-')

.PHONY: help setup demo test test-label-studio check page nightly-queue chaos chaos-cycle clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## make .venv, install Askance and build the page; as root also Chromium and PostgreSQL for tests

$(STAMP):
	@bash scripts/setup.sh $(VENV)
	@rm -f $(VENV)/.setup-*
	@touch $@

demo: setup ## the whole loop on drifting digit scenes, then the service stays up for you (ARGS="--exit --json")
	@$(BIN)/askance demo $(ARGS)

test: setup ## all tests, in three processes at once; with ARGS="-k routing -x" in one
	@$(BIN)/python scripts/run_tests.py $(ARGS)

test-label-studio: setup ## the bridge against a real Label Studio, killed in the middle (LABEL_STUDIO_KILLS=)
	$(BIN)/python -m pytest tests/label_studio_real.py -o timeout=900 $(ARGS)

check: setup ## lint, format, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	$(BIN)/lint-imports

page: setup ## generate the page's types from the API, check, test and build it
	@bash scripts/page.sh $(VENV)

bench-%: setup ## run a benchmark, e.g. bench-gate (QUICK=1: short)
	$(BIN)/python -m benchmarks.$* $(ARGS)

nightly-queue: setup ## the queue's state machine for a night: 10,000 runs on each database (RUNS=)
	QUEUE_RUNS=$(or $(RUNS),10000) $(BIN)/python -m pytest tests/contract/test_queue_machine.py $(ARGS)

chaos: setup ## kill the API and retrain cycles 500 times on each database, nothing may be lost (KILLS=)
	CHAOS_KILLS=$(or $(KILLS),500) CYCLE_KILLS=$(or $(KILLS),500) $(BIN)/python -m pytest \
		tests/contract/test_kills.py tests/contract/test_cycle_kills.py -s $(ARGS)

chaos-cycle: setup ## kill a real service (Ray, training, Serve, MLflow) in each phase of its cycles (KILLS=24)
	REAL_CYCLE_KILLS=$(or $(KILLS),24) $(BIN)/python -m pytest tests/service/cycle_kills.py -s $(ARGS)

clean: ## remove what was built and cached; keeps .venv and your data
	rm -rf build dist serving/web/dist serving/web/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	rm -f $(VENV)/.setup-*
	find $(PACKAGES) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

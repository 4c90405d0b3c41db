# Everything from nothing: each target makes .venv and installs first, with plain python3 (3.11 or later) and pip.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Demos keep their adapters in the project's own folder, so that trying graftlm out touches nothing else.
export GRAFTLM_HOME ?= $(CURDIR)/.home

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-gpu lint format bench bench-gpu clean

help: ## Show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "graftlm needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch hatchling
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED) ## Teach a tiny model something new, and see what it cost (about a minute)
	$(BIN)/graftlm demo

test: $(INSTALLED) ## The tests (some minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow and not gpu'

test-all: $(INSTALLED) ## The tests, the slow ones too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not gpu'

test-gpu: ## The tests that need a GPU, with the torch that is installed
	$(PYTHON) -m pytest -m gpu

lint: $(INSTALLED) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## Let ruff format and sort
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## Start-up of the command line, and training against the same script by hand
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/training.py

bench-gpu: ## The training benchmark on a GPU, with the torch that is installed
	$(PYTHON) benchmarks/training.py --device cuda

clean: ## Remove the environment and what the tools leave
	rm -rf $(VENV) .home .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Everything from nothing: each target makes .venv and installs first, with plain python3 (3.11 or later) and pip.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Demos keep their adapters in the project's own folder, so that trying graftlm out touches nothing else.
export GRAFTLM_HOME ?= $(CURDIR)/.home

# A machine with a GPU has the torch that fits it: its environment is seen from ours, and only small packages are added,
# from wheels/ where there is no network ('make wheels' fills it).
GPU_PYTHON ?= 3.12
GPU_BIN := .venv-gpu/bin
GPU_INSTALLED := .venv-gpu/.installed
GPU_PIP := $(if $(wildcard wheels),--no-index --find-links wheels)
SMALL := hatchling editables pytest hypothesis nvidia-ml-py

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-store test-faults test-faults-long test-environments test-scaffolds test-gpu lint format bench bench-cpu bench-engine bench-gpu parity judgement docs docs-reference wheels wheels-environments clean

help: ## Show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "graftlm needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch hatchling
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(GPU_INSTALLED): pyproject.toml
	$(PYTHON) -m venv --system-site-packages .venv-gpu
	$(GPU_BIN)/python -m pip install --quiet $(GPU_PIP) $(SMALL) matplotlib psutil
	$(GPU_BIN)/python -m pip install --quiet $(GPU_PIP) --no-build-isolation -e .
	touch $@

# Distributions of their own are tested as they are installed, each alone beside graftlm, and nothing is put into .venv.
CONTRIB_SITE := $(CURDIR)/.contrib
define contrib-tests
	set -e; for folder in $(sort $(dir $(wildcard contrib/*/pyproject.toml))); do rm -rf $(CONTRIB_SITE); \
		$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --disable-pip-version-check \
			--target $(CONTRIB_SITE) ./$$folder; \
		(cd $$folder && PYTHONPATH=$(CONTRIB_SITE):$$PYTHONPATH OMP_NUM_THREADS=1 $(CURDIR)/$(BIN)/python -m pytest -q -n 2); done
endef

demo: $(INSTALLED) ## Teach a tiny model something new, and see what it cost (about a minute)
	$(BIN)/graftlm demo

test: $(INSTALLED) ## The tests (some minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow and not gpu and not environments'
	$(contrib-tests)

test-all: $(INSTALLED) ## The tests, the slow ones too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not gpu and not environments'

test-store: $(INSTALLED) ## The store's promises, proved with whole counts and shown in figures (half an hour on 2 cores)
	OMP_NUM_THREADS=1 GRAFTLM_STORE_COUNTS=whole $(BIN)/python -m pytest -rP --durations=0 tests/store tests/registry/outside

test-faults: $(INSTALLED) ## Runs that survive, proved with whole counts: signals, kills, injections (an hour on 2 cores)
	OMP_NUM_THREADS=1 GRAFTLM_FAULT_COUNTS=whole $(BIN)/python -m pytest -n 2 --dist worksteal -rP --durations=0 tests/faults

MINUTES ?= 30
test-faults-long: $(INSTALLED) ## A run of half an hour, killed five times, against the same run never killed (MINUTES=30)
	$(BIN)/python tests/faults/half_hour.py --minutes $(MINUTES)

test-environments: $(INSTALLED) ## Make every backend's environment from nothing, and train in each (about an hour on 2 cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m environments -rs --durations=0 tests/environments

test-scaffolds: $(INSTALLED) ## Every kind of plugin from nothing in a fresh environment: new, install, pytest, check (half an hour on 2 cores)
	OMP_NUM_THREADS=1 $(BIN)/python tests/kit/fresh_environment.py

test-gpu: $(GPU_INSTALLED) ## The tests that need a GPU, with the torch that is installed
	$(GPU_BIN)/python -m pytest -m gpu -rs

lint: $(INSTALLED) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## Let ruff format and sort
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(INSTALLED) ## The documentation as a site, in build/docs; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -n -q -b html -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

docs-reference: $(INSTALLED) ## Write the pages that are made from the code, and the tables of results
	$(BIN)/python docs/make_reference.py

bench: $(INSTALLED) ## Start-up, encoding against datasets.map, training against the same script by hand, memory
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/encoding.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/memory.py

# Results grow in .bench; what a suite has finished is packed into benchmarks/results/DATE-SUITE.
BENCH_MINUTES ?= 10000
BENCH_SITE := $(CURDIR)/.bench/site
bench-plugins = rm -rf $(BENCH_SITE) && $(1) -m pip install --quiet --no-deps --no-build-isolation --no-index \
	--disable-pip-version-check --target $(BENCH_SITE) ./benchmarks/peers ./contrib/graftlm-llamafactory
BENCH = PYTHONPATH=$(BENCH_SITE) GRAFTLM_HOME=$(CURDIR)/.bench/home

bench-cpu: $(INSTALLED) ## The suites of a CPU: every backend, checked and measured (three quarters of an hour)
	$(call bench-plugins,$(BIN)/python)
	for name in trl unsloth llamafactory; do $(BENCH) $(BIN)/graftlm envs create $$name || exit 1; done
	for name in cpu cpu-sweep; do $(BENCH) $(BIN)/graftlm bench run --config benchmarks/$$name.yaml \
		--out .bench/$$name --stop-after $(BENCH_MINUTES) || exit 1; done
	$(BIN)/python benchmarks/publish.py .bench/cpu .bench/cpu-sweep

bench-engine: $(INSTALLED) ## graftlm's engine on a CPU against every peer at its best and as it comes (three quarters of an hour, quiet machine)
	$(call bench-plugins,$(BIN)/python)
	for name in trl unsloth llamafactory; do $(BENCH) $(BIN)/graftlm envs create $$name || exit 1; done
	$(BIN)/python benchmarks/engine_model.py .bench/engine-model 2> /dev/null
	$(BENCH) $(BIN)/graftlm bench run --config benchmarks/engine.yaml --out .bench/engine --stop-after $(BENCH_MINUTES)
	$(BIN)/python benchmarks/engine_goals.py .bench/engine
	$(BIN)/python benchmarks/publish.py .bench/engine
	$(BIN)/python benchmarks/engine_scale.py .bench/engine-model

parity: $(INSTALLED) ## The same plan on every backend, on four models, through the gate (environments as bench-cpu makes them)
	$(call bench-plugins,$(BIN)/python)
	$(BENCH) $(BIN)/graftlm bench run --config benchmarks/parity.yaml --out .bench/parity
	$(BIN)/python benchmarks/publish.py .bench/parity

GPU_SUITES ?= gpu-engine gpu gpu-sweep
bench-gpu: $(GPU_INSTALLED) ## The suites of one GPU, with the torch that is installed (GPU_SUITES=gpu BENCH_MINUTES=8: a part)
	$(call bench-plugins,$(GPU_BIN)/python)
	-for name in trl unsloth; do $(BENCH) $(if $(wildcard wheels),PIP_NO_INDEX=1 PIP_FIND_LINKS=$(CURDIR)/wheels) \
		$(GPU_BIN)/graftlm envs create $$name; done
	for name in $(GPU_SUITES); do $(BENCH) $(GPU_BIN)/graftlm bench run --config benchmarks/$$name.yaml \
		--out .bench/$$name --stop-after $(BENCH_MINUTES) || exit 1; done
	$(GPU_BIN)/python benchmarks/publish.py $(addprefix .bench/,$(GPU_SUITES))

wheels: ## Small wheels for a GPU machine without network (GPU_PYTHON=3.12); torch and transformers are there already
	$(PYTHON) -m pip download --quiet -d wheels -c constraints.txt --only-binary=:all: --python-version $(GPU_PYTHON) \
		$(SMALL) matplotlib msgspec click pluggy platformdirs pyyaml psutil

wheels-environments: $(INSTALLED) ## Wheels of the environments that are made here, for a machine without network (torch is there)
	set -e; for name in trl unsloth; do \
		$(BIN)/graftlm envs show $$name --lock | grep -vE '^(graftlm|torch=|pip=|setuptools=)' > wheels-$$name.txt && \
		$(PYTHON) -m pip download --quiet -d wheels --no-deps --only-binary=:all: --python-version $(GPU_PYTHON) \
			-r wheels-$$name.txt && rm wheels-$$name.txt; done

judgement: $(INSTALLED) ## Advice, gaps, forgetting and its cures on the built-in models (three quarters of an hour)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/judgement/run.py --out .bench/judgement

clean: ## Remove the environment and what the tools leave
	rm -rf $(VENV) .venv-gpu wheels build .home .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

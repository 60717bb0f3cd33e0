# Works with GNU make 3.81 (macOS) and later. Needs Python 3.11 or later, nothing else.

VENV ?= .venv
BIN := $(VENV)/bin
# The first Python that is recent enough; say PYTHON=/path/to/python3.12 to choose another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)
# Test processes at once: they share one Kafka and one PostgreSQL.
JOBS ?= 2
ARGS ?=
UV := uv==0.13.9

RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help up down reset test bench bench-first-of-month bench-scale year storm tempest kills check format lock install

help: ## Say what there is (this)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  ARGS=… is handed on: make up ARGS='--no-demo --port-base 9000', make test ARGS='-k ingress'"

up: $(RUNTIME) ## Start everything, play the demo, print every address; Ctrl-C stops it all
	@$(BIN)/relance up $(ARGS)

down: $(RUNTIME) ## End what is still running, or what a crash left
	@$(BIN)/relance down $(ARGS)

reset: $(RUNTIME) ## Forget the data
	@$(BIN)/relance reset --yes $(ARGS)

test: $(DEV) ## Run the whole suite against real servers
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not benchmark" $(ARGS)

bench: $(DEV) ## Measure: ratios are judged, absolutes are printed
	$(BIN)/python -m pytest tests/benchmarks -m "benchmark and not scale" -s $(ARGS)

bench-scale: $(DEV) ## Measure beside a million invoices: 15 minutes, 11 GB of disk, 4 GB of memory
	$(BIN)/python -m pytest tests/benchmarks -m scale -s $(ARGS)

bench-first-of-month: $(DEV) ## Measure: 50,000 invoices fail while Stripe is slow (half an hour)
	RELANCE_DRAIN_INVOICES=50000 RELANCE_DRAIN_SECONDS=900 \
		$(BIN)/python -m pytest tests/benchmarks/test_drain.py -m benchmark -s $(ARGS)

year: $(DEV) ## A simulated year of the scheduler, against a model (an hour; RELANCE_YEAR_SEED=n for another one)
	RELANCE_WHOLE_YEAR=1 $(BIN)/python -m pytest tests/integration/scheduler/test_year.py -s $(ARGS)

storm: $(DEV) ## The storm, with 200 customers for each kill too
	RELANCE_STORM_KILL_CUSTOMERS=200 $(BIN)/python -m pytest tests/faults -s $(ARGS)

kills: $(DEV) ## notifications killed 200 times during 20,000 deliveries
	RELANCE_KILLS=200 RELANCE_KILL_DELIVERIES=20000 $(BIN)/python -m pytest tests/faults/test_killed_senders.py -s $(ARGS)

tempest: $(DEV) ## 1,000 customers with mixed outcomes, 50 kill -9 of billing's worker; prints its account
	RELANCE_MIXED_CUSTOMERS=1000 RELANCE_MIXED_KILLS=50 \
		$(BIN)/python -m pytest tests/faults/test_mixed_storm.py -s $(ARGS)

check: $(DEV) ## Lint, format, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## Put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# With uv in an environment of its own: it is not needed for anything else.
lock: ## Compile requirements/*.in into the two lock files anew
	@$(call need_python)
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip --disable-pip-version-check install --quiet '$(UV)'
	$(call compile,runtime.in,requirements.lock)
	$(call compile,dev.in,requirements-dev.lock)

define compile
build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header requirements/$(1) -o $(2)
endef

install: $(DEV) ## Make the environment, with what development needs

define need_python
if [ -z "$(PYTHON)" ]; then \
	echo "Relance demande Python 3.11 ou plus récent, et aucun n'a été trouvé." >&2; \
	echo "Installez-le, ou dites où il est : make PYTHON=/chemin/vers/python3.12 …" >&2; exit 1; fi; \
if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	echo "$(PYTHON) est trop ancien : Relance demande Python 3.11 ou plus récent." >&2; \
	echo "Dites où il est : make PYTHON=/chemin/vers/python3.12 …" >&2; exit 1; fi; \
if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	echo "$(PYTHON) n'a pas le module venv. Sous Debian ou Ubuntu : apt install python3-venv" >&2; \
	echo "(ou python3.12-venv, selon la version), puis recommencez." >&2; exit 1; fi
endef

# One that was moved, or whose Python is gone, is made anew.
define make_venv
if ! $(BIN)/python -c 'import pip' >/dev/null 2>&1; then \
	$(call need_python); \
	echo "Création de l'environnement Python $(VENV)…"; $(PYTHON) -m venv --clear $(VENV); fi
endef

$(RUNTIME): requirements.lock pyproject.toml
	@$(make_venv)
	@echo "Installation des dépendances (une seule fois, quelques minutes selon le réseau)…"
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installation des outils de développement…"
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

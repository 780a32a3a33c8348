# Everything runs in .venv, made on first use from pyproject.toml and constraints.txt.
# PYTHON is the first interpreter that combgrad is for; tried, as a pyenv has names of absent ones.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c '$(FITS)' 2>/dev/null && echo $$name && break; done)
FIND_PYTHON = test -n '$(PYTHON)' || \
	{ echo 'there is no Python 3.11 to 3.13; name one: make PYTHON=/path/to/python ...' >&2; exit 1; }
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test quick lint format report reproduction times docs bench fuzz check-wheel clean

help:  ## this list
	@grep -E '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

# One marker for everything: installing twice would take longer than the few extra packages.
$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || { $(FIND_PYTHON); $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

run: $(VENV)/installed  ## set up, train TSP(5) on the embedded data for about a minute, show the result
	$(BIN)/python train.py experiment=tsp5 grad=identity proj=std margin=noise margin.alpha=0.2

# Tests that lie together share fixtures and compiled code, so each process takes one half of them.
test: $(VENV)/installed  ## set up and run all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The contracts of all parts, solvers against enumeration, gradients, configurations, one training.
QUICK := $(addprefix tests/, \
	solvers/test_contract.py solvers/test_traits.py solvers/test_topk.py solvers/test_assignment.py \
	solvers/test_knapsack.py unit/test_gradients.py unit/test_projections.py \
	unit/test_losses_contract.py configs/test_compose.py test_public_names.py \
	experiments/test_smoke.py::test_the_record_says_everything)
quick: $(VENV)/installed  ## the tests that find most mistakes, in under two minutes
	$(BIN)/python -m pytest -n 2 $(QUICK)

lint: $(VENV)/installed  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed  ## mend the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

report: $(VENV)/installed  ## every table, figure and run on one page, results/report/index.html
	$(BIN)/python scripts/report.py

$(VENV)/docs: $(VENV)/installed mkdocs.yml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

docs: $(VENV)/docs  ## the documentation site, build/site/index.html
	$(BIN)/python docs/tools/excerpts.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

reproduction: $(VENV)/installed  ## every printed number and what has become of it, docs/reproduction.md
	$(BIN)/python scripts/reproduction.py

# Apart from all other records: those of busy machines would count as done.
times: $(VENV)/installed  ## Table 8 measured anew on an idle machine, into results/own/times (WORDS='experiment=tsp10' narrows)
	$(BIN)/python train.py -m table=8_times paths.results=results/own/times paths.committed=results/own/times threads=1 logger=none pictures=false $(WORDS)
	$(BIN)/python scripts/tables.py 8_times --results results/own/times --save

WORDS ?=
table-%: $(VENV)/installed  ## make table-6: run what is missing of Table 6 (WORDS='profile=reduced' narrows), print it
	$(BIN)/python train.py -m table=$* $(WORDS)
	$(BIN)/python scripts/tables.py $*

figure-%: $(VENV)/installed  ## make figure-8b: the same for a figure, drawn into results/figures
	$(BIN)/python train.py -m figure=$* $(WORDS)
	$(BIN)/python scripts/figures.py $*

bench: $(VENV)/installed  ## time every solver against its reference, into results/bench
	$(BIN)/python scripts/bench.py

MINUTES ?= 10
fuzz: $(VENV)/installed  ## look for wrong answers for MINUTES=10
	$(BIN)/python scripts/fuzz.py --minutes $(MINUTES)

check-wheel:  ## build the wheel, and train, sweep and make tables with it in a fresh environment
	$(FIND_PYTHON)
	PYTHON=$(PYTHON) scripts/check_wheel.sh

clean:  ## remove generated instances, run folders, compiled kernels and caches, but no records
	rm -rf .cache outputs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf src/combgrad/solvers/kernels/__pycache__

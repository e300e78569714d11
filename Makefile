# Everything works in .venv/ and sets itself up: Python 3.11+, make, network to the package index.
PYTHON ?= python3.11
BIN := .venv/bin
TIMERANGE ?=
DATADIR ?=
PYTEST_ARGS ?=

.PHONY: help setup demo test lint types check bench verify votes lookahead recursive docs clean
.DEFAULT_GOAL := help

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.venv/.ready: pyproject.toml constraints.txt
	@echo "setting up .venv (first time: a few minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Quorum needs Python 3.11 or later; set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: .venv/.ready ## make .venv/ with everything in it

demo: setup ## backtest Quorum offline; DATADIR=... for recorded candles, TIMERANGE=...
	$(BIN)/quorum demo $(if $(DATADIR),--datadir $(DATADIR)) $(if $(TIMERANGE),--timerange $(TIMERANGE))

test: setup ## the test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup ## ruff, formatting, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/quorum settings --check docs/settings.md

types: setup ## mypy, strict
	$(BIN)/mypy

check: lint types test ## all of the above

bench: setup ## the benchmark table
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'smartmoneyconcepts==0.0.27'
	$(BIN)/python benchmarks/run.py $(if $(DATADIR),--datadir $(DATADIR))

verify: setup ## the causality certificate
	$(BIN)/quorum demo --only-data $(if $(DATADIR),--datadir $(DATADIR))
	$(BIN)/quorum verify --datadir $$($(BIN)/quorum demo --only-data --print-datadir $(if $(DATADIR),--datadir $(DATADIR)))

docs: setup ## regenerate docs/settings.md
	$(BIN)/quorum settings --output docs/settings.md

clean: ## remove what was generated, but not .venv/
	rm -rf build .mypy_cache .ruff_cache .hypothesis user_data/data user_data/backtest_results
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# Everything works in .venv/ and sets itself up: Python 3.11+, make, network to the package index.
PYTHON ?= python3
BIN := .venv/bin
DATADIR ?=
TIMERANGE ?=
PYTEST_ARGS ?= -n auto --dist loadfile
DRILL_ARGS ?=
DATA := $(if $(DATADIR),--datadir $(DATADIR))
# Where `quorum demo` keeps the candles it prepares.
CANDLES := user_data/data/$(if $(DATADIR),recorded,synthetic)
ANALYSIS := $(or $(TIMERANGE),20240101-20241231)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-all lint types check bench verify votes lookahead recursive drill audit docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## make .venv/ with everything in it

.venv/.ready: pyproject.toml constraints.txt
	@echo "setting up .venv (the first time this takes a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Quorum needs Python 3.11 or later: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup ## backtest offline; DATADIR=... for recorded candles, TIMERANGE=...
	@$(BIN)/quorum demo $(DATA) $(if $(TIMERANGE),--timerange $(TIMERANGE))

test: setup ## the tests, without those that trade, train or draw for long
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: setup ## the tests that `make test` leaves out
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-all: setup ## every test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup ## ruff and the generated reference
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/quorum settings --check docs/settings.md

types: setup ## mypy, strict
	$(BIN)/mypy

check: lint types test ## lint, types, test

bench: setup ## the benchmark table; DATADIR=... for recorded candles, SLOW=1 for all
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt smartmoneyconcepts
	@test -z "$(SLOW)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt 'freqtrade[freqai]'
	@$(BIN)/python benchmarks/run.py $(DATA) $(if $(SLOW),--slow)

verify: setup ## the causality certificate of every column
	@$(BIN)/quorum demo --only-data $(DATA)
	@$(BIN)/quorum verify --datadir $(CANDLES)

votes: setup ## how often each head casts a valid vote
	@$(BIN)/quorum demo --only-data $(DATA)
	@$(BIN)/quorum votes --datadir $(CANDLES)

lookahead: setup ## the host's lookahead-analysis
	@$(BIN)/quorum demo --only-data $(DATA)
	@$(BIN)/quorum replay --datadir $(CANDLES) -- lookahead-analysis --timerange $(ANALYSIS)

recursive: setup ## the host's recursive-analysis
	@$(BIN)/quorum demo --only-data $(DATA)
	@$(BIN)/quorum replay --datadir $(CANDLES) -- recursive-analysis --timerange $(ANALYSIS)

drill: setup ## stock freqtrade on the local exchange: same trades, kill -9, every fault
	@$(BIN)/python -m drills.run $(DRILL_ARGS)

audit: setup ## known holes in the dependencies; skipped where no database answers
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit || true
	@$(BIN)/python scripts/audit.py

docs: setup ## regenerate docs/settings.md
	@$(BIN)/quorum settings --output docs/settings.md

clean: ## remove what was generated, but not .venv/
	rm -rf build .mypy_cache .ruff_cache .hypothesis user_data/data user_data/logs user_data/backtest_results user_data/models \
		user_data/drills user_data/tuning
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

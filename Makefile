# `make run` and `make test` are all a fresh machine needs: Debian, Python 3.11+, make, a package index.
PYTHON ?= python3
BIN := .venv/bin
# Installed before the lock, which is free of torch: a CPU machine keeps the CPU build that its
# package index offers, a GPU machine takes the CUDA build (docs/adr/0009-locked-without-torch.md).
TORCH := torch==2.13.0
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: setup run fix check test docs bench faults
.DEFAULT_GOAL := run

setup: .venv/.ready
.venv/.ready: requirements.lock pyproject.toml
	@echo "yoyak: installing into .venv (two minutes or so, once)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) $(TORCH)
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --editable .
	touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.lock
	$(PIP) -r requirements-dev.lock
	touch $@

run: .venv/.ready
	$(BIN)/yoyak run

fix: .venv/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cog --check README.md docs/*.md

test: .venv/.ready-dev
	$(BIN)/coverage run -m pytest -m "not torch"
	$(BIN)/coverage report
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m torch

docs: .venv/.ready-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cog -r README.md docs/*.md

bench: .venv/.ready-dev
	$(BIN)/python benchmarks/score.py
	$(BIN)/python benchmarks/consensus.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/report.py

faults: .venv/.ready-dev
	$(BIN)/python -m pytest tests/faults --long

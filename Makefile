# `make run` and `make test` are all a fresh machine needs: Debian, Python 3.11+, make, a package index.
PYTHON ?= python3
BIN := .venv/bin
# Installed after the lock, which has all but torch: a CPU machine keeps the CPU build that its
# package index offers, a GPU machine takes the CUDA build (docs/adr/0009-locked-without-torch.md).
TORCH := torch==2.13.0
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The lock is whole: nothing is resolved, and no file is taken whose hash it does not have.
LOCKED := $(PIP) --require-hashes --no-deps

# Where nothing may be kept, each of the hundred processes that the tests start compiles the package
# anew, and each session rewrites every assert.
unexport PYTHONDONTWRITEBYTECODE

# A process a core, four at most: each that has imported torch holds half a gigabyte.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 \
	--dist worksteal

.PHONY: setup run fix check test test-fast test-rest test-torch test-page test-docs test-hard coverage docs site bench bench-gpu faults
.DEFAULT_GOAL := run

setup: .venv/.ready
.venv/.ready: requirements.lock pyproject.toml
	@echo "yoyak: installing into .venv (two minutes or so, once)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(LOCKED) -r requirements.lock
	$(PIP) $(TORCH)
	$(PIP) --no-deps --editable .
	$(BIN)/python -m pip check
	touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.lock
	$(LOCKED) -r requirements-dev.lock
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
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cog --check README*.md docs/*.md docs/reference/*.md

# All but the page in a browser, in two sessions, because each collects thousands of tests anew.
# Their parts are targets: `make test-fast` is for between two thoughts; what needs the contest files
# skips by name where they are not there.
test: .venv/.ready-dev
	$(PYTEST) -m "not torch and not browser and not slow"
	$(PYTEST) -m "torch and not slow"

test-fast: .venv/.ready-dev
	$(PYTEST) -m "not torch and not real and not browser and not process and not slow"

test-rest: .venv/.ready-dev
	$(PYTEST) -m "(real or process) and not torch and not browser and not slow"

test-torch: .venv/.ready-dev
	$(PYTEST) -m "torch and not slow"

# The report, the live pages and the row explorer in Chromium, with a mouse and a keyboard.
test-page: .venv/.ready-dev
	$(PYTEST) -m "browser and not slow"

# What a reader sees: the site, every shell command of the documents, the notebook. Minutes of CPU.
test-docs: .venv/.ready-dev
	$(PYTEST) --dist loadfile tests/docs

# The tests where others run them: fewer instructions, one thread or two, a busy machine. An hour.
test-hard: .venv/.ready-dev
	scripts/test_hard.sh

# Which lines no test without torch enters: a question for now and then, at twice the time.
coverage: .venv/.ready-dev
	$(BIN)/coverage run -m pytest -m "not torch and not slow and not smoke"
	$(BIN)/coverage report

docs: .venv/.ready-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cog -r README*.md docs/*.md docs/reference/*.md

# The pages as a site in build/site; a warning, a dead link or anchor among them, is an error.
site: .venv/.ready-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Ratios are kept in benchmarks/history.jsonl and compared with the last on the same machine.
bench: .venv/.ready-dev
	$(BIN)/python benchmarks/score.py
	$(BIN)/python benchmarks/consensus.py
	$(BIN)/python benchmarks/adapters.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/explorer.py
	$(BIN)/python benchmarks/live_pages.py

# On a CUDA machine: training and generation of the published architectures, held to 24 GB, most
# wanted model first. No hub is needed: weights are random. A line a case on standard output.
bench-gpu: .venv/.ready-dev
	PYTHONPATH=benchmarks $(BIN)/python benchmarks/gpu.py --budget-gb 24 --model llama3-ko-8b \
		--model qwen3-4b --model kobart --model qwen25-7b --model llama32-ko-3b
	PYTHONPATH=benchmarks $(BIN)/python benchmarks/gpu_generation.py --budget-gb 24 --model llama3-ko-8b

# One test at a time to whoever is free: these take minutes each. The rest of the suite follows in
# its long version: what is marked slow, and what draws at random, with many more examples.
faults: .venv/.ready-dev
	$(PYTEST) --dist load --maxschedchunk 1 tests/faults --long
	$(PYTEST) --dist load --maxschedchunk 1 --ignore tests/faults --long

# Every target sets itself up: .venv is made once, and again when what is to be installed changes.
PYTHON ?= python3
OUT ?= demo/out
PORT ?= 5000
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SHARED := ../shared
REAL_PATCHES := --data $(SHARED)/datasets/magnetic_tile --backbone $(SHARED)/backbones/resnet50v2-imagenet.pt2

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow docs check audit fix bench bench-coreset bench-nearest bench-predict bench-gpu bench-search bench-scheduling bench-scale bench-unknown chaos cluster-local docker-dry-run ui clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1	/p' $(MAKEFILE_LIST) | expand -t 8

demo: $(INSTALLED)  ## a sweep on generated images, a few minutes on two cores
	@$(BIN)/fsamc demo $(ARGS)

test: $(INSTALLED)  ## the tests, three at a time since many wait, within ten minutes on two cores; ARGS goes to pytest
	@$(BIN)/python -m pytest --numprocesses 3 --dist worksteal -m "not slow" $(ARGS)

test-slow: $(INSTALLED)  ## the tests that `make test` leaves out: kills, full disks, clusters, large reports; ARGS goes to pytest
	@$(BIN)/python -m pytest -m slow $(ARGS)

docs: $(INSTALLED)  ## the site in site/, every warning an error; needs no network
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "site/index.html"

check: $(INSTALLED)  ## lint, format, types, import contract, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.house

audit: $(INSTALLED)  ## constraints.txt against the known vulnerabilities; needs the network
	@$(PYTHON) -m venv $(VENV)-audit
	@$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict $(ARGS)

fix: $(INSTALLED)  ## mend what lint and format can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: bench-coreset bench-nearest bench-predict  ## the table of docs/explanation/speed.md, line by line

bench-coreset: $(INSTALLED)  ## the coreset against farthest-first one at a time, on real patches where there are some
	$(BIN)/python tests/bench/bench_coreset.py $(if $(wildcard $(SHARED)/datasets),$(REAL_PATCHES)) $(ARGS)

bench-nearest: $(INSTALLED)  ## the search for nearest bank rows beside faiss and torch, on the real patches beside the checkout
	$(BIN)/python -m tests.bench.bench_nearest $(REAL_PATCHES) $(ARGS)

bench-predict: $(INSTALLED)  ## what a classifier takes for a picture, beside the backbone's forward pass, on the real tiles beside the checkout
	$(BIN)/python -m tests.bench.bench_predict $(REAL_PATCHES) $(ARGS)

bench-gpu: $(INSTALLED)  ## every part on a GPU, and whether it answers as the CPU does, within eight minutes; ARGS="--device cpu --small" without one
	$(BIN)/python tests/bench/bench_gpu.py $(ARGS)

bench-search: $(INSTALLED)  ## what a search finds for the folds that it spends, on recorded tables, and how often a stop is wrong
	$(BIN)/python -m tests.bench.bench_search $(ARGS)
	$(BIN)/python -m tests.bench.bench_race
	$(BIN)/python -m tests.bench.bench_final
	$(BIN)/python -m tests.bench.bench_prior

bench-scheduling: $(INSTALLED)  ## what 2,000 trials cost beside their folds, some ten minutes
	$(BIN)/python -m tests.bench.bench_scheduling $(ARGS)

bench-unknown: $(INSTALLED)  ## how well types are recognised that nobody has shown, on the real categories beside the checkout
	$(BIN)/python -m tests.bench.bench_unknown --data $(SHARED)/datasets --backbone $(SHARED)/backbones/resnet50v2-imagenet.pt2 $(ARGS)

bench-scale: $(INSTALLED)  ## how many folds one driver keeps going: real Ray here, 200 nodes simulated; some ten minutes
	@$(BIN)/python -m tests.bench.bench_scale $(ARGS)

chaos: $(INSTALLED)  ## kills: the tests of them, then parts of a cluster at random moments, up to an hour; ARGS="--kills 1" for less
	@$(BIN)/python -m pytest tests/chaos
	@$(BIN)/python -m tests.chaos $(ARGS)

cluster-local: $(INSTALLED)  ## PostgreSQL, MLflow, a Ray head and two nodes on this machine until Ctrl-C, or ARGS="-- COMMAND"
	@$(BIN)/python -m tests.local_cluster $(ARGS)

docker-dry-run: $(INSTALLED)  ## the Dockerfile's steps one after the other without Docker, 9 GB, some four minutes
	@$(BIN)/python -m tests.docker.dry_run $(ARGS)

ui: $(INSTALLED)  ## MLflow on this machine only, for the sweep in OUT
	@$(BIN)/fsamc ui $(OUT) --port $(PORT)

clean:  ## remove the demo and the tools' caches; .venv stays
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) -V 2>&1) is too old: Python 3.11 or newer is needed. Name one: make PYTHON=python3.12" >&2; exit 2; }
	@echo "installing into $(VENV): about 8 GB, a few minutes the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

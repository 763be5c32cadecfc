# make test: everything that must pass. The environment is made on first use; XLSRT_PYTHON=... uses another.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where the interpreter is; its folder has the tools.
ENV = python=$$(utils/setup_env.sh); export PATH="$${python%/*}:$$PATH" PYTHONDONTWRITEBYTECODE=
SHELL_SCRIPTS = $$(git ls-files '*.sh' .ci/run)

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 20

setup: ## make the environment
	@utils/setup_env.sh

lint: ## ruff and shellcheck
	$(ENV); ruff check .; ruff format --check .; shellcheck $(SHELL_SCRIPTS)

format: ## let ruff rewrite the Python files
	$(ENV); ruff check --fix .; ruff format .

type: ## mypy
	$(ENV); mypy

unit: ## pytest, a process for each core, at most four; ARGS="-n0 tests/encoder" for a part, in one
	$(ENV); OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} python -m pytest -n logical --maxprocesses 4 --dist loadfile \
	  --no-loadscope-reorder $(ARGS)

test: lint type unit ## all of the above

smoke: ## every stage of the recipe on a few utterances
	./run.sh --debug true

bench: ## cost of the encoder, the loss, the search and the stream
	$(ENV); for what in encoder loss search stream; do python -m xlsrt.bin.bench $$what; done

.PHONY: help setup lint format type unit test smoke bench

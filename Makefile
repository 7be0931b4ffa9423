# Tieline. `make up` is all that is needed; `make help` prints the rest.
# PYTHON: an interpreter of 3.11 to 3.13; without it the first of python3, python3.13, python3.12, python3.11 that fits.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
WORKERS ?= 2
# What runs beside the demo, for instance: make up WITH=tryton
WITH ?=

.PHONY: help up install test check proofs bench docs lock clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.installed $(if $(WITH),$(VENV)/.installed-test) ## install what is missing, start Tieline, print a link to it
	@exec $(BIN)/tieline up $(if $(WITH),--with $(WITH))

install: $(VENV)/.installed ## install Tieline into .venv, from the lock

test: $(VENV)/.installed-test ## run the tests (PYTEST="-k name" for some)
	$(BIN)/pytest -n $(WORKERS) $(PYTEST)

check: $(VENV)/.installed-test ## lint, format, types, import rules: what CI runs besides the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

proofs: $(VENV)/.installed-test ## run the tests that take minutes
	$(BIN)/pytest -m long $(PYTEST)

bench: $(VENV)/.installed-test ## measure what the README claims
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed ## write the documents that are made from the code
	$(BIN)/python -m app.published.permissions_table
	$(BIN)/python -m app.published.errors_table
	$(BIN)/python -m app.published.domains_table
	$(BIN)/python -m app.published.asyncapi
	$(BIN)/python -m app.published.lineage_table

lock: $(VENV)/bin/python ## resolve the dependencies anew into the two lock files
	$(BIN)/python -m pip install -qq uv
	$(BIN)/uv pip compile $(LOCK) -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile $(LOCK) --extra test -c requirements.lock -o requirements-test.lock pyproject.toml

clean: ## delete what was built; the data in .tieline stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" --upgrade

$(VENV)/bin/python:
	@chosen=""; \
	for candidate in $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11); do \
	  if command -v "$$candidate" > /dev/null && "$$candidate" -c '$(FITS)' 2> /dev/null; then \
	    chosen="$$candidate"; break; \
	  fi; \
	done; \
	if [ -z "$$chosen" ]; then \
	  echo "Tieline needs Python 3.11, 3.12 or 3.13 with its venv module (Debian: apt-get install python3-venv);" >&2; \
	  echo "install one, or name it: make up PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	"$$chosen" -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "Installing Tieline into $(VENV); the first time this takes a minute or two."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.installed-test: requirements-test.lock $(VENV)/.installed
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

# Everything a person does with Dana. `make` alone prints what there is.

PORT ?= 8080
DATA ?= .dana
PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKERS ?= auto
ARGS ?=

BIN := .venv/bin
PREPARE = $(PYTHON) -P src/dana/platform/local/prepare.py
CODE := src tests benchmarks loadtest deploy

export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup up test lint types format web-test lock clean

help: ## Print this list
	@echo "Dana: talk with customers on every channel."
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup: ## Set everything up in .venv (does nothing when nothing has changed)
	@$(PREPARE)

up: ## Start Dana on http://localhost:8080 (PORT=… DATA=…); Ctrl-C stops it
	@$(PREPARE) && exec $(BIN)/dana up --port $(PORT) --data "$(DATA)"

test: ## Set up, then check everything: lint, types, imports, unit, database, browser
	@$(PREPARE) --tests
	@$(MAKE) --no-print-directory lint types web-test
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

lint: ## Style, import rules
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/lint-imports

types: ## Strict types
	$(BIN)/mypy

format: ## Format the code and repair what can be repaired
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

web-test: ## Lint, types and unit tests of the console and the widget
	cd web && npm run lint && npm run types && npm test
	cd widget && npm run lint && npm run types && npm test

lock: ## Resolve the dependencies of pyproject.toml anew, with hashes
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --all-extras pyproject.toml -o requirements/all.txt

clean: ## Remove what was built; the data in .dana stays
	rm -rf .venv .venv.log web/node_modules web/dist widget/node_modules widget/dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info

# Everything here is a short name for a Python command, so that it is the same without make (README, "Windows, macOS").
PYTHON ?= python3
SETUP := $(PYTHON) tools/setup.py
VENV_PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types test-slow faults bench race clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' Makefile | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup:  ## Install Alla Prima into .venv
	@$(SETUP)

demo:  ## Set up, then prepare, train, measure and sample the built-in pictures
	@$(SETUP) demo

test:  ## Set up, then run all checks
	@$(SETUP) test

lint:  ## Style, format and layers only
	@$(SETUP) test style format layers

types:  ## The type checker only
	@$(SETUP) test types

test-slow:  ## The tests that take minutes each
	@$(SETUP) test slow

faults:  ## Load and bad clients against a server, whole numbers: some minutes
	@$(SETUP) dev
	@ALLAPRIMA_FAULTS=whole $(VENV_PYTHON) -m pytest tests/faults -s

bench:  ## Every benchmark but the race, one after the other; each prints one JSON line last
	@$(SETUP) dev
	@for file in $(filter-out benchmarks/race.py,$(wildcard benchmarks/*.py)); do echo "== $$file"; $(VENV_PYTHON) $$file || exit 1; done

race:  ## Our methods against independent packages, two at a time, five minutes each: about two hours
	@$(SETUP) dev
	@$(VENV_PYTHON) benchmarks/race.py --minutes 5 --lanes 2

clean:  ## Remove the environment and all caches; runs and datasets stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# make demo, make test: build what is missing first, so they work in a fresh clone. Needs Python >= 3.12 or uv.

PYTHON_IN_VENV := .venv/bin/python
INSTALLED := .venv/.installed
PEERS := $(or $(BAYESMLM_PEERS),benchmarks/.peers)

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs validate bench bench-peers clean

help:
	@echo "make demo      fit the example model, print its summary, write the plots to demo/"
	@echo "make test      run the tests"
	@echo "make lint      ruff and mypy"
	@echo "make docs      build the documentation into site/"
	@echo "make validate  long checks: long posteriors, random kills"
	@echo "make bench     measure speed, beside every peer that is installed (R's; make bench-peers installs Python's)"
	@echo "make clean     remove everything that was built, .venv included"

demo: $(INSTALLED)-run
	@$(PYTHON_IN_VENV) -m bayesmlm.demo

test: $(INSTALLED)-dev
	@$(PYTHON_IN_VENV) -m pytest

lint: $(INSTALLED)-dev
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m ruff format --check .
	@$(PYTHON_IN_VENV) -m mypy

docs: $(INSTALLED)-docs
	@NO_MKDOCS_2_WARNING=1 $(PYTHON_IN_VENV) -m mkdocs build --strict --quiet

validate: $(INSTALLED)-dev
	@$(PYTHON_IN_VENV) -m pytest -m validate -n 0

bench: $(INSTALLED)-run
	@$(PYTHON_IN_VENV) -m benchmarks

# The peers are no dependencies of ours: they get an environment of their own.
bench-peers: $(INSTALLED)-run
	@$(PYTHON_IN_VENV) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt

clean:
	rm -rf .venv .cache benchmarks/.peers site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# One stamp for each set of extras: an install runs again only when what it installs has changed.
$(INSTALLED)-run: pyproject.toml .ci/setup-venv
	@.ci/setup-venv
	@touch $@

$(INSTALLED)-%: pyproject.toml .ci/setup-venv
	@.ci/setup-venv $*
	@touch $@ $(INSTALLED)-run

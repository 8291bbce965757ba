# The verbs of this repository. CI calls these and nothing else, so that they can never drift apart.
#   make demo    the whole guide on drawn pictures, in a fresh library
#   make test    the tests
#   make check   format, lint, words, types, layers, tests
#   make docs    the site of the documentation, in build/docs; broken links are errors
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test check lint types layers format docs install clean

demo: $(VENV)/installed
	$(BIN)/pixfind --library demo-library demo --pictures demo-pictures

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(ARGS)

check: lint types layers test

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tools.prose

types: $(VENV)/installed-dev
	$(BIN)/mypy

layers: $(VENV)/installed-dev
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --builder html docs build/docs
	$(BIN)/python -m tools.check_site build/docs

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed-dev
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) demo-library demo-pictures

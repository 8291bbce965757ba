# The verbs of this repository. CI, the hooks and people call these and nothing else, so that they can never drift apart.
#   make demo         the whole guide on drawn pictures, in a fresh library
#   make test         the tests
#   make check        format, lint, words, types, layers, tests
#   make docs         the site of the documentation, in build/docs; broken links are errors
#   make package      wheel and sdist, in dist, checked and tried in a fresh environment
#   make release      the same, once version, changelog and commits fit together
#   make hooks        check lint, types and layers before each commit, tests before each push
#   make constraints  take the newest versions of all dependencies into constraints.txt
#   make licences     list the licences of all dependencies again
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# What constraints.txt names is installed in that version, so that today's tests pass with tomorrow's packages around.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: demo test check lint types layers format docs package release hooks constraints licences install clean

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

package: $(VENV)/installed-maintain
	$(BIN)/python -m tools.package dist

release: $(VENV)/installed-maintain
	$(BIN)/python -m tools.release
	$(BIN)/python -m tools.package dist

hooks: $(VENV)/installed-dev
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type pre-push

constraints: $(VENV)/installed-maintain
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --no-emit-package pixfind \
	    --no-annotate --custom-compile-command "make constraints" --output-file constraints.txt pyproject.toml

licences: $(VENV)/installed-dev
	$(INSTALL) '.[openvino]'
	$(BIN)/python -m tools.licences

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) '.[dev]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed-dev
	$(INSTALL) '.[docs]'
	@touch $@

$(VENV)/installed-maintain: $(VENV)/installed-docs
	$(INSTALL) '.[maintain]'
	@touch $@

clean:
	rm -rf $(VENV) build dist demo-library demo-pictures

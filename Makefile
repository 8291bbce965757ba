# The verbs of this repository. CI, the hooks and people call these and nothing else, so that they can never drift apart.
#   make demo         the whole guide on drawn pictures, in a fresh library
#   make test         the tests, two at a time; JOBS=0: one after the other, in one process
#   make coverage     the tests, and which lines of the package none of them reaches
#   make test-extras  the tests that need the extras and strace, in an environment of their own; none may be skipped for want of one
#   make test-wheels  build the wheel, and use it with each Python that is here
#   make check        format, lint, words, types, layers, tests
#   make docs         the site of the documentation, in build/docs; broken links are errors
#   make package      wheel and sdist, in dist, checked and tried in a fresh environment
#   make release      the same, once version, changelog and commits fit together
#   make hooks        check lint, types and layers before each commit, tests before each push
#   make constraints  take the newest versions of all dependencies into constraints.txt
#   make licences     list the licences of all dependencies again
PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
EXTRAS_BIN := $(subst $(VENV)/,$(VENV)-extras/,$(BIN))
# What constraints.txt names is installed in that version, so that today's tests pass with tomorrow's packages around.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

#: The tests that an extra changes, and those of silence.
EXTRAS_TESTS := tests/silence tests/integration/test_parity.py tests/integration/test_encoders.py tests/integration/test_nncf.py tests/integration/test_ray.py tests/unit/test_tune.py tests/collections/test_on_cluster.py \
    tests/serve/test_mcp_server.py

.PHONY: demo test coverage test-extras test-wheels check lint types layers format docs package release hooks constraints licences install clean

demo: $(VENV)/installed
	$(BIN)/pixfind --library demo-library demo --pictures demo-pictures

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(ARGS)

# Processes that tests start are measured too: coverage begins in each Python that finds its settings in the environment.
coverage: $(VENV)/installed-dev
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal --cov --cov-report=term-missing:skip-covered \
	    --cov-report=html:build/coverage $(ARGS)

# Libraries keep quiet where they find CI in the environment: the tests of silence must not.
test-extras: $(VENV)-extras/installed
	env -u CI $(EXTRAS_BIN)/python -m pytest --require-extras -m 'not torch' $(EXTRAS_TESTS) $(ARGS)

test-wheels: $(VENV)/installed-dev
	$(BIN)/python -m tools.try_wheels $(PYTHONS)

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
	$(INSTALL) '.[nncf]'
	$(BIN)/python -m tools.licences

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) '.[dev]'
	@touch $@

$(VENV)-extras/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-extras
	$(subst $(BIN),$(EXTRAS_BIN),$(INSTALL)) '.[dev,nncf,mcp,ray]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed-dev
	$(INSTALL) '.[docs]'
	@touch $@

$(VENV)/installed-maintain: $(VENV)/installed-docs
	$(INSTALL) '.[maintain]'
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-extras build dist demo-library demo-pictures

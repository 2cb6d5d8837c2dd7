# make try    install into .venv and ask about a sample invoice
# make docs   install into .venv what builds the site, and build it into site/
# make test   install into .venv with the test tools and run the tests

PYTHON ?= python3
BIN := .venv/bin

.PHONY: try test test-slow test-gpu lint docs drawings clean

try: .venv/.installed
	$(BIN)/latentvlm ask data/samples/invoice.png "What is the total?"

test: .venv/.installed-test
	$(BIN)/python -m pytest -q

test-slow: .venv/.installed-test
	$(BIN)/python -m pytest -q -m slow

test-gpu: .venv/.installed-test
	$(BIN)/python -m pytest -q -m gpu

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: .venv/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict -q

drawings: .venv/.installed
	$(BIN)/python docs/tools/drawings.py

clean:
	rm -rf .venv build dist site *.egg-info .pytest_cache .ruff_cache

# Debian splits ensurepip out of python3: without it, the system's pip fills the environment.
$(BIN)/python:
	$(PYTHON) -m venv .venv || { \
		$(PYTHON) -m venv --clear --without-pip .venv && \
		$(PYTHON) -m pip --python $(BIN)/python install -q pip; }

.venv/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e .
	touch $@

.venv/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e ".[test]"
	touch $@ .venv/.installed

.venv/.installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e ".[docs]"
	touch $@ .venv/.installed

# make try    install into .venv and ask about a sample invoice
# make test   install into .venv with the test tools and run the tests

PYTHON ?= python3
BIN := .venv/bin

.PHONY: try test test-slow test-gpu lint clean

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

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache

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

# The commands that matter; each makes its own environment when there is none.
#
#   make quickstart   dissect the digits network that is shipped with the package
#   make test         run the tests; ARGS="-k masks" for some of them
#   make lint         ruff and mypy
#   make format       let ruff sort imports and lay out the code
#   make build-files  write Bazel's targets anew, after an import has changed
#   make wheel        build dist/*.whl
#   make clean        remove what the commands above made, environment included
#
# PYTHON=python3.12 chooses the interpreter, VENV=... another environment.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# TensorFlow's native code logs a page at every start, on machines without a
# GPU as errors; what is truly wrong comes as a Python exception.
TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_CPP_MIN_LOG_LEVEL

.DELETE_ON_ERROR:
.PHONY: help quickstart test lint format build-files wheel clean

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

quickstart: $(INSTALLED)
	$(BIN)/python recipes/quickstart.py $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

build-files:
	$(PYTHON) -m tools.write_build_files

wheel: $(INSTALLED)
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv build dist quickstart_out *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made anew when the dependencies change; an environment that exists is kept.
$(INSTALLED): setup.py pyproject.toml
	@test -x $(BIN)/python || $(MAKE) --no-print-directory $(BIN)/python
	$(BIN)/python -m pip install --editable '.[dev]'
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null || { echo \
	  "make: there is no '$(PYTHON)'; install Python 3.11, 3.12 or 3.13, or" \
	  "say which to use: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "make: '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1), expected" \
	  "Python 3.11, 3.12 or 3.13 (Keras 3.15 needs 3.11, TensorFlow 2.21 has" \
	  "no wheels after 3.13); say which to use: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { echo \
	  "make: '$(PYTHON)' cannot make environments; install its venv module" \
	  "(on Debian and Ubuntu: the package python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

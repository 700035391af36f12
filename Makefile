# Two commands for a new machine (Linux, Python 3.11, make, git): `make run` and `make test`. `make dashboard` opens
# TensorBoard on the last run; `make bench` measures speed.
PYTHON ?= python3
RECIPE ?= mnist5k
PY := .venv/bin/python

.PHONY: run test lint bench dashboard clean-venv

run: .venv/installed
	$(PY) -m orchestrator.run $(RECIPE) $(ARGS)

test: .venv/installed
	$(PY) -m pytest $(ARGS)

# ARGS: a run's name, --all, --storage, --port
dashboard: .venv/installed
	$(PY) -m orchestrator.dashboard $(ARGS)

bench: .venv/installed
	$(PY) -m benchmarks --short $(ARGS)

lint: .venv/installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports

# The pins keep an installation as it was tested; without them pip takes the newest releases.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	touch .venv/installed

clean-venv:
	rm -rf .venv

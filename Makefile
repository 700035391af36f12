# `make run` and `make test` install everything on a new machine (Linux, Python 3.11, make, git). `make lint` checks style,
# types and imports, `make dashboard` opens TensorBoard on the last run, `make bench` measures speed, `make check-gpu` tests
# and measures on GPUs.
PYTHON ?= python3
RECIPE ?= mnist5k
PY := .venv/bin/python

.PHONY: run test test-all test-cluster check-gpu lint bench dashboard clean-venv

run: .venv/installed
	$(PY) -m orchestrator.run $(RECIPE) $(ARGS)

# Without the tests marked `long` (whole runs, exports, a browser) and `cluster`.
test: .venv/installed
	$(PY) -m pytest -m "not long and not cluster" $(ARGS)

# ARGS='--minutes 20' leaves out what the marker `thorough` has and what has not begun by then.
test-all: test
	$(PY) -m pytest -m "long and not cluster" $(ARGS)

# A real `ray up` on hosts made from namespaces, and runs that are cut off and killed there. Skips, with the reason, where
# the machine does not allow it: it needs root and sshd.
test-cluster: .venv/installed
	$(PY) -m pytest -m cluster -rs -s -v --durations=0 tests/cluster $(ARGS)

# ARGS: a run's name, --all, --storage, --port
dashboard: .venv/installed
	$(PY) -m orchestrator.dashboard $(ARGS)

# On a machine with NVIDIA GPUs: the tests that need one, then a table of speed against a floor on the same GPU.
check-gpu: .venv/installed
	$(PY) -m pytest -m gpu -rs $(ARGS)
	$(PY) -m benchmarks gpu --append

bench: .venv/installed
	$(PY) -m benchmarks --short $(ARGS)

lint: .venv/installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports

# constraints.txt pins the tested versions; without it pip installs the newest releases.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	touch .venv/installed

clean-venv:
	rm -rf .venv

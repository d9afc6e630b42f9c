# Everything a developer, a reader and CI run. Needs Python 3.11 or newer, pip and make, nothing else.
# PYTHON=python3.12 make test    picks the interpreter of a new .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PEERS := .venv-peers
RUN_READY := $(VENV)/.ready-run
TEST_READY := $(VENV)/.ready-test

.PHONY: help demo test long bench peers clean

help:
	@echo "make demo    train the digits and draw the figures (installs what it needs into $(VENV))"
	@echo "make test    lint, format, types, tests: what CI runs"
	@echo "make long    the long studies that 'make test' leaves out"
	@echo "make bench   every script of benchmarks/; each ends with RATIO lines"
	@echo "make peers   install what others use (ngspice, scikit-rf, sax, photontorch, neuroptica) apart, in $(PEERS); compare and race"
	@echo "make clean   remove caches and builds, but neither $(VENV) nor runs/"

demo: $(RUN_READY)
	@mkdir -p runs
	$(BIN)/substrate train examples/digits.toml --out runs/digits.h5 --overwrite
	$(BIN)/substrate plot runs/digits.h5

# pytest comes last: its closing line is what CI reads.
test: $(TEST_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

long: $(TEST_READY)
	$(BIN)/python -m pytest -m long

bench: $(TEST_READY)
	@failed=; for script in benchmarks/*.py; do \
		echo "== $$script"; $(BIN)/python "$$script" || failed="$$failed $$script"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

# The peers live in an environment of their own: sax brings JAX, photontorch brings PyTorch.
peers:
	@command -v ngspice || { [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update -q && \
		apt-get install -q -y --no-install-recommends ngspice; } || echo "ngspice is not installed; apt-get needs root"
	$(MAKE) VENV=$(PEERS) $(PEERS)/.ready-peers
	$(PEERS)/bin/substrate validate
	$(MAKE) VENV=$(PEERS) bench

clean:
	rm -rf build dist .numba_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find substrate devices tests benchmarks examples -name __pycache__ -type d -exec rm -rf {} +

# One stamp for each set of packages: installed again only when the lists change.
$(RUN_READY): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -q -c constraints.txt -e .
	@touch $@

$(TEST_READY): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -q -c constraints.txt -e ".[test]"
	@touch $@ $(RUN_READY)

$(VENV)/.ready-peers: $(TEST_READY)
	$(PIP) install -q -e ".[interop]" photontorch neuroptica torch==2.13.0
	@touch $@

# Where the venv module comes without its own pip (Debian splits it off), the interpreter's pip fills the gap.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Wave Substrate needs Python 3.11 or newer, but '$(PYTHON)' is" \
			"$$($(PYTHON) --version 2>&1 || true); name another one: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV) && $(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python install -q pip; }

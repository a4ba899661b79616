# Two commands: `make bench` counts the suite and publishes it, `make test` passes the tests. Each does its own set-up.
# COUNTER=readable counts several times faster, and without profiles. SUITE is quick, default or full. `make releases`
# counts releases of torch instead of commits, and goes on where it was stopped.

PYTHON ?= python3.11
BENCH ?=
COMMITS ?= HEAD^!
COUNTER ?= callgrind
SUITE ?= default
RELEASES ?= ALL
VENV := .venv
BIN := $(VENV)/bin
ASV := $(BIN)/asv

SAID = BIN=$(BIN) SUITE=$(SUITE) BENCH='$(BENCH)'

.PHONY: bench releases test setup tools test-tools
.DELETE_ON_ERROR:

bench: setup
	@$(SAID) COUNTER=$(COUNTER) sh scripts/bench.sh '$(COMMITS)'

# What is counted of a release is not counted again, now or after a stop.
releases: setup
	@$(SAID) COUNTER=releases HARNESS_RESUME=1 sh scripts/bench.sh '$(RELEASES)' \
		$(if $(filter full,$(SUITE)),,--skip-existing-successful)

test: setup test-tools $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PYTEST)

# What pip does not bring: valgrind with its headers, a C++ compiler, Python's headers.
setup: tools $(VENV)/tools.stamp

tools:
	@sh scripts/install_tools.sh $(PYTHON)

# The pages are looked at in a real browser, with asv's scripts from npm.
test-tools: tools
	@sh scripts/install_tools.sh $(PYTHON) chromium npm

$(VENV)/tools.stamp: requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/test.stamp: requirements.txt requirements-test.txt $(VENV)/tools.stamp
	$(BIN)/pip install --quiet --requirement requirements.txt --requirement requirements-test.txt
	@touch $@

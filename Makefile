# Two commands: `make bench` counts a suite and publishes it, `make test` passes the tests. Each does its own set-up.
# SUITE is quick, default or full; COUNTER=readable counts several times faster, and without profiles. `make releases`
# counts releases of torch instead of commits, and goes on where it was stopped. `make deps` installs what pip cannot.
# `make docs` builds the manual, `make figures` makes the figures in it anew.

# The first of these that is here, unless another one is named.
PYTHON ?= $(firstword $(foreach minor,11 12 13 14 15,$(if $(shell command -v python3.$(minor) 2>/dev/null),python3.$(minor))) python3.11)
BENCH ?=
COMMITS ?= HEAD^!
COUNTER ?= callgrind
SUITE ?= quick
RELEASES ?= ALL
# An environment belongs to the version of Python that made it. Another one gets its own: .venv-3.13, say.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
MADE_BY := $(shell sed -n 's/^version *= *\([0-9]*\.[0-9]*\).*/\1/p' .venv/pyvenv.cfg 2>/dev/null)
VENV := .venv$(if $(wildcard .venv/pyvenv.cfg),$(addprefix -,$(filter-out $(MADE_BY),$(VERSION))))
BIN := $(VENV)/bin

CONFIG_callgrind := asv.conf.json
CONFIG_readable := asv.readable.conf.json
CONFIG = $(or $(CONFIG_$(COUNTER)),$(error COUNTER is '$(COUNTER)'; known are callgrind and readable))

.PHONY: bench releases test test-fast test-valgrind test-asv test-torch-native test-torch \
  test-worlds docs figures setup deps tools test-tools
.DELETE_ON_ERROR:

bench: setup
	@$(BIN)/harness bench --config $(CONFIG) --suite $(SUITE) --bench '$(BENCH)' '$(COMMITS)'

# What is counted of a release is not counted again, now or after a stop.
releases: SUITE = default
releases: setup
	@$(BIN)/harness bench --config asv.releases.conf.json --suite $(SUITE) --bench '$(BENCH)' --resume '$(RELEASES)'

PROCESSES = auto
TESTS = $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

test: setup test-tools $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(TESTS) $(PYTEST)

# The same tests in five parts: what needs none of the following; valgrind; whole runs of asv, and pages in a browser;
# torch natively; torch under valgrind.
# Of the first part much waits for processes that it started: so twice as many tests at once as there are cores.
test-fast: PROCESSES = $$((2 * $$(nproc)))
test-fast: MARKS = not valgrind and not asv and not browser and not torch and not torch_native
test-valgrind: MARKS = valgrind
test-asv: MARKS = (asv or browser) and not torch
test-torch-native: MARKS = torch_native
test-torch: MARKS = torch
test-fast test-valgrind test-asv test-torch-native test-torch: setup test-tools $(VENV)/test.stamp
	$(TESTS) -m '$(MARKS)' $(PYTEST)

# Tests in other Debians, with other Pythons and valgrinds. As root: each world is a root folder, made with debootstrap.
# WORLDS names some, or options of the script: WORLDS=--if-possible ends well where there can be none, and says so.
WORLDS ?=
test-worlds: setup
	@sh scripts/install_tools.sh $(PYTHON) debootstrap || :
	@$(BIN)/python scripts/test_worlds.py $(WORLDS)

# The manual, in build/docs.
docs: setup $(VENV)/test.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo 'the manual: build/docs/index.html'

# The figures in README.md and docs, made anew of what is kept under .asv.
figures: setup $(VENV)/test.stamp
	$(BIN)/python scripts/figures.py

# What pip does not bring: valgrind with its headers, a C++ compiler, Python's headers. An ordinary user is told what is
# missing; `make deps` installs it, as root or with sudo.
setup: tools $(VENV)/tools.stamp

tools:
	@sh scripts/install_tools.sh $(PYTHON)
	@[ $(VENV) = .venv ] || echo "Python $(VERSION) has an environment of its own, $(VENV): .venv is Python $(MADE_BY)'s"
	@[ ! -e $(VENV)/pyvenv.cfg ] || $(BIN)/python -c '' 2>/dev/null || { \
		echo 'the Python that $(VENV) was made with is gone: it is made anew'; $(PYTHON) -m venv --clear $(VENV); }

# The pages are looked at in a real browser, with asv's scripts from npm.
test-tools: tools
	@sh scripts/install_tools.sh $(PYTHON) chromium npm

deps:
	@INSTALL=yes sh scripts/install_tools.sh $(PYTHON) chromium npm

$(VENV)/tools.stamp: requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/test.stamp: requirements.txt requirements-test.txt $(VENV)/tools.stamp
	$(BIN)/pip install --quiet --requirement requirements.txt --requirement requirements-test.txt
	@touch $@

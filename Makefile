# `make` lists the targets. Every one makes .venv first where it is missing or out of date.

PYTHON ?= python3
# What torch to install. May hold options of pip: TORCH="torch==2.13.0 --index-url URL"
TORCH ?= torch==2.13.0
# fairseq where a wheel fits (Python 3.11 and 3.12 on x86_64), and where none does: built from source, some three minutes
FAIRSEQ_WHEEL := ve-fairseq==0.12.3
FAIRSEQ_SOURCE := fairseq-fixed==0.12.3.1
# Which settings `make demo` runs (a file of recipes/demo/conf)
CONF ?= demo
# More arguments for pytest: make test ARGS="tests/test_cli.py -n 0"
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
LOG := $(VENV)/install.log
# The stamp's name holds what the installation depends on; it is written last, so an interrupted installation is redone.
STAMP := $(VENV)/installed-$(shell { cat constraints.txt setup.py; $(PYTHON) --version; \
	echo '$(TORCH) $(FAIRSEQ_WHEEL) $(FAIRSEQ_SOURCE) $(CURDIR)'; } 2>&1 | cksum | cut -d' ' -f1)
PIP := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check

# $(call step,words for the terminal,command): one line on the terminal; what the command says goes to the log (and
# what it says to descriptor 3 to the terminal). The log's end is shown if it fails.
define step
@printf '%s\n' "set-up: $(1)"; { $(2); } 3>&1 >>$(LOG) 2>&1 || \
	{ tail -n 20 $(LOG) >&2; echo "set-up failed at: $(1); the whole log is $(LOG)" >&2; exit 1; }
endef

.DEFAULT_GOAL := help
.PHONY: help venv demo test check bench clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## */\1\t/p' Makefile | expand -t 10
	@echo "Variables: PYTHON=$(PYTHON) TORCH='$(TORCH)' CONF=$(CONF) ARGS='$(ARGS)'"

venv: $(STAMP)  ## only make .venv

demo: $(STAMP)  ## train, transfer and score at a tiny scale; ends with a table
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash recipes/demo/run.sh --conf $(CONF)

test: $(STAMP)  ## the tests
	@$(BIN)/python -m pytest $(ARGS)

check: $(STAMP)  ## lint, format, types, then the tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest $(ARGS)

bench: $(STAMP)  ## every benchmark in turn
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

clean:  ## remove what the other targets made, .venv too
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; choose one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing; install it: apt-get install python3-venv" >&2; exit 1; }
	@rm -rf $(VENV) && mkdir $(VENV)
	$(call step,a fresh $(VENV),$(PYTHON) -m venv $(VENV))
	$(call step,$(TORCH),$(PIP) -c constraints.txt $(TORCH))
	$(call step,the versions of constraints.txt,$(PIP) -r constraints.txt)
	$(call step,fairseq,$(PIP) --no-deps --only-binary :all: $(FAIRSEQ_WHEEL) || \
		{ echo "set-up: no wheel of fairseq fits: building it (needs a C++ compiler)" >&3 && \
		$(PIP) --no-deps --no-build-isolation $(FAIRSEQ_SOURCE); })
	$(call step,fairseq_xalign itself,$(PIP) --no-deps --no-build-isolation -e .)
	@touch $@

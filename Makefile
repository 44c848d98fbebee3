# `make` lists the targets. Each of them first creates .venv if it is missing or out of date.

PYTHON ?= python3
# Which torch to install; pip's options are allowed: TORCH="torch==2.13.0 --index-url URL"
TORCH ?= torch==2.13.0
# fairseq as a wheel (Python 3.11 and 3.12 on x86_64); elsewhere it is built from source, which takes about three minutes
FAIRSEQ_WHEEL := ve-fairseq==0.12.3
FAIRSEQ_SOURCE := fairseq-fixed==0.12.3.1
# The settings that `make demo` runs: the name of a file in recipes/demo/conf
CONF ?= demo
# Additional arguments for pytest: make test ARGS="tests/data -n 0"
ARGS ?=

# Which configurations `make test-recipes` runs; all of them by default: make test-recipes RECIPES="align_mlm/gpu demo/full"
RECIPES ?=

# What `make bench` runs; benchmarks/gpu_check.sh is for a GPU.
BENCHMARKS := throughput binarize derive predict finetune encode mnmt_throughput decode beam_width startup objectives links

VENV := .venv
BIN := $(VENV)/bin
PEERS := $(VENV)/peers
LOG := $(VENV)/install.log
# The stamp's name is a checksum of everything that the installation depends on. The stamp is written last, so that an
# interrupted installation is repeated.
STAMP := $(VENV)/installed-$(shell { cat constraints.txt pyproject.toml setup.py; $(PYTHON) --version; \
	echo '$(TORCH) $(FAIRSEQ_WHEEL) $(FAIRSEQ_SOURCE) $(CURDIR)'; } 2>&1 | cksum | cut -d' ' -f1)
PIP := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check

# $(call step,title,command): prints the title on the terminal and runs the command. The command's output goes to the
# log, except what it writes to descriptor 3, which goes to the terminal. If it fails, the end of the log is shown.
define step
@printf '%s\n' "set-up: $(1)"; { $(2); } 3>&1 >>$(LOG) 2>&1 || \
	{ tail -n 20 $(LOG) >&2; echo "set-up failed at: $(1); the whole log is $(LOG)" >&2; exit 1; }
endef

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-recipes check bench site clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## */\1\t/p' Makefile | expand -t 15
	@echo "Variables: PYTHON=$(PYTHON) TORCH='$(TORCH)' CONF=$(CONF) ARGS='$(ARGS)'"

venv: $(STAMP)  ## create .venv and nothing else

demo: $(STAMP)  ## train, transfer and score at a tiny scale; prints a table at the end
	@PYTHON="$(CURDIR)/$(BIN)/python" bash recipes/demo/run.sh --conf $(CONF)

test: $(STAMP)  ## run the tests; lint, formatting and types are among them
	@$(BIN)/python -m pytest $(ARGS)

test-recipes: $(STAMP)  ## run every stage of every recipe on 200 lines with two updates
	@PYTHON="$(CURDIR)/$(BIN)/python" bash recipes/test.sh $(RECIPES)

check: $(STAMP)  ## run lint, formatting and types first, then the tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest $(ARGS) --ignore tests/test_style.py

bench: $(STAMP) $(PEERS)  ## run every benchmark, one after the other
	@failed=""; for name in $(BENCHMARKS); do echo "== benchmarks/$$name.py"; \
		XALIGN_PEERS="$(CURDIR)/$(PEERS)" $(BIN)/python benchmarks/$$name.py || failed="$$failed $$name"; done; \
		if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

site: $(STAMP)  ## build the documentation as a site in build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict -f docs/site/mkdocs.yml
	@echo "open build/site/index.html"

clean:  ## remove everything that the other targets create, including .venv
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo align_mlm
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PEERS): benchmarks/peers.txt | $(STAMP)
	$(call step,what benchmarks compare with,$(PIP) --no-deps --upgrade --target $(PEERS) -r benchmarks/peers.txt && touch $(PEERS))

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is required; choose one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing; install it: apt-get install python3-venv" >&2; exit 1; }
	@rm -rf $(VENV) && mkdir $(VENV)
	$(call step,a fresh $(VENV),$(PYTHON) -m venv $(VENV))
	$(call step,$(TORCH),$(PIP) -c constraints.txt $(TORCH))
	$(call step,the versions of constraints.txt,$(PIP) -r constraints.txt)
	$(call step,fairseq,$(PIP) --no-deps --only-binary :all: $(FAIRSEQ_WHEEL) || \
		{ echo "set-up: no wheel of fairseq fits this Python; building it (needs a C++ compiler)" >&3 && \
		$(PIP) --no-deps --no-build-isolation $(FAIRSEQ_SOURCE); })
	$(call step,fairseq_xalign itself,$(PIP) --no-deps --no-build-isolation -e .)
	@touch $@

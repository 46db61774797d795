# The verbs of this project. `make` alone lists them. Nothing is installed outside .venv-run (serving), .venv (everything), .venv-bench (peers)
# and .venv-supply (locks, licences, known vulnerabilities).

PYTHON ?= python3
# On a machine with a working NVIDIA driver the GPU lock is installed; RUN_LOCK=requirements/run.txt says otherwise.
RUN_LOCK ?= requirements/run$(shell nvidia-smi -L >/dev/null 2>&1 && echo -gpu).txt
RUN_LOCK := $(RUN_LOCK)
# Where torch comes from, when not from pip's own index. The CPU build is a tenth of the CUDA one:
#   make test TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
TEST_WORKERS ?= 2
# Handed on to `seashore serve` (make run ARGS="--port 8080"), to `seashore train`, to `python -m tests.bench`, `python -m tests.soak` and to pytest (make test ARGS="-k pleura").
ARGS ?=
EXPERIMENT ?= training/experiments/quick.toml

RUN := .venv-run/bin
DEV := .venv/bin
RUN_PACKAGES := .venv-run/.installed-$(notdir $(RUN_LOCK))
RUN_READY := .venv-run/.installed-seashore
DEV_PACKAGES := .venv/.installed-all.txt
DEV_READY := .venv/.installed-seashore
BENCH := .venv-bench/bin
BENCH_PACKAGES := .venv-bench/.installed-bench.txt
BENCH_READY := .venv-bench/.installed-seashore
SUPPLY := .venv-supply/bin
SUPPLY_READY := .venv-supply/.installed-supply.txt
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
# ONNX Runtime's official builds report their use to Microsoft otherwise. The service turns it off by itself as well.
export ORT_DISABLE_TELEMETRY := 1
# Two workers on two cores: a library that starts a thread per core in each of them only gets in its own way.
ONE_THREAD := OMP_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help run test check bench soak openapi train image lint lock audit

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

run: $(RUN_READY)  ## serve the shipped model on 127.0.0.1:8000 (no torch is installed)
	@$(RUN)/seashore serve $(ARGS)

test: $(DEV_READY)  ## the fast tests, under 15 minutes on 2 cores; skipped components are named at the end
	@$(ONE_THREAD) $(DEV)/python -m pytest -m "not slow" -n $(TEST_WORKERS) --dist loadfile $(ARGS)

check: lint  ## the rest: ruff, mypy --strict and the slow tests, under an hour on 2 cores
	@$(DEV)/python -m pytest -m slow $(ARGS)

lint: $(DEV_READY)  ## ruff and mypy --strict
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy

bench: $(RUN_READY) $(BENCH_READY)  ## one table: answers, load against its peers, engines, saliency, growth, cold start; ARGS="--write" keeps it in docs/benchmark.md
	@$(BENCH)/python -m tests.bench $(ARGS)

soak: $(DEV_READY)  ## 20,000 hostile clips and requests at the real service, then 15 minutes of four times what it can, 50 minutes at most; ARGS="--help" says more
	@$(DEV)/python -m tests.soak $(ARGS)

openapi: $(DEV_READY)  ## write openapi/openapi.json and its examples from the code
	$(DEV)/python -m service.api.openapi
	$(DEV)/python -m tests.openapi_examples

train: $(DEV_READY)  ## train a small model of the shipped one's kind, in minutes on 2 cores, into runs/model_store
	$(DEV)/seashore train all $(EXPERIMENT) --store runs/model_store $(ARGS)

image:  ## build the container seashore:cpu (or `make image TARGET=gpu`); ARGS="--build-arg BASE=...@sha256:..." pins its base
	docker build --target $(or $(TARGET),cpu) --tag seashore:$(or $(TARGET),cpu) --build-arg CREATED=$(shell date -u +%Y-%m-%dT%H:%M:%SZ) \
	  --build-arg VERSION=$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' service/__init__.py) \
	  --build-arg REVISION=$(shell git describe --always --dirty --abbrev=40 2>/dev/null || echo unknown) $(ARGS) .

lock: $(SUPPLY_READY)  ## write the hashed locks from pyproject.toml; ARGS="--upgrade-package dbos" moves one version
	@UV=$(SUPPLY)/uv .ci/lock $(ARGS)

audit: $(SUPPLY_READY)  ## known vulnerabilities of what serves, by PyPI's records (needs the network)
	@.ci/audit $(SUPPLY)/pip-audit $(ARGS)

# .venv-run is made anew when its lock changes, so that it holds what the lock says and nothing else; the stamp carries
# the lock's name, so a machine that gains a GPU gets the other lock. --no-deps: the locks are complete.
$(RUN_PACKAGES): $(RUN_LOCK)
	@$(call need_python,run)
	@echo "Making .venv-run from $(RUN_LOCK) (once; a few hundred MB to download, then under a minute)"
	@$(PYTHON) -m venv --clear .venv-run
	@$(RUN)/python $(PIP_INSTALL) --no-deps -r $(RUN_LOCK)
	@touch $@

$(SUPPLY_READY): requirements/supply.txt
	@$(call need_python,lock)
	@$(PYTHON) -m venv --clear .venv-supply
	@$(SUPPLY)/python $(PIP_INSTALL) --no-deps -r $<
	@touch $@

# .venv is brought up to date in place: torch is large. It goes in first, with the dependencies of this machine's build.
$(DEV_PACKAGES): requirements/all.txt
	@$(call need_python,test)
	@echo "Bringing .venv to requirements/all.txt (once; mostly torch: 200 MB to download for the CPU build, 2 GB for CUDA)"
	@[ -x $(DEV)/python ] || $(PYTHON) -m venv .venv
	@$(DEV)/python $(PIP_INSTALL) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --constraint $< $$(grep ^torch== $<)
	@$(DEV)/python $(PIP_INSTALL) --no-deps -r $<
	@touch $@

# .venv-bench is .venv and the servers that the service is timed against: nobody else needs them.
$(BENCH_PACKAGES): requirements/all.txt requirements/bench.txt
	@$(call need_python,bench)
	@echo "Bringing .venv-bench to requirements/all.txt and bench.txt (once; torch again, and 50 MB of peers)"
	@[ -x $(BENCH)/python ] || $(PYTHON) -m venv .venv-bench
	@$(BENCH)/python $(PIP_INSTALL) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --constraint $< $$(grep ^torch== $<)
	@$(BENCH)/python $(PIP_INSTALL) --no-deps -r requirements/all.txt -r requirements/bench.txt
	@touch $@

# Seashore itself, editable; again when pyproject.toml changes, for the entry points. Where it is served from, its build backend comes
# by hash as well: an isolated build would take the newest one there is.
$(RUN_READY): $(RUN_PACKAGES) requirements/build.txt pyproject.toml
	@$(RUN)/python $(PIP_INSTALL) --no-deps -r requirements/build.txt
	@$(RUN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_READY): $(DEV_PACKAGES) pyproject.toml
	@$(DEV)/python $(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(BENCH_READY): $(BENCH_PACKAGES) pyproject.toml
	@$(BENCH)/python $(PIP_INSTALL) --no-deps --editable .
	@touch $@

need_python = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Seashore needs Python 3.11 or newer. Try: make $(1) PYTHON=python3.11")'

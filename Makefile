# Every command of the project. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help dev fmt lint types arch unit property vectors integration fault test demo demo-serve \
	chart cluster mesh with-programs alone tools redis-server backends prometheus bench soak fuzz generate check-generated lock \
	image sbom clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z -]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

dev: $(STAMP) ## install everything into .venv, at the locked versions

fmt: $(STAMP) ## format the code
	$(BIN)/ruff check --fix --quiet src tests scripts || true
	$(BIN)/ruff format src tests scripts

lint: $(STAMP) ## style and common mistakes
	$(BIN)/ruff check src tests scripts
	$(BIN)/ruff format --check src tests scripts

types: $(STAMP) ## mypy, strict, over src, tests and scripts
	$(BIN)/mypy

arch: $(STAMP) ## import direction
	$(BIN)/lint-imports --no-cache

unit property vectors integration fault: $(STAMP)
	$(BIN)/pytest tests/$@

# The levels of the tests apart: make unit, property, vectors, integration, fault, chart, cluster, mesh.

redis-server: ## install a Redis for the tests, where there is neither it nor Valkey
	@command -v redis-server valkey-server >/dev/null || { \
		command -v apt-get >/dev/null || \
			{ echo "the tests need redis-server or valkey-server: install one" >&2; exit 1; }; \
		apt-get update -qq && apt-get install -y -qq redis-server && \
		{ [ ! -d /run/systemd/system ] || systemctl disable --now --quiet redis-server; }; }

backends: ## install nginx, Apache httpd and curl for the tests, where they are missing
	@export PATH="$$PATH:/usr/sbin"; \
	{ command -v nginx >/dev/null && command -v apache2 httpd >/dev/null; } || \
		command -v apt-get >/dev/null || \
		{ echo "the tests need nginx and apache2 or httpd: install them" >&2; exit 1; }; \
	command -v nginx >/dev/null || { \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx && \
		{ [ ! -d /run/systemd/system ] || systemctl disable --now --quiet nginx; }; } || exit 1; \
	command -v apache2 httpd >/dev/null || { \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends apache2-bin; } || exit 1; \
	command -v curl >/dev/null || { \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends curl; }

prometheus: ## install a Prometheus for the tests, where it is missing
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || { \
		command -v apt-get >/dev/null || \
			{ echo "the tests need prometheus and promtool: install them" >&2; exit 1; }; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus && \
		{ [ ! -d /run/systemd/system ] || systemctl disable --now --quiet prometheus; }; }

tools: $(STAMP) ## build helm, istioctl, etcd and an API server for the tests, once; needs no root
	$(BIN)/python -m tests.tools.install >/dev/null

chart cluster mesh: $(STAMP) tools
	$(BIN)/pytest tests/$@

integration: redis-server backends

chart: prometheus

# Tests that run whole programs wait a lot, the others compute: beside each other they fill two cores.
WITH_PROGRAMS := $(addprefix tests/,chart cluster fault image integration mesh)
PARTS := with-programs lint types arch check-generated alone

test: redis-server backends prometheus tools ## the one test command: everything CI runs
	rm -f .coverage .coverage.*
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(PARTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

with-programs: $(STAMP)
	COVERAGE_FILE=.coverage.$@ $(BIN)/pytest --cov --cov-fail-under=0 --cov-report= $(WITH_PROGRAMS)

alone: $(STAMP)
	COVERAGE_FILE=.coverage.$@ $(BIN)/pytest --cov --cov-fail-under=0 --cov-report= tests \
		$(WITH_PROGRAMS:%=--ignore=%)

demo: $(STAMP) ## a story of calls through a real Envoy, each checked
	$(BIN)/python -m tests.demo

demo-serve: $(STAMP) ## the same set-up, left running, with commands to try
	$(BIN)/python -m tests.demo --serve

bench: $(STAMP) ## CPU time per decision: in process and over gRPC, hot and cold
	@command -v h2load >/dev/null || { apt-get update -qq && apt-get install -y -qq nghttp2-client; }
	$(BIN)/python -m tests.benchmarks

soak: $(STAMP) ## 200,000 distinct tokens and 10,000 unknown keys: memory and fetches stay bounded
	$(BIN)/python -m tests.soak

fuzz: $(STAMP) ## hostile input, guided by coverage; SECONDS=60 for a shorter time per target
	$(BIN)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS))

generate: $(STAMP) ## rebuild what is generated: stubs, schemas, definitions, dashboard, vectors, reference pages
	$(BIN)/python -m scripts.generate

check-generated: $(STAMP) ## fail when a generated file is not what `make generate` writes
	$(BIN)/python -m scripts.generate --check

lock: $(STAMP) ## choose new versions within pyproject.toml's ranges
	$(BIN)/uv pip compile --quiet --universal --all-extras --generate-hashes --no-header \
		--python-version 3.11 pyproject.toml -o requirements.lock
	$(COMPILE_FOR_IMAGE) pyproject.toml --extra cel --extra kubernetes --extra native --extra redis \
		-o scripts/image/runtime.lock
	echo hatchling | $(COMPILE_FOR_IMAGE) - -o scripts/image/build.lock

COMPILE_FOR_IMAGE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
	--no-annotate --python-version 3.11 --constraint requirements.lock

image: ## build the container image for this machine, from the files as they are
	docker build --tag deputize:local \
		--build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
		--build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
		--build-arg REVISION=$$(git rev-parse HEAD) .

OUT ?= dist

sbom: $(STAMP) ## what the image installs from PyPI, as a CycloneDX bill of materials
	rm -rf $(OUT)/runtime && mkdir -p $(OUT)
	$(BIN)/uv venv --quiet --python $(BIN)/python $(OUT)/runtime
	$(BIN)/uv pip install --quiet --python $(OUT)/runtime --no-deps --require-hashes \
		--only-binary :all: -r scripts/image/runtime.lock
	$(BIN)/cyclonedx-py environment --output-reproducible --validate --pyproject pyproject.toml \
		--output-file $(OUT)/deputize.cdx.json $(OUT)/runtime
	rm -rf $(OUT)/runtime

clean: ## remove everything that can be made again
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

# The project's commands; `make help` lists them.
# PYTHON selects the interpreter of the virtual environment (3.11 or newer).
PYTHON ?= python3
# How many processes run the tests; 0 runs them in one, where a debugger can stop.
TEST_PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
BROWSER_STAMP := $(VENV)/.installed-browser
FAKETIME_STAMP := $(VENV)/.installed-faketime
LOADTEST_STAMP := $(VENV)/.installed-loadtest
# An environment of its own: it is GPL, and never imported.
LOCALSTRIPE_STAMP := $(VENV)/localstripe/.installed-localstripe
SERVERS_STAMP := $(VENV)/.installed-servers
# Environments of their own, for the same reason or because they pin other versions than ours.
CHECKOV_STAMP := $(VENV)/checkov/.installed-checkov
PATRONI_STAMP := $(VENV)/patroni/.installed-patroni
RELEASE_STAMP := $(VENV)/release/.installed-release
PROGRAMS_STAMP := $(VENV)/programs/.installed-programs
TEST_STAMPS := $(DEV_STAMP) $(BROWSER_STAMP) $(LOCALSTRIPE_STAMP) $(SERVERS_STAMP) $(CHECKOV_STAMP) $(PATRONI_STAMP) \
	$(RELEASE_STAMP) $(PROGRAMS_STAMP)

.DEFAULT_GOAL := help
.PHONY: help release vulnerabilities run test test-unit bench bench-servers bench-waiting-room drills faults loadtest image lint format audit lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_STAMP) ## start the service on 127.0.0.1:8000 with a demo concert on sale; Ctrl-C stops it
	@exec $(BIN)/boxoffice up

test: $(TEST_STAMPS) ## run all tests; TEST_ARGS="-k name" selects some
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) $(TEST_ARGS)

test-unit: $(DEV_STAMP) ## run the tests that need no server, in under half a minute
	@$(BIN)/python -m pytest tests/unit $(TEST_ARGS)

bench: $(DEV_STAMP) ## measure the cost of a request; BENCH_ARGS="--quick --json FILE --scenarios a,b --locks --runs N"
	@$(BIN)/python -m bench $(BENCH_ARGS)

bench-servers: $(DEV_STAMP) ## compare HTTP servers on a bare application; BENCH_ARGS="--quick --parts cost,drain,slow"
	@$(BIN)/python -m bench.servers $(BENCH_ARGS)

faults: $(DEV_STAMP) $(FAKETIME_STAMP) ## inject faults into every part of the service during a sale; FAULT_ARGS="--quick --seed N --minutes N --only a,b --json FILE"
	@exec $(BIN)/python -m faults $(FAULT_ARGS)

drills: $(TEST_STAMPS) ## fail over, restore, upgrade and build images with the real programs; DRILL_ARGS="--list --only a,b --json FILE"
	@exec $(BIN)/python -m drills $(DRILL_ARGS)

bench-waiting-room: $(DEV_STAMP) ## run a million people through the waiting room and check it; BENCH_WAITING_ROOM_ARGS="--users N --seed N"
	@$(BIN)/python -m bench.waiting_room $(BENCH_WAITING_ROOM_ARGS)

loadtest: $(LOADTEST_STAMP) ## run an on-sale with k6 and write its report; LOADTEST_ARGS="--quick --lang ko"
	@exec $(BIN)/boxoffice loadtest $(LOADTEST_ARGS)

image: ## build the image with docker, podman or buildah; BUILDER=podman IMAGE=name:tag BASE=image@digest IMAGE_ARGS="…"
	@scripts/image $(IMAGE_ARGS)

lint: $(DEV_STAMP) ## check formatting, lint rules, strict types and the migrations
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/squawk --config .squawk.toml migrations/*.sql

format: $(DEV_STAMP) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

release: $(DEV_STAMP) $(RELEASE_STAMP) ## build the wheel of a commit, its list of parts and digests into dist/; RELEASE_ARGS="--commit v0.1.0"
	@$(BIN)/python -m release build $(RELEASE_ARGS)

vulnerabilities: $(DEV_STAMP) $(RELEASE_STAMP) ## look for known vulnerabilities of the parts; 3 means that it could not look
	@$(BIN)/python -m release vulnerabilities

audit: $(RUN_STAMP) ## check every invariant, on the running service or on BOXOFFICE_DATABASE_URL
	@$(BIN)/boxoffice audit

lock: $(DEV_STAMP) ## compile the lock files
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lock

clean: ## remove the virtual environment and the caches; the data in .boxoffice/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

$(RUN_STAMP): requirements/run.lock pyproject.toml scripts/bootstrap
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV) run

$(LOADTEST_STAMP): $(RUN_STAMP) requirements/loadtest.lock
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV) loadtest

$(DEV_STAMP): $(RUN_STAMP) requirements/dev.lock
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV) dev

$(LOCALSTRIPE_STAMP): $(RUN_STAMP) requirements/localstripe.lock
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV)/localstripe localstripe

$(SERVERS_STAMP): $(RUN_STAMP) scripts/servers
	@scripts/servers $@

$(CHECKOV_STAMP): $(RUN_STAMP) requirements/checkov.lock
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV)/checkov checkov

$(PATRONI_STAMP): $(RUN_STAMP) requirements/patroni.lock
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV)/patroni patroni

$(RELEASE_STAMP): $(RUN_STAMP) requirements/release.lock
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV)/release release

$(PROGRAMS_STAMP): $(RUN_STAMP) requirements/programs.lock
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV)/programs programs

$(BROWSER_STAMP): $(RUN_STAMP) scripts/browser
	@scripts/browser $@

$(FAKETIME_STAMP): $(RUN_STAMP) scripts/faketime
	@scripts/faketime $@

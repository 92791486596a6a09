# `make help` lists the targets. Each target installs and builds what it needs, and
# prints what it installs.
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOLANGCI := v2.15.0
GOTESTSUM := v1.13.0
TOOLS    := bin/tools

DOCKER_CONFIG_DIR := $(or $(DOCKER_CONFIG),$(HOME)/.docker)
AGENTS  := plugin/engine/agentimage/agents
KEEPER  := go run ./plugin/enginetest/keeper
CROSS   := $(foreach os,darwin linux windows,$(foreach arch,amd64 arm64,$(os)-$(arch)))

# How many tests run in parallel. With more tests than processors, engines answer late.
TESTS_AT_ONCE ?= 3
TEST_FLAGS := -count=1 -timeout 45m

export CGO_ENABLED ?= 0
STATIC  := go build -trimpath -ldflags '-s -w'
PLUGIN  := go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: needs-go needs-docker
needs-go:
	@command -v go >/dev/null || { echo 'nestprobe is built with Go: install Go 1.26 or newer, see https://go.dev/doc/install' >&2; exit 1; }

needs-docker:
	@command -v docker >/dev/null || { echo 'nestprobe is a plugin of the docker command: install Docker, see https://docs.docker.com/get-docker/' >&2; exit 1; }

.PHONY: needs-cc
needs-cc:
	@command -v $(CC) >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    { echo 'installing gcc, which the race detector needs'; apt-get install -y -q gcc libc6-dev; }; } || \
	    { echo 'the race detector needs a C compiler: install gcc' >&2; exit 1; }

.PHONY: agents
agents: needs-go
	@CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(STATIC) -o $(AGENTS)/nestprobe-agent-linux-amd64 ./cmd/nestprobe-agent
	@CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(STATIC) -o $(AGENTS)/nestprobe-agent-linux-arm64 ./cmd/nestprobe-agent

.PHONY: build
build: agents ## build bin/docker-nestprobe, with the agents embedded
	@$(PLUGIN) -o bin/docker-nestprobe ./cmd/docker-nestprobe
	@echo 'built bin/docker-nestprobe'

.PHONY: install
install: needs-go needs-docker build ## install the plugin for this user
	@mkdir -p '$(DOCKER_CONFIG_DIR)/cli-plugins'
	@install -m 0755 bin/docker-nestprobe '$(DOCKER_CONFIG_DIR)/cli-plugins/docker-nestprobe'
	@echo 'installed $(DOCKER_CONFIG_DIR)/cli-plugins/docker-nestprobe'

.PHONY: run
run: install ## build, install, and run `docker nestprobe run`
	@docker nestprobe run

.PHONY: test
test: needs-go needs-docker build ## run all tests, also on real engines (as root on Debian: installs what they need)
	$(KEEPER) install
	$(KEEPER) -- $(MAKE) --jobs=2 waiting-tests working-tests

# These tests mostly wait, for deadlines and for a Swarm to notice changes of its nodes.
# They run in parallel with the other tests, so that no other test waits for them.
WAITING := ^TestSwarm|StaysUntilDeadline$$

# With RERUN=1, as in CI, up to three tests that fail are run once more. Tests that pass
# only then are listed as flaky.
ifdef RERUN
RUNNER := $(TOOLS)/gotestsum-$(GOTESTSUM)
go-test = $(RUNNER) --format=pkgname --rerun-fails=1 --rerun-fails-max-failures=3 --rerun-fails-report=bin/flaky-$@ --jsonfile-timing-events=bin/times-$@ --packages='$(1)' -- $(TEST_FLAGS)
else
go-test = go test $(1) $(TEST_FLAGS)
endif

.PHONY: waiting-tests
waiting-tests: $(RUNNER)
	@$(call go-test,./plugin ./plugin/enginetest) -parallel 3 -run '$(WAITING)'

.PHONY: working-tests
working-tests: $(RUNNER)
	@$(call go-test,./...) -parallel $(TESTS_AT_ONCE) -skip '$(WAITING)'

$(TOOLS)/gotestsum-$(GOTESTSUM):
	@echo 'installing gotestsum $(GOTESTSUM) into $(TOOLS)'
	@GOBIN='$(CURDIR)/$(TOOLS)' go install gotest.tools/gotestsum@$(GOTESTSUM)
	@mv $(TOOLS)/gotestsum $@

.PHONY: race
race: needs-go needs-docker needs-cc build ## run all tests with the race detector (TESTS=-short: only tests without engines)
	$(KEEPER) install
	CGO_ENABLED=1 $(KEEPER) -- $(MAKE) --jobs=2 TEST_FLAGS='$(TEST_FLAGS) -race $(TESTS)' waiting-tests working-tests

.PHONY: support-table
support-table: needs-go needs-docker build ## measure every network mode on every kind of engine, for the table in README
	$(KEEPER) install
	$(KEEPER) -- go test -count=1 -timeout 30m -parallel 2 ./plugin -run '^TestSupportTable$$' -measure-support -update

.PHONY: cover
cover: needs-go ## print the coverage of netprobe and of the candidates; fail below 90 %
	@mkdir -p bin
	@go test -coverprofile=bin/netprobe.out ./netprobe
	@go test -short -coverprofile=bin/candidates.out ./plugin/experiment/candidates
	@for part in netprobe candidates; do \
	    go tool cover -func=bin/$$part.out | awk -v part=$$part '/^total:/ { print part ": " $$NF; exit $$NF + 0 < 90 }' || exit 1; \
	done

.PHONY: lint
lint: needs-go $(TOOLS)/golangci-lint-$(GOLANGCI) ## run the linters
	@$(TOOLS)/golangci-lint-$(GOLANGCI) run ./...
	@GOOS=windows go vet ./... # code for these systems must compile, tests too
	@GOOS=darwin go vet ./...
	@go mod verify

$(TOOLS)/golangci-lint-$(GOLANGCI):
	@echo 'installing golangci-lint $(GOLANGCI) into $(TOOLS)'
	@GOBIN='$(CURDIR)/$(TOOLS)' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv $(TOOLS)/golangci-lint $@

.PHONY: bench
bench: needs-go needs-docker build ## compare run, in-container and diagnose with the bare API calls
	@go run ./plugin/enginetest/bench

.PHONY: cross
cross: agents $(CROSS:%=cross-%) ## build for darwin, linux, windows under dist/, with checksums
	@cd dist && sha256sum docker-nestprobe-* > checksums.txt && cat checksums.txt

.PHONY: $(CROSS:%=cross-%)
$(CROSS:%=cross-%): cross-%: agents
	@GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) \
	    $(PLUGIN) -o dist/docker-nestprobe-$*$(if $(findstring windows,$*),.exe) ./cmd/docker-nestprobe

# The archives, for each platform and for both, of which a release has all.
IMAGE := dist/nestprobe-image

.PHONY: image-archives
image-archives: needs-go cross-linux-amd64 cross-linux-arm64
	@go run ./plugin/engine/agentimage/pluginimage -version '$(VERSION)' -out $(IMAGE) dist/docker-nestprobe-linux-amd64 dist/docker-nestprobe-linux-arm64

.PHONY: image
image: needs-docker image-archives ## build the image nestprobe for amd64 and arm64, without Docker, and load it into the engine
	@arch=$$(docker version --format '{{.Server.Arch}}') && docker load --input $(IMAGE)-linux-$$arch.tar

.PHONY: clean
clean: ## remove what the other targets built
	@rm -rf bin dist $(AGENTS)/nestprobe-agent-*

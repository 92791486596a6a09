# `make help` lists the targets. Each target installs and builds what it needs, and
# prints what it installs.
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
VERSION  := $(VERSION)
GOLANGCI := v2.15.0
GOTESTSUM := v1.13.0
NFPM      := v2.45.2
CYCLONEDX := v1.10.0
TOOLS    := bin/tools

DOCKER_CONFIG_DIR := $(or $(DOCKER_CONFIG),$(HOME)/.docker)
AGENTS  := plugin/engine/agentimage/agents
KEEPER  := go run ./plugin/enginetest/keeper
CROSS   := $(foreach os,darwin linux windows,$(foreach arch,amd64 arm64,$(os)-$(arch)))

# How many tests run in parallel, of one package at a time. With more tests than processors,
# engines answer late.
TESTS_AT_ONCE ?= 3
TEST_FLAGS := -count=1 -timeout 90m

# The race detector needs 1. The programs are built without cgo in any case.
export CGO_ENABLED ?= 0
COMMIT      := $(shell git rev-parse HEAD 2>/dev/null)
COMMIT_TIME := $(shell TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null)

# grpcnotrace leaves out gRPC's debug pages, 0.4 MB that no command serves.
# The same sources give the same binaries, in whichever folder and kind of checkout. The
# agent does not depend on the commit, so that its image stays the same with its sources.
BUILD   := CGO_ENABLED=0 go build -trimpath -buildvcs=false
STATIC  := $(BUILD) -ldflags '-s -w'
PLUGIN  := $(BUILD) -tags grpcnotrace -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.commitTime=$(COMMIT_TIME)'

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
	@GOOS=linux GOARCH=amd64 $(STATIC) -o bin/agents/nestprobe-agent-linux-amd64 ./cmd/nestprobe-agent
	@GOOS=linux GOARCH=arm64 $(STATIC) -o bin/agents/nestprobe-agent-linux-arm64 ./cmd/nestprobe-agent
	@go run ./plugin/engine/agentimage/packagents -out $(AGENTS) bin/agents/nestprobe-agent-linux-*

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
test: needs-go needs-docker build ## run all tests, also on real engines (as root on Debian: on all kinds, ENGINES=all requires them; TESTS='-run NAME')
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
	@$(call go-test,./plugin ./plugin/enginetest) -p 1 -parallel 2 -run '$(WAITING)'

.PHONY: working-tests
working-tests: $(RUNNER)
	@$(call go-test,./...) -p 1 -parallel $(TESTS_AT_ONCE) -skip '$(WAITING)' $(TESTS)

$(TOOLS)/gotestsum-$(GOTESTSUM):
	@echo 'installing gotestsum $(GOTESTSUM) into $(TOOLS)'
	@GOBIN='$(CURDIR)/$(TOOLS)' go install gotest.tools/gotestsum@$(GOTESTSUM)
	@mv $(TOOLS)/gotestsum $@

# The modules below contrib, which depend on other versions than this one. Their tests use
# the machine's own engine, and mostly wait.
CONTRIB := $(dir $(wildcard contrib/*/go.mod))

.PHONY: contrib
contrib: needs-go needs-docker ## test the modules below contrib on the machine's own engine
	@for module in $(CONTRIB); do (cd $$module && go vet ./... && go test -count=1 -timeout 10m -parallel 8 ./...) || exit 1; done

.PHONY: race
race: needs-go needs-docker needs-cc build ## run all tests with the race detector (TESTS=-short: only tests without engines)
	$(KEEPER) install
	CGO_ENABLED=1 $(KEEPER) -- $(MAKE) --jobs=2 TEST_FLAGS='$(TEST_FLAGS) -race $(TESTS)' TESTS= waiting-tests working-tests

.PHONY: support-table
support-table: needs-go needs-docker build ## measure every network mode on every kind of engine, for the table in docs/networks.md
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
	@$(TOOLS)/golangci-lint-$(GOLANGCI) run --allow-parallel-runners ./...
	@GOOS=windows go vet ./... # code for these systems must compile, tests too
	@GOOS=darwin go vet ./...
	@go mod verify

$(TOOLS)/golangci-lint-$(GOLANGCI):
	@echo 'installing golangci-lint $(GOLANGCI) into $(TOOLS)'
	@GOBIN='$(CURDIR)/$(TOOLS)' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv $(TOOLS)/golangci-lint $@

.PHONY: bench
bench: needs-go needs-docker build ## compare run, in-container and diagnose with the bare API calls, and the relay with nginx
	@go run ./plugin/enginetest/bench

.PHONY: scale
scale: needs-go ## measure what nestprobe does with many networks, addresses and servers
	@go test -run '^$$' -bench '^BenchmarkScale$$' -benchmem ./plugin/experiment/... ./plugin/diagnosis ./plugin/report/render

.PHONY: trace
trace: needs-go needs-docker build ## print the API calls of one command on a time line (COMMAND='run --servers 2')
	@go run ./plugin/enginetest/bench -trace $(or $(COMMAND),run)

.PHONY: attack
attack: needs-go needs-docker build ## kill, interrupt and fool the plugin at random, for at most 15 minutes (ATTACK='-seed 1 -trials 20')
	@go run ./plugin/enginetest/attack $(ATTACK)

# Where cross, packages and release put what they build.
DIST ?= dist

.PHONY: cross
cross: agents $(CROSS:%=cross-%) ## build for darwin, linux, windows under dist/, with checksums
	@cd '$(DIST)' && sha256sum docker-nestprobe-* > checksums.txt && cat checksums.txt

program = $(DIST)/docker-nestprobe-$(1)$(if $(findstring windows,$(1)),.exe)

.PHONY: $(CROSS:%=cross-%)
$(CROSS:%=cross-%): cross-%: agents
	@GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) \
	    $(PLUGIN) -o '$(call program,$*)' ./cmd/docker-nestprobe

# The archives, for each platform and for both, of which a release has all.
IMAGE := $(DIST)/nestprobe-image

.PHONY: image-archives
image-archives: needs-go cross-linux-amd64 cross-linux-arm64
	@go run ./plugin/engine/agentimage/pluginimage -version '$(VERSION)' -out '$(IMAGE)' '$(DIST)/docker-nestprobe-linux-amd64' '$(DIST)/docker-nestprobe-linux-arm64'

# Every file of a package has the time of the commit, so that the same commit gives the
# same packages. Their version begins with a digit: what has no tag is older than every
# release.
export SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
PACKAGE_VERSION := $(if $(shell echo '$(VERSION)' | grep -E '^v?[0-9]+\.[0-9]+\.[0-9]+'),$(VERSION:v%=%),0.0.0-git+$(VERSION))
PACKAGES        := $(DIST)/packages
PACKAGE_FILES   := $(DIST)/package-files
PARTS           := VERSION='$(PACKAGE_VERSION)' go run ./packaging/release

.PHONY: packages
packages: cross $(TOOLS)/nfpm-$(NFPM) $(TOOLS)/cyclonedx-gomod-$(CYCLONEDX) ## build deb, rpm, apk, archives and SBOMs under dist/packages/, with checksums
	@rm -rf '$(PACKAGES)' '$(PACKAGE_FILES)' && mkdir -p '$(PACKAGES)' '$(PACKAGE_FILES)'
	@$(PARTS) man '$(PACKAGE_FILES)'
	@$(PARTS) notices '$(PACKAGE_FILES)/THIRD-PARTY-NOTICES'
	@$(PARTS) archives '$(PACKAGES)' $(foreach p,$(CROSS),'$(call program,$(p))') LICENSE README.md '$(PACKAGE_FILES)'/*
	@for arch in amd64 arm64; do for format in deb rpm apk; do \
	    VERSION='$(PACKAGE_VERSION)' PACKAGE_ARCH=$$arch PACKAGE_PLUGIN='$(DIST)'/docker-nestprobe-linux-$$arch PACKAGE_FILES='$(PACKAGE_FILES)' \
	        $(TOOLS)/nfpm-$(NFPM) package --config packaging/nfpm.yaml --packager $$format --target '$(PACKAGES)/' >/dev/null || exit 1; \
	done; done
	@for program in $(foreach p,$(CROSS),'$(call program,$(p))') bin/agents/nestprobe-agent-linux-*; do \
	    $(TOOLS)/cyclonedx-gomod-$(CYCLONEDX) bin -json -noserial -notimestamp -std -version '$(VERSION)' \
	        -output '$(PACKAGES)'/$$(basename "$$program").cdx.json "$$program" 2>/dev/null || exit 1; \
	done
	@cd '$(PACKAGES)' && sha256sum * > checksums.txt && cat checksums.txt

.PHONY: release
release: ## build all files of a release under dist/packages/: make release VERSION=v0.1.0
	@echo '$(VERSION)' | grep -q -E '^v[0-9]+\.[0-9]+\.[0-9]+' || { echo 'name the version of the release: make release VERSION=v0.1.0' >&2; exit 1; }
	@[ -z "$$(git status --porcelain)" ] || { echo 'a release is built from a commit: there are changes that are not committed' >&2; exit 1; }
	@$(MAKE) --no-print-directory packages VERSION='$(VERSION)' >/dev/null
	@$(MAKE) --no-print-directory image-archives VERSION='$(VERSION)' IMAGE='$(PACKAGES)/nestprobe-image' >/dev/null
	@cd '$(PACKAGES)' && sha256sum $$(ls | grep -v checksums.txt) > checksums.txt
	@$(PARTS) fill '$(PACKAGES)/checksums.txt' '$(PACKAGES)' packaging/*.tmpl
	@cat '$(PACKAGES)/checksums.txt'

.PHONY: reproducible
reproducible: $(TOOLS)/nfpm-$(NFPM) $(TOOLS)/cyclonedx-gomod-$(CYCLONEDX) ## build a release of this commit twice, in different folders, and compare
	@where=$$(mktemp -d) && trap 'rm -rf "$$where"' EXIT && \
	git clone --quiet . "$$where/one" && git clone --quiet "$$where/one" "$$where/further/two" && \
	for clone in one further/two; do \
	    $(MAKE) --no-print-directory -C "$$where/$$clone" release VERSION=v0.0.0 TOOLS='$(CURDIR)/$(TOOLS)' >/dev/null || exit 1; \
	done && cd "$$where" && diff -r one/dist/packages further/two/dist/packages && \
	    echo "the same in both builds: $$(ls one/dist/packages | wc -l) files"

.PHONY: test-packages
test-packages: needs-docker ## install the packages of dist/packages/ in a container, use them, remove them
	$(KEEPER) -- go test -count=1 -timeout 10m ./plugin -run '^(TestPackages|TestAPKIsWhole)$$' -packages '$(abspath $(PACKAGES))'

$(TOOLS)/nfpm-$(NFPM):
	@echo 'installing nfpm $(NFPM) into $(TOOLS)'
	@GOBIN='$(abspath $(TOOLS))' go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM)
	@mv $(TOOLS)/nfpm $@

$(TOOLS)/cyclonedx-gomod-$(CYCLONEDX):
	@echo 'installing cyclonedx-gomod $(CYCLONEDX) into $(TOOLS)'
	@GOBIN='$(abspath $(TOOLS))' go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX)
	@mv $(TOOLS)/cyclonedx-gomod $@

.PHONY: image
image: needs-docker image-archives ## build the image nestprobe for amd64 and arm64, without Docker, and load it into the engine
	@arch=$$(docker version --format '{{.Server.Arch}}') && docker load --input $(IMAGE)-linux-$$arch.tar

.PHONY: clean
clean: ## remove what the other targets built
	@rm -rf bin dist $(AGENTS)/nestprobe-agent-*

# Everything a developer does with Quorate. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The operator's image.
IMG ?= quorate.dev/quorate:dev
# "current" uses the cluster of the current kubeconfig (kind, cloud) instead of the local Kubernetes.
PROVIDER ?=
# Namespaces to which deploy restricts the operator, comma-separated; empty: none, it works in all of them.
NAMESPACES ?=
# Further arguments of run, demo and bench; further flags of the tests.
ARGS ?=
# The version that the binaries report.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Built tools and Kubernetes, kept outside the checkout by version so that a clean clone does not build them again.
QUORATE_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/quorate
# State of the local Kubernetes.
QUORATE_KUBE_DIR ?= /var/lib/quorate-kube
export PROVIDER IMG QUORATE_CACHE QUORATE_KUBE_DIR

ifeq ($(PROVIDER),current)
KUBECTL ?= kubectl
else
# A KUBECONFIG of the shell is not used without PROVIDER=current: nothing here may reach a cluster by accident.
export KUBECONFIG := $(QUORATE_KUBE_DIR)/kubeconfig
KUBECTL := bin/kube kubectl
endif

# Tools are pinned in the go.mod files below hack/tools.
pinned = $(shell awk '$$1 == "$(2)" {print $$2}' hack/tools/$(1)/go.mod)
TOOLCHAIN := $(shell go env GOVERSION)
tool = $(QUORATE_CACHE)/tools/$(1)-$(TOOLCHAIN)/$(2)
CONTROLLER_GEN := $(call tool,controller-gen-$(call pinned,generate,sigs.k8s.io/controller-tools),controller-gen)
KUSTOMIZE := $(call tool,kustomize-$(call pinned,kustomize,sigs.k8s.io/kustomize/kustomize/v5),kustomize)
LINT_VERSION := $(call pinned,lint,github.com/golangci/golangci-lint/v2)-$(call pinned,lint,sigs.k8s.io/kube-api-linter)
GOLANGCI_LINT := $(call tool,golangci-lint-$(LINT_VERSION),golangci-lint)

GO_BUILD := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
TESTCOUNT := go run ./hack/testcount
comma := ,
WATCHED = $(strip $(subst $(comma), ,$(NAMESPACES)))
# Where the kustomization of deploy is written, two directories below the top.
DEPLOY_DIR ?= bin/deploy
# The namespaces in which a restricted operator has its rights now.
bound_namespaces = $(KUBECTL) get rolebindings --all-namespaces --field-selector metadata.name=quorate-manager \
	--selector app.kubernetes.io/part-of=quorate --output 'jsonpath={range .items[*]}{.metadata.namespace}{"\n"}{end}'
# What `make generate` writes.
GENERATED := api/v1alpha1/zz_generated.deepcopy.go api/v1alpha1/applyconfiguration config/crd/bases config/rbac/role.yaml

##@ General

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "; printf "Usage: make TARGET [VARIABLE=VALUE]\n"} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables\n  %-16s %s\n  %-16s %s\n  %-16s %s\n  %-16s %s\n' \
		"PROVIDER" "\"current\": use the current kubeconfig instead of the local Kubernetes" \
		"IMG" "image of the operator (now $(IMG))" \
		"NAMESPACES" "namespaces to which deploy restricts the operator, as in a,b; without it all" \
		"QUORATE_CACHE" "built tools and Kubernetes (now $(QUORATE_CACHE))"

##@ Development

.PHONY: build
build: ## Compile the operator to bin/quorate
	$(GO_BUILD) -o bin/quorate .

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Generate deepcopy functions, CRDs, apply configurations and RBAC
	rm -rf api/v1alpha1/applyconfiguration
	$(CONTROLLER_GEN) object paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) applyconfiguration paths=./api/...
	$(CONTROLLER_GEN) rbac:roleName=quorate-manager paths=./controllers/... output:rbac:dir=config/rbac

.PHONY: verify
verify: $(KUSTOMIZE) ## Fail when generated files are stale, a manifest does not render or a dependency is not explained
	@before=$$(mktemp -d); trap 'rm -rf "$$before"' EXIT; \
	cp -a --parents $(GENERATED) "$$before" 2>/dev/null || true; \
	$(MAKE) --no-print-directory generate; \
	for path in $(GENERATED); do \
		diff -ruN "$$before/$$path" "$$path" || { \
			echo "stale: $$path was not what 'make generate' makes; it is now, commit it" >&2; exit 1; }; \
	done
	@for dir in crd default operator namespaced samples; do \
		$(KUSTOMIZE) build config/$$dir >/dev/null || { echo "config/$$dir does not render" >&2; exit 1; }; \
	done
	@for module in $$(awk '/^require/ {on = 1} /^\)/ {on = 0} on && /^\t/ && !/\/\/ indirect/ {print $$1}' go.mod hack/kube/go.mod); do \
		grep -qF "\`$$module\`" docs/dependencies.md || { echo "docs/dependencies.md does not say why $$module" >&2; exit 1; }; \
	done
	@echo "generated files are current, manifests render, dependencies are explained"

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run golangci-lint with the Kubernetes API linter
	$(GOLANGCI_LINT) run ./...
	cd hack/kube && $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...

.PHONY: run
run: ## Run the operator from the shell against the cluster (see PROVIDER)
	go run . $(ARGS)

.PHONY: clean
clean: ## Remove what was built here; the cache stays
	rm -rf bin

##@ Tests

.PHONY: test
test: kube-build ## Unit and integration tests of all modules, against a real kube-apiserver
	$(TESTCOUNT) -out bin/counts/test.json -module . -module hack/kube -- -tags=integration -timeout 20m $(ARGS) ./...

.PHONY: sim
sim: ## Simulate many random schedules of faults (SIM_RUNS, default 10000), tell what they reached, and hunt all mutants
	SIM_RUNS=$(or $(SIM_RUNS),10000) $(TESTCOUNT) -v -- -count=1 -timeout 300m ./internal/sim/... $(ARGS)

.PHONY: conformance
conformance: kube-build ## Compare the model of etcd with real servers on many random sequences (SEQUENCES of each version, default 20)
	QUORATE_CONFORMANCE=$(or $(SEQUENCES),20) $(TESTCOUNT) -v -- -tags=integration -count=1 -timeout 60m \
		-run TestTheModelAnswersLikeEtcd -parallel 6 ./internal/etcd $(ARGS)

.PHONY: e2e
e2e: kube-up deploy ## End-to-end tests on the local Kubernetes, as in CI
	$(TESTCOUNT) -v -out bin/counts/e2e.json -- -tags=e2e -count=1 -timeout 50m $(ARGS) ./test/e2e/...

.PHONY: e2e-full
e2e-full: kube-up deploy ## All end-to-end tests, also the long ones
	QUORATE_E2E=full $(TESTCOUNT) -v -out bin/counts/e2e-full.json -- -tags=e2e -count=1 -timeout 150m $(ARGS) ./test/e2e/...

.PHONY: bench
bench: kube-up deploy ## Measure the operator against hand-written Pods
	go run ./test/bench $(ARGS)

##@ A Kubernetes to try it on

.PHONY: demo
demo: bin/kube ## From nothing to an etcd cluster that scales and heals, step by step
	go run ./test/demo $(ARGS)

.PHONY: kube-build
kube-build: bin/kube ## Compile Kubernetes, etcd and CoreDNS into the cache (minutes, once)
	bin/kube build

.PHONY: kube-up
kube-up: bin/kube ## Start the local Kubernetes; with PROVIDER=current check the current one
	bin/kube up

.PHONY: kube-down
kube-down: bin/kube ## Remove the local Kubernetes and all its data
	bin/kube down

.PHONY: bin/kube
bin/kube:
	go -C hack/kube build -o $(CURDIR)/bin/kube .

##@ Deployment

.PHONY: image
image: bin/kube ## Build the image as bin/quorate.tar without Docker, and with Docker where its engine answers
	GOOS=linux $(GO_BUILD) -o bin/image/quorate .
	bin/kube pack --ref $(IMG) --out bin/quorate.tar --ca --entrypoint /quorate --file bin/image/quorate=/quorate
	@if timeout 10 docker info >/dev/null 2>&1; then docker build --build-arg VERSION=$(VERSION) --tag $(IMG) .; fi

.PHONY: load
load: image ## Load the image into the nodes of the local Kubernetes, or of kind with PROVIDER=current
	bin/kube load bin/quorate.tar

.PHONY: install
install: bin/kube $(KUSTOMIZE) ## Install the CRDs
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: manifests
manifests: $(KUSTOMIZE) ## Print what deploy applies (with make -s)
	@mkdir -p $(DEPLOY_DIR)
	@digest=$(if $(wildcard bin/quorate.tar),$$(sha256sum bin/quorate.tar | cut -c1-16),none); \
	printf '%s\n' \
		'# Written by make. The digest makes the Deployment roll when the image behind its tag has changed.' \
		'apiVersion: kustomize.config.k8s.io/v1beta1' \
		'kind: Kustomization' \
		'resources:' \
		'  - ../../config/$(if $(WATCHED),namespaced/operator,default)' \
		$(foreach namespace,$(WATCHED),'  - $(namespace)') \
		'patches:' \
		'  - target: {kind: Deployment, name: quorate-controller-manager}' \
		'    patch: |-' \
		'      - {op: replace, path: /spec/template/spec/containers/0/image, value: "$(IMG)"}' \
		"      - {op: add, path: /spec/template/metadata/annotations/quorate.dev~1image-digest, value: \"$$digest\"}" \
		$(if $(WATCHED),'      - op: add' \
			'        path: /spec/template/spec/containers/0/args/-' \
			'        value: "--namespaces=$(NAMESPACES)"') \
		> $(DEPLOY_DIR)/kustomization.yaml
	@for namespace in $(WATCHED); do \
		mkdir -p $(DEPLOY_DIR)/$$namespace; \
		printf '%s\n' \
			'apiVersion: kustomize.config.k8s.io/v1beta1' \
			'kind: Kustomization' \
			"namespace: $$namespace" \
			'resources: [../../../config/namespaced/binding]' \
			> $(DEPLOY_DIR)/$$namespace/kustomization.yaml; \
	done
	@$(KUSTOMIZE) build $(DEPLOY_DIR)

.PHONY: deploy
deploy: $(if $(filter current,$(PROVIDER)),,load) bin/kube $(KUSTOMIZE) ## Install CRDs and operator, everywhere or in NAMESPACES (PROVIDER=current: push IMG or `make load` before)
	@$(MAKE) --no-print-directory manifests > bin/deploy.yaml
	$(KUBECTL) apply --server-side --force-conflicts -f bin/deploy.yaml
	@# Rights of an earlier deployment that this one does not have.
	$(if $(WATCHED),$(KUBECTL) delete --ignore-not-found clusterrolebinding quorate-manager)
	@$(bound_namespaces) | while read -r namespace; do \
		case ' $(WATCHED) ' in (*" $$namespace "*) ;; \
			(*) $(KUBECTL) --namespace "$$namespace" delete rolebinding quorate-manager </dev/null;; esac; done
	$(KUBECTL) --namespace quorate-system rollout status deployment/quorate-controller-manager --timeout 3m

.PHONY: undeploy
undeploy: bin/kube $(KUSTOMIZE) ## Remove the operator; CRDs and clusters stay, and etcd goes on serving
	$(KUSTOMIZE) build config/operator | $(KUBECTL) delete --ignore-not-found -f -
	@$(bound_namespaces) | while read -r namespace; do \
		$(KUBECTL) --namespace "$$namespace" delete rolebinding quorate-manager </dev/null; done
	@echo "The CRDs, all clusters and the namespace quorate-system are still there." \
		"To delete them too: make uninstall-crds CONFIRM=yes"

.PHONY: uninstall-crds
uninstall-crds: bin/kube $(KUSTOMIZE) ## Delete the CRDs and with them ALL CLUSTERS (needs CONFIRM=yes)
	@if [ "$(CONFIRM)" != yes ]; then \
		echo "This deletes every EtcdCluster of the Kubernetes cluster, and the data of those with reclaimPolicy Delete" \
			"or ephemeral storage. If you mean it: make uninstall-crds CONFIRM=yes" >&2; exit 1; fi
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found -f -

##@ Tools, built when needed

$(CONTROLLER_GEN):
	CGO_ENABLED=0 go -C hack/tools/generate build -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(KUSTOMIZE):
	CGO_ENABLED=0 go -C hack/tools/kustomize build -o $@ sigs.k8s.io/kustomize/kustomize/v5

$(GOLANGCI_LINT):
	CGO_ENABLED=0 go -C hack/tools/lint build -ldflags "-s -w" -o $@ sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter

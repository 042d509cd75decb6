# What can be done here. Each target makes the environment first (scripts/setup.sh ends at once when it is there).
.DEFAULT_GOAL := help
.PHONY: help up demo down test lint format lock reset bench bench-scale bench-growth fuzz footprint contracts structure docs images kind-up kind-down test-cluster test-cluster-long migration service setup incidents chaos chaos-cluster test-scaffold test-chart test-system

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv, with everything that requirements.lock pins
	@scripts/setup.sh

up: setup ## start all of OMS on this machine and place the sample order; Ctrl-C stops it
	@.venv/bin/oms up

demo: setup ## with `make up` in another terminal: orders survive a killed service, a declined card and a sold-out item
	@.venv/bin/oms demo

down: setup ## stop what `make up` started elsewhere
	@.venv/bin/oms down

reset: setup ## remove the data and logs of `make up`
	@.venv/bin/oms reset --yes

test: setup ## the tests that need neither Docker nor a cluster, on real Kafka and Postgres (seven minutes)
	@scripts/test.sh

test-system: setup ## those left out of them: a whole platform is killed, starved, erased and searched (ten minutes)
	@scripts/test.sh --system

test-chart: setup ## those of them that are about the chart: rendered, and judged by Helm, promtool and an API server
	@.venv/bin/pytest tests/chart -n 2 --dist loadgroup

test-scaffold: setup ## a sixth service, made in a copy of this repository as CONTRIBUTING.md says
	@.venv/bin/pytest tests/scaffold

incidents: setup ## production incidents under load, one after the other; writes docs/reliability.md (a quarter of an hour)
	@scripts/incidents.sh

chaos: setup ## hundreds of overlapping faults, from three seeds, and deliberate bugs; writes docs/reliability.md (two hours)
	@code=0; for seed in 1 2 3; do scripts/chaos.sh --seed $$seed || code=1; done; \
	scripts/chaos.sh --mutant all --rate 10 || code=1; \
	PYTHONPATH=tests .venv/bin/python -m chaos.page || code=1; exit $$code

lint: setup ## format, lint, types, imports, contracts, sizes, documentation: what CI checks without running anything
	@scripts/lint.sh

format: setup ## format the code, and fix what can be fixed automatically
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format .

contracts: setup ## write the JSON Schemas, the AsyncAPI document, and what the documentation has of graphs, states and problems
	@.venv/bin/python -m oms_contracts
	@.venv/bin/python -m scripts.state_machine
	@.venv/bin/python -m scripts.problems

structure: setup ## print how the code hangs together: import circles, floors, lengths, old words
	@.venv/bin/python -m scripts.structure

docs: setup ## build the documentation as a site: build/site
	@scripts/docs.sh

service: ## begin a new service: make service NAME=loyalty
	@python3 scripts/service.py "$(NAME)"

migration: setup ## generate a migration from a service's tables: make migration SERVICE=order m="what changes"
	@.venv/bin/python scripts/migration.py "$(SERVICE)" "$(m)"

bench: setup ## measure throughput and latency, next to FastStream and a naive build
	@scripts/bench.sh

bench-scale: setup ## time every filter and more with a million orders and 100,000 items; writes its table into docs/scaling.md
	@PYTHONPATH=tests .venv/bin/python -m benchmarks.scale --write docs/scaling.md

bench-growth: setup ## measure throughput with two replicas of each service, and with full databases; writes its tables into docs/scaling.md (as root)
	@PYTHONPATH=tests .venv/bin/python -m benchmarks.growth --write docs/scaling.md

fuzz: setup ## tens of thousands of requests and records, with sense and without; writes docs/reliability.md (half an hour)
	@scripts/fuzz.sh

footprint: setup ## measure a cluster of its own: images, memory, start and update
	@scripts/footprint.sh

lock: setup ## write requirements.lock again (versions already locked stay)
	@scripts/lock.sh

images: ## build the container images with the simulators, and a list of what is in each (build/sbom)
	@scripts/images.sh --sbom

kind-up: ## a Kubernetes cluster in Docker with all of OMS in it
	@scripts/kind-up.sh

kind-down: ## delete that cluster
	@scripts/kind-down.sh

test-cluster: ## the tests that need Docker or a cluster
	@scripts/test-cluster.sh

chaos-cluster: setup ## orders while pods are killed, evicted, starved, scaled and rolled back, on a kind cluster; writes docs/reliability.md (an hour)
	@scripts/kind-up.sh
	@code=0; scripts/chaos.sh --cluster --faults 100 --rate 5 || code=1; \
	PYTHONPATH=tests .venv/bin/python -m chaos.page || code=1; exit $$code

test-cluster-long: ## the chart under enforced policies, KEDA and a real Prometheus, and upgraded from its first release (an hour)
	@scripts/test-cluster-long.sh

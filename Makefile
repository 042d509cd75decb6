# What can be done here. Each target makes the environment first (scripts/setup.sh returns at once if it exists).
.DEFAULT_GOAL := help
.PHONY: help up demo down test lint format lock reset bench bench-scale bench-growth fuzz footprint contracts structure docs images kind-up kind-down test-cluster test-cluster-long migration service setup incidents chaos chaos-cluster test-scaffold test-chart test-system

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv, with everything that requirements.lock pins
	@scripts/setup.sh

up: setup ## start all of OMS on this machine and place the sample order; Ctrl-C stops it
	@.venv/bin/oms up

demo: setup ## with `make up` in another terminal: watch orders survive a killed service, a declined card, a sold-out item and more
	@.venv/bin/oms demo

down: setup ## stop what `make up` started in another terminal
	@.venv/bin/oms down

reset: setup ## remove the data and logs of `make up`
	@.venv/bin/oms reset --yes

test: setup ## run the tests that need neither Docker nor a cluster, on real Kafka and Postgres (eight minutes)
	@scripts/test.sh

test-system: setup ## run the tests that kill, starve, erase and search a whole platform, which `make test` leaves out (ten minutes)
	@scripts/test.sh --system

test-chart: setup ## run the tests of the chart only: rendered, and checked by Helm, promtool and an API server
	@.venv/bin/pytest tests/chart -n 2 --dist loadgroup

test-scaffold: setup ## add a sixth service to a copy of this repository, as CONTRIBUTING.md says, and test it
	@.venv/bin/pytest tests/scaffold

incidents: setup ## run production incidents under load, one at a time; writes docs/reliability.md (a quarter of an hour)
	@scripts/incidents.sh

chaos: setup ## run hundreds of overlapping faults, from three seeds, and deliberate bugs; writes docs/reliability.md (two hours)
	@code=0; for seed in 1 2 3; do scripts/chaos.sh --seed $$seed || code=1; done; \
	scripts/chaos.sh --mutant all --rate 10 || code=1; \
	PYTHONPATH=tests .venv/bin/python -m chaos.page || code=1; exit $$code

lint: setup ## check format, style, types, imports, contracts, sizes and documentation, as CI does, without running anything
	@scripts/lint.sh

format: setup ## format the code, and fix what can be fixed automatically
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format .

contracts: setup ## generate the JSON Schemas, the AsyncAPI documents, and the documentation's graphs, states and problems
	@.venv/bin/python -m oms_contracts
	@.venv/bin/python -m scripts.state_machine
	@.venv/bin/python -m scripts.problems

structure: setup ## print figures about the code's structure: import cycles, layers, lengths, words to replace
	@.venv/bin/python -m scripts.structure

docs: setup ## build the documentation as a site: build/site
	@scripts/docs.sh

service: ## begin a new service: make service NAME=loyalty
	@python3 scripts/service.py "$(NAME)"

migration: setup ## generate a migration from a service's tables: make migration SERVICE=order m="what changes"
	@.venv/bin/python scripts/migration.py "$(SERVICE)" "$(m)"

bench: setup ## measure throughput and latency, next to FastStream and a naive build
	@scripts/bench.sh

bench-scale: setup ## measure queries with a million orders and 100,000 items; writes docs/scaling.md
	@PYTHONPATH=tests .venv/bin/python -m benchmarks.scale --write docs/scaling.md

bench-growth: setup ## measure throughput with two replicas of each service, and with full databases; writes docs/scaling.md (as root)
	@PYTHONPATH=tests .venv/bin/python -m benchmarks.growth --write docs/scaling.md

fuzz: setup ## send tens of thousands of valid and invalid requests and records; writes docs/reliability.md (half an hour)
	@scripts/fuzz.sh

footprint: setup ## measure images, memory, start and update on a cluster of its own
	@scripts/footprint.sh

lock: setup ## update requirements.lock (versions already locked stay)
	@scripts/lock.sh

images: ## build the container images with the simulators, and an SBOM of each (build/sbom)
	@scripts/images.sh --sbom

kind-up: ## create a Kubernetes cluster in Docker with all of OMS in it
	@scripts/kind-up.sh

kind-down: ## delete that cluster
	@scripts/kind-down.sh

test-cluster: ## run the tests that need Docker or a cluster
	@scripts/test-cluster.sh

chaos-cluster: setup ## kill, evict, starve, scale and roll back pods under load, on a kind cluster; writes docs/reliability.md (an hour)
	@scripts/kind-up.sh
	@code=0; scripts/chaos.sh --cluster --faults 100 --rate 5 || code=1; \
	PYTHONPATH=tests .venv/bin/python -m chaos.page || code=1; exit $$code

test-cluster-long: ## test the chart with enforced policies, KEDA and a real Prometheus, and an upgrade from its first release (an hour)
	@scripts/test-cluster-long.sh

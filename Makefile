# Fairtally. `make run` starts everything; `make help` tells the rest. Works with GNU make 3.81 and newer.

.DEFAULT_GOAL := help
.PHONY: help run install build unit test sim mutants test-kafka seasons check types lint format openapi generated circular bench chaos fuzz screenshots clean

SOURCES := $(shell find api cmd pkg sample_events bench web -path web/node_modules -prune -o -type f -print 2>/dev/null | grep -v -e ' ' -e 'replay-checkpoint')
INSTALLED := node_modules/.package-lock.json
BUILT := dist/.built
ENV_FILE := $(if $(wildcard .env),--env-file=.env)
export REDOCLY_TELEMETRY := off

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

run: $(BUILT) ## Install and build what is missing, start everything, feed the sample season once
	@exec node $(ENV_FILE) dist/cmd/fairtally/main.js run

install: $(INSTALLED) ## Install the dependencies; runs none of their scripts

# npm writes this file at the end of every installation.
$(INSTALLED): package-lock.json
	npm ci --ignore-scripts
	@touch $(INSTALLED)

build: $(BUILT) ## Compile to dist/

$(BUILT): $(INSTALLED) $(SOURCES) tsconfig.json tsconfig.build.json scripts/copy-assets.mjs package.json
	npm run --silent build
	@touch $(BUILT)

unit: $(INSTALLED) ## The tests that need no server
	node scripts/run-tests.mjs --selectProjects unit

test: $(BUILT) ## Every test, against real PostgreSQL, Redis and processes
	node scripts/run-tests.mjs

test-kafka: $(BUILT) ## The Kafka driver against Apache Kafka itself, where Java and Maven, KAFKA_HOME or KAFKA_BROKERS are
	node scripts/test-kafka.mjs

seasons: $(BUILT) ## The whole sample season over every bus (`make test` takes a twentieth of it)
	WHOLE_SEASON=on node scripts/run-tests.mjs season-

sim: $(BUILT) ## Simulated worlds: 2,000 in about a minute on two quiet cores; SEED=N one of them, SEEDS=A..B others, STEPS=N each
	@node dist/pkg/testkit/sim/main.js $(foreach name,SEED SEEDS STEPS,$(if $($(name)),$(name)=$($(name))))

mutants: $(BUILT) ## Deliberate bugs, and what in the simulation notices each (a few minutes)
	@node dist/pkg/testkit/sim/mutants/main.js

check: types lint format openapi generated circular ## Everything that is decided without running it

types: $(INSTALLED)
	npx tsc --noEmit -p .
	npx tsc --noEmit -p web

lint: $(INSTALLED)
	npx eslint --max-warnings 0 .

format: $(INSTALLED)
	npx prettier --check --log-level warn .

openapi: $(INSTALLED)
	npx redocly lint api/openapi.yaml api/admin.yaml

generated: $(INSTALLED)
	npm run --silent gen:check

circular: $(INSTALLED)
	npx madge --circular --no-spinner pkg cmd
	npx madge --circular --no-spinner --extensions ts,tsx web/src

bench: $(BUILT) ## Measure against limits taken in the same run (minutes)
	npm run --silent bench

chaos: $(BUILT) ## Load and SIGKILLs on real processes, then what was lost (SECONDS=180, or KILLS=N; BUS=postgres|kafka|sqs|servicebus)
	@node dist/pkg/testkit/chaos/main.js $(if $(SECONDS),--seconds $(SECONDS)) $(if $(KILLS),--kills $(KILLS)) $(if $(BUS),--bus $(BUS))

fuzz: $(BUILT) ## Mutated requests against the listener (COUNT=200000, SEED=N)
	@node dist/pkg/testkit/fuzz/main.js $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED)) $(if $(VISIT),--visit $(VISIT))

screenshots: $(BUILT) ## Pictures of every page of the dashboard in docs/screenshots/ (needs Chromium; minutes)
	@npx tsx web/e2e/screenshots.ts

clean: ## Remove what was built; data/ and node_modules/ stay
	rm -rf dist coverage

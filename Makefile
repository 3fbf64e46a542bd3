# The one entry point, for people and for CI. Everything lives in .venv (run) and .venv-test (the rest).

SHELL := /bin/sh
.DEFAULT_GOAL := help

RUN := .venv/bin
TEST := .venv-test/bin
# Where `make run` keeps its data and listens: make run DIR=/srv/data PORT=7400 HTTP_PORT=7401
DIR ?= ./keystead-data
PORT ?= 7379
HTTP_PORT ?= 7380
# How often `make crash` kills the server; `make past` does it 200 times unless told otherwise, `make failover` has 20 faults a kind.
CYCLES ?= 10000
# How often `make fuzz` runs the tests that draw their input.
ROUNDS ?= 10

.PHONY: help run test check unit fuzz wheel crash past failover bench docs lock clean

help:  ## What can be made
	@sed -n 's/^\([a-z]*\):.*## */  make \1\t/p' Makefile | expand -t 16

run: .venv/ready  ## Set up and serve 127.0.0.1:7379 and http://127.0.0.1:7380, data in ./keystead-data
	@scripts/greet $(PORT) $(HTTP_PORT)
	@exec $(RUN)/keystead serve --dir $(DIR) --port $(PORT) --http-port $(HTTP_PORT)

test: system  ## Everything the tests need, then every check and every test
	@failed=; $(MAKE) check || failed=yes; $(MAKE) unit || failed=yes; \
	test -z "$$failed" || { echo "make test: something above failed"; exit 1; }

check: .venv-test/ready wheel  ## Lint, types, layers
	$(TEST)/ruff check .
	$(TEST)/ruff format --check .
	$(TEST)/mypy
	$(TEST)/lint-imports

# The wheel is what is tested: the test environment holds no path to src/. Three at a time on two cores: a third of their
# time tests wait, for a disk, a browser or a cluster's timeouts.
unit: .venv-test/ready wheel  ## All tests
	$(TEST)/python -m pytest -n 3 --dist loadgroup

fuzz: .venv-test/ready wheel  ## The tests that draw their input, ROUNDS=10 times, with new draws each time
	for round in $$(seq $(ROUNDS)); do \
	$(TEST)/python -m pytest -n 2 --dist loadgroup $$(grep -rl "from hypothesis" tests --include="test_*.py") || exit 1; done

wheel: .venv-test/ready  ## Build the wheel and install it into the test environment
	@rm -rf dist
	$(TEST)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(TEST)/pip install --quiet --no-deps --force-reinstall dist/*.whl

crash: .venv-test/ready wheel  ## Kill the server 10,000 times under load (CYCLES=…), and check what was acknowledged or seen
	cd tests && ../$(TEST)/python -m durability.crash_loop --cycles $(CYCLES)

past: CYCLES = 200
past: .venv-test/ready wheel  ## Kill the server CYCLES times while it is asked about the past, changed, undone, forgotten, backed up
	cd tests && ../$(TEST)/python -m durability.past_loop --cycles $(CYCLES)

failover: CYCLES = 20
failover: .venv-test/ready wheel  ## Fail the nodes of a cluster CYCLES times under load: kill, pause, cut off, move slots
	cd tests && ../$(TEST)/python -m failover.failover_loop --rounds $(CYCLES)
	cd tests && ../$(TEST)/python -m failover.failover_loop --rounds $(CYCLES) --faults kill,kill-ahead,pause --size 20000
	cd tests && ../$(TEST)/python -m failover.failover_loop --rounds $(CYCLES) --faults crash,kill,pause,blackout --advised --replicas 2
	cd tests && ../$(TEST)/python -m failover.failover_loop --rounds $(CYCLES) --faults cut,move,cut-off,lose-replica,stall,kill-door
	cd tests && ../$(TEST)/python -m failover.failover_loop --rounds 4 --faults kill-ahead --size 20000 --acknowledge async

bench: .venv-test/ready wheel  ## Measure against redis-server in the same run; results go to benchmarks/results/
	@scripts/system-packages bench
	$(TEST)/pip install --quiet --require-hashes --only-binary :all: --no-binary sqlitedict -r requirements/bench.txt
	$(TEST)/python -m benchmarks

docs: .venv-test/ready wheel  ## Write the pages that are derived from the code
	$(TEST)/python docs/generate.py

lock: .venv-test/ready  ## Choose versions anew and pin them with the hashes of every platform's wheels
	scripts/lock

clean:  ## Remove what was built and the virtual environments; data stays
	rm -rf .venv .venv-test dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.PHONY: system
system:
	@scripts/system-packages

.venv/ready: requirements/run.txt requirements/build.txt pyproject.toml scripts/environment
	@scripts/environment .venv requirements/build.txt requirements/run.txt
	@$(RUN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv-test/ready: requirements/run.txt requirements/test.txt scripts/environment
	@scripts/environment .venv-test requirements/run.txt requirements/test.txt
	@touch $@

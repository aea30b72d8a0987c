# `make serve` and `make test` install what they need themselves: system packages with apt-get, Python packages into .venv.
BIN := .venv/bin
# Those that do not exist yet are left out.
LINTED := netapp $(wildcard appliances bench tests tools) setup.py

.PHONY: help deps deps-serve build debug trace stubs lint format test test-release test-debug coverage soak serve clean
.NOTPARALLEL:

help:
	@echo 'make serve     install what is missing, build, and run memcached on a tap device'
	@echo 'make test      install what is missing, build, check, and run every test'
	@echo 'make deps      install what is missing          make soak      the tests too long for make test'
	@echo 'make build     the release build, in place      make lint      ruff and mypy'
	@echo 'make debug     the build with all checks        make format    let ruff lay out the code'
	@echo 'make trace     the build for coverage           make coverage  the tests on it, and a report'
	@echo 'make clean     delete all that was built; .venv stays'

deps:
	@tools/deps test

deps-serve:
	@tools/deps serve

build: deps-serve
	@$(BIN)/python setup.py -q build_ext --inplace
	@$(BIN)/python tools/stubs.py

debug: deps-serve
	@NETAPP_VARIANT=debug $(BIN)/python setup.py -q build_ext

trace: deps-serve
	@NETAPP_VARIANT=trace $(BIN)/python setup.py -q build_ext

stubs: deps-serve
	@$(BIN)/python tools/stubs.py

lint: deps stubs
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/python tools/stubs.py --check
	$(BIN)/mypy $(filter-out setup.py,$(LINTED))

format: deps
	$(BIN)/ruff check --fix $(LINTED)
	$(BIN)/ruff format $(LINTED)

test: deps build debug lint test-release test-debug

# On all processors: protocol tests, then those that make tap devices and network namespaces (each its own), with sudo
# unless this is root: it leaves no file in the tree.
test-release: deps build
	tools/python release -m pytest -n auto -m 'not system and not soak'
	@if [ "$$(id -u)" = 0 ]; then exec tools/python release -m pytest -n auto -m 'system and not soak'; fi; \
	command -v sudo >/dev/null || { echo 'netapp: the system tests need root, and there is no sudo: run make test as root' >&2; exit 1; }; \
	echo 'netapp: the system tests make tap devices and network namespaces, which needs root: running with sudo'; \
	exec sudo env PYTHONDONTWRITEBYTECODE=1 tools/python release -m pytest -n auto -p no:cacheprovider -m 'system and not soak'

test-debug: deps debug
	tools/python debug -m pytest -n auto

# Two tests take minutes under tracing, and reach no line that others do not. The system tests need no lines, but root.
coverage: deps trace
	tools/python trace -m coverage run -m pytest -m 'not system and not soak' \
		--deselect tests/tcp/test_recovery.py::test_two_gibibytes_on_fast_retransmit_still_works \
		--deselect tests/differential/test_ours.py::test_2000_sequences
	$(BIN)/coverage report
	@echo 'netapp: lines of netapp/tcp and netapp/net that no test reaches (docs/coverage.md says why); at least 95 % are'
	$(BIN)/coverage report --include='netapp/tcp/*' --show-missing --fail-under=95
	$(BIN)/coverage report --include='netapp/net/*' --show-missing --fail-under=95

soak: deps build
	tools/python release -m pytest -m soak

serve: build
	@if [ "$$(id -u)" = 0 ]; then exec $(BIN)/netapp run memcached; \
	elif command -v sudo >/dev/null; then \
		echo 'netapp: making a tap device needs root: running with sudo'; exec sudo $(BIN)/netapp run memcached; \
	else echo 'netapp: making a tap device needs root, and there is no sudo: run make serve as root' >&2; exit 1; fi

clean:
	rm -rf build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find netapp $(wildcard appliances bench) \( -name '*.so' -o -name '*.pyi' \) -delete
	find netapp $(wildcard appliances bench tests tools) -name __pycache__ -prune -exec rm -rf {} +

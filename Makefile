# `make serve` and `make test` install what is missing themselves.
PYTHON := .venv/bin/python

.PHONY: build
build:
	$(PYTHON) setup.py build_ext --inplace

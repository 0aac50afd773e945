# rung's tasks. `make demo` and `make test` work from a fresh clone with Python 3.11 or newer and pip.

VENV    ?= .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check -qq
DEV     := dev,bench,configspace,boost,excel,gp,mlflow,onnx,optuna,postgres,pretrained,ray,remote,service,shap,torch,viz
PYTEST  ?= $(BIN)/python -m pytest

# The first Python that is new enough and can make environments; say `make PYTHON=...` for another.
PYTHON  ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
    $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: help demo test long check fmt wheel lowest peers experiments experiments-report judge judge-report \
    cluster-demo soak audit clean

help:
	@echo "make demo    a search on a real table, under 30 seconds of budget"
	@echo "make test    the whole test suite"
	@echo "make check   ruff, mypy --strict, import-linter"
	@echo "make long    the tests that take longer"
	@echo "make fmt     format the code"
	@echo "make wheel   build dist/rung-*.whl"
	@echo "make lowest  the test suite with the oldest dependencies that are allowed (needs uv)"
	@echo "make peers   environments of the peers that benchmarks compare with, in .peers (PEERS=\"dehb\" for some)"
	@echo "make experiments          what of the experiments has no row yet (NAMES=\"svm ahead\" for some);"
	@echo "                          QUICK=1 for the short forms, four minutes together"
	@echo "make experiments-report   docs/experiments.md and its pictures, from the rows"
	@echo "make judge   rung fit beside its peers on tables, what has no row yet (ARGS=\"--budgets 30\" for some)"
	@echo "make judge-report  docs/benchmark.md, from the rows"
	@echo "make cluster-demo  PostgreSQL, the service, three workers, two users' studies; parts are killed while you"
	@echo "                   watch (needs a PostgreSQL server to be installed)"
	@echo "make soak    a thousand random kills over all parts; goes on where it was stopped (ARGS=\"--kills 50\")"
	@echo "make audit   known vulnerabilities of what is installed, where an advisory database can be reached"
	@echo "make clean   remove what was built, the environment too"

$(VENV)/.core: pyproject.toml
	@test -n "$(PYTHON)" || { echo "rung needs Python 3.11 or newer with the venv module; install it, or name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Setting up $(VENV) with $(PYTHON): about a minute, once."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "Adding what the tests need: about a minute, once."
	@$(PIP) install -e '.[$(DEV)]'
	@touch $@

demo: $(VENV)/.core
	$(BIN)/rung fit examples/data/census.csv --target income --budget 30 --holdout 20%

test: $(VENV)/.dev
	$(PYTEST) -m "not long" -n auto --dist worksteal $(ARGS)

long: $(VENV)/.dev
	$(PYTEST) -m long $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports --no-cache

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.dev
	$(BIN)/python -m build --wheel --outdir dist .

lowest:
	.ci/lowest

peers: $(VENV)/.dev
	$(BIN)/python -m benchmarks.peers $(PEERS)

experiments: $(VENV)/.dev
	$(BIN)/python -m benchmarks.experiments run $(NAMES) $(if $(QUICK),--quick)

experiments-report: $(VENV)/.dev
	$(BIN)/python -m benchmarks.experiments report

judge: $(VENV)/.dev
	$(BIN)/python -m benchmarks.cash run $(ARGS)

judge-report: $(VENV)/.dev
	$(BIN)/python -m benchmarks.cash report

cluster-demo: $(VENV)/.dev
	$(BIN)/python -m benchmarks.cluster_demo $(ARGS)

soak: $(VENV)/.dev
	$(BIN)/python -m benchmarks.soak $(ARGS)

audit: $(VENV)/.dev
	@test -x $(VENV)/audit/bin/pip-audit || { $(BIN)/python -m venv $(VENV)/audit && \
	    $(VENV)/audit/bin/python -m pip --disable-pip-version-check -qq install pip-audit; }
	$(VENV)/audit/bin/pip-audit --skip-editable --progress-spinner off --path $(wildcard $(VENV)/lib/python3*/site-packages)

clean:
	rm -rf $(VENV) .peers build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

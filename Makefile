# Set-up, runs and checks. Every target that needs `.venv` runs `env` first, which takes a
# fraction of a second once `.venv` is ready. PYTHON=/path/to/python chooses its Python.
PRESET ?= quick
PYTHON ?=
# Two processes, because one leaves half of two cores idle. PYTEST=... replaces these options.
PYTEST ?= -n 2 --no-loadscope-reorder
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help env peers run test check bench lint lock lock-check clean

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

env: ## Set up .venv (targets that need it do so themselves)
	@command -v python3 >/dev/null || { \
	  echo "set-up: no python3 on PATH; on Debian: apt install python3 python3-venv" >&2; exit 1; }
	@python3 setup_env.py $(if $(PYTHON),--python "$(PYTHON)")

# If pip finds no CPU build of PyTorch, see requirements/peers.txt.
peers: env ## Set up .venv-peers: PyTorch and its Mambas, to test and measure against
	@python3 setup_env.py --peers

run: env ## Run both tasks, bible then imdb (PRESET=quick)
	@status=0; for task in bible imdb; do \
	  $(BIN)/tf-mamba run $$task --preset $(PRESET) || status=$$?; done; exit $$status

test: env ## Run the whole test suite
	@$(BIN)/python -m pytest $(PYTEST)

check: lint ## Lint, check types, and run the fast tests
	@$(BIN)/python -m pytest $(PYTEST) -m "not slow"

bench: env peers ## Measure speed, memory, baselines and serving (over an hour; run nothing else)
	@for benchmark in scan training generation growth baselines; do \
	  $(BIN)/python -m benchmarks.$$benchmark || exit; done
	@$(BIN)/python -m benchmarks.serving || test $$? = 2  # 2: no pushed models; it has said so

lint: env ## Check style, format, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# $(call compile-locks,FOLDER) keeps pins that FOLDER's locks already have, if they still fit.
define compile-locks
@$(UV_COMPILE) --override requirements/older.in --constraint requirements/older-constraints.in \
  --python-version 3.10 -o $(1)/older.txt
@$(UV_COMPILE) --override requirements/current.in --python-version 3.11 -o $(1)/current.txt
endef
UV_COMPILE = $(BIN)/uv pip compile setup.py --extra dev --universal --fork-strategy fewest \
  --generate-hashes --quiet --system-certs --python $(BIN)/python \
  --custom-compile-command "make lock" $(UPGRADE)

lock: env ## Rewrite requirements/*.txt from setup.py (UPGRADE=--upgrade: newest releases)
	$(call compile-locks,requirements)

lock-check: env ## Fail if requirements/*.txt do not follow from setup.py
	@rm -rf build/locks && mkdir -p build/locks && cp requirements/*.txt build/locks/
	$(call compile-locks,build/locks)
	@for lock in older current; do diff -u requirements/$$lock.txt build/locks/$$lock.txt || { \
	  echo "requirements/$$lock.txt is out of date: run make lock" >&2; exit 1; }; done

clean: ## Remove .venv, caches and build output; keep runs/ and serving_models/
	rm -rf .venv .venv-peers build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv*/*' -prune -exec rm -rf {} +

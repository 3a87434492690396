# The words of the house. Everything happens in .venv, with the versions of constraints.txt.
PYTHON ?= python3
BROWSER ?= 1
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help lab test lint format bench notebooks docs clean

help: ## say these words
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

lab: $(READY) ## open the tour in JupyterLab (BROWSER=0: only print its address)
	@$(BIN)/unispeech-lab lab $(if $(filter 0,$(BROWSER)),--no-browser)

test: $(READY) ## run every test: units, parity, README, notebooks, browser
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(READY) ## say what ruff would change
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(READY) ## let ruff change it
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## measure against Hugging Face, side by side
	@$(BIN)/python benchmarks/run.py

notebooks: $(READY) ## run the notebooks again, in place; keep what reads without a kernel
	@JUPYTER_PREFER_ENV_PATH=1 $(BIN)/python .ci/notebooks.py

docs: $(READY) ## build the site into docs/_build/html
	@$(BIN)/python docs/build.py

clean: ## remove .venv and whatever tools left behind
	rm -rf .venv build dist docs/_build .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# Made again when what it should hold changes.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "expected Python 3.11 or newer, found no '$(PYTHON)'. Install one, or say which: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("expected Python 3.11 or newer, found %d.%d (%s). Say which to take: make PYTHON=/path/to/python3.11" % (v[0], v[1], sys.executable))'
	@$(PYTHON) -m venv .venv || { echo "python3 -m venv failed. Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing into .venv; the first time takes some minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

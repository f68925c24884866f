# Every target says what it does behind ##; `make` alone prints them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TLOG ?=
FILE ?=
DIR ?=
OPTIONS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "routerd needs Python 3.11 or newer")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'Python lacks venv: apt-get install python3-venv'; exit 1; }
	@echo 'setting up $(VENV) (once)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[zstd,cloud,dev]' --config-settings editable_mode=compat
	@touch $@

.PHONY: setup
setup: $(READY) ## make the virtual environment with everything in it

.PHONY: demo
demo: $(READY) ## sell, capture, cut the WAN, kill routerd, close a day, compare every ticket (TLOG=file plays a recording)
	@$(BIN)/python -m scripts.demo $(if $(TLOG),--tlog '$(TLOG)')

.PHONY: day
day: $(READY) ## serve a recorded transSet (FILE=) as a Commander would, capture it, prove it to the cent
	@$(BIN)/python -m scripts.proof day $(if $(FILE),'$(FILE)',$(error FILE= must name a transSet file)) $(OPTIONS)

.PHONY: folder
folder: $(READY) ## drop recorded NAXML or POSLog files (DIR=) into a folder, capture them, count them in the cloud
	@$(BIN)/python -m scripts.proof folder $(if $(DIR),'$(DIR)',$(error DIR= must name a folder)) $(OPTIONS)

.PHONY: test
test: $(READY) ## lint, types and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

.PHONY: bench
bench: $(READY) ## measure speed, latency, flash, wire and memory beside bounds of the same run
	@$(BIN)/python -m scripts.bench

.PHONY: crash
crash: $(READY) ## cut the power of the spool at every kind of moment (CUTS=n, EXT4=n on a real ext4; SEED=n repeats one)
	@$(BIN)/python -m scripts.faults cut $(if $(SEED),--seed $(SEED),--count $(or $(CUTS),1000) --ext4 $(or $(EXT4),100))

.PHONY: soak
soak: $(READY) ## run both daemons under mixed faults: all arrives once, nothing grows (MINUTES=n, 10 unless told)
	@$(BIN)/python -m scripts.faults soak --minutes $(or $(MINUTES),10)

.PHONY: fuzz
fuzz: $(READY) ## feed strange bytes to everything that reads bytes from outside (SECONDS=n, 60 unless told)
	@$(BIN)/python -m scripts.faults fuzz --seconds $(or $(SECONDS),60)

.PHONY: dictionaries
dictionaries: $(READY) ## train the shipped compression dictionaries from generated t-logs
	@$(BIN)/python -m scripts.dictionaries

.PHONY: format
format: $(READY) ## put the code in its one format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: clean
clean: ## remove the environment and everything generated
	rm -rf $(VENV) out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

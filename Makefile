# SPDX-License-Identifier: Apache-2.0
# Every target sets up its own .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENGINE := UniBiomedSlicer/Engine
# Pinned here so that no later release is taken by surprise. On Linux, PyPI's torch wheel is the CUDA build (several
# gigabytes); where a CPU wheel is at hand (a folder named by PIP_FIND_LINKS, or PyTorch's own CPU index given by
# PIP_EXTRA_INDEX_URL) pip takes that.
TORCH ?= torch==2.13.0

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test lint bench bench-full bench-loop phantoms evaluate train-mini clean

help:
	@echo "make demo        set up, then segments and a grounded report of a CT phantom and a real head MRI"
	@echo "make test        set up, then every test"
	@echo "make lint        ruff and the import rules"
	@echo "make bench       small benchmarks, minutes; make bench-full: the published size, random weights"
	@echo "make bench-loop  the annotation loop on a shifted domain: corrected, fine-tuned, measured (25 minutes)"
	@echo "make evaluate    the table of the bundled model on phantoms never trained on"
	@echo "make train-mini  train the bundled model again (hours)"

$(VENV)/.engine: $(ENGINE)/pyproject.toml Makefile
	$(PYTHON) -c "import sys; sys.exit('Python 3.11 or newer is needed, this is ' + sys.version.split()[0]) if sys.version_info < (3, 11) else None"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable "$(ENGINE)"
	@touch $@

$(VENV)/.dev: $(VENV)/.engine constraints.txt Testing/host/requirements.txt Testing/consumers.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable "$(ENGINE)[training,evaluation,export,cluster,dicomweb,test]" --requirement Testing/host/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement Testing/consumers.txt
	@touch $@

setup: $(VENV)/.engine
setup-dev: $(VENV)/.dev

demo: setup
	$(BIN)/unibiomed demo --output demo-output

# Two files at a time, one thread each: on two cores this is faster than two threads on one file.
test: setup-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

bench: setup-dev
	$(BIN)/python Testing/benchmarks/bench_small.py
	$(BIN)/python Testing/benchmarks/bench_slicer.py

bench-full: setup-dev
	$(BIN)/python Testing/benchmarks/bench_full.py

bench-loop: setup-dev
	$(BIN)/python Testing/benchmarks/bench_loop.py

phantoms: setup-dev
	$(BIN)/python -m unibiomed.phantoms.contact_sheet docs/phantoms.png

evaluate: setup-dev
	$(BIN)/unibiomed evaluate --model mini --output runs/evaluation

train-mini: setup-dev
	$(BIN)/unibiomed train --output runs/vision --stage vision --steps 2600
	$(BIN)/unibiomed train --output runs/masks --stage masks --steps 6000
	$(BIN)/unibiomed train --output runs/words --stage words --steps 1500 --after runs/masks --after runs/vision
	$(BIN)/unibiomed train --output runs/memory --start runs/words/model --tune memory --steps 200
	$(BIN)/unibiomed train --output runs/mini --stage reading --steps 1500 \
		--after runs/masks --after runs/memory --after runs/vision --after runs/words

clean:
	rm -rf $(VENV) demo-output runs

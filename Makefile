# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Two commands for a newcomer: `make demo` and `make test`. Both need Python >= 3.11, make and PyPI.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

SITE = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# The link in site-packages makes the checkout importable and visible to ansible under its real name;
# ANSIBLE_HOME keeps ansible's files in the checkout, out of the user's home.
RUN = PATH="$(CURDIR)/$(BIN):$$PATH" ANSIBLE_COLLECTIONS_PATH="$(SITE)" ANSIBLE_HOME="$(CURDIR)/.ansible" \
      ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false ANSIBLE_CALLBACK_RESULT_FORMAT=yaml

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test lint unit contract store system guides molecule sanity types docsite build old-core nightly bench clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11")'
	@echo "making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.python requirements.txt requirements-twin.txt
	@echo "installing what the collection and the embedded cluster need"
	@$(PIP) -r requirements.txt -r requirements-twin.txt
	@mkdir -p "$(SITE)/ansible_collections/calico_ops"
	@ln -sfn "$(CURDIR)" "$(SITE)/ansible_collections/calico_ops/ipam"
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt requirements-etcd.txt
	@echo "installing the test tools"
	@$(PIP) -r requirements-dev.txt
	@touch $@

demo: $(VENV)/.run ## change a pool's block size on the embedded cluster, live
	@$(RUN) ansible-playbook calico_ops.ipam.demo

demo-stop: $(VENV)/.run ## stop the demo's cluster
	@$(RUN) ansible-playbook calico_ops.ipam.demo -e demo_state=stopped

test: $(VENV)/.dev ## everything CI runs
	@$(RUN) $(BIN)/python tests/tools/everything.py

lint: $(VENV)/.dev ## ruff, yamllint, ansible-lint (production) and changelog lint
	@$(RUN) $(BIN)/python tests/tools/everything.py lint

unit: ## the fast tests
contract: ## the Kubernetes API as our clients see it; CALICO_OPS_KUBECONFIG names a real cluster
store: ## datastores on a real etcd; eight writers at once on every datastore
system: ## procedures, drains and kills from end to end
guides: ## every command of the guides, every example of the modules
molecule: ## the collection's own Molecule scenario; `build` runs the one for users
sanity: ## ansible-test sanity
types: ## mypy --strict on module_utils
docsite: ## the site of the documentation, into .work/docsite/html
build: ## build the artifact, install it, lint its documentation, use it as a new user would
old-core: ## the demo under ansible-core 2.18

unit contract store system guides molecule sanity types docsite build old-core: $(VENV)/.dev
	@$(RUN) $(BIN)/python tests/tools/everything.py $@

nightly: $(VENV)/.dev ## the random searches (states, interleavings, hostile input, stress) for an hour or so
	@$(RUN) $(BIN)/python tests/tools/sanity.py
	@$(RUN) $(BIN)/python tests/tools/everything.py molecule
	@CALICO_OPS_NIGHTLY=1 $(RUN) $(BIN)/python -m pytest -q -n 2 --dist loadfile --timeout 7200 \
	  $$(grep -rl --include='test_*.py' CALICO_OPS_NIGHTLY tests | sort)

bench: $(VENV)/.dev ## run the benchmarks
	@$(RUN) sh -c 'for f in benchmarks/*.py; do echo "== $$f"; python "$$f"; done'

clean: ## remove everything the other targets made
	@rm -rf $(VENV) .work .ansible .twin .mypy_cache .pytest_cache .ruff_cache .hypothesis *.tar.gz tests/output

# What one does here. `make` alone lists it.
PYTHON ?= python3
BOOT := $(PYTHON) backend/config/bootstrap.py
EXEC := .venv/bin/python -m backend.config.stack exec --
PYTEST ?=
N ?= 10000

.DEFAULT_GOAL := help
.PHONY: help run test torture lint audit format openapi roles bench bench-ingest bench-trend bench-protections bench-reminders bench-pushes demo-load backup restore clean lock dev python

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

python:
	@command -v $(PYTHON) >/dev/null || { echo "afterglow: $(PYTHON) is not installed: install Python 3.11 or later"; exit 1; }

run: python  ## the demo clinic on http://127.0.0.1:8000 (PORT=... for another), until Ctrl-C
	@$(BOOT) run

test: python  ## the tests, on servers of the clone's own (PYTEST="-k reminders" for some, SLOW=1 for the slow ones too)
	@$(BOOT) test $(PYTEST)

torture: python  ## all tests with the full counts; prints figures
	@TORTURE=1 $(BOOT) test -m "torture or not torture" $(PYTEST)

lint: dev  ## style, types, imports between rooms, weak code, migrations
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/bandit --quiet --recursive backend docker bench -lll
	$(EXEC) mypy
	$(EXEC) python backend/manage.py makemigrations --check --dry-run

audit: dev  ## ask the vulnerability service about every locked package; says NOT CHECKED where it cannot be reached
	@.venv/bin/python .ci/audit.py

format: dev  ## let ruff put the code into shape
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

openapi: dev  ## write docs/openapi.yaml from the code
	$(EXEC) python backend/manage.py spectacular --file docs/openapi.yaml --validate --fail-on-warn

roles: dev  ## write docs/roles.md, the table of who may do what, from the code
	@$(EXEC) python backend/manage.py write_roles

bench: bench-ingest bench-trend bench-protections bench-reminders bench-pushes  ## all measurements, each with its limit and the naive way in the same run

bench-ingest: dev  ## check-ins a second, one by one and in batches
	@$(EXEC) python -m bench.ingest $(BENCH)

bench-trend: dev  ## a patient's trend over two years
	@$(EXEC) python -m bench.trend $(BENCH)

bench-protections: dev  ## what isolation, history, audit and chain cost, each and together
	@$(EXEC) python -m bench.protections $(BENCH)

bench-reminders: dev  ## claims, deliveries and lateness on a million rules; takes some minutes
	@$(EXEC) python -m bench.reminders $(BENCH)

bench-pushes: dev  ## pushes a second to a service that answers slowly, one after another and side by side
	@$(EXEC) python -m bench.pushes $(BENCH)

demo-load: dev  ## a demo clinic of N check-ins (N=10000000 takes a few minutes)
	@$(EXEC) python backend/manage.py demo_load --check-ins $(N)

backup: python  ## a sealed backup into BACKUP_DIR, or TARGET=folder (docs/backup.md)
	@$(BOOT) exec -- python backend/manage.py backup $(if $(TARGET),--target "$(TARGET)")

restore: python  ## bring BACKUP=name (or latest) back; alone it lists them; CHECK=1 only reads, FORGET=1 drops what was replaced
	@$(BOOT) exec -- python backend/manage.py restore $(BACKUP) $(if $(TARGET),--target "$(TARGET)") $(if $(CHECK),--check) $(if $(FORGET),--forget-previous)

clean: python  ## remove the demo's data, its servers and all caches; .venv stays
	@$(BOOT) clean

lock: dev  ## resolve the dependencies anew and write both locks with their hashes
	.venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header -q -o requirements.txt
	.venv/bin/uv pip compile pyproject.toml --group dev -c requirements.txt --universal --python-version 3.11 --generate-hashes --no-header -q -o requirements-dev.txt

dev: python
	@$(BOOT) install

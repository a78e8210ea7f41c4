.PHONY: demo test check format bench bench-ui statistics torture mutants

export OMP_WAIT_POLICY := PASSIVE

## the main job on the bundled sample, then the app on its ranking
demo:
	@scripts/setup.sh run
	@.venv/bin/sap-tui demo

## everything that must hold: style, types, architecture, tests
test:
	@scripts/setup.sh dev
	@$(MAKE) --no-print-directory check
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile

check:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format:
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

## scoring beside other tools, for docs/benchmarks.md; BENCH_ARGS="--quick --json FILE" makes the first table only
bench:
	@scripts/setup.sh run
	@.venv/bin/python -m benchmarks.scoring $(BENCH_ARGS)

## the app in a terminal beside a busy scorer, for docs/benchmarks.md; BENCH_ARGS="--quick --json FILE"
bench-ui:
	@scripts/setup.sh dev
	@.venv/bin/python -m benchmarks.ui $(BENCH_ARGS)

## how far the statistics can be trusted, for docs/statistics.md; STATISTICS_ARGS="--record FILE" with the published record
statistics:
	@scripts/setup.sh run
	@OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.statistics $(STATISTICS_ARGS)

## the long proofs that nothing is lost, for docs/reliability.md: at most 15 minutes on two cores with nothing else to do
torture:
	@scripts/setup.sh dev
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest tests/torture -s -o python_files='torture_*.py' --timeout 600 \
		--figures docs/reliability.json; code=$$?; .venv/bin/python scripts/update_docs.py; exit $$code

## seeded faults of the queue, each of which must turn a fast test red
mutants:
	@scripts/setup.sh dev
	@OMP_NUM_THREADS=1 .venv/bin/python -m tests.torture.mutants --figures docs/reliability.json; code=$$?; \
		.venv/bin/python scripts/update_docs.py; exit $$code
